internal import AssetModel
internal import Synchronization

/// A queue of work that takes too long for a request's thread: in order for each user, and users in turn.
///
/// Of several threads one user never has all.
///
/// ## Concurrency
/// `state` is held for a moment only.
public final class SlowRequestQueue: Sendable {
    private struct State {
        /// The queued work by user, in the order of the users' next turns.
        var waiting: [(uid: UInt32, work: [@Sendable () -> Void])] = []
        var running: [UInt32: Int] = [:]
        var isStopped = false
    }

    private let state = RankedMutex(.leaf, State())
    private let workers: [BackgroundWorker]

    /// Makes a queue with a number of threads, which are not started.
    public init(threads: Int = 1) { workers = (0..<threads).map { _ in BackgroundWorker() } }

    /// Starts the threads.
    public func start() {
        for worker in workers { worker.start(delay: .zero) { [weak self] in self?.runAll() } }
    }

    /// Runs a user's work on another thread.
    /// - Returns: false where no work is begun any more.
    public func run(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopped else { return false }
            if let index = state.waiting.firstIndex(where: { $0.uid == uid }) {
                state.waiting[index].work.append(work)
            } else {
                state.waiting.append((uid, [work]))
            }
            return true
        }
        if isTaken { for worker in workers { worker.wake() } }
        return isTaken
    }

    /// Whether any work has not been begun.
    public var hasWaiting: Bool { state.withLock { !$0.waiting.isEmpty } }

    /// How much work has not been begun.
    public var count: Int { state.withLock { $0.waiting.reduce(0) { $0 + $1.work.count } } }

    /// Stops the threads after all queued work.
    public func stop() {
        state.withLock { $0.isStopped = true }
        for worker in workers { worker.stop() }
        runAll()
    }

    private func runAll() {
        while let (uid, work) = take() {
            work()
            state.withLock { state in
                let rest = (state.running[uid] ?? 1) - 1
                state.running[uid] = rest > 0 ? rest : nil
            }
        }
    }

    /// Takes the next work of the first user that has fewer than all threads but one; that user goes to the
    /// end.
    private func take() -> (UInt32, @Sendable () -> Void)? {
        state.withLock { state in
            let most = max(1, workers.count - 1)
            guard let index = state.waiting.firstIndex(where: { state.running[$0.uid] ?? 0 < most }) else { return nil }
            var (uid, all) = state.waiting.remove(at: index)
            let work = all.removeFirst()
            if !all.isEmpty { state.waiting.append((uid, all)) }
            state.running[uid, default: 0] += 1
            return (uid, work)
        }
    }
}
