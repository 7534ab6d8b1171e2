internal import CFuse

/// A name's answer: the inode behind it and how long the kernel may believe it.
public struct Entry: Sendable {
    /// The inode's attributes, its number among them.
    public var attributes: Attributes
    /// How long the kernel may keep the name.
    public var nameLifetime: Duration
    /// How long the kernel may keep the attributes.
    public var attributesLifetime: Duration

    /// Answers a name.
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

    /// ENOENT that the kernel may keep: inode number 0 with a lifetime.
    static func missing(for lifetime: Duration) -> fuse_entry_param {
        var result = fuse_entry_param()
        result.entry_timeout = lifetime.seconds
        return result
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// An open file or directory and how the kernel is to treat it.
public struct Opened {
    /// What the session hands back with every request.
    public let handle: FileHandle
    /// Reads and writes come to the server as the program makes them, past the page cache.
    public var isDirect = false
    /// The page cache of earlier opens (for a directory: its cached listing) is still right.
    public var keepsCache = false
    /// close(2) needs no FLUSH: nothing can be written through this handle.
    public var needsNoFlush = false
    /// The file that the kernel reads, and maps, instead of asking the server.
    public var backing: BackingFile?

    /// Answers an open with the filesystem's object for it.
    public init(_ object: any AnyObject & Sendable) { handle = FileHandle(object) }
}
