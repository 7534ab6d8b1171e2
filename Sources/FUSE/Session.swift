internal import CFuse
internal import Glibc
public import Logging
internal import Synchronization
public import SystemPackage

/// The reason why a mount failed.
public enum SessionError: Error, CustomStringConvertible, Sendable {
    /// libfuse does not know an option.
    case options(String)
    /// The kernel, or fusermount3, refused the mount.
    case mount(String)

    /// The message for the user.
    public var description: String {
        switch self {
        case .options(let reason), .mount(let reason): reason
        }
    }
}

/// Limits of the kernel's requests.
public struct RequestLimits: Sendable {
    /// The maximum number of bytes of a read, and of readahead; nil for the kernel's own limits.
    let maximumRead, maximumReadahead: UInt32?

    /// Creates limits.
    public init(maximumRead: UInt32? = nil, maximumReadahead: UInt32? = nil) {
        (self.maximumRead, self.maximumReadahead) = (maximumRead, maximumReadahead)
    }
}

/// A mount: `init` mounts, `deinit` unmounts.
@safe
public final class Session {
    private let session: OpaquePointer
    private let dispatcher: Unmanaged<Dispatcher>
    /// The maximum numbers of threads for requests on files, of which a single user gets half; for names of
    /// files, likewise; for finding names, and as many for creating them; and for RELEASE, twice as many as
    /// serve it at once.
    private static let fileThreads = max(8, 2 * Int32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    private static let nameThreads: Int32 = 6
    private static let lookThreads: Int32 = 6
    private static let endThreads: Int32 = 8
    /// The total number of threads: some are left for requests that are always quick, and for root and the
    /// mounting user.
    ///
    /// libfuse creates them as requests need them. Fewer threads waiting in read(2) were not faster:
    /// README.md in this folder has the figures.
    private static let threads = fileThreads + nameThreads + 2 * lookThreads + endThreads / 2 + 6

    /// Counts requests on nodes with these numbers from now on.
    public static func countRequests(on nodes: ClosedRange<UInt64>) {
        cfuse_count_requests(nodes.lowerBound, nodes.upperBound)
    }

    /// The numbers of requests on the nodes given to `countRequests`: those that change or read files, and
    /// those that look up names and attributes.
    public static var requests: (uses: UInt, looks: UInt) {
        let counts = cfuse_requests()
        return (counts.uses, counts.looks)
    }

    /// The numbers of requests that were read from the kernel to be served, by the kernel's operations.
    public static var served: [(operation: String, count: UInt)] {
        (0..<UInt32(CFUSE_OPERATIONS)).compactMap { number in
            guard let name = unsafe cfuse_operation(number) else { return nil }
            return (unsafe String(cString: name), cfuse_served(number))
        }
    }

    /// Mounts `filesystem` on `mountpoint`.
    ///
    /// `source` is the source in mountinfo; `options` are those of libfuse, such as `allow_other`;
    /// `usesPassthrough` says whether passthrough is requested of the kernel, and `exportsHandles` whether
    /// the kernel may offer file handles for files that it has forgotten. `observer` is called behind each
    /// answer, on the thread that has sent it; without one no clock is read.
    /// - Throws: `SessionError` with the reason; nothing is mounted then.
    public init(
        filesystem: any Filesystem,
        mountpoint: FilePath,
        source: FilePath,
        options: [String],
        usesPassthrough: Bool,
        exportsHandles: Bool = false,
        limits: RequestLimits,
        log: Logger,
        observer: (@Sendable (ServedRequest) -> Void)? = nil
    ) throws(SessionError) {
        cfuse_capture_log()
        let dispatcher = unsafe Unmanaged.passRetained(
            Dispatcher(filesystem: filesystem, log: log, limits: limits, observer: observer)
        )
        var operations = fuse_lowlevel_ops()
        operations.serveStart()
        operations.serveLookup()
        operations.serveAttributes()
        operations.serveNamespace()
        operations.serveFiles()
        operations.serveDirectories()
        operations.serveExtendedAttributes()
        operations.serveFlags()

        let arguments =
            ["assetfs"] + (options + (limits.maximumRead.map { ["max_read=\($0)"] } ?? [])).flatMap { ["-o", $0] } + [
                "-o"
            ]
        var cArguments = unsafe arguments.map { unsafe strdup($0) }
        let name = Self.escaped(source)
        unsafe cArguments.append(name.withUnsafeBufferPointer { unsafe $0.baseAddress.flatMap { unsafe strdup($0) } })
        let made: OpaquePointer? = unsafe cArguments.withUnsafeMutableBufferPointer { buffer in
            var list = unsafe fuse_args(argc: Int32(buffer.count), argv: buffer.baseAddress, allocated: 0)
            defer { unsafe fuse_opt_free_args(&list) }
            return unsafe fuse_session_new(
                &list,
                &operations,
                MemoryLayout<fuse_lowlevel_ops>.size,
                dispatcher.toOpaque()
            )
        }
        unsafe cArguments.forEach { unsafe free($0) }
        guard let made = unsafe made else {
            unsafe dispatcher.release()
            throw .options(Self.lastLine(or: "the mount options \(options) were refused"))
        }
        guard unsafe mountpoint.withPlatformString({ unsafe fuse_session_mount(made, $0) }) == 0 else {
            unsafe fuse_session_destroy(made)
            unsafe dispatcher.release()
            throw .mount(Self.lastLine(or: "cannot mount on \(mountpoint)"))
        }
        unsafe session = made
        unsafe self.dispatcher = dispatcher
        let device = unsafe fuse_session_fd(session)
        unsafe cfuse_install_wire(
            session,
            device,
            usesPassthrough ? 1 : 0,
            exportsHandles ? 1 : 0,
            Self.fileThreads,
            Self.nameThreads,
            Self.lookThreads,
            Self.endThreads
        )
        filesystem.start(unsafe Kernel(session: session, device: device))
    }

    /// Serves requests on several threads until the filesystem is unmounted or SIGINT, SIGTERM or SIGHUP
    /// arrives, and then calls `ending`.
    ///
    /// After a signal all requests are served while `ending` runs: its notifications to the kernel may wait
    /// for a page that a client is reading, and libfuse drops requests when its loop ends. The three signals
    /// must be blocked in every thread before.
    public func run(ending: @escaping @Sendable () -> Void) {
        guard let configuration = unsafe fuse_loop_cfg_create() else { return ending() }
        defer { unsafe fuse_loop_cfg_destroy(configuration) }
        unsafe fuse_loop_cfg_set_max_threads(configuration, UInt32(Self.threads))
        unsafe fuse_loop_cfg_set_idle_threads(configuration, UInt32(Self.threads))
        unsafe fuse_loop_cfg_set_clone_fd(configuration, 0)
        // Interrupts the loop's wait, without another effect; without SA_RESTART.
        var interrupt = sigaction()
        unsafe interrupt.__sigaction_handler.sa_handler = { _ in }
        unsafe _ = sigaction(SIGUSR1, &interrupt, nil)
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGUSR1)
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        let end = unsafe Ending(session, ending)
        let thread = end.begin()
        unsafe fuse_session_loop_mt(session, configuration)
        end.isOver.store(true, ordering: .relaxed)
        // After an unmount no signal was sent; this one lets the thread run `ending` nevertheless.
        _ = pthread_kill(thread, SIGTERM)
        _ = pthread_join(thread, nil)
    }

