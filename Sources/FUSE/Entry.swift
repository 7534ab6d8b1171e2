internal import CFuse

/// The answer to a lookup: the inode, and the time that the kernel may cache it.
public struct Entry: Sendable {
    /// The inode's attributes, its number among them.
    public var attributes: Attributes
    /// The time that the kernel may cache the name.
    public var nameLifetime: Duration
    /// The time that the kernel may cache the attributes.
    public var attributesLifetime: Duration

    /// Creates an entry.
    public init(attributes: Attributes, nameLifetime: Duration, attributesLifetime: Duration) {
        self.attributes = attributes
        self.nameLifetime = nameLifetime
        self.attributesLifetime = attributesLifetime
    }

    var asParameter: fuse_entry_param {
        var result = fuse_entry_param()
        result.ino = attributes.inode.rawValue
        result.attr = attributes.asStat
        result.entry_timeout = nameLifetime.seconds
        result.attr_timeout = attributesLifetime.seconds
        return result
    }

    /// Returns an ENOENT that the kernel may cache: inode number 0 with a lifetime.
    static func missing(for lifetime: Duration) -> fuse_entry_param {
        var result = fuse_entry_param()
        result.entry_timeout = lifetime.seconds
        return result
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// An open file or directory, and its treatment by the kernel.
public struct Opened {
    /// The handle, which the session passes with every later request.
    public let handle: FileHandle
    /// Whether reads and writes bypass the page cache and reach the server as the program makes them.
    public var isDirect = false
    /// Whether the page cache of earlier opens (for a directory: its cached listing) is still valid.
    public var keepsCache = false
    /// Whether close(2) needs no FLUSH, because nothing can be written through this handle.
    public var needsNoFlush = false
    /// The file that the kernel reads, and maps, instead of sending requests.
    public var backing: BackingFile?

    /// Creates an answer with the filesystem's object for the open file.
    public init(_ object: any AnyObject & Sendable) { handle = FileHandle(object) }
}
