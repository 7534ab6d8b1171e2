internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import Glibc
internal import LibraryStorage
internal import Logging
internal import MetadataExtraction
internal import Synchronization
internal import SystemPackage

/// A process beside the daemon that corrects the kernel's cached names with ordinary system calls in the
/// mount.
///
/// FUSE_NOTIFY_INVAL_ENTRY takes the folder's lock, as unlink(2) through the mount does, and
/// FUSE_NOTIFY_INVAL_INODE waits for pages (fs/fuse/dir.c, inode.c). A client may hold both while it waits
/// for the daemon, and a thread in that wait cannot be killed: it would keep /dev/fuse open, and with it
/// every client waiting. The agent holds no descriptor of /dev/fuse. Its calls also make inotify(7) notify a
/// folder's watchers, which no FUSE notification does.
///
/// The daemon recognises the agent's requests by the number of its process and answers them with the state
/// that is recorded already (`AssetFilesystem+Agent.swift`); where that has changed meanwhile, the request
/// fails and changes nothing.
///
/// ## Concurrency
/// `perform` is called by one thread at a time. `state` is held for a moment only and takes no other lock.
final class NotificationAgent: Sendable {
    /// One task in a folder of the mount.
    struct Work: Sendable {
        /// The system call.
        enum Kind: Sendable {
            /// unlink(2) of a name that the file has lost, to the successor if there is one.
            case removal(of: NodeRecord, successor: NodeID?)
            /// mknod(2) of a name that the file has.
            case appearance(of: NodeID)
            /// rename(2) of a folder that has its new name already.
            case move(to: EntryName, of: NodeID)
            /// unlink(2) or mknod(2) of a name in a view; the answer names a file of its own, so that no
            /// other node's cache changes.
            case shown(isThere: Bool)
            /// mknod(2) of an existing name: the kernel looks it up again, and refuses.
            case renewal
            /// lstat(2).
            case visit
            /// truncate(2) to the size that the file has.
            case touch
            /// open(2) for reading: the kernel drops the pages of the file.
            case reload
        }

        let kind: Kind
        let name: EntryName
        let folder: NodeID
        /// The names that lead from the root of the mount to the folder.
        let path: [[UInt8]]

        /// The message, in the format that assetfs-worker's `names.c` describes.
        var message: [UInt8] {
            let (letter, last): (Character, [[UInt8]]) =
                switch kind {
                case .removal: ("u", [name.bytes])
                case .appearance: ("c", [name.bytes])
                case .move(let target, _): ("m", [name.bytes, target.bytes])
                case .shown(let isThere): (isThere ? "c" : "u", [name.bytes])
                case .renewal: ("r", [name.bytes])
                case .visit: ("s", [name.bytes])
                case .touch: ("t", [name.bytes])
                case .reload: ("o", [name.bytes])
                }
            return (path + last).reduce(letter.utf8.map { $0 }) { $0 + $1 + [0] }
        }
    }

    private struct State {
        /// The mount's device, once there is a mount.
        var device: String?
        var socket: Int32 = -1
        var current: Work?
        /// Whether the request of the current task has its answer: the kernel does the rest, even without the
        /// process.
        var isDone = false
        /// The killed agents: one that waits for a lock goes on until it has it, and its requests must be
        /// recognised.
        var former: Set<Int32> = []
        var isStopped = false
    }

    /// The time that an agent may take for one task before it is killed, in milliseconds.
    private static let patience: Int32 = 5000
    /// The greatest size of a message in bytes.
    private static let messageLimit = 1 << 16

    private let mountpoint: [UInt8]
    private let log: Logger
    private let process = Atomic<Int32>(0)
    private let formerCount = Atomic<Int>(0)
    private let state = Mutex(State())

    init(mountpoint: [UInt8], log: Logger) {
        self.mountpoint = mountpoint
        self.log = log
    }

    /// Starts the process for a mount that has just been made.
    func start() {
        let device = Self.device(of: mountpoint)
        state.withLock { $0.device = device }
        if device == nil {
            log.error("\(mountpoint) is not in /proc/self/mountinfo; watchers of folders are not told of all changes.")
        }
        _ = connect()
    }

    /// Returns whether a request comes from an agent.
    func isAgent(_ pid: Int32) -> Bool {
        guard pid != 0 else { return false }
        if process.load(ordering: .relaxed) == pid { return true }
        return formerCount.load(ordering: .relaxed) > 0 && state.withLock { $0.former.contains(pid) }
    }

    /// Returns the unfinished task in a folder, if there is one.
    func current(in folder: NodeID) -> Work? {
        state.withLock { state in
            state.current.flatMap { $0.folder == folder && !state.isDone ? $0 : nil }
        }
    }

    /// Records that the request of the current task has its answer, so that the task is not repeated.
    func noteDone() { state.withLock { $0.isDone = true } }

    /// Returns whether a killed process has ended, and no longer holds a folder.
    func hasEnded(_ pid: Int32) -> Bool {
        reap()
        return state.withLock { !$0.former.contains(pid) }
    }

