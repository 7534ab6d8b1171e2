internal import AssetModel
internal import CWriteAheadLog
internal import GRDB
internal import GRDBSQLite
internal import Glibc
internal import Synchronization

/// The SQLite record of a library: one connection with one running transaction that every operation joins.
///
/// Readers see each change at once; it is durable when `commit` returns. `AssetLibrary` decides when to
/// commit, because the bytes that rows name must be durable first.
///
/// ## Concurrency
/// Operations run one at a time on the caller's thread. A body given to `read`, `write` or `commit` must not
/// call the catalog.
public final class Catalog: Sendable {
    private let queue: DatabaseQueue
    private let changes = Atomic(0)
    private let failure = Mutex<CatalogError?>(nil)
    private let redo = Redo()
    private let mark = Mutex<CommitMark?>(nil)
    private let firstChange: @Sendable () -> Void
    /// The reason why changes are refused until the pending ones have been written: SQLite's code, or 0.
    private let refusal = Atomic(SQLITE_OK)
    /// Whether the end of the write-ahead log is in memory alone, because the disk did not take it.
    private let isLate = Atomic(false)
    private let reserve: Int64
    private let reserved = Atomic<Int64>(0)

    /// The number of operations after which a commit is requested early.
    private static let manyChanges = 20_000

    /// Opens the catalog, creates it if there is none, migrates it, and begins the running transaction.
    ///
    /// With `isExpected` no catalog is created: a file without a catalog's tables is then damaged, because
    /// its log may have been lost or another file may have taken its place.
    ///
    /// `reserve` is the number of bytes that the write-ahead log keeps allocated on the disk, so that a
    /// commit has room on a disk that other programs fill.
    ///
    /// `whenDirty` is called at the first change after a commit, and again after many changes; it runs on the
    /// thread of the operation, so it must return at once.
    /// - Throws: `.busy`, `.newer`, or `.failed` with SQLite's message.
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
            // In this mode the index of the write-ahead log is in memory, and not in a mapped file: writing
            // to a page of a mapped file that finds no room on the disk is SIGBUS. This comes before anything
            // else, because it takes effect at the first use of the database.
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
            if !isExpected, try queue.read({ try Schema.isEmpty($0) }) {
                try queue.inDatabase { try Schema.make(in: $0) }
            }
            try Schema.migrator.migrate(queue)
            try queue.inDatabase { try Schema.mendFormerShapes($0) }
            try queue.inDatabase { database in
                // Set here and not above: GRDB sets NORMAL together with the journal mode, and with NORMAL a
                // power cut can lose a commit.
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

    /// Runs a body on the catalog's queue, which is a lock in the order of locks.
    private func inQueue<Value>(_ body: (Database) throws -> Value) rethrows -> Value {
        LockRank.catalog.enter()
        defer { LockRank.catalog.leave() }
        return try queue.inDatabase(body)
    }

    /// Runs `body` with the records as all previous operations have left them.
    /// - Throws: the errors of `body`, or `CatalogError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws -> Value {
        try inQueue { database in
            try checkHealth()
            try begin(database)
            do {
                return try body(Records(database: database, redo: redo))
            } catch {
                throw unsafe wal_unread(database.connection) != 0 && isOfSQLite(error) ? CatalogError.unread : error
            }
        }
    }

    /// Returns whether an error comes from SQLite, and not from a body itself.
    private func isOfSQLite(_ error: any Error) -> Bool { error is CatalogError || error is DatabaseError }

    /// Runs `body`, which first checks and then writes: a refusal must come before its first change.
    ///
    /// A failure *after* a change cannot be undone alone; the whole running transaction is then rolled back.
    /// If the disk could not be read, the next operation repeats all other changes; otherwise the catalog
    /// stays as of the last commit, and every later operation fails with `.lost`.
    ///
    /// `body` has no effects but on the records, because they may be undone after it. `then` has the effects
    /// on memory that must go with the records: it runs once, with the value of a body whose changes stay,
    /// before any other operation. It takes no locks but those that are taken last.
    /// - Throws: the errors of `body`, or `CatalogError`.
    public func write<Value>(
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws -> Value {
        let result = try inQueue { database in
            // Checked within the queue, because the transaction may have been lost while this operation
            // waited for its turn.
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
                #if DEBUG
                if Self.runsTwice { try rehearse(body, database) }
                #endif
                value = try body(Records(database: database, redo: redo))
            } catch {
                redo.cut(to: mark)
                guard unsafe wal_unread(database.connection) != 0 else {
                    if database.totalChangesCount == before, database.isInsideTransaction { throw error }
                    throw lose(CatalogError(error), database)
                }
                // SQLite may report any code here, with a statement half done. The next operation repeats all
                // changes before this one.
                if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
                throw isOfSQLite(error) ? CatalogError.unread : error
            }
            // The body has caught the failure itself and continued without a transaction.
            guard database.isInsideTransaction else { throw lose(.unread, database) }
            apply(value)
            return value
        }
        let count = changes.wrappingAdd(1, ordering: .relaxed).newValue
        if count == 1 || count == Self.manyChanges { firstChange() }
        return result
    }

