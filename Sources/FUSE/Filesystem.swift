/// The operations of a filesystem: each returns its answer or throws its refusal, on one of the session's threads.
///
/// There are no default methods, so that a forgotten operation does not compile; what is not listed libfuse refuses with ENOSYS.
/// The names are those of the system calls; the arguments are those of `fuse_lowlevel_ops`.
public protocol Filesystem: Sendable {
    /// How long the kernel may remember that a name is missing.
    var missingNameLifetime: Duration { get }
    /// Called once, when the kernel and the session have agreed on what they can do.
    func start(_ kernel: Kernel)

    /// Finds a name; nil where there is none.
    func lookup(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) -> Entry?
    /// Lets go of inodes that the kernel no longer refers to.
    func forget(_ forgotten: [Forgotten])

    /// Attributes, and how long the kernel may believe them.
    func getattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> (Attributes, Duration)
    /// Changes attributes and answers all of them.
    func setattr(
        _ inode: InodeNumber,
        _ changes: AttributeChanges,
        handle: FileHandle?,
        for caller: Caller
    ) throws(OperationFailure) -> (Attributes, Duration)
    /// The target of a symbolic link.
    func readlink(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [UInt8]
    /// Statistics of the filesystem.
    func statfs(for caller: Caller) throws(OperationFailure) -> FilesystemStatistics

    /// Makes a file, fifo, socket or device.
    func mknod(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        device: UInt64,
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Makes a directory.
    func mkdir(_ name: Name, in parent: InodeNumber, mode: UInt32, for caller: Caller) throws(OperationFailure) -> Entry
    /// Makes a symbolic link.
    func symlink(
        _ name: Name,
        in parent: InodeNumber,
        target: [UInt8],
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Makes a hard link.
    func link(
        _ inode: InodeNumber,
        as name: Name,
        in parent: InodeNumber,
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Removes a name of something other than a directory.
    func unlink(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure)
    /// Removes an empty directory.
    func rmdir(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure)
    /// Moves a name, replacing, refusing or exchanging the one that is there, as renameat2(2)'s flags say.
    func rename(
        _ name: Name,
        in parent: InodeNumber,
        to newName: Name,
        in newParent: InodeNumber,
        flags: UInt32,
        for caller: Caller
    ) throws(OperationFailure)

    /// Makes and opens a file.
    func create(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened)
    /// Opens a file; `flags` are open(2)'s, without those that the kernel has dealt with.
    func open(_ inode: InodeNumber, flags: Int32, for caller: Caller) throws(OperationFailure) -> Opened
    /// Reads.
    func read(_ handle: FileHandle, offset: Int64, count: Int, for caller: Caller) throws(OperationFailure) -> ReadReply
    /// Writes all of the bytes, which are valid only during the call.
    ///
    /// `isSynchronous` says that this write waits for the disk, because of the file's flags or of pwritev2(2)'s.
    func write(
        _ handle: FileHandle,
        offset: Int64,
        bytes: UnsafeRawBufferPointer,
        isSynchronous: Bool,
        for caller: Caller
    ) throws(OperationFailure)
    /// What the end of a write waits for before it is tried; nil for nothing.
    func waitBeforeFlushing(_ handle: FileHandle, for caller: Caller) -> RequestWait?
    /// A descriptor was closed: errors reach close(2). May come often, or never.
    func flush(_ handle: FileHandle, for caller: Caller) throws(OperationFailure)
    /// Puts a file on stable storage.
    func fsync(_ handle: FileHandle, for caller: Caller) throws(OperationFailure)
    /// The last descriptor was closed. Nobody hears an error.
    func release(_ handle: FileHandle)
    /// Allocates, punches or zeroes, as fallocate(2)'s mode says.
    func fallocate(
        _ handle: FileHandle,
        mode: Int32,
        offset: Int64,
        length: Int64,
        for caller: Caller
    ) throws(OperationFailure)
    /// Copies a part of one file into another, as copy_file_range(2) says; answers how many bytes.
    func copyFileRange(
        from source: FileHandle,
        offset start: Int64,
        to handle: FileHandle,
        offset: Int64,
        count: Int,
        for caller: Caller
    ) throws(OperationFailure) -> Int
    /// Finds data or holes (SEEK_DATA, SEEK_HOLE).
    func lseek(_ handle: FileHandle, offset: Int64, whence: Int32, for caller: Caller) throws(OperationFailure) -> Int64

    /// What the opening of a directory waits for before it is tried, because it may take long; nil for nothing.
    ///
    /// Lookups and listings may not wait: the kernel holds the directory's lock meanwhile, which others need.
    func waitBeforeOpening(_ inode: InodeNumber, for caller: Caller) -> RequestWait?
    /// Opens a directory.
    func opendir(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> Opened
    /// Lists names from a cookie on, 0 being the start; what takes long to find out `opendir` has done.
    func readdir(
        _ inode: InodeNumber,
        handle: FileHandle,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        for caller: Caller
    ) throws(OperationFailure)
    /// Lists names with their attributes from a cookie on, 0 being the start.
    func readdirplus(
        _ inode: InodeNumber,
        handle: FileHandle,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        for caller: Caller
    ) throws(OperationFailure)
    /// Puts a directory on stable storage.
    func fsyncdir(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure)
    /// Closes a directory.
    func releasedir(_ handle: FileHandle)

    /// What the setting of an attribute waits for, because it may take long; nil where it waits for nothing.
    func waitBeforeSetting(_ name: Name, for caller: Caller) -> RequestWait?
    /// Sets an extended attribute; `flags` are setxattr(2)'s.
    func setxattr(
        _ inode: InodeNumber,
        name: Name,
        value: [UInt8],
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure)
    /// What the reading of an attribute waits for, whose value may be yet to come; nil where it waits for nothing.
    func waitBeforeReading(_ name: Name, of inode: InodeNumber, for caller: Caller) -> RequestWait?
    /// Reads an extended attribute.
    func getxattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) -> [UInt8]
    /// Names of the extended attributes.
    func listxattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [[UInt8]]
    /// The flags of chattr(1), as FS_IOC_GETFLAGS has them.
    func flags(of inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> UInt32
    /// Sets all flags of chattr(1); the kernel has checked that the caller may.
    func setFlags(of inode: InodeNumber, to flags: UInt32, for caller: Caller) throws(OperationFailure)
    /// Removes an extended attribute.
    func removexattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure)
}