    /// The thread that waits for the signals that end a session.
    ///
    /// ## Concurrency
    /// `session` is used while `run` waits for the thread; any thread may set libfuse's exit flag.
    @safe
    private final class Ending: @unchecked Sendable {
        private let session: OpaquePointer
        private let body: @Sendable () -> Void
        private let main = pthread_self()
        let isOver = Atomic(false)

        init(_ session: OpaquePointer, _ body: @escaping @Sendable () -> Void) {
            unsafe self.session = unsafe session
            self.body = body
        }

        func begin() -> pthread_t {
            var thread = pthread_t()
            unsafe pthread_create(
                &thread,
                nil,
                { argument in
                    if let argument = unsafe argument {
                        unsafe Unmanaged<Ending>.fromOpaque(argument).takeRetainedValue().wait()
                    }
                    return nil
                },
                unsafe Unmanaged.passRetained(self).toOpaque()
            )
            return thread
        }

        private func wait() {
            var signals = sigset_t()
            var signal: Int32 = 0
            unsafe sigemptyset(&signals)
            for each in [SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&signals, each) }
            unsafe sigwait(&signals, &signal)
            body()
            unsafe fuse_session_exit(session)
            // Repeated until the loop has ended, because it may not have begun to wait yet.
            while !isOver.load(ordering: .relaxed) {
                _ = pthread_kill(main, SIGUSR1)
                usleep(10_000)
            }
        }
    }

    /// Unmounts the filesystem after the last request was served.
    public func unmount() { unsafe fuse_session_unmount(session) }

    /// The last message of libfuse; nil if there is none.
    public static var lastMessage: String? {
        let line = lastLine(or: "")
        return line.isEmpty ? nil : line
    }

    /// Returns the option for a source: libfuse accepts a comma in a value after a backslash.
    private static func escaped(_ source: FilePath) -> [CChar] {
        let count = source.length
        let bytes = unsafe source.withPlatformString { unsafe Array(UnsafeBufferPointer(start: $0, count: count)) }
        let marks = [CChar(0x5C), CChar(0x2C)]
        return "fsname=".utf8.map { CChar($0) } + bytes.flatMap { marks.contains($0) ? [0x5C, $0] : [$0] } + [0]
    }

    deinit {
        unsafe fuse_session_unmount(session)
        unsafe fuse_session_destroy(session)
        unsafe dispatcher.release()
    }

    private static func lastLine(or fallback: String) -> String {
        let line = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { room in
            unsafe cfuse_last_log_line(room.baseAddress, room.count)
            return unsafe room.baseAddress.map { unsafe String(cString: $0) } ?? ""
        }
        let text = String(line.drop { $0 == " " }.prefix { $0 != "\n" })
        return text.isEmpty ? fallback : text.hasPrefix("fuse: ") ? String(text.dropFirst(6)) : text
    }
}

extension fuse_lowlevel_ops {
    /// Requests the features that `CFuse` cannot patch later: long lists of names with their attributes,
    /// cached symlinks, and access control lists, with which the daemon applies the umask.
    fileprivate mutating func serveStart() {
        unsafe `init` = { userdata, connection in
            guard let connection = unsafe connection else { return }
            // libfuse ends the session if these differ from the values that the kernel was told.
            if let dispatcher = unsafe userdata {
                let limits = unsafe Unmanaged<Dispatcher>.fromOpaque(dispatcher).takeUnretainedValue().limits
                if let most = limits.maximumRead { unsafe connection.pointee.max_read = most }
                if let most = limits.maximumReadahead {
                    unsafe connection.pointee.max_readahead = min(connection.pointee.max_readahead, most)
                }
            }
            let wanted = UInt32(
                FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_READDIRPLUS | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK
            )
            unsafe connection.pointee.want |= wanted & connection.pointee.capable
            unsafe connection.pointee.want &= ~UInt32(FUSE_CAP_READDIRPLUS_AUTO)
        }
    }
}
