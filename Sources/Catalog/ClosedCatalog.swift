internal import CWriteAheadLog
internal import GRDB
internal import GRDBSQLite
internal import Glibc

/// A catalog that no mount has open, or a copy of one, opened read-only: neither opening nor closing it
/// changes the disk.
///
/// ## Concurrency
/// Operations run one at a time on the caller's thread. A body given to `read` must not call the catalog.
public final class ClosedCatalog: Sendable {
    private let queue: DatabaseQueue

    /// Opens a catalog that this assetfs could mount without changing its tables.
    /// - Throws: `.newer`, `.older`, `.busy`, or `.failed` with SQLite's message.
    public init(path: String) throws(CatalogError) {
        do {
            guard Self.size(of: path) > 0 else {
                throw CatalogError.failed(code: SQLITE_NOTADB, reason: "there is none, or it is empty")
            }
            queue = try DatabaseQueue(path: path, configuration: Self.configuration(for: path))
            try queue.inDatabase { database in
                try Schema.requireTables(in: database)
                guard try !Schema.migrator.hasBeenSuperseded(database) else { throw CatalogError.newer }
                guard try Schema.migrator.hasCompletedMigrations(database) else { throw CatalogError.older }
            }
        } catch {
            throw CatalogError(error)
        }
    }

    /// Returns a configuration that opens a database without changing it.
    static func configuration(for path: String) -> Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { database in
            // In this mode the index of the write-ahead log is in memory, and SQLite creates no file for it.
            try database.execute(
                sql: "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY; PRAGMA query_only = ON"
            )
            if Self.hasLog(path) {
                // Leaves the frames of the log where they are.
                let code = unsafe wal_leave(database.connection)
                guard code == SQLITE_OK else { throw CatalogError.failed(code: code, reason: "the log cannot be left") }
            }
        }
        return configuration
    }

    static func size(of path: String) -> Int64 {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int64(status.st_size) : 0
    }

    private static func hasLog(_ path: String) -> Bool { size(of: path + "-wal") > 0 }

    /// Runs `body` with the records.
    ///
    /// `isUnwanted` is asked every few milliseconds; true interrupts the running statement.
    public func read<Value>(
        isUnwanted: () -> Bool = { false },
        _ body: (Records) throws -> Value
    ) throws(CatalogError) -> Value {
        do {
            return try queue.inDatabase { database in
                try database.interrupting(when: isUnwanted) { try body(Records(database: database)) }
            }
        } catch {
            throw CatalogError(error)
        }
    }

    /// Closes the file.
    public func close() throws(CatalogError) {
        do { try queue.close() } catch { throw CatalogError(error) }
    }
}

extension Records {
    /// Checks the file's pages, and, if `isThorough`, that the indexes have all rows; returns a sentence for
    /// each problem.
    public func integrity(isThorough: Bool) throws -> [String] {
        try allOnce("PRAGMA \(isThorough ? "integrity_check" : "quick_check")(100)", []) { $0.text(0) }
            .filter { $0 != "ok" }
    }

    /// Rebuilds all indexes from the tables.
    public func makeIndexesAnew() throws { try database.execute(sql: "REINDEX") }
}

extension Schema {
    /// Throws `.failed` with SQLITE_NOTADB if a database does not have the tables of a catalog, of any
    /// version.
    static func requireTables(in database: Database) throws {
        guard try database.tableExists("grdb_migrations"), try migrator.appliedIdentifiers(database).contains(first)
        else { throw CatalogError.failed(code: SQLITE_NOTADB, reason: "it has no tables of a catalog") }
    }
}
