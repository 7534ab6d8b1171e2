internal import AssetModel
internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread outside of Swift's pool that signals do not interrupt, woken through a pipe.
public final class BackgroundThread: Sendable {
    private let thread: pthread_t
    private let wakeups: Wakeups

    /// Starts a thread that runs `body` after each wake, `delay` later so that it can do much at once, until
    /// it is stopped.
    ///
    /// `body` returns the time after which it runs again in any case; nil for only when it is woken.
    init(delay: Duration, body: @escaping @Sendable () -> Duration?) {
        let wakeups = Wakeups()
        self.wakeups = wakeups
        let start = unsafe Unmanaged.passRetained(
            Start {
                var pause: Duration?
                while true {
                    let event = wakeups.wait(milliseconds: pause?.milliseconds ?? -1)
                    if event == .stopped { break }
                    if event == .woken { _ = wakeups.wait(milliseconds: delay.milliseconds, untilStopped: true) }
                    wakeups.begin()
                    pause = body()
                }
            }
        )
        var thread = pthread_t()
        unsafe pthread_create(
            &thread,
            nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                }
                return nil
            },
            start.toOpaque()
        )
        self.thread = thread
        // The name that top(1) and ps(1) show.
        unsafe _ = pthread_setname_np(thread, "background")
    }

    /// Makes `body` run soon; where it is about to run already, this costs one exchange in memory.
    public func wake() { wakeups.send(1) }

    /// Stops the thread after a running `body`.
    public func stop() {
        wakeups.send(0)
        _ = pthread_join(thread, nil)
    }
}

extension BackgroundThread {
    /// Sets the niceness of the calling thread alone: 0 is the default, 19 yields to all others.
    public static func setPriority(_ niceness: Int32) {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }
}

/// A background worker of an open library; wakes before its start are ignored.
///
/// ## Concurrency
/// `thread` is held for a moment only.
public final class BackgroundWorker: Sendable {
    // A thread and not a closure: each `withLock` on a closure wraps it in one more thunk.
    private let thread = RankedMutex<BackgroundThread?>(.leaf, nil)

    /// Makes a worker that is not started.
    public init() {}

    /// Starts the worker: `body` runs `delay` after each wake.
    public func start(delay: Duration, body: @escaping @Sendable () -> Void) {
        startRepeating(delay: delay) {
            body()
            return nil
        }
    }

    /// Starts the worker; `body` also runs again after the time that it returns.
    public func startRepeating(delay: Duration, body: @escaping @Sendable () -> Duration?) {
        let new = BackgroundThread(delay: delay, body: body)
        thread.withLock { $0 = new }
    }

    /// Makes the worker run soon.
    public func wake() { thread.withLock { $0 }?.wake() }

    /// Stops the worker.
    public func stop() { thread.withLock { $0.take() }?.stop() }
}

extension Duration {
    /// The number of whole milliseconds, as poll(2) takes them.
    fileprivate var milliseconds: Int32 { Int32(clamping: Int64(self / .milliseconds(1))) }
}

private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// A pipe for two messages: 1, there is work, at most once at a time; 0, stop.
///
/// Both ends are closed with the last reference.
private final class Wakeups: Sendable {
    enum Event { case woken, stopped, timedOut }
    private let reading: Int32
    private let writing: Int32
    /// Whether `body` is to run and has not begun: a pipe full of further 1s would have no room for the 0.
    private let isWoken = Atomic(false)

    init() {
        var ends: (Int32, Int32) = (-1, -1)
        unsafe withUnsafeMutableBytes(of: &ends) {
            unsafe _ = pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        (reading, writing) = ends
        for end in [reading, writing] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(writing, F_SETFL, O_NONBLOCK)
    }

    deinit {
        _ = close(reading)
        _ = close(writing)
    }

    /// Lets the next wake through: its cause may come too late for the run that begins now.
    func begin() { isWoken.store(false, ordering: .sequentiallyConsistent) }

    func send(_ message: UInt8) {
        if message == 1, isWoken.exchange(true, ordering: .sequentiallyConsistent) { return }
        var message = message
        unsafe _ = write(writing, &message, 1)
    }

    func wait(milliseconds: Int32, untilStopped: Bool = false) -> Event {
        var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        let end = ContinuousClock.now.advanced(by: .milliseconds(Int64(milliseconds)))
        while true {
            let left = (end - .now).components
            let timeout = milliseconds < 0 ? -1 : max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
            let count = unsafe poll(&request, 1, Int32(timeout))
            if count == 0 { return .timedOut }
            var message: UInt8 = 0
            guard count > 0, unsafe read(reading, &message, 1) == 1 else { continue }
            if message == 0 {
                if untilStopped { send(0) }
                return .stopped
            }
            if !untilStopped { return .woken }
        }
    }
}
