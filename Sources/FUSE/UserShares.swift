internal import Synchronization

/// A number of places that users share: each user may take as many as are still free.
///
/// A single user gets half of them, two get a third each, and there is always one for a user that has none.
/// `exempt` users may take places beyond that, up to `limit`, and leave fewer to other users.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
public final class UserShares: Sendable {
    private struct State {
        var total = 0
        var taken: [UInt32: Int] = [:]
        /// When each user was first refused a place since the user last gave one back.
        var refused: [UInt32: ContinuousClock.Instant] = [:]
        var waiting: [Int: @Sendable () -> Void] = [:]
        var lastWaiting = 0
    }

    private let capacity: Int
    private let limit: Int
    private let exempt: Set<UInt32>
    private let state = Mutex(State())

    /// Creates `capacity` places, and `limit` for exempt users.
    public init(capacity: Int, limit: Int, exempt: Set<UInt32>) {
        (self.capacity, self.limit, self.exempt) = (capacity, limit, exempt)
    }

    /// Takes one or more places, which become free again when the result is deallocated.
    /// - Returns: nil if the user may not take so many.
    public func take(for uid: UInt32, _ count: Int = 1) -> UserShare? {
        let isTaken = state.withLock { state in
            let taken = state.taken[uid] ?? 0
            let isFree =
                exempt.contains(uid)
                ? count <= limit - state.total : taken + 2 * count - 2 < capacity - state.total
            guard isFree else { return false }
            state.total += count
            state.taken[uid] = taken + count
            return true
        }
        return isTaken ? UserShare(uid, of: self, count) : nil
    }

    /// Returns the number of places that a user has.
    public func taken(by uid: UInt32) -> Int { state.withLock { $0.taken[uid] ?? 0 } }

    /// Notes that a user was refused a place.
    /// - Returns: the time since the first refusal after the user last gave a place back.
    public func noteRefusal(of uid: UInt32) -> Duration {
        let now = ContinuousClock.now
        return state.withLock { state in
            let first = state.refused[uid] ?? now
            state.refused[uid] = first
            return first.duration(to: now)
        }
    }

    /// Has a function called once when a place becomes free; the function takes no lock and does not wait.
    /// - Returns: the argument for `cancelWait`.
    public func whenFree(_ resume: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.lastWaiting += 1
            state.waiting[state.lastWaiting] = resume
            return state.lastWaiting
        }
    }

    /// Drops a function that was not called.
    public func cancelWait(_ number: Int) { state.withLock { _ = $0.waiting.removeValue(forKey: number) } }

    fileprivate func giveBack(_ uid: UInt32, _ count: Int) {
        let waiting: [@Sendable () -> Void] = state.withLock { state in
            state.total -= count
            let rest = (state.taken[uid] ?? count) - count
            state.taken[uid] = rest > 0 ? rest : nil
            if !state.refused.isEmpty { state.refused[uid] = nil }
            guard !state.waiting.isEmpty else { return [] }
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for resume in waiting { resume() }
    }
}

/// Places of a user, which become free when this object is deallocated.
public final class UserShare: Sendable {
    private let uid: UInt32
    private let shares: UserShares
    private let count: Int

    fileprivate init(_ uid: UInt32, of shares: UserShares, _ count: Int) {
        (self.uid, self.shares, self.count) = (uid, shares, count)
    }

    deinit { shares.giveBack(uid, count) }
}
