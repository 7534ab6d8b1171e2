internal import AssetModel
internal import GRDB
internal import GRDBSQLite

/// The records of a catalog within one operation.
///
/// Its verbs check nothing but what a unique index does; the rules are `AssetLibrary`'s.
public struct Records {
    let database: Database
    /// What notes changes; nil where they are made once more, and for other databases.
    let redo: Redo?

    init(database: Database, redo: Redo? = nil) { (self.database, self.redo) = (database, redo) }

    /// Runs a statement that answers no rows.
    func run(_ sql: String, _ values: [SQLValue]) throws {
        _ = try statement(sql, values).next()
        redo?.note(sql, values)
    }

    /// Runs statements without values.
    func run(script sql: String) throws {
        try database.execute(sql: sql)
        redo?.note(script: sql)
    }

    /// The first row of a query, made into a value.
    func first<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> Value? {
        let rows = try statement(sql, values)
        defer { rows.end() }
        let row = try rows.next()
        if !rows.isReadOnly { redo?.note(sql, values) }
        return try row.map(make)
    }

    /// All rows of a query, made into values.
    func all<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> [Value] {
        let rows = try statement(sql, values)
        defer { rows.end() }
        var result: [Value] = []
        while let row = try rows.next() { result.append(try make(row)) }
        if !rows.isReadOnly { redo?.note(sql, values) }
        return result
    }

    /// The same of a statement that is not kept for another time.
    func allOnce<Value>(_ sql: String, _ values: [SQLValue], _ make: (Columns) throws -> Value) throws -> [Value] {
        let prepared = try database.makeStatement(sql: sql)
        return try withExtendedLifetime(prepared) {
            let rows = unsafe Rows(unsafe prepared.sqliteStatement, values)
            var result: [Value] = []
            while let row = try rows.next() { result.append(try make(row)) }
            return result
        }
    }

    /// A statement with its values bound, prepared once.
    ///
    /// `end` it before the next use of the same text.
    func statement(_ sql: String, _ values: [SQLValue]) throws -> Rows {
        let statement = unsafe try database.cachedStatement(sql: sql).sqliteStatement
        unsafe sqlite3_reset(statement)
        return unsafe Rows(unsafe statement, values)
    }

    /// What `PRAGMA synchronous` is for this connection: 2 where a commit is on stable storage when it returns.
    public func synchronousMode() throws -> Int64? { try first("PRAGMA synchronous", []) { $0.integer(0) } }

    /// Returns the marks for so many values of a statement, with a comma between.
    static func marks(_ count: Int) -> String { Array(repeating: "?", count: count).joined(separator: ", ") }

    /// The number that the last INSERT gave to its row.
    var lastRow: Int64 { database.lastInsertedRowID }

    /// How many rows the last statement changed.
    var changedRows: Int { database.changesCount }
}

/// A value for a statement.
///
/// Steps and bindings go to SQLite itself: with GRDB's rows and arguments a lookup costs twice as much, and an upload makes a
/// dozen of them.
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

    // > SQLITE_TRANSIENT means that the content will likely change in the near future and that SQLite should make its own
    // > private copy — sqlite.org/c3ref/c_static.html. It is -1 cast to a destructor, which Swift does not import.
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
    /// As a statement's value.
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

    /// The next row, valid until the next step; nil, and the statement ended, when there is none.
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

    /// Ends the statement, so that it holds no read of the tables.
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
