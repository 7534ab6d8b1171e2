internal import AssetModel
internal import Catalog
internal import MetadataExtraction
internal import Synchronization

/// Looks into contents when their uploads have ended, several at once, and knows who waits for which.
///
/// What is to be done stands in the catalog; this is only what a running library needs besides.
///
/// ## Concurrency
/// `state` is held for a moment only. No thread of a request ever waits in here.
final class ExtractionQueue: Sendable {
    /// Somebody who waits for what a content says.
    struct Waiter {
        let uid: UInt32
        let deadline: ContinuousClock.Instant
        let isReady: @Sendable () -> Void
    }

    struct State {
        /// Contents that are being looked into.
        var running: Set<BlobID> = []
        var waiters: [BlobID: [Waiter]] = [:]
        /// Contents that somebody has waited for in vain, and when: a program that asks for the size first waits once.
        var givenUp: [BlobID: ContinuousClock.Instant] = [:]
        /// When there was last something to do.
        var busy = ContinuousClock.now
        /// Since when no file can be looked into, and why.
        var unavailable: (since: ContinuousClock.Instant, reason: String)?
    }

    /// How many contents are looked into at once: as many as there are processors on a small machine.
    static let width = 2
    /// How long a reader waits for a value.
    static let patience = Duration.seconds(9)
    /// How long idle workers stay.
    static let rest = Duration.seconds(60)
    /// How long until workers that could not be started are tried again.
    static let pause = Duration.seconds(60)

    let state = Mutex(State())
    let threads = (0..<width).map { _ in Worker() }
    let examiners: [Examiner]
    let sweeper = Worker()

    /// What is being looked into when `isStopped` is set is given up.
    init(isStopped: Flag) {
        examiners = (0..<Self.width).map { _ in Examiner { isStopped.isSet } }
    }

    /// There may be something to do: for one thread, or for `all`.
    func wake(all: Bool = false) {
        for thread in all ? threads[...] : threads.prefix(1) { thread.wake() }
    }

    func stop() {
        for thread in threads + [sweeper] { thread.stop() }
        for examiner in examiners { examiner.rest() }
        answer { _, _ in true }
    }

    /// How many contents come before all others because one user waits for them: what others wait for then comes soon.
    private static let hurried = 16

    /// Adds a request that waits for a content.
    /// - Returns: whether the content is to come before those that no request waits for.
    func add(_ waiter: Waiter, for blob: BlobID) -> Bool {
        state.withLock { state in
            let isHurried = state.waiters.count { $1.contains { $0.uid == waiter.uid } } < Self.hurried
            state.waiters[blob, default: []].append(waiter)
            return isHurried
        }
    }

    /// Whether it makes sense to wait for a content.
    func mayBeAwaited(_ blob: BlobID) -> Bool {
        state.withLock { state in
            if let since = state.givenUp[blob], .now - since < Self.pause { return false }
            return state.unavailable == nil
        }
    }

    /// Lets go those who have waited long enough.
    func giveUp(_ now: ContinuousClock.Instant) {
        state.withLock { state in
            state.givenUp = state.givenUp.filter { now - $0.value < Self.pause }
            for (blob, waiters) in state.waiters where waiters.contains(where: { $0.deadline <= now }) {
                state.givenUp[blob] = now
            }
        }
        answer { _, waiter in waiter.deadline <= now }
    }

    /// Lets go those who wait and of whom `isDone` says so.
    func answer(where isDone: (BlobID, Waiter) -> Bool) {
        let ready = state.withLock { state in
            var ready: [Waiter] = []
            for (blob, waiters) in state.waiters {
                let done = waiters.filter { isDone(blob, $0) }
                guard !done.isEmpty else { continue }
                ready += done
                let left = waiters.filter { !isDone(blob, $0) }
                state.waiters[blob] = left.isEmpty ? nil : left
            }
            return ready
        }
        for waiter in ready { waiter.isReady() }
    }
}

/// Something that is so from some moment on.
final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}
