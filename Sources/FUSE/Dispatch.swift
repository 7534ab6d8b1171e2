internal import CFuse
internal import Glibc
internal import Logging
internal import SystemPackage

/// The object that libfuse passes to every callback: the filesystem and the log.
final class Dispatcher: Sendable {
    let filesystem: any Filesystem
    let log: Logger
    let limits: RequestLimits
    /// Receives each answered request; nil where none is observed.
    let observer: (@Sendable (ServedRequest) -> Void)?
    let waits = WaitingRequest.shares()
    let interrupted = InterruptedRequests()

    init(
        filesystem: any Filesystem,
        log: Logger,
        limits: RequestLimits,
        observer: (@Sendable (ServedRequest) -> Void)?
    ) {
        self.filesystem = filesystem
        self.log = log
        self.limits = limits
        self.observer = observer
    }

    static func serving(_ request: fuse_req_t?) -> Dispatcher? {
        guard let pointer = unsafe fuse_req_userdata(request) else { return nil }
        return unsafe Unmanaged<Dispatcher>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Logs a failure once: I/O errors as errors, failures with a cause for the user as notices; all others
    /// are for the observer alone.
    func note(_ failure: OperationFailure, _ operation: StaticString, for caller: Caller) {
        guard failure.errno == .ioError || failure.cause != nil else { return }
        let level: Logger.Level = failure.errno == .ioError ? .error : .notice
        let cause = failure.cause.map { ": \($0)" } ?? ""
        log.log(level: level, "\(operation): \(failure.errno)\(cause)", metadata: ["uid": "\(caller.uid)"])
    }
}

/// Serves one request: calls the filesystem, and sends the returned value or the thrown error.
///
/// Failures are sent only here, in `answerInTime`, and by a `WaitingRequest` whose caller ends; every path
/// replies exactly once. (FORGET alone has no reply.)
func answer<Value>(
    _ request: fuse_req_t?,
    _ operation: StaticString,
    _ body: (any Filesystem, Caller) throws(OperationFailure) -> Value,
    reply: (fuse_req_t, Value) -> Int32
) {
    guard let request = unsafe request, let dispatcher = unsafe Dispatcher.serving(request),
        let caller = unsafe Caller(of: request)
    else { return }
    let observation = unsafe Observation(request, operation, for: dispatcher.observer)
    do throws(OperationFailure) {
        let value = try body(dispatcher.filesystem, caller)
        let status = unsafe reply(request, value)
        observation?.end(isTaken: status == 0)
    } catch {
        dispatcher.note(error, operation, for: caller)
        unsafe fuse_reply_err(request, error.errno.rawValue)
        observation?.end(error.errno)
    }
}

/// Serves one request whose operation may have to wait: it is then tried again later, on another thread.
///
/// `body` must own its values: the arguments of libfuse's callback are gone when that has returned. `first`
/// returns the condition to wait for before the first attempt. If the user has too many waiting requests, the
/// operation is tried at once, or fails with EAGAIN if `isLong` says that it takes long. `interruption` says
/// which signals end the wait with EINTR.
func answerInTime<Value>(
    _ request: fuse_req_t?,
    _ operation: StaticString,
    first: ((any Filesystem, Caller) -> RequestWait?)? = nil,
    isLong: Bool = false,
    endedBy interruption: Interruption = .asked,
    _ body: @escaping @Sendable (any Filesystem, Caller) throws(OperationFailure) -> Value,
    reply: @escaping @Sendable (fuse_req_t, Value) -> Int32
) {
    guard let given = unsafe request else { return }
    // Only the thread that tries the operation uses the request.
    nonisolated(unsafe) let request = unsafe given
    let observation = unsafe Observation(request, operation, for: Dispatcher.serving(request)?.observer)
    @Sendable func attempt(_ waiting: WaitingRequest?) {
        guard let dispatcher = unsafe Dispatcher.serving(request), let caller = unsafe Caller(of: request) else {
            return
        }
        do throws(OperationFailure) {
            let value = try body(dispatcher.filesystem, caller)
            let status = unsafe reply(request, value)
            observation?.end(isTaken: status == 0)
        } catch {
            if let awaiting = error.awaiting {
                let wait: RequestWait = {
                    awaiting(caller.uid, $0)
                    return true
                }
                if let waiting { return waiting.wait(wait) }
                if let waiting = waitingRequest(dispatcher, caller) { return waiting.wait(wait) }
                return refuse(dispatcher, caller, OperationFailure(.resourceTemporarilyUnavailable))
            }
            refuse(dispatcher, caller, error)
        }
    }
    @Sendable func refuse(_ dispatcher: Dispatcher, _ caller: Caller, _ failure: OperationFailure) {
        dispatcher.note(failure, operation, for: caller)
        unsafe fuse_reply_err(request, failure.errno.rawValue)
        observation?.end(failure.errno)
    }
    @Sendable func waitingRequest(_ dispatcher: Dispatcher, _ caller: Caller) -> WaitingRequest? {
        guard let share = dispatcher.waits.take(for: caller.uid) else { return nil }
        let (thread, interrupted) = (caller.pid, dispatcher.interrupted)
        return unsafe WaitingRequest(request, share, of: thread, endedBy: interruption, interrupted, observation) {
            attempt($0)
        }
    }
    if let first, let dispatcher = unsafe Dispatcher.serving(request), let caller = unsafe Caller(of: request),
        let wait = first(dispatcher.filesystem, caller)
    {
        if let waiting = waitingRequest(dispatcher, caller) { return waiting.wait(wait) }
        if isLong { return refuse(dispatcher, caller, OperationFailure(.resourceTemporarilyUnavailable)) }
    }
    attempt(nil)
}

func replyEmpty(_ request: fuse_req_t, _: Void) -> Int32 { unsafe fuse_reply_err(request, 0) }

func replyEntry(_ request: fuse_req_t, _ entry: Entry) -> Int32 {
    var parameter = entry.asParameter
    return unsafe fuse_reply_entry(request, &parameter)
}

func replyAttributes(_ request: fuse_req_t, _ answer: (Attributes, Duration)) -> Int32 {
    var attributes = answer.0.asStat
    guard let born = answer.0.born else {
        return unsafe cfuse_reply_attr(request, &attributes, answer.1.seconds, nil)
    }
    var time = timespec(nanoseconds: born)
    return unsafe cfuse_reply_attr(request, &attributes, answer.1.seconds, &time)
}

/// Replies to open and opendir.
func replyOpened(_ request: fuse_req_t, _ opened: Opened) -> Int32 {
    unsafe handing(opened.handle, to: request, ifNotTaken: { $0.release($1) }) { (number) in
        if let backing = opened.backing {
            return unsafe cfuse_reply_open_backed(
                request,
                number,
                opened.isDirect ? 1 : 0,
                opened.needsNoFlush ? 1 : 0,
                backing.id
            )
        }
        var information = opened.fileInformation(handle: number)
        return unsafe fuse_reply_open(request, &information)
    }
}

/// Gives the kernel a handle; releases it if the kernel does not take the reply, as when the caller was
/// killed meanwhile.
func handing(
    _ handle: FileHandle,
    to request: fuse_req_t,
    ifNotTaken release: (any Filesystem, FileHandle) -> Void,
    _ reply: (UInt64) -> Int32
) -> Int32 {
    let dispatcher = unsafe Dispatcher.serving(request)
    let status = reply(handle.retained())
    if status != 0 {
        if let dispatcher { release(dispatcher.filesystem, handle) }
        handle.drop()
    }
    return status
}

extension Opened {
    func fileInformation(handle number: UInt64) -> fuse_file_info {
        var information = fuse_file_info()
        information.fh = number
        information.direct_io = isDirect ? 1 : 0
        information.keep_cache = keepsCache ? 1 : 0
        information.cache_readdir = keepsCache ? 1 : 0
        information.noflush = needsNoFlush ? 1 : 0
        return information
    }
}

func inode(_ number: fuse_ino_t) -> InodeNumber { InodeNumber(rawValue: number) }

/// Returns the handle of a request.
/// - Throws: EBADF for a request without one, which the kernel does not send.
func handle(_ information: UnsafeMutablePointer<fuse_file_info>?) throws(OperationFailure) -> FileHandle {
    try handle(unsafe information?.pointee.fh ?? 0)
}

/// Returns the handle for a number.
/// - Throws: EBADF for 0.
func handle(_ number: UInt64) throws(OperationFailure) -> FileHandle {
    guard let handle = FileHandle(rawValue: number) else { throw OperationFailure(.badFileDescriptor) }
    return handle
}
