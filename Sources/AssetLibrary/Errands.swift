internal import Synchronization

/// Work that takes too long for the thread of a request, done one piece after another on a thread of its own.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Errands: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var isStopped = false
    }

    private let state = Mutex(State())
    private let worker = Worker()

    func start() {
        worker.start(delay: .zero) { [weak self] in self?.runAll() }
    }

    /// - Returns: false where nothing is begun any more.
    func run(_ work: @escaping @Sendable () -> Void) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopped else { return false }
            state.waiting.append(work)
            return true
        }
        if isTaken { worker.wake() }
        return isTaken
    }

    /// Ends when what has been taken is done.
    func stop() {
        state.withLock { $0.isStopped = true }
        worker.stop()
        runAll()
    }

    private func runAll() {
        while let work = state.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) { work() }
    }
}

extension AssetLibrary {
    /// Has `work` done on another thread, once.
    /// - Returns: false where nothing is begun any more, because the library is being closed.
    public func runErrand(_ work: @escaping @Sendable () -> Void) -> Bool { errands.run(work) }
}