    /// The outcome of a task.
    enum Outcome {
        case done
        /// The system call has failed: the state has changed, or the folder cannot be written to.
        case failed(Errno)
        /// The process was killed because it had not answered in time; the folder is locked at least until
        /// the process has ended.
        case late(Int32)
        /// The process has ended, and the next one too, or none can be started.
        case died
        /// There is no mount to work in, or no longer.
        case stopped
    }

    /// Performs one task and waits for its end.
    func perform(_ work: Work) -> Outcome {
        let message = work.message
        guard message.count <= Self.messageLimit else { return .failed(.fileNameTooLong) }
        state.withLock { ($0.current, $0.isDone) = (work, false) }
        defer { state.withLock { $0.current = nil } }
        // The end of an agent is noticed only at the next task.
        for _ in 0..<2 {
            guard let socket = connect() else {
                return state.withLock { $0.isStopped || $0.device == nil } ? .stopped : .died
            }
            guard unsafe send(socket, message, message.count, Int32(MSG_NOSIGNAL)) == message.count else {
                abandon()
                continue
            }
            var event = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            var (count, result): (Int32, Int32) = (0, 0)
            repeat { count = unsafe poll(&event, 1, Self.patience) } while count < 0 && errno == EINTR
            let hasAnswer = unsafe count > 0 && recv(socket, &result, 4, 0) == 4
            if hasAnswer, result == 0 { return .done }
            if state.withLock({ $0.isDone }) {
                if !hasAnswer { abandon() }
                return .done
            }
            if hasAnswer { return .failed(Errno(rawValue: result)) }
            let pid = process.load(ordering: .relaxed)
            abandon()
            if count == 0 { return .late(pid) }
        }
        return state.withLock { $0.isStopped } ? .stopped : .died
    }

    /// Stops the process; a `perform` in progress returns, and each later one at once.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            if state.socket >= 0 { _ = shutdown(state.socket, Int32(SHUT_RDWR)) }
        }
    }

    deinit {
        abandon()
        // A killed process ends when the request that it waits in has its answer.
        for _ in 0..<200 where formerCount.load(ordering: .relaxed) > 0 {
            reap()
            usleep(5000)
        }
    }

    /// Returns the socket to the process, which is started if there is none.
    private func connect() -> Int32? {
        let (known, device) = state.withLock { ($0.socket, $0.isStopped ? nil : $0.device) }
        guard let device else { return nil }
        if known >= 0 { return known }
        reap()
        guard let ends = try? socketPair() else { return nil }
        defer { _ = close(ends.1) }
        var started: Int32?
        do throws(Errno) {
            started = try startNamesWorker(
                device: device,
                socket: FileDescriptor(rawValue: ends.1)
            )
        } catch {
            log.error(
                "assetfs-worker could not be started (\(error)); watchers of folders are not told of all changes."
            )
        }
        let greeting = mountpoint + [0]
        guard let started, unsafe send(ends.0, greeting, greeting.count, Int32(MSG_NOSIGNAL)) == greeting.count else {
            _ = close(ends.0)
            return nil
        }
        process.store(started, ordering: .relaxed)
        let socket = ends.0
        state.withLock { $0.socket = socket }
        return socket
    }

    /// Kills the process, whose requests are recognised as an agent's until it has ended.
    private func abandon() {
        let pid = process.load(ordering: .relaxed)
        let socket = state.withLock { state in
            defer { state.socket = -1 }
            if pid > 0, state.former.insert(pid).inserted { formerCount.add(1, ordering: .relaxed) }
            return state.socket
        }
        process.store(0, ordering: .relaxed)
        if socket >= 0 { _ = close(socket) }
        if pid > 0 { _ = kill(pid, SIGKILL) }
        reap()
    }

    private func reap() {
        state.withLock { state in
            for pid in state.former where waitpid(pid, nil, WNOHANG) != 0 {
                state.former.remove(pid)
                formerCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    /// Returns the device of the uppermost mount on a path, as MAJOR:MINOR, without a request to the mount
    /// itself.
    private static func device(of mountpoint: [UInt8]) -> String? {
        guard let file = unsafe fopen("/proc/self/mountinfo", "re") else { return nil }
        defer { unsafe _ = fclose(file) }
        var (line, size): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { unsafe free(line) }
        var device: String?
        // > space, tab, newline and backslash are written as \040, \011, \012 and \134 — proc(5)
        let escaped = mountpoint.reduce(into: [UInt8]()) { result, byte in
            let isSpecial = [0x20, 0x09, 0x0A, 0x5C].contains(byte)
            let octal = String(byte, radix: 8)
            result += isSpecial ? Array(("\\" + String(repeating: "0", count: 3 - octal.count) + octal).utf8) : [byte]
        }
        while true {
            let count = unsafe getline(&line, &size, file)
            guard count > 0, let start = unsafe line else { return device }
            let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
            let fields = bytes.split(separator: 0x20, maxSplits: 5)
            if fields.count == 6, Array(fields[4]) == escaped { device = String(decoding: fields[2], as: UTF8.self) }
        }
    }
}
