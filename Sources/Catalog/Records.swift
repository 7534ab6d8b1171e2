internal import AssetModel
internal import GRDB
internal import GRDBSQLite

/// The records of a catalog within one operation.
///
/// Its functions check nothing beyond the unique indexes; the rules are `AssetLibrary`'s.
public struct Records {
    let database: Database
    /// The recorder of changes; nil during a replay, and for other databases.
    let redo: Redo?
    /// The number of rows that had been changed when the operation began.
    private let changesBefore: Int

    init(database: Database, redo: Redo? = nil) {
        (self.database, self.redo, changesBefore) = (database, redo, database.totalChangesCount)
    }

    /// Whether the operation has changed no row so far, so that memory may keep the values that it reads: a
    /// failure later undoes none of them.
    public var isUnchanged: Bool { database.totalChangesCount == changesBefore }

    /// Runs a statement that returns no rows.
    func run(_ sql: String, _ values: [SQLValue]) throws {
        _ = try statement(sql, values).next()
        redo?.note(sql, values)
    }

    /// Runs statements without values.
    func run(script sql: String) throws {
        try database.execute(sql: sql)
        redo?.note(script: sql)
    }

    /// Returns the first row of a query, converted to a value.
    func first<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> Value? {
        let rows = try statement(sql, values)
        defer { rows.end() }
        let row = try rows.next()
        if !rows.isReadOnly { redo?.note(sql, values) }
        return try row.map(make)
    }

    /// Returns all rows of a query, converted to values.
    func all<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> [Value] {
        let rows = try statement(sql, values)
        defer { rows.end() }
        var result: [Value] = []
        while let row = try rows.next() { result.append(try make(row)) }
        if !rows.isReadOnly { redo?.note(sql, values) }
        return result
    }

    /// Returns all rows of a query that is not kept in the statement cache.
    func allOnce<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> [Value] {
        let prepared = try database.makeStatement(sql: sql)
        return try withExtendedLifetime(prepared) {
            let rows = unsafe Rows(unsafe prepared.sqliteStatement, values)
            var result: [Value] = []
            while let row = try rows.next() { result.append(try make(row)) }
            return result
        }
    }

    /// Returns a cached statement with its values bound.
    ///
    /// Call `end` on it before the next use of the same text.
    func statement(_ sql: String, _ values: [SQLValue]) throws -> Rows {
        let statement = unsafe try database.cachedStatement(sql: sql).sqliteStatement
        unsafe sqlite3_reset(statement)
        return unsafe Rows(unsafe statement, values)
    }

    /// Returns `PRAGMA synchronous` of this connection: 2 if a commit is on stable storage when it returns.
    public func synchronousMode() throws -> Int64? { try first("PRAGMA synchronous", []) { $0.integer(0) } }

    /// Returns a number of placeholders for a statement's values, separated by commas.
    static func marks(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }

    /// The number that the last INSERT gave to its row.
    var lastRow: Int64 { database.lastInsertedRowID }

    /// The number of rows that the last statement changed.
    var changedRows: Int { database.changesCount }
}

/// A value for a statement.
///
/// Steps and bindings call SQLite directly: with GRDB's rows and arguments a lookup costs twice as much, and
/// an upload makes a dozen of them.
enum SQLValue {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    /// Text that need not be UTF-8.
    case bytesAsText([UInt8])
    case blob([UInt8])

    /// Wraps a value, or NULL for nil.
    init(_ value: Int64?) { self = value.map(SQLValue.integer) ?? .null }

    // > SQLITE_TRANSIENT means that the content will likely change in the near future and that SQLite should
    // > make its own private copy — sqlite.org/c3ref/c_static.html.
    // It is -1 cast to a destructor, which Swift does not import.
    fileprivate func bind(to statement: OpaquePointer, at index: Int32) {
        let copied = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch self {
        case .null: unsafe sqlite3_bind_null(statement, index)
        case .integer(let value): unsafe sqlite3_bind_int64(statement, index, value)
        case .real(let value): unsafe sqlite3_bind_double(statement, index, value)
        case .text(let value): unsafe sqlite3_bind_text(statement, index, value, -1, copied)
        case .bytesAsText(let value):
            let text = value.map { CChar(bitPattern: $0) } + [0]
            unsafe sqlite3_bind_text(statement, index, text, Int32(value.count), copied)
        case .blob(let value):
            // A nil pointer would bind NULL; the pointer of an empty array may be nil.
            if value.isEmpty {
                unsafe sqlite3_bind_zeroblob(statement, index, 0)
            } else {
                unsafe sqlite3_bind_blob(statement, index, value, Int32(value.count), copied)
            }
        }
    }
}

extension SQLValue: ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(nilLiteral: ()) { self = .null }
}

extension RawRepresentable where RawValue == Int64 {
    /// The value for a statement.
    var value: SQLValue { .integer(rawValue) }
}

extension EntryName {
    var value: SQLValue { .blob(bytes) }
}

extension Digest {
    var value: SQLValue { .blob(bytes) }
}

/// A running statement.
@safe
struct Rows {
    private let statement: OpaquePointer

    /// Whether the statement changes nothing.
    var isReadOnly: Bool { unsafe sqlite3_stmt_readonly(statement) != 0 }

    fileprivate init(_ statement: OpaquePointer, _ values: [SQLValue]) {
        unsafe self.statement = unsafe statement
        for (index, value) in values.enumerated() { unsafe value.bind(to: unsafe statement, at: Int32(index + 1)) }
    }

    /// Returns the next row, valid until the next step; at the end resets the statement and returns nil.
    func next() throws(CatalogError) -> Columns? {
        switch unsafe sqlite3_step(statement) {
        case SQLITE_ROW: return unsafe Columns(unsafe statement)
        case SQLITE_DONE:
            end()
            return nil
        default:
            let database = unsafe sqlite3_db_handle(statement)
            let code = unsafe sqlite3_extended_errcode(database)
            let reason = unsafe String(cString: sqlite3_errmsg(database))
            end()
            throw .failed(code: code, reason: reason)
        }
    }

    /// Resets the statement, so that it holds no read lock on the tables.
    func end() { unsafe sqlite3_reset(statement) }
}

/// One row's columns, counted from 0.
///
/// The tables are STRICT, so a column has the type that its schema says.
@safe
struct Columns {
    private let statement: OpaquePointer

    fileprivate init(_ statement: OpaquePointer) { unsafe self.statement = unsafe statement }

    func integer(_ index: Int32) -> Int64 { unsafe sqlite3_column_int64(statement, index) }

    func optionalInteger(_ index: Int32) -> Int64? {
        unsafe sqlite3_column_type(statement, index) == SQLITE_NULL ? nil : integer(index)
    }

    func real(_ index: Int32) -> Double { unsafe sqlite3_column_double(statement, index) }

    func isNull(_ index: Int32) -> Bool { unsafe sqlite3_column_type(statement, index) == SQLITE_NULL }

    func unsigned(_ index: Int32) -> UInt32 { UInt32(truncatingIfNeeded: integer(index)) }

    func timestamp(_ index: Int32) -> Timestamp { Timestamp(rawValue: integer(index)) }

    func optionalTimestamp(_ index: Int32) -> Timestamp? { optionalInteger(index).map(Timestamp.init) }

    func bytes(_ index: Int32) -> [UInt8] {
        let count = unsafe Int(sqlite3_column_bytes(statement, index))
        return unsafe Array(UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, index), count: count))
    }

    func text(_ index: Int32) -> String { String(decoding: bytes(index), as: UTF8.self) }
}
