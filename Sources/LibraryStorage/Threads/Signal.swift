internal import Glibc

/// An event that one thread awaits and others announce.
///
/// Both ends of its pipe are closed with the last reference.
public final class Signal: Sendable {
    private let reading: Int32
    private let writing: Int32

    /// Makes an event that has not come.
    public init() {
        var ends: (Int32, Int32) = (-1, -1)
        unsafe withUnsafeMutableBytes(of: &ends) {
            unsafe _ = pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
        (reading, writing) = ends
        for end in [reading, writing] where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    deinit { for end in [reading, writing] where end >= 0 { _ = close(end) } }

    /// Announces the event to the thread that awaits it.
    public func send() {
        var message: UInt8 = 1
        unsafe _ = write(writing, &message, 1)
    }

    /// Waits for the event, and `milliseconds` at most.
    ///
    /// A process without free descriptors has no pipe: then it waits a millisecond, and the caller has to
    /// look again in any case.
    public func wait(milliseconds: Int32) {
        guard reading >= 0 else { return _ = usleep(1000) }
        var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        var message: UInt8 = 0
        if unsafe poll(&request, 1, milliseconds) > 0 { unsafe _ = read(reading, &message, 1) }
    }
}
