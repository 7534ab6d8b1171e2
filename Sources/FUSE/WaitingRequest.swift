internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A function that has another one called once, on any thread, when a waiting request is to be tried again.
///
/// It returns false if there is nothing to wait for; the other function is not called then.
public typealias RequestWait = @Sendable (@escaping @Sendable () -> Void) -> Bool

/// The events that end a waiting request before its operation is done.
enum Interruption {
    /// The end of its caller, or a signal that asks the caller to end.
    case asked
    /// The end of its caller alone: programs do not expect EINTR, and the operation is carried out in any
    /// case.
    case killed
}

/// A request that is answered when its operation can be done, or with EINTR if its caller is about to end
/// before.
///
/// The thread that has read the request serves other requests meanwhile. Without an answer not even SIGKILL
/// would end the caller.
///
/// ## Concurrency
/// `state` is held for a moment only. Only the thread that has claimed the request uses it; libfuse calls its
/// interrupt function with a lock of the request held, and never after the function was removed.
@safe
final class WaitingRequest: Sendable {
    private enum State { case preparing, waiting, claimed }

    // Sendable because of `state`.
    private nonisolated(unsafe) let request: fuse_req_t
    private let state = Mutex(State.preparing)
    /// Tries the operation again, which answers the request or waits again.
    private let attempt: @Sendable (WaitingRequest) -> Void
    /// The caller's place among all waiting requests.
    private let share: UserShare
    private let thread: Int32
    private let interruption: Interruption
    private let interrupted: InterruptedRequests
    private let observation: Observation?

    init(
        _ request: fuse_req_t,
        _ share: UserShare,
        of thread: Int32,
        endedBy interruption: Interruption,
        _ interrupted: InterruptedRequests,
        _ observation: Observation?,
        attempt: @escaping @Sendable (WaitingRequest) -> Void
    ) {
        unsafe self.request = unsafe request
        self.share = share
        self.thread = thread
        self.interruption = interruption
        self.interrupted = interrupted
        self.observation = observation
        self.attempt = attempt
    }

    /// Creates the shares of waiting requests: a single user has 256.
    static func shares() -> UserShares { UserShares(capacity: 512, limit: .max, exempt: [0, getuid()]) }

    /// Waits until `awaiting` calls back, and then tries the operation again.
    func wait(_ awaiting: RequestWait) {
        state.withLock { $0 = .preparing }
        let itself = unsafe Unmanaged.passRetained(self)
        // libfuse reports an earlier interrupt at once. The request is not answered here, where libfuse holds
        // its lock.
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

    /// Answers the request with EINTR if its caller is about to end.
    /// - Returns: whether it is still to be watched.
    func endIfCallerEnds() -> Bool {
        switch state.withLock({ $0 }) {
        case .claimed: return false
        case .preparing: return true
        case .waiting: break
        }
        guard cfuse_is_ending(thread, interruption == .asked ? 1 : 0) != 0 else { return true }
        if claim() {
            unsafe fuse_reply_err(request, Errno.interrupted.rawValue)
            observation?.end(.interrupted)
        }
        return false
    }

    /// Claims the request from all other threads, and releases libfuse's reference to this object.
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

/// Waiting requests whose callers were interrupted, but do not end.
///
/// The kernel reports only the first signal, so the daemon polls for one that ends the caller as long as the
/// request waits.
///
/// ## Concurrency
/// `state` is held for a moment only. One thread polls, as long as there is such a request.
final class InterruptedRequests: Sendable {
    private let state = Mutex<(requests: [WaitingRequest], isWatched: Bool)>(([], false))
    /// The time between two polls, in microseconds.
    private static let pause: UInt32 = 20_000

    /// Checks a request now, and again until it has ended.
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
        // Without a thread, the next interruption starts one.
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
