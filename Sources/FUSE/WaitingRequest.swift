internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Has a function called once, on any thread, when a request that waits is to be tried again; false where there is nothing to wait
/// for, and the function is not called.
public typealias RequestWait = @Sendable (@escaping @Sendable () -> Void) -> Bool

/// What ends a request that waits before its operation can be done.
enum Interruption {
    /// The end of its caller, or a signal that asks for that.
    case asked
    /// The end of its caller alone: no program expects EINTR, and the operation is done all the same.
    case killed
}

/// A request that is answered when its operation can be done, or with EINTR when its caller is to end before.
///
/// The thread that has read the request serves others meanwhile. Without an answer not even SIGKILL would end the caller.
///
/// ## Concurrency
/// `state` is held for a moment only. Only the thread that has claimed the request uses it; libfuse calls its function with a lock of
/// the request held, and never after it was taken away.
@safe
final class WaitingRequest: Sendable {
    private enum State { case preparing, waiting, claimed }

    // Sendable because of `state`.
    private nonisolated(unsafe) let request: fuse_req_t
    private let state = Mutex(State.preparing)
    /// Tries the operation once more, which is answered then or waits on.
    private let attempt: @Sendable (WaitingRequest) -> Void
    /// The place of the caller among all who wait.
    private let share: UserShare
    private let thread: Int32
    private let interruption: Interruption
    private let interrupted: InterruptedRequests

    init(
        _ request: fuse_req_t,
        _ share: UserShare,
        of thread: Int32,
        endedBy interruption: Interruption,
        _ interrupted: InterruptedRequests,
        attempt: @escaping @Sendable (WaitingRequest) -> Void
    ) {
        unsafe self.request = unsafe request
        self.share = share
        self.thread = thread
        self.interruption = interruption
        self.interrupted = interrupted
        self.attempt = attempt
    }

    /// Shares out how many requests wait: one user alone has 256.
    static func shares() -> UserShares { UserShares(capacity: 512, limit: .max, exempt: [0, getuid()]) }

    /// Waits until `awaiting` says that the operation is to be tried again.
    func wait(_ awaiting: RequestWait) {
        state.withLock { $0 = .preparing }
        let itself = unsafe Unmanaged.passRetained(self)
        // An interrupt that has come already is told of at once. The request is not answered here, where libfuse has its lock.
        unsafe fuse_req_interrupt_func(
            request,
            { _, data in
                guard let data = unsafe data else { return }
                let waiting = unsafe Unmanaged<WaitingRequest>.fromOpaque(data).takeUnretainedValue()
                waiting.interrupted.watch(waiting)
            },
            itself.toOpaque()
        )
        state.withLock { $0 = .waiting }
        let resume: @Sendable () -> Void = { [self] in
            guard claim() else { return }
            attempt(self)
        }
        if !awaiting(resume) { resume() }
    }

    /// Answers the request where its caller is to end.
    /// - Returns: whether it is still to be watched.
    func endIfCallerEnds() -> Bool {
        switch state.withLock({ $0 }) {
        case .claimed: return false
        case .preparing: return true
        case .waiting: break
        }
        guard cfuse_is_ending(thread, interruption == .asked ? 1 : 0) != 0 else { return true }
        if claim() { unsafe fuse_reply_err(request, Errno.interrupted.rawValue) }
        return false
    }

    /// Takes the request from all other threads, and from libfuse the reference to it.
    private func claim() -> Bool {
        let isOurs = state.withLock { state in
            guard state == .waiting else { return false }
            state = .claimed
            return true
        }
        guard isOurs else { return false }
        unsafe fuse_req_interrupt_func(request, nil, nil)
        unsafe Unmanaged.passUnretained(self).release()
        return true
    }
}

/// Requests that wait although their callers were interrupted.
///
/// The kernel tells of the first signal alone, so that the one that ends a caller is looked for as long as the request waits.
///
/// ## Concurrency
/// `state` is held for a moment only. One thread looks, as long as there is such a request.
final class InterruptedRequests: Sendable {
    private let state = Mutex<(requests: [WaitingRequest], isWatched: Bool)>(([], false))
    /// Microseconds between two looks.
    private static let pause: UInt32 = 20_000

    /// Looks at a request now, and again and again.
    func watch(_ request: WaitingRequest) {
        let isFirst = state.withLock { state in
            state.requests.append(request)
            defer { state.isWatched = true }
            return !state.isWatched
        }
        guard isFirst else { return }
        var thread = pthread_t()
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<InterruptedRequests>.fromOpaque(argument).takeRetainedValue().look()
                }
                return nil
            },
            Unmanaged.passRetained(self).toOpaque()
        )
        // Without a thread it is the next interruption that looks.
        if result == 0 { pthread_detach(thread) } else { state.withLock { $0.isWatched = false } }
    }

    private func look() {
        while true {
            let requests = state.withLock { state in
                defer { state.requests = [] }
                return state.requests
            }
            let left = requests.filter { $0.endIfCallerEnds() }
            let isOver = state.withLock { state in
                state.requests += left
                state.isWatched = !state.requests.isEmpty
                return !state.isWatched
            }
            if isOver { return }
            usleep(Self.pause)
        }
    }
}
