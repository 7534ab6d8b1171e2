internal import AssetModel
internal import LibraryStorage
internal import Synchronization

/// The fetches under way: users in turn, and no user has all places.
///
/// ## Concurrency
/// `state` is held for a moment only; `choosing` while the catalog is read, so that two workers never choose
/// one fetch.
final class Fetches: Sendable {
    private struct Running {
        let uid: UInt32
        var progress: (done: Int64, total: Int64?) = (0, nil)
        var isCancelled = false
    }

    private struct State {
        var running: [Int64: Running] = [:]
        /// The last turns of users with more to fetch.
        var turns: [UInt32: UInt64] = [:]
        var turn: UInt64 = 0
    }

    private let choosing = RankedMutex<Void>(.service, ())
    private let state = RankedMutex(.leaf, State())
    /// The workers; each runs one fetch at a time.
    let workers = (0..<3).map { _ in BackgroundWorker() }

    /// Begins the fetch whose turn it is; `waiting` returns the first of each user, except those under way.
    /// - Returns: nil where none waits whose user has a place left.
    func begin(
        _ waiting: (_ running: [Int64]) throws(LibraryError) -> [(id: Int64, uid: UInt32)]
    ) throws(LibraryError) -> Int64? {
        try choosing.withLock { _ throws(LibraryError) in
            let found = try waiting(state.withLock { Array($0.running.keys) })
            return state.withLock { begin(one: found, &$0) }
        }
    }

    /// Begins the fetch of the user with the fewest under way, and of these the user whose last turn is the
    /// longest ago.
    private func begin(one waiting: [(id: Int64, uid: UInt32)], _ state: inout State) -> Int64? {
        let users = Set(waiting.map(\.uid))
        state.turns = state.turns.filter { users.contains($0.key) }
        var counts: [UInt32: Int] = [:]
        for running in state.running.values { counts[running.uid, default: 0] += 1 }
        let most = max(1, workers.count - 1)
        let next = waiting.filter { counts[$0.uid, default: 0] < most }.min { one, other in
            (counts[one.uid, default: 0], state.turns[one.uid, default: 0], one.id)
                < (counts[other.uid, default: 0], state.turns[other.uid, default: 0], other.id)
        }
        guard let next else { return nil }
        state.turn += 1
        state.turns[next.uid] = state.turn
        state.running[next.id] = Running(uid: next.uid)
        return next.id
    }

    func note(_ id: Int64, done: Int64, total: Int64?) {
        state.withLock { state in
            guard let known = state.running[id]?.progress else { return }
            state.running[id]?.progress = (done, total ?? known.total)
        }
    }

    func progress(of id: Int64) -> (done: Int64, total: Int64?)? { state.withLock { $0.running[id]?.progress } }

    func end(_ id: Int64) { state.withLock { $0.running[id] = nil } }

    /// Cancels a fetch that is under way.
    func cancel(_ id: Int64) { state.withLock { $0.running[id]?.isCancelled = true } }

    func isCancelled(_ id: Int64) -> Bool { state.withLock { $0.running[id]?.isCancelled ?? false } }
}
