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

    /// Who looks into a content: threads that requests wait for, or those that wait until the mount is quiet.
    enum Pace { case atOnce, whenQuiet }

    struct State {
        /// Contents that are being looked into.
        ///
        /// One that is looked into when the mount is quiet may be taken up at once by a second thread, because the first may not get a
        /// processor for long.
        var running: [Pace: Set<BlobID>] = [:]
        var waiters: [BlobID: [Waiter]] = [:]
        /// Contents that come before all others because requests wait for them, each with one of the users.
        var hurried: [BlobID: UInt32] = [:]
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
    /// A thread that looks into contents, with an examiner of its own: a process that stands back cannot be called to the front.
    struct Thread {
        let pace: Pace
        let worker: Worker
        let examiner: Examiner
        /// From how many due contents on, those that others are looking into among them, this thread takes one: one examiner's workers
        /// are begun for one content.
        let least: Int
    }

    let threads: [Thread]
    let sweeper = Worker()

    /// What is being looked into when `isStopped` is set is given up.
    init(isStopped: Flag) {
        threads = [Pace.whenQuiet, .atOnce].flatMap { pace in
            (1...Self.width).map { number in
                let examiner = Examiner(standsBack: pace == .whenQuiet) { isStopped.isSet }
                return Thread(pace: pace, worker: Worker(), examiner: examiner, least: pace == .atOnce ? number : 1)
            }
        }
    }

    /// Has contents looked into when the mount is quiet, by one thread or by `all`.
    func wake(all: Bool = false) { wake(.whenQuiet, all: all) }

    /// Has contents looked into that requests wait for.
    func hurry() { wake(.atOnce, all: true) }

    private func wake(_ pace: Pace, all: Bool) {
        let some = threads.lazy.filter { $0.pace == pace }
        for thread in some.prefix(all ? .max : 1) { thread.worker.wake() }
    }

    func stop() {
        for thread in threads { thread.worker.stop() }
        sweeper.stop()
        for thread in threads { thread.examiner.rest() }
        answer { _, _ in true }
    }

    /// Takes a content up.
    /// - Returns: false where another thread is at it already.
    func begin(_ blob: BlobID, at pace: Pace) -> Bool {
        state.withLock { state in
            if state.running[.atOnce]?.contains(blob) ?? false { return false }
            return state.running[pace, default: []].insert(blob).inserted
        }
    }

    func isRunning(_ blob: BlobID) -> Bool { state.withLock { $0.running.contains { $1.contains(blob) } } }

    func end(_ blob: BlobID, at pace: Pace) { state.withLock { _ = $0.running[pace]?.remove(blob) } }

    /// How many contents come before all others because one user waits for them: what others wait for then comes soon.
    private static let hurried = 16

    /// Adds a request that waits for a content.
    /// - Returns: whether the content is to come before those that no request waits for.
    func add(_ waiter: Waiter, for blob: BlobID) -> Bool {
        state.withLock { state in
            state.waiters[blob, default: []].append(waiter)
            return Self.hurry(blob, for: waiter.uid, &state)
        }
    }

    private static func hurry(_ blob: BlobID, for uid: UInt32, _ state: inout State) -> Bool {
        if state.hurried[blob] != nil { return true }
        guard state.hurried.count(where: { $0.value == uid }) < hurried else { return false }
        state.hurried[blob] = uid
        return true
    }

    /// Returns contents that requests wait for and that may come before all others now, because some before them are done.
    func moreToHurry() -> [BlobID] {
        state.withLock { state in
            var more: [BlobID] = []
            for (blob, waiters) in state.waiters where state.hurried[blob] == nil {
                if waiters.contains(where: { Self.hurry(blob, for: $0.uid, &state) }) { more.append(blob) }
            }
            return more
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
                if left.isEmpty { state.hurried[blob] = nil }
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
