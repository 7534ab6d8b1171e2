/// The operations of a filesystem: each returns its answer or throws its failure, on one of the session's
/// threads.
///
/// There are no default methods, so that a forgotten operation does not compile; libfuse answers operations
/// that are not listed with ENOSYS. The names are those of the system calls; the arguments are those of
/// `fuse_lowlevel_ops`.
public protocol Filesystem: Sendable {
    /// The time that the kernel may cache the absence of a name.
    var missingNameLifetime: Duration { get }
    /// Starts the filesystem; called once, after the kernel and the session have agreed on their features.
    func start(_ kernel: Kernel)

    /// Finds a name; nil if it does not exist.
    func lookup(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) -> Entry?
    /// Releases inodes that the kernel no longer refers to.
    func forget(_ forgotten: [Forgotten])

    /// Returns attributes, and the time that the kernel may cache them.
    func getattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> (Attributes, Duration)
    /// Changes attributes, and returns all of them.
    func setattr(
        _ inode: InodeNumber,
        _ changes: AttributeChanges,
        handle: FileHandle?,
        for caller: Caller
    ) throws(OperationFailure) -> (Attributes, Duration)
    /// Returns the target of a symbolic link.
    func readlink(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [UInt8]
    /// Returns the statistics of the filesystem.
    func statfs(for caller: Caller) throws(OperationFailure) -> FilesystemStatistics

    /// Creates a file, fifo, socket or device.
    func mknod(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        device: UInt64,
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Creates a directory.
    func mkdir(_ name: Name, in parent: InodeNumber, mode: UInt32, for caller: Caller) throws(OperationFailure) -> Entry
    /// Creates a symbolic link.
    func symlink(
        _ name: Name,
        in parent: InodeNumber,
        target: [UInt8],
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Creates a hard link.
    func link(
        _ inode: InodeNumber,
        as name: Name,
        in parent: InodeNumber,
        for caller: Caller
    ) throws(OperationFailure) -> Entry
    /// Removes a name of a file that is not a directory.
    func unlink(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure)
    /// Removes an empty directory.
    func rmdir(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure)
    /// Moves a name; an existing target is replaced, exchanged, or an error, according to renameat2(2)'s
    /// flags.
    func rename(
        _ name: Name,
        in parent: InodeNumber,
        to newName: Name,
        in newParent: InodeNumber,
        flags: UInt32,
        for caller: Caller
    ) throws(OperationFailure)

    /// Creates and opens a file.
    func create(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened)
    /// Opens a file; `flags` are those of open(2), except the ones that the kernel has handled.
    func open(_ inode: InodeNumber, flags: Int32, for caller: Caller) throws(OperationFailure) -> Opened
    /// Reads from a file.
    func read(_ handle: FileHandle, offset: Int64, count: Int, for caller: Caller) throws(OperationFailure) -> ReadReply
    /// Writes all of the bytes, which are valid only during the call.
    ///
    /// `isSynchronous` says that this write waits for the disk, because of the file's flags or those of
    /// pwritev2(2).
    func write(
        _ handle: FileHandle,
        offset: Int64,
        bytes: UnsafeRawBufferPointer,
        isSynchronous: Bool,
        for caller: Caller
    ) throws(OperationFailure)
    /// Returns the condition that a flush waits for before its first attempt; nil for none.
    func waitBeforeFlushing(_ handle: FileHandle, for caller: Caller) -> RequestWait?
    /// Handles the close of a descriptor: errors reach close(2). May come several times, or never.
    func flush(_ handle: FileHandle, for caller: Caller) throws(OperationFailure)
    /// Puts a file on stable storage.
    func fsync(_ handle: FileHandle, for caller: Caller) throws(OperationFailure)
    /// Handles the close of the last descriptor. An error would reach no program.
    func release(_ handle: FileHandle)
    /// Allocates, punches or zeroes a range, according to fallocate(2)'s mode.
    func fallocate(
        _ handle: FileHandle,
        mode: Int32,
        offset: Int64,
        length: Int64,
        for caller: Caller
    ) throws(OperationFailure)
    /// Copies a part of one file to another, as copy_file_range(2); returns the number of bytes.
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

    /// Returns the condition that the opening of a directory waits for before its first attempt, because it
    /// may take long; nil for none.
    ///
    /// Lookups and listings must not wait: the kernel holds the directory's lock meanwhile, which other
    /// requests need.
    func waitBeforeOpening(_ inode: InodeNumber, for caller: Caller) -> RequestWait?
    /// Opens a directory.
    func opendir(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> Opened
    /// Lists names from a cookie on, 0 being the start; slow work was done by `opendir`.
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

    /// Returns the condition that the setting of an attribute waits for, because it may take long; nil for
    /// none.
    func waitBeforeSetting(_ name: Name, for caller: Caller) -> RequestWait?
    /// Sets an extended attribute; `flags` are setxattr(2)'s.
    func setxattr(
        _ inode: InodeNumber,
        name: Name,
        value: [UInt8],
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure)
    /// Returns the condition that the reading of an attribute waits for, if its value is not known yet; nil
    /// for none.
    func waitBeforeReading(_ name: Name, of inode: InodeNumber, for caller: Caller) -> RequestWait?
    /// Reads an extended attribute.
    func getxattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) -> [UInt8]
    /// Returns the names of the extended attributes.
    func listxattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [[UInt8]]
    /// Returns the flags of chattr(1), in the form of FS_IOC_GETFLAGS.
    func flags(of inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> UInt32
    /// Sets all flags of chattr(1); the kernel has checked the caller's permission.
    func setFlags(of inode: InodeNumber, to flags: UInt32, for caller: Caller) throws(OperationFailure)
    /// Removes an extended attribute.
    func removexattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure)
}
