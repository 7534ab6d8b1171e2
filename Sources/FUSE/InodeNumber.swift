/// The kernel's number for a file or directory of this session.
///
/// The kernel counts its references to a number: every `Entry` in an answer (lookup, create, mkdir, mknod, symlink, link,
/// and each entry of readdirplus) adds one, and FORGET takes some away. Until the count is zero the number must stay valid,
/// also when the last name is gone.
public struct InodeNumber: RawRepresentable, Hashable, Sendable {
    /// The number as the kernel knows it.
    public let rawValue: UInt64
    /// Wraps a number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The root of the mount, which the kernel never looks up and never forgets.
    public static let root = InodeNumber(rawValue: 1)
}

/// How many references to an inode the kernel gave up.
public struct Forgotten: Sendable {
    /// The inode.
    public let inode: InodeNumber
    /// How many references.
    public let count: UInt64

    /// Names references.
    public init(inode: InodeNumber, count: UInt64) {
        self.inode = inode
        self.count = count
    }
}
