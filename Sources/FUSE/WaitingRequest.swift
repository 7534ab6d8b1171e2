internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Has a function called once, on any thread, when a request that waits is to be tried again; false where there is nothing to wait
/// for, and the function is not called.
public typealias RequestWait = @Sendable (@escaping @Sendable () -> Void) -> Bool

/// A request that is answered when its operation can be done, or with EINTR when its caller is interrupted before.
///
/// The thread that has read the request serves others meanwhile. Without an answer to an interrupt not even SIGKILL would end the
/// caller.
///
/// ## Concurrency
/// `state` is held for a moment only. Only the thread that has claimed the request uses it; libfuse calls `interrupt` with a lock of
/// the request held, and never after its function was taken away.
@safe
final class WaitingRequest: Sendable {
    private enum State { case waiting, claimed, answered }

    // Sendable because of `state`.
    private nonisolated(unsafe) let request: fuse_req_t
    private let state = Mutex(State.waiting)
    /// Tries the operation once more, which is answered then or waits on.
    private let attempt: @Sendable (WaitingRequest) -> Void
    /// The place of the caller among all who wait.
    private let share: UserShare

    init(_ request: fuse_req_t, _ share: UserShare, attempt: @escaping @Sendable (WaitingRequest) -> Void) {
        unsafe self.request = unsafe request
        self.share = share
        self.attempt = attempt
    }

    /// Shares out how many requests wait: one user alone has 256.
    static func shares() -> UserShares { UserShares(capacity: 512, limit: .max, exempt: [0, getuid()]) }

    /// Waits until `awaiting` says that the operation is to be tried again.
    func wait(_ awaiting: RequestWait) {
        state.withLock { $0 = .waiting }
        let itself = unsafe Unmanaged.passRetained(self)
        // An interrupt that has come already is told of at once.
        unsafe fuse_req_interrupt_func(
            request,
            { _, data in
                guard let data = unsafe data else { return }
                let waiting = unsafe Unmanaged<WaitingRequest>.fromOpaque(data)
                if unsafe waiting.takeUnretainedValue().interrupt() { unsafe waiting.release() }
            },
            itself.toOpaque()
        )
        let resume: @Sendable () -> Void = { [self] in
            guard claim() else { return }
            unsafe fuse_req_interrupt_func(request, nil, nil)
            unsafe itself.release()
            attempt(self)
        }
        if !awaiting(resume) { resume() }
    }

    private func claim() -> Bool {
        state.withLock { state in
            guard state == .waiting else { return false }
            state = .claimed
            return true
        }
    }

    /// - Returns: whether the request is answered with that.
    private func interrupt() -> Bool {
        guard claim() else { return false }
        unsafe fuse_reply_err(request, Errno.interrupted.rawValue)
        return true
    }
}
