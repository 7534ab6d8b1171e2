internal import CFuse
internal import Glibc

/// The attributes of an inode, as stat(2) shows them.
public struct Attributes: Sendable {
    /// `st_ino`.
    public var inode: InodeNumber
    /// The inode number for stat(2), if it differs.
    public var shownInode: InodeNumber?
    /// File type and permission bits.
    public var mode: UInt32
    /// Number of names.
    public var linkCount: UInt32
    /// Owner.
    public var uid: UInt32
    /// Group.
    public var gid: UInt32
    /// Device number of a device node.
    public var device: UInt64 = 0
    /// Size in bytes.
    public var size: Int64
    /// Allocated blocks of 512 bytes.
    public var blocks: Int64
    /// Last access, in nanoseconds since 1970.
    public var accessed: Int64
    /// Last modification of the content, in nanoseconds since 1970.
    public var modified: Int64
    /// Last change of content or attributes, in nanoseconds since 1970.
    public var changed: Int64

    /// The time of creation, in nanoseconds since 1970; nil if unknown.
    public var born: Int64?

    /// Creates attributes.
    public init(
        inode: InodeNumber,
        mode: UInt32,
        linkCount: UInt32,
        uid: UInt32,
        gid: UInt32,
        size: Int64,
        blocks: Int64,
        accessed: Int64,
        modified: Int64,
        changed: Int64
    ) {
        self.inode = inode
        self.mode = mode
        self.linkCount = linkCount
        self.uid = uid
        self.gid = gid
        self.size = size
        self.blocks = blocks
        self.accessed = accessed
        self.modified = modified
        self.changed = changed
    }

    var asStat: stat {
        var result = stat()
        result.st_ino = UInt((shownInode ?? inode).rawValue)
        result.st_mode = mode
        result.st_nlink = UInt(linkCount)
        result.st_uid = uid
        result.st_gid = gid
        result.st_rdev = UInt(device)
        result.st_size = Int(size)
        result.st_blocks = Int(blocks)
        result.st_blksize = 4096
        result.st_atim = timespec(nanoseconds: accessed)
        result.st_mtim = timespec(nanoseconds: modified)
        result.st_ctim = timespec(nanoseconds: changed)
        return result
    }
}

/// The changes of setattr; nil leaves a value unchanged.
public struct AttributeChanges: Sendable {
    /// A new time: the server's present, or one chosen by the caller.
    public enum Time: Sendable {
        /// `UTIME_NOW`.
        case now
        /// Nanoseconds since 1970.
        case at(Int64)
    }
    /// Permission bits, with set-id and sticky bits.
    public var mode: UInt32?
    /// Owner.
    public var uid: UInt32?
    /// Group.
    public var gid: UInt32?
    /// New size in bytes (truncate).
    public var size: Int64?
    /// Last access.
    public var accessed: Time?
    /// Last modification.
    public var modified: Time?

    init(_ attributes: stat, toSet: Int32) {
        func has(_ flag: Int32) -> Bool { toSet & flag != 0 }
        if has(FUSE_SET_ATTR_MODE) { mode = attributes.st_mode & 0o7777 }
        if has(FUSE_SET_ATTR_UID) { uid = attributes.st_uid }
        if has(FUSE_SET_ATTR_GID) { gid = attributes.st_gid }
        if has(FUSE_SET_ATTR_SIZE) { size = Int64(attributes.st_size) }
        if has(FUSE_SET_ATTR_ATIME) {
            accessed = has(FUSE_SET_ATTR_ATIME_NOW) ? .now : .at(attributes.st_atim.nanoseconds)
        }
        if has(FUSE_SET_ATTR_MTIME) {
            modified = has(FUSE_SET_ATTR_MTIME_NOW) ? .now : .at(attributes.st_mtim.nanoseconds)
        }
    }
}

extension timespec {
    init(nanoseconds: Int64) {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        // tv_nsec is never negative: half a second before 1970 is -1 s and 500,000,000 ns.
        self =
            rest < 0
            ? timespec(tv_sec: Int(seconds) - 1, tv_nsec: Int(rest) + 1_000_000_000)
            : timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
    }

    /// The time in nanoseconds, clamped to 64 bits, the years 1677 to 2262, as ext4 clamps to its own range.
    fileprivate var nanoseconds: Int64 {
        let (product, overflow) = Int64(tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = product.addingReportingOverflow(Int64(tv_nsec))
        return overflow || overflow2 ? (tv_sec < 0 ? .min : .max) : sum
    }
}
