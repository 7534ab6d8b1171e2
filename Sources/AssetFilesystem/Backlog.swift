internal import AssetModel
internal import Catalog
internal import LibraryStorage
internal import Synchronization

/// Notifications that could not be made yet, because a program holds their folder or the agent has ended too
/// often.
///
/// The notifications of one folder are kept in their order; other folders do not wait for them.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class Backlog: Sendable {
    /// One notification.
    struct Item {
        let kind: NotificationAgent.Work.Kind
        let name: EntryName
        let folder: NodeID
        /// The file that the kernel may still find under the name until this is done.
        var stale: NodeID?
    }

    private struct Line {
        var items: [Item]
        /// The killed agent that still waits for the folder's lock.
        var agent: Int32?
        var pause = Backlog.shortestPause
        var next = ContinuousClock.now
    }

    private static let shortestPause = Duration.milliseconds(50)
    private static let longestPause = Duration.seconds(1)
    /// The greatest number of waiting notifications; the kernel queues no more for a watcher either —
    /// inotify(7), max_queued_events.
    private static let limit = 100_000

    private let state = Mutex<(lines: [NodeID: Line], count: Int)>(([:], 0))

    /// Adds a notification behind those of its folder that wait.
    /// - Returns: false where none waits.
    func append(_ item: Item) -> Bool {
        state.withLock { state in
            guard !state.lines.isEmpty, state.lines[item.folder] != nil else { return false }
            if state.count < Self.limit {
                state.lines[item.folder]?.items.append(item)
                state.count += 1
            }
            return true
        }
    }

    /// Puts a notification in front of those of its folder, until a process has ended, or for a pause that
    /// grows.
    func hold(_ item: Item, until agent: Int32?) {
        state.withLock { state in
            var line = state.lines[item.folder] ?? Line(items: [])
            line.items.insert(item, at: 0)
            line.agent = agent
            line.next = .now + line.pause
            line.pause = min(line.pause * 2, Self.longestPause)
            state.lines[item.folder] = line
            state.count += 1
        }
    }

    /// Returns the folders whose notifications are to be retried.
    func due(_ hasEnded: (Int32) -> Bool) -> [NodeID] {
        let lines = state.withLock { state in state.lines.isEmpty ? [] : state.lines.map { ($0, $1.agent, $1.next) } }
        return lines.filter { _, agent, next in agent.map(hasEnded) ?? (next <= .now) }.map { $0.0 }
    }

    /// Takes the first notification of a folder; nil, after which the folder has no queue, when there is
    /// none.
    func take(in folder: NodeID) -> Item? {
        state.withLock { state in
            guard let item = state.lines[folder]?.items.first else {
                state.lines[folder] = nil
                return nil
            }
            state.lines[folder]?.items.removeFirst()
            state.count -= 1
            return item
        }
    }

    /// Resets the pause of a folder after a success.
    func noteSuccess(in folder: NodeID) { state.withLock { $0.lines[folder]?.pause = Self.shortestPause } }

    /// The time until the next retry; nil where nothing waits.
    var pause: Duration? {
        state.withLock { state in
            let pauses = state.lines.values.map {
                $0.agent == nil ? max(.zero, $0.next - ContinuousClock.now) : .milliseconds(100)
            }
            return pauses.min().map { $0 + .milliseconds(1) }
        }
    }
}
