public import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import LibraryStorage
internal import Synchronization

/// Answers kernel operations from a library.
///
/// Contains no rule of the product: those belong to `AssetLibrary`.
public final class AssetFilesystem: Filesystem {
    /// The view at the root of the mount.
    public enum RootView: String, Sendable, CaseIterable {
        /// `folders/` and the other views.
        case all
        /// The entries of `folders/`, and nothing else.
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
    /// Files whose names other files got before watchers were notified of the loss.
    let overtaken = Mutex<[Alias: NodeRecord]>([:])
    let displacedNames = DisplacedNames()
    /// A name in a view, by which the kernel may know a node.
    struct Alias: Hashable {
        let view: NodeID
        let name: [UInt8]
    }
    let aliases = Mutex<[NodeID: Set<Alias>]>([:])
    /// The files that threads have looked up last by their assets' numbers.
    let viewLookups = Mutex<[Int32: (node: NodeID, folder: NodeID, name: EntryName)]>([:])
    let signedPaths = SignedPaths()
    let openShares = AssetFilesystem.openShares()
    /// The user of the last refused open, and the time until which refusals are not logged again.
    let lastOpenRefusal = Mutex<(uid: UInt32, until: ContinuousClock.Instant)>((0, .now))
    let listShares = AssetFilesystem.listShares()
    let queries = Numbering()
    /// The program that last opened a file for reading.
    let lastProgram = Mutex<(pid: Int32, name: String?, until: ContinuousClock.Instant)>((0, nil, .now))
    /// The owner and times of the views.
    let owner = (uid: getuid(), gid: getgid())
    let mounted = Timestamp.now

    /// The time for which the kernel may cache names and attributes: every change comes through the kernel,
    /// or the kernel is notified.
    static let lifetime = Duration.seconds(3600)

    /// The process that corrects cached names.
    let agent: NotificationAgent?

    /// Serves a library; without the absolute path of the mountpoint the kernel is notified of no names.
    ///
    /// `accessTimes` decides when a read changes a file's time of access, `isSynchronous` whether each write
    /// waits for the disk.
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

    /// Keeps the channel for notifications to the kernel, and starts the agent.
    public func start(_ kernel: Kernel) {
        self.kernel.withLock { $0 = kernel }
        agent?.start()
        library.observe(self)
    }

    /// The time for which the kernel may cache the absence of a name: it is notified of each new name.
    public var missingNameLifetime: Duration { Self.lifetime }

    /// Returns the kernel's number of a node.
    func inode(_ id: NodeID) -> InodeNumber { id == .folders && rootView == .folders ? .root : id.inode }

    /// Returns the node of an inode number: the same number, except for the root, which is always 1 for the
    /// kernel.
    func node(_ inode: InodeNumber) -> NodeID {
        inode == .root && rootView == .folders ? .folders : NodeID(inode)
    }

    /// Returns a node's record with the state of an upload in progress.
    func record(_ id: NodeID) throws(OperationFailure) -> NodeRecord {
        let count = library.verdictCount
        guard let record = try reading({ try $0.node(id) }) else { throw OperationFailure(LibraryError.notFound) }
        return try overlaid(record, readAt: count)
    }

    /// Returns a record with the size and times of an open upload.
    ///
    /// `count` is `verdictCount` from before the record was read: a file that was written to and closed since
    /// is read again, or the kernel would cache the former values.
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
