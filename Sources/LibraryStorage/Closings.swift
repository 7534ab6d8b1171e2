public import AssetModel
internal import Synchronization

/// Folders that admitted more users before a change than after it, where no commit has made the change
/// durable yet.
///
/// ## Concurrency
/// `state` is held for a moment only, also within the catalog's queue.
public final class Closings: Sendable {
    private struct State {
        var folders: [NodeID: Int] = [:]
        /// How many changes were noted.
        var last = 0
    }

    private let count = Atomic(0)
    private let state = RankedMutex(.leaf, State())

    /// Whether there are none; costs one atomic load.
    public var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    /// Notes a folder, after it was changed and before the change is acknowledged.
    public func note(_ folder: NodeID) {
        state.withLock { state in
            state.last += 1
            state.folders[folder] = state.last
            count.store(state.folders.count, ordering: .releasing)
        }
    }

    /// Returns whether any of some folders is noted.
    public func contains(anyOf folders: [NodeID]) -> Bool {
        state.withLock { state in folders.contains { state.folders[$0] != nil } }
    }

    /// Returns the argument for `forget`, before a commit begins.
    public func mark() -> Int { state.withLock { $0.last } }

    /// Forgets the folders that were noted before a commit began.
    public func forget(upTo mark: Int) {
        guard !isEmpty else { return }
        state.withLock { state in
            state.folders = state.folders.filter { $0.value > mark }
            count.store(state.folders.count, ordering: .releasing)
        }
    }
}
