internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread of our own, which signals do not interrupt, woken through a pipe.
final class BackgroundThread: Sendable {
    private let thread: pthread_t
    private let wakeups: Wakeups

    /// Starts a thread that runs `body` each time it is woken, `delay` later, so that much can be done at once, until it is
    /// stopped.
    ///
    /// `body` answers after what time it is to run again in any case; nil for only when it is woken.
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
        // As top(1) and ps(1) show it.
        unsafe _ = pthread_setname_np(thread, "background")
    }

    /// Has `body` run soon; where it is to run already, that is one exchange in memory.
    func wake() { wakeups.send(1) }

    /// Lets a running `body` end, and no other begin.
    func stop() {
        wakeups.send(0)
        _ = pthread_join(thread, nil)
    }
}

extension BackgroundThread {
    /// Sets how far the calling thread alone stands back: 0 not at all, 19 behind all others.
    static func setPriority(_ niceness: Int32) {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }
}

/// Work that a library does by the way, once it is open: wakes that come before are forgotten.
///
/// ## Concurrency
/// `thread` is held for a moment only.
final class Worker: Sendable {
    // A thread and not a closure: each `withLock` on a closure wraps it in one more thunk.
    private let thread = Mutex<BackgroundThread?>(nil)

    /// Begins, `delay` after each wake.
    func start(delay: Duration, body: @escaping @Sendable () -> Void) {
        startRepeating(delay: delay) {
            body()
            return nil
        }
    }

    /// The same for work that comes back by itself, after the time that it answers.
    func startRepeating(delay: Duration, body: @escaping @Sendable () -> Duration?) {
        let new = BackgroundThread(delay: delay, body: body)
        thread.withLock { $0 = new }
    }

    /// Has the work done soon.
    func wake() { thread.withLock { $0 }?.wake() }

    /// Ends.
    func stop() { thread.withLock { $0.take() }?.stop() }
}

extension Duration {
    /// Whole milliseconds, as poll(2) takes them.
    fileprivate var milliseconds: Int32 { Int32(clamping: Int64(self / .milliseconds(1))) }
}

private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// A pipe with two messages: 1, there is work, of which there is never a second; 0, stop.
///
/// Both ends are closed with the last reference.
private final class Wakeups: Sendable {
    enum Event { case woken, stopped, timedOut }
    private let reading: Int32
    private let writing: Int32
    /// Whether `body` is to run and has not begun: a second 1 would be one too many, and a pipe full of them has no room for the 0.
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

    /// Lets the next wake through: what has caused it may come too late for the work that begins now.
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