    #if DEBUG
    /// Whether each body of `write` runs twice, and its first run is undone: a body with other effects than
    /// those on the records shows them then.
    private static let runsTwice = unsafe getenv("ASSETFS_RUN_TWICE") != nil

    /// Runs a body and undoes its changes.
    private func rehearse<Value>(_ body: (Records) throws -> Value, _ database: Database) throws {
        let mark = redo.count
        try database.execute(sql: "SAVEPOINT rehearsal")
        _ = try body(Records(database: database, redo: redo))
        try database.execute(sql: "ROLLBACK TO rehearsal; RELEASE rehearsal")
        redo.cut(to: mark)
    }
    #endif

    /// Whether a crash would lose any change.
    public var hasChanges: Bool { changeCount > 0 || isLate.load(ordering: .relaxed) }

    /// The number of operations that have changed records since the last commit.
    public var changeCount: Int { changes.load(ordering: .relaxed) }

    /// Makes all changes so far durable, in one step.
    ///
    /// Where the disk has no room, or fails, nothing is lost: `.full` and `.unwritten` say that all changes
    /// are still to be made durable, and that new ones are refused until a later call has succeeded.
    /// - Parameters:
    /// - copy: advanced by one step, between this transaction and the next.
    /// - prepare: runs just before the COMMIT, while no operation can run: makes the blobs durable that the
    ///   rows name.
    /// - Returns: the number of operations whose changes were committed.
    /// - Throws: the errors of `prepare` (then nothing is committed and nothing lost), or `CatalogError`.
    @discardableResult
    public func commit(advancing copy: CatalogCopy? = nil, prepare: () throws -> Void) throws -> Int {
        try inQueue { database in
            try checkHealth()
            try begin(database)
            try catchUp(database)
            let hasChanged = changeCount > 0
            guard hasChanged || copy != nil else {
                acceptChanges(database)
                return 0
            }
            if hasChanged { try prepare() }
            let count: Int
            do {
                try database.execute(sql: "COMMIT")
                count = changes.exchange(0, ordering: .relaxed)
                redo.cut(to: 0)
                mark.withLock { unsafe $0 = CommitMark(database.connection) }
                KillPoint.committed.reach()
                if hasChanged { isLate.store(true, ordering: .relaxed) }
            } catch {
                throw lose(CatalogError(error), database)
            }
            copy?.advance(database)
            // If this fails, the next operation begins the transaction.
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
            return count
        }
    }

    /// The mark that the last COMMIT of this catalog has left in the log; nil where there was none.
    public var lastCommit: CommitMark? { mark.withLock { $0 } }

    /// Refuses changes until a commit has succeeded, because the disk has no room for the pending ones or
    /// fails to write them.
    public func refuseChanges(isFull: Bool) {
        refusal.store(isFull ? SQLITE_FULL : SQLITE_IOERR, ordering: .relaxed)
    }

    /// Begins the running transaction after a failed read has ended it, and repeats the changes that it had.
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

    /// The number of bytes of the disk still to be kept free for the write-ahead log, because it has not
    /// allocated them yet.
    public var missingReserve: Int64 { max(0, reserve - reserved.load(ordering: .relaxed)) }

    /// Writes the part of the last COMMIT that the disk did not take.
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

    /// Refuses every later operation, because changes from here on could not be made durable.
    public func stop(reason: String) { failure.withLock { if $0 == nil { $0 = .lost(reason: reason) } } }

    /// Closes a copy that is being made.
    public func end(_ copy: CatalogCopy) { inQueue { _ in copy.end() } }

    /// Closes the file without committing anything more.
    public func close() throws(CatalogError) {
        do {
            try inQueue { database in
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
        // The catalog fails already: if the rollback fails too, closing the file rolls back.
        if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
        return error
    }
}

extension Database {
    var connection: UnsafeMutableRawPointer? {
        unsafe sqliteConnection.map { unsafe UnsafeMutableRawPointer($0) }
    }
}
