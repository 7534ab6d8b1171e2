internal import AssetModel
internal import Catalog
internal import LibraryStorage
internal import Synchronization

/// The requests that wait for the MD5 of a large blob, which is computed once for all of them.
///
/// ## Concurrency
/// `state` is held for a moment only. A waiter is resumed without it.
final class MD5Requests: Sendable {
    private struct Waiter {
        let deadline: ContinuousClock.Instant
        let isReady: @Sendable () -> Void
    }

    /// The waiting requests for each blob that is queued or being computed.
    private let state = RankedMutex<[BlobID: [Waiter]]>(.leaf, [:])
    /// The errors of the last computations that have failed, for the requests that waited for them.
    private let failures = RankedMutex<[BlobID: LibraryError]>(.leaf, [:])
    private let errands = SlowRequestQueue(threads: 2)

    /// How many errors are kept.
    private static let most = 1000

    func start() { errands.start() }

    func stop() { errands.stop() }

    /// Queues `compute` for a blob on another thread, if it is not queued already; `isReady` is called when
    /// it has ended or the time is up.
    ///
    /// `compute` returns the error of a computation that has failed. It should stop when its argument returns
    /// true: no request waits for the blob any more, and other blobs wait for the thread.
    func add(
        _ blob: BlobID,
        for uid: UInt32,
        deadline: ContinuousClock.Instant,
        isReady: @escaping @Sendable () -> Void,
        compute: @escaping @Sendable (_ isUnwanted: () -> Bool) -> LibraryError?
    ) {
        let isNew = state.withLock { state in
            let isNew = state[blob] == nil
            state[blob, default: []].append(Waiter(deadline: deadline, isReady: isReady))
            return isNew
        }
        guard isNew else { return }
        let isTaken = errands.run(for: uid) { [self] in
            if isWaitedFor(blob) {
                let failure = compute { !self.isWaitedFor(blob) && self.errands.hasWaiting }
                failures.withLock { failures in
                    if failures.count >= Self.most { failures.removeAll() }
                    failures[blob] = failure
                }
            }
            finish(blob)
        }
        if !isTaken { finish(blob) }
    }

    private func isWaitedFor(_ blob: BlobID) -> Bool { state.withLock { $0[blob]?.isEmpty == false } }

    private func finish(_ blob: BlobID) {
        for waiter in state.withLock({ $0.removeValue(forKey: blob) }) ?? [] { waiter.isReady() }
    }

    /// Returns the error of the last computation for a blob, if it has failed.
    func failure(of blob: BlobID) -> LibraryError? { failures.withLock { $0[blob] } }

    /// Whether any request waits.
    var hasWaiters: Bool { state.withLock { $0.values.contains { !$0.isEmpty } } }

    /// Resumes requests whose deadline has passed.
    func giveUp(_ now: ContinuousClock.Instant) {
        let due = state.withLock { state in
            var due: [Waiter] = []
            for (blob, waiters) in state where waiters.contains(where: { $0.deadline <= now }) {
                due += waiters.filter { $0.deadline <= now }
                state[blob] = waiters.filter { $0.deadline > now }
            }
            return due
        }
        for waiter in due { waiter.isReady() }
    }
}
