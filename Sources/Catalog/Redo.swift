internal import GRDB
internal import Synchronization

/// The changes of the running transaction, for a replay after SQLite has rolled it back.
///
/// SQLite rolls back a whole transaction if a read fails within one of its changes, although the callers of
/// earlier changes were told that they succeeded.
///
/// ## Concurrency
/// Used by the catalog's operations, which run one at a time; `steps` is held for a moment only.
final class Redo: Sendable {
    private enum Step {
        case statement(String, [SQLValue])
        case script(String)
    }

    private let steps = Mutex<[Step]>([])

    /// The number of changes.
    var count: Int { steps.withLock { $0.count } }

    /// Records a statement that has changed rows.
    func note(_ sql: String, _ values: [SQLValue]) { steps.withLock { $0.append(.statement(sql, values)) } }

    /// Records statements without values.
    func note(script sql: String) { steps.withLock { $0.append(.script(sql)) } }

    /// Forgets all changes except the first `count`.
    func cut(to count: Int) { steps.withLock { $0.removeLast(max(0, $0.count - count)) } }

    /// Repeats all changes.
    func replay(on database: Database) throws {
        let records = Records(database: database)
        for step in steps.withLock({ $0 }) {
            switch step {
            case .statement(let sql, let values): try records.run(sql, values)
            case .script(let sql): try database.execute(sql: sql)
            }
        }
    }
}
