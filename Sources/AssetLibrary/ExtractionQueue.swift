internal import AssetModel
internal import Catalog
internal import LibraryStorage
internal import MetadataExtraction
internal import Synchronization
internal import SystemPackage

/// Extracts the metadata of blobs after their uploads, several at once, and has the waiting requests.
///
/// The queue itself is in the catalog; this is the additional state of a running library.
///
/// ## Concurrency
/// `state` is held for a moment only. No thread of a request ever waits in here.
final class ExtractionQueue: Sendable {
    /// A request that waits for the metadata of a blob.
    struct Waiter {
        let uid: UInt32
        let deadline: ContinuousClock.Instant
        let isReady: @Sendable () -> Void
    }

    /// The pace of a thread: it serves requests that wait, or it waits until the mount is quiet.
    enum Pace { case atOnce, whenQuiet }

    struct State {
        /// Blobs whose metadata is being extracted.
        ///
        /// A second thread may at once take up a blob that a thread for a quiet mount has begun, because that
        /// one may not get a processor for long.
        var running: [Pace: Set<BlobID>] = [:]
        var waiters: [BlobID: [Waiter]] = [:]
        /// Blobs that come before all others because requests wait for them, each with one of the users.
        var hurried: [BlobID: UInt32] = [:]
        /// Blobs for which a request has timed out, and when: a program that asks for the size first waits
        /// once.
        var givenUp: [BlobID: ContinuousClock.Instant] = [:]
        /// Blobs whose files could not be read, and how often.
        var postponed: [BlobID: (count: Int, errno: Errno)] = [:]
        /// The last time at which there was work.
        var busy = ContinuousClock.now
        /// Since when no file can be examined, and why.
        var unavailable: (since: ContinuousClock.Instant, reason: String)?
    }

    /// How many blobs are examined at once: as many as a small machine has processors.
    static let width = 2
    /// How long a reader waits for a value.
    static let patience = Duration.seconds(9)
    /// How long idle worker processes are kept.
    static let rest = Duration.seconds(60)
    /// How long until worker processes that could not be started are tried again.
    static let pause = Duration.seconds(60)

    let state = RankedMutex(.leaf, State())
    /// A thread that extracts metadata with its own examiner, of whose processes a low priority cannot be
    /// raised.
    struct Thread {
        let pace: Pace
        let worker: BackgroundWorker
        let examiner: Examiner
        /// The number of due blobs, those of other threads included, from which on this thread takes one: for
        /// one blob the processes of one examiner are started.
        let least: Int
    }

    let threads: [Thread]
    let sweeper = BackgroundWorker()

    /// Creates the queue; extractions under way when `isStopped` is set are given up.
    init(isStopped: CancellationFlag) {
        threads = [Pace.whenQuiet, .atOnce].flatMap { pace in
            (1...Self.width).map { number in
                let examiner = Examiner(standsBack: pace == .whenQuiet) { isStopped.isSet }
                return Thread(
                    pace: pace,
                    worker: BackgroundWorker(),
                    examiner: examiner,
                    least: pace == .atOnce ? number : 1
                )
            }
        }
    }

    /// Wakes one thread, or `all`, of those that extract while the mount is quiet.
    func wake(all: Bool = false) { wake(.whenQuiet, all: all) }

    /// Wakes the threads for blobs that requests wait for.
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

    /// Claims a blob.
    /// - Returns: false where another thread has claimed it already.
    func begin(_ blob: BlobID, at pace: Pace) -> Bool {
        state.withLock { state in
            if Self.isTaken(blob, at: pace, state) { return false }
            return state.running[pace, default: []].insert(blob).inserted
        }
    }

    /// Returns whether `begin` would return false.
    func isTaken(_ blob: BlobID, at pace: Pace) -> Bool { state.withLock { Self.isTaken(blob, at: pace, $0) } }

    private static func isTaken(_ blob: BlobID, at pace: Pace, _ state: State) -> Bool {
        [.atOnce, pace].contains { state.running[$0]?.contains(blob) ?? false }
    }

    /// Whether the file of any blob could not be read.
    var hasPostponed: Bool { state.withLock { !$0.postponed.isEmpty } }

    func isRunning(_ blob: BlobID) -> Bool { state.withLock { $0.running.contains { $1.contains(blob) } } }

    func end(_ blob: BlobID, at pace: Pace) { state.withLock { _ = $0.running[pace]?.remove(blob) } }

    /// How many blobs of one user's requests come before all others, so that the requests of other users wait
    /// less.
    private static let hurried = 16

    /// Adds a request that waits for a blob.
    /// - Returns: whether the blob is to come before those that no request waits for.
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

    /// Returns blobs that requests wait for and that may come before all others now, because some before them
    /// are done.
    func moreToHurry() -> [BlobID] {
        state.withLock { state in
            var more: [BlobID] = []
            for (blob, waiters) in state.waiters where state.hurried[blob] == nil {
                if waiters.contains(where: { Self.hurry(blob, for: $0.uid, &state) }) { more.append(blob) }
            }
            return more
        }
    }

    /// Whether it makes sense to wait for a blob.
    func mayBeAwaited(_ blob: BlobID) -> Bool {
        state.withLock { state in
            if let since = state.givenUp[blob], .now - since < Self.pause { return false }
            return state.unavailable == nil
        }
    }

    /// Resumes the requests whose time is over.
    func giveUp(_ now: ContinuousClock.Instant) {
        state.withLock { state in
            state.givenUp = state.givenUp.filter { now - $0.value < Self.pause }
            for (blob, waiters) in state.waiters where waiters.contains(where: { $0.deadline <= now }) {
                state.givenUp[blob] = now
            }
        }
        answer { _, waiter in waiter.deadline <= now }
    }

    /// Resumes the waiting requests for which `isDone` is true.
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
