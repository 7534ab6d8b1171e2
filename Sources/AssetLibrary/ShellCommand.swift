internal import CLinux
internal import Glibc
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
        let process = spawn(input: ends[0])
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

    private func spawn(input: Int32) -> pid_t? {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        for descriptor in Int32(1)...2 {
            unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
        // Signals that this thread blocks are the program's to hear; and its children are of its group, to be ended with it.
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        let words: [UnsafeMutablePointer<CChar>?] =
            unsafe (["sh", "-c", line] as [String]).map { unsafe strdup($0) } + [nil]
        defer { unsafe words.forEach { unsafe free($0) } }
        var process = pid_t()
        let status = unsafe posix_spawn(&process, "/bin/sh", &actions, &attributes, words, environ)
        return status == 0 ? process : nil
    }
}
