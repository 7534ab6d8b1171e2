internal import Glibc
internal import MetadataExtraction
internal import SystemPackage

/// A line of shell that somebody who may mount has said.
struct ShellCommand {
    let line: String

    /// Runs it with some input, which must be less than a pipe takes at once, and waits for its end, or ends it and all that it has begun.
    /// - Returns: what went wrong.
    func run(_ input: [UInt8], patience: Duration, isStopped: Flag) -> String? {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return "no pipe could be made (\(Errno(rawValue: errno)))" }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // A program that does not read is not waited for, and one that has ended is no reason to end with it.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGPIPE)
        unsafe _ = pthread_sigmask(SIG_BLOCK, &signals, nil)
        let process = try? spawn("/bin/sh", ["sh", "-c", line], inOwnGroup: true, descriptors: [ends[0], nil, nil])
        _ = close(ends[0])
        if process != nil { unsafe _ = write(ends[1], input, input.count) }
        _ = close(ends[1])
        guard let process else { return "/bin/sh could not be started" }
        let end = ContinuousClock.now + patience
        var (status, pause): (Int32, UInt32) = (0, 500)
        while unsafe waitpid(process, &status, WNOHANG) == 0 {
            if .now > end || isStopped.isSet {
                _ = kill(-process, SIGKILL)
                unsafe _ = waitpid(process, &status, 0)
                return isStopped.isSet
                    ? nil : "the program took more than \(patience.components.seconds) s and was ended"
            }
            _ = usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        if status & 0x7F != 0 { return "the program was ended by signal \(status & 0x7F)" }
        let code = status >> 8 & 0xFF
        return code == 0 ? nil : "the program ended with status \(code)"
    }
}
