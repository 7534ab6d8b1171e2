internal import GRDB
internal import Synchronization

/// The changes of the running transaction, so that they can be made once more where SQLite has rolled it back.
///
/// SQLite takes a whole transaction back when a read fails within a change of it, and others were told that their changes are done.
///
/// ## Concurrency
/// The catalog's operations, which run one at a time, use it; `steps` is held for a moment only.
final class Redo: Sendable {
    private enum Step {
        case statement(String, [SQLValue])
        case script(String)
    }

    private let steps = Mutex<[Step]>([])

    /// How many changes there are.
    var count: Int { steps.withLock { $0.count } }

    /// Notes a statement that has changed something.
    func note(_ sql: String, _ values: [SQLValue]) { steps.withLock { $0.append(.statement(sql, values)) } }

    /// Notes statements without values.
    func note(script sql: String) { steps.withLock { $0.append(.script(sql)) } }

    /// Forgets all changes but the first ones.
    func cut(to count: Int) { steps.withLock { $0.removeLast(max(0, $0.count - count)) } }

    /// Makes all changes once more.
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
