/// The kernel's number for a file or directory of this session.
///
/// The kernel counts its references to a number: every `Entry` in an answer (lookup, create, mkdir, mknod,
/// symlink, link, and each entry of readdirplus) adds one, and FORGET subtracts some. Until the count is zero
/// the number must stay valid, even after the last name is removed.
public struct InodeNumber: RawRepresentable, Hashable, Sendable {
    /// The kernel's number.
    public let rawValue: UInt64
    /// Wraps a number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The root of the mount, which the kernel never looks up and never forgets.
    public static let root = InodeNumber(rawValue: 1)
}

/// A number of references to an inode that the kernel has released.
public struct Forgotten: Sendable {
    /// The inode.
    public let inode: InodeNumber
    /// The number of references.
    public let count: UInt64

    /// Creates a count.
    public init(inode: InodeNumber, count: UInt64) {
        self.inode = inode
        self.count = count
    }
}
