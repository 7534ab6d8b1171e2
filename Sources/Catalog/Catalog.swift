internal import AssetModel
internal import GRDB
internal import Synchronization

/// The SQLite record of a library: one connection with one running transaction that every operation joins.
///
/// What is written is seen by every reader at once, and is durable when `commit` returns. `AssetLibrary` decides when that is,
/// because the bytes that rows name must be durable first.
///
/// ## Concurrency
/// Operations run one at a time on the caller's thread. A body given to `read`, `write` or `commit` must not call the catalog.
public final class Catalog: Sendable {
    private let queue: DatabaseQueue
    private let changes = Atomic(0)
    private let failure = Mutex<CatalogError?>(nil)
    private let firstChange: @Sendable () -> Void

    /// How many operations may wait for one commit before it is asked for early.
    private static let manyChanges = 20_000

    /// Opens the catalog, makes it if there is none, migrates it, and begins the running transaction.
    ///
    /// `whenDirty` is called at the first change after a commit, and again when there are many; on the thread of the operation,
    /// so it must return at once.
    /// - Throws: `.busy`, `.newer`, or `.failed` with what SQLite says.
    public init(path: String, whenDirty: @escaping @Sendable () -> Void) throws(CatalogError) {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        configuration.foreignKeysEnabled = false
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { database in
            try database.execute(
                sql: """
                    PRAGMA cache_size = -32768;
                    PRAGMA cache_spill = OFF;
                    PRAGMA temp_store = MEMORY;
                    """
            )
        }
        firstChange = whenDirty
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            guard try queue.read({ try !Schema.migrator.hasBeenSuperseded($0) }) else { throw CatalogError.newer }
            try Schema.migrator.migrate(queue)
            try queue.inDatabase { database in
                // Here and not above: GRDB turns it to NORMAL, which a power cut outruns, when it sets the journal mode.
                try database.execute(sql: "PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
            }
        } catch {
            throw CatalogError(error)
        }
    }

    /// Runs `body` with the records as every operation before has left them.
    /// - Throws: what `body` throws, or `CatalogError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws -> Value {
        try queue.inDatabase { database in
            try checkHealth()
            return try body(Records(database: database))
        }
    }

    /// Runs `body`, which first checks and then writes: a refusal must come before its first change.
    ///
    /// A failure *after* a change cannot be undone alone. The whole running transaction is then rolled back, so that the catalog
    /// stays what it was at the last commit, and every later operation fails with `.lost`.
    /// - Throws: what `body` throws, or `CatalogError`.
    public func write<Value>(_ body: (Records) throws -> Value) throws -> Value {
        let result = try queue.inDatabase { database in
            // In here, because what waited for its turn may find the transaction lost.
            try checkHealth()
            let before = database.totalChangesCount
            do {
                return try body(Records(database: database))
            } catch  where database.totalChangesCount == before {
                throw error
            } catch {
                throw lose(CatalogError(error), database)
            }
        }
        let count = changes.wrappingAdd(1, ordering: .relaxed).newValue
        if count == 1 || count == Self.manyChanges { firstChange() }
        return result
    }

    /// Whether there is anything that a crash would lose.
    public var hasChanges: Bool { changes.load(ordering: .relaxed) > 0 }

    /// Makes everything so far durable, in one step.
    /// - Parameter prepare: runs while no operation can, just before: makes durable what the rows name.
    /// - Throws: what `prepare` throws (then nothing is committed and nothing lost), or `CatalogError`.
    public func commit(prepare: () throws -> Void) throws {
        try queue.inDatabase { database in
            try checkHealth()
            guard changes.load(ordering: .relaxed) > 0 else { return }
            try prepare()
            do {
                try database.execute(sql: "COMMIT")
                changes.store(0, ordering: .relaxed)
                try database.execute(sql: "BEGIN IMMEDIATE")
            } catch {
                throw lose(CatalogError(error), database)
            }
        }
    }

    /// Refuses every later operation, because what is changed from here on could not be made durable.
    public func stop(reason: String) { failure.withLock { if $0 == nil { $0 = .lost(reason: reason) } } }

    /// Commits nothing more, and closes the file.
    public func close() throws(CatalogError) {
        do {
            try queue.inDatabase { database in
                if database.isInsideTransaction { try database.execute(sql: "ROLLBACK") }
            }
            try queue.close()
        } catch {
            throw CatalogError(error)
        }
    }

    private func checkHealth() throws(CatalogError) {
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private func lose(_ error: CatalogError, _ database: Database) -> CatalogError {
        failure.withLock { $0 = .lost(reason: "\(error)") }
        // Already failing: if the rollback fails too, closing the file does the same.
        if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
        return error
    }
}
