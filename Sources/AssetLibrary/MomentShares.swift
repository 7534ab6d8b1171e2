internal import AssetModel
internal import LibraryStorage
internal import Synchronization

/// Limits the time for which users' requests wait while the kernel holds locks: two seconds of each ten, so
/// that one user leaves most of the time to the others.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class MomentShares: Sendable {
    private struct Share {
        var since: ContinuousClock.Instant
        var waited = Duration.zero
    }

    private let state = RankedMutex<[UInt32: Share]>(.leaf, [:])
    private let exempt: Set<UInt32>
    private static let period = Duration.seconds(10)
    private static let most = Duration.seconds(2)
    private static let limit = 4096

    /// Counts for all users except the exempt ones.
    init(exempt: Set<UInt32>) { self.exempt = exempt }

    /// Returns whether a user's request may wait for another moment.
    func mayWait(_ uid: UInt32, at now: ContinuousClock.Instant = .now) -> Bool {
        if exempt.contains(uid) { return true }
        return state.withLock { state in
            guard let share = state[uid], now - share.since < Self.period else { return true }
            return share.waited < Self.most
        }
    }

    /// Adds the time that a user's request has waited.
    func note(_ waited: Duration, of uid: UInt32, at now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            if state.count >= Self.limit { state = state.filter { now - $0.value.since < Self.period } }
            var share = state[uid] ?? Share(since: now)
            if now - share.since >= Self.period { share = Share(since: now) }
            share.waited += waited
            state[uid] = share
        }
    }
}
