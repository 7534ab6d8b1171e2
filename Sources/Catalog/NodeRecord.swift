public import AssetModel

/// A POSIX object as the catalog records it.
public struct NodeRecord: Sendable {
    /// Its number.
    public var id: NodeID
    /// `st_mode`: type and permissions.
    public var mode: UInt32
    /// Names of a file; for a folder 2 and its subfolders.
    public var links: Int64
    /// Owner.
    public var uid: UInt32
    /// Group.
    public var gid: UInt32
    /// Number of a device node.
    public var device: UInt64 = 0
    /// Bytes of a file's content.
    public var size: Int64 = 0
    /// Blocks of 512 bytes that the content takes on the disk.
    public var blocks: Int64 = 0
    /// A file's content; nil when it is empty.
    public var blob: BlobID?
    /// The asset that a file shows.
    public var asset: AssetID?
    /// Whether the asset is another file's, which had the content first.
    public var isDuplicate: Bool { formerAsset != nil }
    /// The asset that such a file showed before, or 0 where it had none; nil where the asset is its own.
    public var formerAsset: AssetID?
    /// Last access.
    public var accessed: Timestamp
    /// Last change of the content.
    public var modified: Timestamp
    /// Last change of content or attributes.
    public var changed: Timestamp
    /// When it was made.
    public var born: Timestamp
    /// A symbolic link's target.
    public var target: [UInt8] = []
    /// Who may see a file; nil where nothing is said.
    public var access: Access?
    /// Whether nobody has said that but a folder: what somebody says of the asset that the file comes to show wins over it.
    public var isAccessInherited = false
    /// Whether a user has put it into a folder who neither owned it nor was root.
    public var isPlacedByOther = false
    /// When a file goes by itself; nil where it stays.
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

    /// The mode that holds: of a private file, group and others have nothing.
    public var effectiveMode: UInt32 { access?.isPrivate == true ? mode & ~0o077 : mode }

    /// The permission bits of the one class, owner, group or others, that somebody is of.
    public func permissions(of uid: UInt32, isMember: (_ group: UInt32) -> Bool) -> UInt32 {
        effectiveMode >> (uid == self.uid ? 6 : isMember(gid) ? 3 : 0) & 7
    }

    /// Whether a file's time has come.
    ///
    /// `now` is asked for only where there is an end.
    public func isExpired(at now: @autoclosure () -> Timestamp) -> Bool { expires.map { $0 <= now() } ?? false }

    /// Whether a user is shown a file in no list: one that is hidden, but for its owner and root.
    public func isHidden(from user: UInt32) -> Bool { access?.isHidden == true && user != 0 && user != uid }

    /// Whether it is a folder.
    public var isFolder: Bool { mode & 0o170000 == 0o040000 }
    /// Whether it is a regular file.
    public var isFile: Bool { mode & 0o170000 == 0o100000 }
    /// Whether it is a symbolic link.
    public var isSymbolicLink: Bool { mode & 0o170000 == 0o120000 }
}

/// A name in a folder, and what it names.
public struct EntryRecord: Sendable {
    /// Where a listing goes on behind this entry; grows from entry to entry and never changes.
    public let cookie: Int64
    /// The name's bytes.
    public let name: [UInt8]
    /// What it names.
    public let node: NodeRecord
}
