internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Tells a file's MIME type by its content: libmagic, in a process of its own, file(1), which is asked for one file after another and
/// begun anew when it ends.
///
/// ## Concurrency
/// `worker` is held while a file is looked at: one at a time.
final class TypeDetector: Sendable {
    /// Why a type could not be told.
    struct Failure: Error {
        let sentence: String
    }

    private struct Worker {
        let process: pid_t
        let socket: Int32
    }

    private let worker = Mutex<Worker?>(nil)
    /// How long a file may take, in milliseconds.
    private static let patience: Int32 = 10_000
    /// How much memory the process may have, in KiB.
    private static let memory = 1 << 20

    deinit { worker.withLock { $0.map(Self.end) } }

    /// The MIME type of a file's content.
    func type(of file: FileDescriptor) throws(Failure) -> String {
        try worker.withLock { worker throws(Failure) in
            // A process that has ended since the last file is begun anew, once.
            for isSecond in [false, true] {
                let current: Worker
                if let present = worker { current = present } else { current = try Self.begin() }
                worker = current
                if let type = Self.ask(current, "/proc/\(getpid())/fd/\(file.rawValue)\n") { return type }
                Self.end(current)
                worker = nil
                if isSecond { break }
            }
            throw Failure(sentence: "file(1) gave no answer; is the package “file” installed?")
        }
    }

    private static func begin() throws(Failure) -> Worker {
        var ends: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutableBytes(of: &ends) {
            unsafe socketpair(
                AF_UNIX,
                Int32(SOCK_STREAM.rawValue) | O_CLOEXEC,
                0,
                $0.baseAddress?.assumingMemoryBound(to: Int32.self)
            )
        }
        guard made == 0 else { throw Failure(sentence: "no socket could be made (\(Errno(rawValue: errno))).") }
        defer { _ = close(ends.1) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        for descriptor in [STDIN_FILENO, STDOUT_FILENO] {
            unsafe posix_spawn_file_actions_adddup2(&actions, ends.1, descriptor)
        }
        unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        // The shell sets the limit and becomes file(1); it sees no name, those come by the socket.
        let arguments = ["sh", "-c", "ulimit -v \(memory); exec file -b -L -n --mime-type -f -"]
        var process = pid_t()
        let result = unsafe withPointers(to: arguments) { arguments in
            unsafe withPointers(to: ["LC_ALL=C", "PATH=/usr/bin:/bin"]) { environment in
                unsafe posix_spawn(&process, "/bin/sh", &actions, nil, arguments, environment)
            }
        }
        guard result == 0 else {
            _ = close(ends.0)
            throw Failure(sentence: "file(1) could not be started (\(Errno(rawValue: result))).")
        }
        return Worker(process: process, socket: ends.0)
    }

    /// - Returns: nil when the process has ended, or takes too long.
    private static func ask(_ worker: Worker, _ path: String) -> String? {
        let request = Array(path.utf8)
        guard unsafe send(worker.socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return nil
        }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while reply.last != 0x0A, reply.count < 1 << 16 {
            var event = pollfd(fd: worker.socket, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&event, 1, patience) == 1 else { return nil }
            let count = unsafe recv(worker.socket, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            reply += buffer.prefix(count)
        }
        let type = String(decoding: reply.dropLast(), as: UTF8.self)
        // Whatever else it says, it could not read the file.
        return type.contains("/") && !type.contains(" ") ? type : nil
    }

    private static func end(_ worker: Worker) {
        _ = close(worker.socket)
        _ = kill(worker.process, SIGKILL)
        _ = waitpid(worker.process, nil, 0)
    }
}

/// Runs `body` with C's array of strings.
private func withPointers(
    to strings: [String],
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32
) -> Int32 {
    var copies = unsafe strings.map { unsafe strdup($0) } + [nil]
    let all = unsafe copies
    defer { unsafe all.forEach { unsafe free($0) } }
    return unsafe copies.withUnsafeMutableBufferPointer { unsafe $0.baseAddress.map { unsafe body($0) } ?? EINVAL }
}
