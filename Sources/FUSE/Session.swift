internal import CFuse
internal import Glibc
public import Logging

/// Why a mount could not be made.
public enum SessionError: Error, CustomStringConvertible, Sendable {
    /// libfuse does not know an option.
    case options(String)
    /// The kernel, or fusermount3, refused the mount.
    case mount(String)

    /// The whole sentence.
    public var description: String {
        switch self {
        case .options(let reason), .mount(let reason): reason
        }
    }
}

/// One mount: from `init`, which mounts, until `deinit`, which unmounts.
@safe
public final class Session {
    private let session: OpaquePointer
    private let dispatcher: Unmanaged<Dispatcher>

    /// Mounts `filesystem` on `mountpoint`.
    ///
    /// `options` are those of mount(8) and fuse(4), such as `allow_other` or `fsname=…`; `usesPassthrough` says whether the
    /// kernel is asked to read files for us.
    /// - Throws: `SessionError` with the reason in words; nothing is mounted then.
    public init(
        filesystem: any Filesystem,
        mountpoint: String,
        options: [String],
        usesPassthrough: Bool,
        log: Logger
    ) throws(SessionError) {
        cfuse_capture_log()
        let dispatcher = unsafe Unmanaged.passRetained(Dispatcher(filesystem: filesystem, log: log))
        var operations = fuse_lowlevel_ops()
        operations.serveStart()
        operations.serveLookup()
        operations.serveAttributes()
        operations.serveNamespace()
        operations.serveFiles()
        operations.serveDirectories()
        operations.serveExtendedAttributes()

        let arguments = ["assetfs"] + options.flatMap { ["-o", $0] }
        var cArguments = unsafe arguments.map { unsafe strdup($0) }
        let made: OpaquePointer? = unsafe cArguments.withUnsafeMutableBufferPointer { buffer in
            var list = unsafe fuse_args(argc: Int32(arguments.count), argv: buffer.baseAddress, allocated: 0)
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
        guard unsafe fuse_session_mount(made, mountpoint) == 0 else {
            unsafe fuse_session_destroy(made)
            unsafe dispatcher.release()
            throw .mount(Self.lastLine(or: "cannot mount on \(mountpoint)"))
        }
        unsafe session = made
        unsafe self.dispatcher = dispatcher
        let device = unsafe fuse_session_fd(session)
        unsafe cfuse_install_wire(session, device, usesPassthrough ? 1 : 0)
        filesystem.start(unsafe Kernel(session: session, device: device))
    }

    /// Serves requests on several threads until the filesystem is unmounted or SIGINT, SIGTERM or SIGHUP arrives.
    ///
    /// Call on the main thread, and block the three signals in every other thread: the handler has to interrupt this one.
    public func run() {
        guard unsafe fuse_set_signal_handlers(session) == 0, let configuration = unsafe fuse_loop_cfg_create() else {
            return
        }
        defer { unsafe fuse_loop_cfg_destroy(configuration) }
        unsafe fuse_loop_cfg_set_max_threads(configuration, 8)
        unsafe fuse_loop_cfg_set_idle_threads(configuration, 8)
        unsafe fuse_loop_cfg_set_clone_fd(configuration, 0)
        unsafe fuse_session_loop_mt(session, configuration)
        unsafe fuse_remove_signal_handlers(session)
    }

    deinit {
        unsafe fuse_session_unmount(session)
        unsafe fuse_session_destroy(session)
        unsafe dispatcher.release()
    }

    private static func lastLine(or fallback: String) -> String {
        let line = unsafe String(cString: cfuse_last_log_line())
        return line.isEmpty ? fallback : String(line.drop { $0 == " " }.prefix { $0 != "\n" })
    }
}

extension fuse_lowlevel_ops {
    /// Agrees on what `Kernel` cannot patch later: long lists of names with their attributes, cached symlinks, NFS handles, and access
    /// control lists, with which the umask is ours to apply.
    fileprivate mutating func serveStart() {
        unsafe `init` = { _, connection in
            guard let connection = unsafe connection else { return }
            let wanted = UInt32(
                FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_READDIRPLUS | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_POSIX_ACL
                    | FUSE_CAP_DONT_MASK
            )
            unsafe connection.pointee.want |= wanted & connection.pointee.capable
            unsafe connection.pointee.want &= ~UInt32(FUSE_CAP_READDIRPLUS_AUTO)
        }
    }
}
