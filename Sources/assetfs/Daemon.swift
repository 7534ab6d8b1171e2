import ArgumentParser
import CLinux
import Foundation
import SystemPackage

/// Starts the daemon in the background: the command starts itself again, and waits until the child reports
/// that the mount is ready.
///
/// Swift has no safe fork: a forked child has one thread of many. The child is a new process from the start,
/// in its own session, and writes one byte to an inherited pipe when it is ready; until then its errors go to
/// the parent's stderr.
enum Daemon {
    private static let variable = "ASSETFS_READY_DESCRIPTOR"

    /// Whether this process is the child.
    static var isBackground: Bool { ProcessInfo.processInfo.environment[variable] != nil }

    /// Starts the child and waits for it.
    /// - Returns: the command's exit code: success once the mount is ready, otherwise the child's own status.
    static func start() -> ExitCode {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            return ExitStatus.failed.because("No pipe could be made: \(systemReason).")
        }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        unsafe posix_spawnattr_setflags(&attributes, 0x80 /* POSIX_SPAWN_SETSID */)
        defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
        // The daemon outlives its parent, so it keeps none of the parent's files: only stdio, and the pipe as
        // 3.
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 3)
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, 4)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        // Unchanged: neither an argument nor a variable need be text.
        unsafe setenv(variable, "3", 1)
        // By its path, so that ps(1) and pkill(1) know the process by its name.
        let executable = FilePath("/proc/self/exe").linkTarget().map(FilePath.init(bytes:)) ?? "/proc/self/exe"
        var child = pid_t()
        let status = unsafe executable.withC {
            unsafe posix_spawn(&child, $0, &actions, &attributes, CommandLine.unsafeArgv, linux_environment())
        }
        _ = close(ends[1])
        guard status == 0 else {
            let reason = unsafe String(cString: strerror(status))
            return ExitStatus.failed.because("The background process could not be started: \(reason).")
        }
        var byte: UInt8 = 0
        var count = 0
        repeat { count = unsafe read(ends[0], &byte, 1) } while count < 0 && errno == EINTR
        if count == 1 { return .success }
        var result: Int32 = 0
        while unsafe waitpid(child, &result, 0) < 0, errno == EINTR {}
        guard result & 0x7F == 0 else {
            return ExitStatus.failed.because(
                "The daemon was ended by signal \(result & 0x7F) before the mount was ready."
            )
        }
        let code = (result >> 8) & 0xFF
        // The child ended with status 0 before it was ready, and so nothing is mounted.
        return ExitCode(code == 0 ? ExitStatus.failed.rawValue : code)
    }

    /// Detaches from the terminal.
    ///
    /// Messages of the runtime about a crash go to `log`, if there is one.
    static func leaveTerminal(errorsTo log: Int32) {
        unsafe _ = chdir("/")
        let null = unsafe open("/dev/null", O_RDWR)
        for descriptor in Int32(0)...1 { _ = dup2(null, descriptor) }
        _ = dup2(log >= 0 ? log : null, 2)
        if null > 2 { _ = close(null) }
    }

    /// Reports to the parent and to systemd that the mount is ready.
    static func reportReady() {
        notifySystemd()
        guard let number = ProcessInfo.processInfo.environment[variable].flatMap(Int32.init) else { return }
        var byte: UInt8 = 1
        unsafe _ = write(number, &byte, 1)
        _ = close(number)
    }

    /// Tells systemd that the mount is ready.
    ///
    /// > READY=1 Tells the service manager that service startup is finished — sd_notify(3)
    private static func notifySystemd() {
        guard let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], path.utf8.count < 108 else { return }
        let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { return }
        defer { _ = close(number) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            unsafe target.copyBytes(from: path.utf8)
            // A leading @ stands for the NUL of an abstract socket.
            if path.hasPrefix("@") { unsafe target[0] = 0 }
        }
        let message = Array("READY=1\n".utf8)
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe _ = sendto(number, message, message.count, 0, $0, length)
            }
        }
    }

    /// Blocks the signals that end the mount for this thread and all that it makes from here on.
    static func blockSignals() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&signals, signal) }
        unsafe _ = pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
