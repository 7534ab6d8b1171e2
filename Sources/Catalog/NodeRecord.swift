public import AssetModel

/// A POSIX object as the catalog records it.
public struct NodeRecord: Sendable {
    /// The node's number.
    public var id: NodeID
    /// `st_mode`: type and permissions.
    public var mode: UInt32
    /// The number of a file's names; for a folder, 2 plus the number of its subfolders.
    public var links: Int64
    /// Owner.
    public var uid: UInt32
    /// Group.
    public var gid: UInt32
    /// Number of a device node.
    public var device: UInt64 = 0
    /// The number of bytes of a file's content.
    public var size: Int64 = 0
    /// The number of blocks of 512 bytes that the content takes on the disk.
    public var blocks: Int64 = 0
    /// The blob of a file's content; nil when it is empty.
    public var blob: BlobID?
    /// The asset that a file shows.
    public var asset: AssetID?
    /// Whether the asset belongs to another file that had the content first.
    public var isDuplicate: Bool { formerAsset != nil }
    /// The asset that such a duplicate showed before, or 0 where it had none; nil where the asset is its own.
    public var formerAsset: AssetID?
    /// Last access.
    public var accessed: Timestamp
    /// Last change of the content.
    public var modified: Timestamp
    /// Last change of content or attributes.
    public var changed: Timestamp
    /// The time of creation.
    public var born: Timestamp
    /// A symbolic link's target.
    public var target: [UInt8] = []
    /// The access level of a file; nil where none is set.
    public var access: Access?
    /// Whether the access level comes from a folder alone: a level that a user has set on the asset that the
    /// file comes to show takes precedence.
    public var isAccessInherited = false
    /// Whether a user other than its owner and root has put it into its folder.
    public var isPlacedByOther = false
    /// The time at which a file expires; nil where it does not.
    public var expires: Timestamp?

    /// Describes a new object, all of whose times are `now`.
    public init(mode: UInt32, uid: UInt32, gid: UInt32, now: Timestamp) {
        id = NodeID(rawValue: 0)
        self.mode = mode
        links = 1
        self.uid = uid
        self.gid = gid
        accessed = now
        modified = now
        changed = now
        born = now
        links = isFolder ? 2 : 1
    }

    /// The mode in effect: group and others have no rights to a private file.
    public var effectiveMode: UInt32 { access?.isPrivate == true ? mode & ~0o077 : mode }

    /// Returns the permission bits of a user's class: owner, group or others.
    public func permissions(of uid: UInt32, isMember: (_ group: UInt32) -> Bool) -> UInt32 {
        effectiveMode >> (uid == self.uid ? 6 : isMember(gid) ? 3 : 0) & 7
    }

    /// Returns whether a file has expired.
    ///
    /// `now` is evaluated only if the file has an expiry.
    public func isExpired(at now: @autoclosure () -> Timestamp) -> Bool { expires.map { $0 <= now() } ?? false }

    /// Returns whether listings leave a file out for a user: a hidden file is listed only for its owner and
    /// root.
    public func isHidden(from user: UInt32) -> Bool { access?.isHidden == true && user != 0 && user != uid }

    /// Whether it is a folder.
    public var isFolder: Bool { mode & 0o170000 == 0o040000 }
    /// Whether it is a regular file.
    public var isFile: Bool { mode & 0o170000 == 0o100000 }
    /// Whether it is a symbolic link.
    public var isSymbolicLink: Bool { mode & 0o170000 == 0o120000 }
}

/// A name in a folder, and its node.
public struct EntryRecord: Sendable {
    /// The position from which a listing continues behind this entry; it grows from entry to entry and never
    /// changes.
    public let cookie: Int64
    /// The name's bytes.
    public let name: [UInt8]
    /// The node that the name leads to.
    public let node: NodeRecord
}
