public import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import Synchronization

/// Answers kernel operations from a library.
///
/// Holds no rule of the product: those are `AssetLibrary`'s.
public final class AssetFilesystem: Filesystem {
    /// What the root of the mount shows.
    public enum RootView: String, Sendable, CaseIterable {
        /// `folders/` and the other views.
        case all
        /// What is in `folders/`, and nothing else.
        case folders
    }

    let library: AssetLibrary
    let rootView: RootView
    let accessTimes: AccessTimeRule
    /// Whether each write waits for the disk: the option `sync` of the mount.
    let isSynchronous: Bool
    let lookupCounts = LookupCounts()
    let kernel = Mutex<Kernel?>(nil)
    let detours = Detours()
    let resourceLookups = ResourceLookups()
    let secondLooks = SecondLooks()
    let staleNames = StaleNames()
    let backlog = Backlog()
    /// Files whose names others have got before watchers were told that they are gone.
    let overtaken = Mutex<[Alias: NodeRecord]>([:])
    let displacedNames = DisplacedNames()
    /// Names that are not folders' own, by which the kernel may know a node.
    struct Alias: Hashable {
        let view: NodeID
        let name: [UInt8]
    }
    let aliases = Mutex<[NodeID: Set<Alias>]>([:])
    /// Files that threads have looked up last by their assets' numbers.
    let viewLookups = Mutex<[Int32: (node: NodeID, folder: NodeID, name: EntryName)]>([:])
    let signedPaths = SignedPaths()
    let openShares = AssetFilesystem.openShares()
    /// Who was refused an open last, and until when that is not logged again.
    let lastOpenRefusal = Mutex<(uid: UInt32, until: ContinuousClock.Instant)>((0, .now))
    let listShares = AssetFilesystem.listShares()
    let queries = Numbering()
    /// The program that has last opened a file to read it.
    let lastProgram = Mutex<(pid: Int32, name: String?, until: ContinuousClock.Instant)>((0, nil, .now))
    /// What the views show as owner and times.
    let owner = (uid: getuid(), gid: getgid())
    let mounted = Timestamp.now

    /// Names and attributes may be kept for long: whatever changes them comes through the kernel, or we tell it.
    static let lifetime = Duration.seconds(3600)

    /// The process that puts cached names right.
    let agent: NotificationAgent?

    /// Shows a library; without the absolute path of the mountpoint the kernel is told of no names.
    ///
    /// `accessTimes` says when reading moves a file's time of access, `isSynchronous` whether each write waits for the disk.
    public init(
        _ library: AssetLibrary,
        rootView: RootView,
        mountpoint: [UInt8]? = nil,
        accessTimes: AccessTimeRule = .relative,
        isSynchronous: Bool = false
    ) {
        self.library = library
        self.accessTimes = accessTimes
        self.isSynchronous = isSynchronous
        self.rootView = rootView
        agent = mountpoint.map { NotificationAgent(mountpoint: $0, log: library.log) }
    }

    /// Keeps what the kernel can be told through.
    public func start(_ kernel: Kernel) {
        self.kernel.withLock { $0 = kernel }
        agent?.start()
        library.observe(self)
    }

    /// A name is made known to the kernel when it comes to be, so that it may remember its absence as long.
    public var missingNameLifetime: Duration { Self.lifetime }

    /// The number that the kernel has for a node.
    func inode(_ id: NodeID) -> InodeNumber { id == .folders && rootView == .folders ? .root : id.inode }

    /// The node behind an inode number: the same number, but for the root, which the kernel always calls 1.
    func node(_ inode: InodeNumber) -> NodeID {
        inode == .root && rootView == .folders ? .folders : NodeID(inode)
    }

    /// A node's record with what is being written to it.
    func record(_ id: NodeID) throws(OperationFailure) -> NodeRecord {
        let count = library.verdictCount
        guard let record = try reading({ try $0.node(id) }) else { throw OperationFailure(LibraryError.notFound) }
        return try overlaid(record, readAt: count)
    }

    /// A record with what is being written to the file.
    ///
    /// `count` is `verdictCount` from before the record was read: a file that was written to and closed since is read again, or the
    /// kernel would keep what it was before.
    func overlaid(_ record: NodeRecord, readAt count: Int) throws(OperationFailure) -> NodeRecord {
        guard record.isFile else { return record }
        guard let open = library.openState(of: record.id) else {
            return library.verdictCount == count ? record : try self.record(record.id)
        }
        var record = record
        record.size = open.size
        if let blocks = open.blocks { record.blocks = blocks }
        if let modified = open.modified {
            record.modified = modified
            record.changed = max(record.changed, modified)
        }
        return record
    }

    func reading<Value>(_ body: (Records) throws -> Value) throws(OperationFailure) -> Value {
        try refusing { () throws(LibraryError) in try library.read(body) }
    }
}

extension NodeID {
    init(_ inode: InodeNumber) { self.init(rawValue: Int64(bitPattern: inode.rawValue)) }
    var inode: InodeNumber { InodeNumber(rawValue: UInt64(bitPattern: rawValue)) }
}
