#if ASSETFS_PTHREAD_MUTEX
// ThreadSanitizer does not see the locks of Synchronization: Tests/Sanitizers/PthreadMutex.
internal import GRDB
internal import PthreadMutex

typealias Mutex = PthreadMutex.Mutex

/// A replacement for GRDB's queue in a build with ThreadSanitizer, which sees neither a lock in a queue nor
/// its order among locks.
final class DatabaseQueue: Sendable {
    private let queue: GRDB.DatabaseQueue
    private let turn = Lock()

    init(path: String, configuration: Configuration) throws {
        queue = try GRDB.DatabaseQueue(path: path, configuration: configuration)
    }

    init(configuration: Configuration) throws { queue = try GRDB.DatabaseQueue(configuration: configuration) }

    func inDatabase<Value>(_ body: (Database) throws -> Value) rethrows -> Value {
        turn.lock()
        defer { turn.unlock() }
        return try queue.inDatabase(body)
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try queue.read(body) }

    func close() throws { try queue.close() }

    fileprivate func migrate(by migrator: DatabaseMigrator) throws { try migrator.migrate(queue) }
}

extension DatabaseMigrator {
    func migrate(_ queue: DatabaseQueue) throws { try queue.migrate(by: self) }
}
#endif
