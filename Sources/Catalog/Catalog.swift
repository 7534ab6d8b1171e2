internal import AssetModel
internal import CWriteAheadLog
internal import GRDB
internal import GRDBSQLite
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
    private let redo = Redo()
    private let mark = Mutex<CommitMark?>(nil)
    private let firstChange: @Sendable () -> Void
    /// Why changes are refused until those that there are have been written: SQLite's code, or 0.
    private let refusal = Atomic(SQLITE_OK)
    /// Whether the write-ahead log's end is in memory alone, because the disk did not take it.
    private let isLate = Atomic(false)
    private let reserve: Int64
    private let reserved = Atomic<Int64>(0)

    /// How many operations may wait for one commit before it is asked for early.
    private static let manyChanges = 20_000

    /// Opens the catalog, makes it if there is none, migrates it, and begins the running transaction.
    ///
    /// One that `isExpected` is not made: a file without a catalog's tables is damaged, since its log may have been lost, or another file may
    /// have taken its place.
    /// `reserve` is how many bytes of the disk the write-ahead log is to have for itself, so that a disk that others fill
    /// has room for a commit.
    /// `whenDirty` is called at the first change after a commit, and again when there are many; on the thread of the operation,
    /// so it must return at once.
    /// - Throws: `.busy`, `.newer`, or `.failed` with what SQLite says.
    public init(
        path: String,
        isExpected: Bool = false,
        reserve: Int64 = 0,
        whenDirty: @escaping @Sendable () -> Void
    ) throws(CatalogError) {
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        configuration.foreignKeysEnabled = false
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { database in
            // The index of the write-ahead log is in memory, then, and not in a mapped file: to write to a page of that
            // which finds no room on the disk is SIGBUS. Before anything else, because it counts from the first use on.
            try database.execute(
                sql: """
                    PRAGMA locking_mode = EXCLUSIVE;
                    PRAGMA cache_size = -32768;
                    PRAGMA cache_spill = OFF;
                    PRAGMA temp_store = MEMORY;
                    """
            )
        }
        firstChange = whenDirty
        self.reserve = reserve
        do {
            let code = wal_register()
            guard code == SQLITE_OK else {
                throw CatalogError.failed(code: code, reason: "the write-ahead log cannot be kept")
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            if isExpected { try queue.read { try Schema.requireTables(in: $0) } }
            guard try queue.read({ try !Schema.migrator.hasBeenSuperseded($0) }) else { throw CatalogError.newer }
            try Schema.migrator.migrate(queue)
            try queue.inDatabase { try Schema.mendFormerShapes($0) }
            try queue.inDatabase { database in
                // Here and not above: GRDB turns it to NORMAL, which a power cut outruns, when it sets the journal mode.
                try database.execute(sql: "PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
                let code = unsafe wal_keep(database.connection)
                guard code == SQLITE_OK else {
                    throw CatalogError.failed(code: code, reason: "there is no write-ahead log")
                }
                takeReserve(database)
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
            try begin(database)
            do {
                return try body(Records(database: database, redo: redo))
            } catch {
                throw unsafe wal_unread(database.connection) != 0 && isOfSQLite(error) ? CatalogError.unread : error
            }
        }
    }

    /// Whether an error is none of a body's own.
    private func isOfSQLite(_ error: any Error) -> Bool { error is CatalogError || error is DatabaseError }

    /// Runs `body`, which first checks and then writes: a refusal must come before its first change.
    ///
    /// A failure *after* a change cannot be undone alone. The whole running transaction is then rolled back. Where the disk could not be
    /// read, the next operation makes all other changes once more; else the catalog stays what it was at the last commit, and every later
    /// operation fails with `.lost`.
    /// - Throws: what `body` throws, or `CatalogError`.
    public func write<Value>(_ body: (Records) throws -> Value) throws -> Value {
        let result = try queue.inDatabase { database in
            // In here, because what waited for its turn may find the transaction lost.
            try checkHealth()
            try begin(database)
            switch refusal.load(ordering: .relaxed) {
            case SQLITE_OK: break
            case SQLITE_FULL: throw CatalogError.full
            default: throw CatalogError.unwritten
            }
            let (before, mark) = (database.totalChangesCount, redo.count)
            let value: Value
            do {
                value = try body(Records(database: database, redo: redo))
            } catch {
                redo.cut(to: mark)
                guard unsafe wal_unread(database.connection) != 0 else {
                    if database.totalChangesCount == before, database.isInsideTransaction { throw error }
                    throw lose(CatalogError(error), database)
                }
                // SQLite's code may be any then, and a statement half done. The next operation makes all changes before this one anew.
                if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
                throw isOfSQLite(error) ? CatalogError.unread : error
            }
            // A body that has caught the failure itself has gone on without a transaction.
            guard database.isInsideTransaction else { throw lose(.unread, database) }
            return value
        }
        let count = changes.wrappingAdd(1, ordering: .relaxed).newValue
        if count == 1 || count == Self.manyChanges { firstChange() }
        return result
    }

    /// Whether there is anything that a crash would lose.
    public var hasChanges: Bool { changes.load(ordering: .relaxed) > 0 || isLate.load(ordering: .relaxed) }

    /// Makes everything so far durable, in one step.
    ///
    /// Where the disk has no room, or fails, nothing is lost: `.full` and `.unwritten` say that it is all still to be made
    /// durable, and that changes are refused until a later call has done so.
    /// - Parameters:
    ///   - copy: gets a step further, between this transaction and the next.
    ///   - prepare: runs while no operation can, just before: makes durable what the rows name.
    /// - Throws: what `prepare` throws (then nothing is committed and nothing lost), or `CatalogError`.
    public func commit(advancing copy: CatalogCopy? = nil, prepare: () throws -> Void) throws {
        try queue.inDatabase { database in
            try checkHealth()
            try begin(database)
            try catchUp(database)
            let hasChanged = changes.load(ordering: .relaxed) > 0
            guard hasChanged || copy != nil else { return acceptChanges(database) }
            if hasChanged { try prepare() }
            do {
                try database.execute(sql: "COMMIT")
                changes.store(0, ordering: .relaxed)
                redo.cut(to: 0)
                mark.withLock { unsafe $0 = CommitMark(database.connection) }
                KillPoint.committed.reach()
                if hasChanged { isLate.store(true, ordering: .relaxed) }
            } catch {
                throw lose(CatalogError(error), database)
            }
            copy?.advance(database)
            // Where that fails the next operation begins it.
            let problem: CatalogError?
            do throws(CatalogError) {
                try begin(database)
                problem = nil
            } catch {
                problem = error
            }
            try catchUp(database)
            if let problem { throw problem }
            acceptChanges(database)
        }
    }

    /// The mark that the last COMMIT of this catalog has left in the log; nil where there was none.
    public var lastCommit: CommitMark? { mark.withLock { $0 } }

    /// Refuses changes until a commit has succeeded: the disk has no room for those that there are, or does not take them.
    public func refuseChanges(isFull: Bool) {
        refusal.store(isFull ? SQLITE_FULL : SQLITE_IOERR, ordering: .relaxed)
    }

    /// Begins the running transaction where a read has failed before, and makes the changes once more that it had.
    private func begin(_ database: Database) throws(CatalogError) {
        guard !database.isInsideTransaction else { return }
        do {
            try database.execute(sql: "BEGIN IMMEDIATE")
            try redo.replay(on: database)
        } catch {
            guard unsafe wal_unread(database.connection) != 0 else { throw lose(CatalogError(error), database) }
            if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
            throw .unread
        }
    }

    /// How many bytes of the disk are still to be kept free for the write-ahead log, because it does not have them yet.
    public var missingReserve: Int64 { max(0, reserve - reserved.load(ordering: .relaxed)) }

    /// Writes out what the disk did not take of the last COMMIT.
    private func catchUp(_ database: Database) throws(CatalogError) {
        guard isLate.load(ordering: .relaxed) else { return }
        let code = unsafe wal_flush(database.connection)
        guard code != SQLITE_OK else { return isLate.store(false, ordering: .relaxed) }
        refuseChanges(isFull: code == SQLITE_FULL)
        throw code == SQLITE_FULL ? .full : .unwritten
    }

    private func acceptChanges(_ database: Database) {
        refusal.store(SQLITE_OK, ordering: .relaxed)
        if missingReserve > 0 { takeReserve(database) }
    }

    private func takeReserve(_ database: Database) {
        guard reserve > 0 else { return }
        reserved.store(unsafe wal_reserve(database.connection, reserve), ordering: .relaxed)
    }

    /// Refuses every later operation, because what is changed from here on could not be made durable.
    public func stop(reason: String) { failure.withLock { if $0 == nil { $0 = .lost(reason: reason) } } }

    /// Lets go of a copy that is being made.
    public func end(_ copy: CatalogCopy) { queue.inDatabase { _ in copy.end() } }

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

extension Database {
    var connection: UnsafeMutableRawPointer? {
        unsafe sqliteConnection.map { unsafe UnsafeMutableRawPointer($0) }
    }
}
