internal import CFuse
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Notifications and requests of a filesystem to the kernel, outside the answer to a request.
///
/// ## Concurrency
/// `fuse_lowlevel_notify_*` and the ioctls on the device may be called from any thread while the session
/// exists. No thread of the process that holds the device may wait in the kernel for a lock that a client can
/// hold while it waits for an answer: a killed daemon would never end. So there is no notification here about
/// names, which takes the folder's lock, or one that drops pages, which waits for pages that are being read
/// (fs/fuse/dir.c and inode.c).
@safe
public final class Kernel: Sendable {
    // Sendable because libfuse locks each write to the device, and the pointer never changes.
    private nonisolated(unsafe) let session: OpaquePointer
    private let device: Int32
    private let backingIsRefused = Atomic(false)

    init(session: OpaquePointer, device: Int32) {
        unsafe self.session = unsafe session
        self.device = device
    }

    /// Whether direct handles can be mapped shared (Linux 6.6).
    public var allowsMappingDirectFiles: Bool { unsafe cfuse_wire().pointee.direct_io_allow_mmap != 0 }

    /// Whether the kernel can read files by passthrough (Linux 6.9 and CAP_SYS_ADMIN).
    public var allowsPassthrough: Bool {
        unsafe cfuse_wire().pointee.passthrough != 0 && !backingIsRefused.load(ordering: .relaxed)
    }

    /// Registers a file with the kernel for passthrough.
    /// - Returns: nil if the kernel or the daemon's privileges do not allow it; it is then not tried again in
    ///   this session.
    public func back(_ file: FileDescriptor) -> BackingFile? {
        guard allowsPassthrough else { return nil }
        let id = cfuse_backing_open(device, file.rawValue)
        guard id > 0 else {
            backingIsRefused.store(true, ordering: .relaxed)
            return nil
        }
        return BackingFile(id: id, device: device)
    }

    /// Puts the first bytes of a file, which must be its whole content, into the kernel's page cache.
    ///
    /// This waits for pages of the file that are being read. So the caller must ensure that no program has
    /// the file open or mapped: then no page is being read.
    public func store(_ bytes: UnsafeRawBufferPointer, of inode: InodeNumber) {
        unsafe cfuse_store(session, inode.rawValue, bytes.baseAddress, bytes.count)
    }

    /// Drops the kernel's cached attributes of an inode.
    ///
    /// This takes no locks but spinlocks. The kernel drops a file's pages, and a folder's listing, when it
    /// sees another size or time afterwards.
    public func invalidateAttributes(_ inode: InodeNumber) {
        unsafe fuse_lowlevel_notify_inval_inode(session, inode.rawValue, -1, 0)
    }
}

/// A file that the kernel reads by passthrough, until this object is deallocated and every open of the file
/// is closed.
public final class BackingFile: Sendable {
    let id: Int32
    private let device: Int32

    init(id: Int32, device: Int32) {
        self.id = id
        self.device = device
    }

    deinit { cfuse_backing_close(device, id) }
}
