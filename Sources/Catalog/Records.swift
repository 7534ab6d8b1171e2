internal import AssetModel
internal import GRDB

/// The records of a catalog within one operation.
///
/// Its verbs check nothing but what a unique index does; the rules are `AssetLibrary`'s.
public struct Records {
    let database: Database

    /// Runs a statement that answers no rows. Statements are prepared once.
    func run(_ sql: String, _ arguments: StatementArguments) throws {
        try database.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// The first row of a query, made into a value.
    func first<Value>(_ sql: String, _ arguments: StatementArguments, _ make: (Row) throws -> Value) throws -> Value? {
        // The row is the statement's own, so the cursor must outlive what is made of it.
        let cursor = try Row.fetchCursor(database.cachedStatement(sql: sql), arguments: arguments)
        return try withExtendedLifetime(cursor) { try cursor.next().map(make) }
    }

    /// All rows of a query, made into values.
    func all<Value>(_ sql: String, _ arguments: StatementArguments, _ make: (Row) throws -> Value) throws -> [Value] {
        var result: [Value] = []
        let cursor = try Row.fetchCursor(database.cachedStatement(sql: sql), arguments: arguments)
        try withExtendedLifetime(cursor) {
            while let row = try cursor.next() { result.append(try make(row)) }
        }
        return result
    }
}

extension Row {
    func timestamp(_ index: Int) -> Timestamp { Timestamp(rawValue: self[index]) }
    func bytes(_ index: Int) throws -> [UInt8] { try withUnsafeData(atIndex: index) { $0.map(Array.init) ?? [] } }
}
