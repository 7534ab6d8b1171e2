internal import AssetModel
internal import BlobStore
public import Catalog
public import Logging
internal import Synchronization

/// An open library: the tree, the assets and the upload pipeline, without a kernel.
///
/// ## Concurrency
/// Every method may be called from any thread. Lock order: `OpenNode.upload` → `sharedBlobs` → `openNodes` → `OpenNode.shown`,
/// `boundBlobs`; then the catalog, which takes none of ours. `waiting`, `settler` and `committer` are held for a moment only.
public final class AssetLibrary: Sendable {
    /// The records.
    ///
    /// `AssetFilesystem` reads them; changes go through this type.
    public let catalog: Catalog
    let blobs: BlobStore
    /// Where what nobody waits for is told.
    public let log: Logger
    let space: SpaceReserve
    let openNodes = Mutex<[NodeID: (node: OpenNode, handles: Int)]>([:])
    /// Blobs that an open node is bound to.
    let boundBlobs = Mutex<Set<Digest>>([])
    /// Held while a blob's name goes to another file, and by those who read a bound blob by its name.
    let sharedBlobs = Mutex<Void>(())
    let nameClasses = NameClasses()
    let vacancies: Vacancies
    let kernelAttributes: KernelAttributes
    private let verdicts = Atomic(0)
    /// Files whose verdict waits, and since when; each is kept open.
    let waiting = Mutex<[NodeID: Waiting]>([:])
    let settler = Mutex<BackgroundThread?>(nil)
    private let layout: LibraryLayout
    private let groupCommit: GroupCommit
    private let committer: Mutex<BackgroundThread?>
    private let wake: Wake

    /// How long a change waits for others before all are committed; with the commit itself that is less than a second.
    private static let commitDelay = Duration.milliseconds(500)

    /// Opens a library and makes it if there is none; finishes or clears what a crash left.
    ///
    /// `saving` is how long a name that was given up keeps its asset for a file that takes the name again.
    public init(at path: String, log: Logger, saving: Duration = .seconds(15)) throws(OpenLibraryError) {
        self.log = log
        vacancies = Vacancies(window: saving)
        let layout = try LibraryLayout(path: path)
        self.layout = layout
        let wake = Wake()
        self.wake = wake
        do {
            blobs = try BlobStore(at: path)
            catalog = try Catalog(path: layout.catalogPath) { wake.call() }
            space = SpaceReserve(blobs: blobs)
            groupCommit = GroupCommit(catalog: catalog, blobs: blobs, log: log)
            committer = Mutex(nil)
            kernelAttributes = try catalog.read { try KernelAttributes($0) }
            try makeFoldersNode()
            try groupCommit.commit()
            try layout.finish()
            try recover()
        } catch {
            layout.abandon()
            switch error {
            case let error as OpenLibraryError: throw error
            case BlobStoreError.noSpace: throw .noSpace(path: path)
            case let error as CatalogError where error.isNoSpace: throw .noSpace(path: path)
            case LibraryError.noSpace: throw .noSpace(path: path)
            default: throw .failed(path: path, reason: "\(error)")
            }
        }
        let thread = BackgroundThread(delay: Self.commitDelay) { [weak self] in
            // Its failure is logged, and every later operation meets it again.
            try? self?.commitInBackground()
        }
        committer.withLock { $0 = thread }
        settler.withLock { $0 = BackgroundThread(delay: .seconds(1)) { [weak self] in self?.settleWaiting() } }
        wake.set(thread)
    }

    /// The library's folder.
    public var path: String { layout.path }

    /// Returns when everything that was acknowledged before the call is on stable storage.
    public func commit() throws(LibraryError) { try groupCommit.commit() }

    /// Grows with each verdict: who has read a record, and finds the file open no more, has to read again if this has grown.
    public var verdictCount: Int { verdicts.load(ordering: .acquiring) }

    func noteVerdict() { verdicts.wrappingAdd(1, ordering: .releasing) }

    /// Asks for a commit soon, for a change that the catalog does not see.
    func commitSoon() { wake.call() }

    private func commitInBackground() throws(LibraryError) {
        recordUnfinishedUploads()
        try groupCommit.commit()
    }

    /// Ends all uploads, makes everything durable and lets go of the library.
    public func close() throws(LibraryError) {
        for thread in [settler.withLock { $0.take() }, committer.withLock { $0.take() }] { thread?.stop() }
        for entry in openNodes.withLock({ Array($0.values) }) {
            do throws(LibraryError) {
                try finish(entry.node)
                // What is equal to a blob, or has lost its name, served its handles, and goes with them.
                entry.node.upload.withLock { $0.staged = nil }
            } catch {
                log.error(
                    "The upload to node \(entry.node.id) could not be ended; the next mount tries again: \(error)"
                )
                keepForNextMount(entry.node)
            }
        }
        try groupCommit.commit()
        do { try catalog.close() } catch { throw LibraryError(error) }
    }

    /// Lets go of the library before it was used; one that this opening made is taken back.
    public func abandon() throws(LibraryError) {
        try close()
        layout.abandon()
    }

    private func makeFoldersNode() throws {
        try catalog.write { records in
            guard try records.node(.folders) == nil else { return }
            var root = NodeRecord(mode: 0o040755, uid: UInt32(getuid()), gid: UInt32(getgid()), now: .now)
            root.id = .folders
            _ = try records.insert(root)
        }
    }

    /// Runs `body` on the records; what it throws becomes a `LibraryError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do { return try catalog.read(body) } catch { throw LibraryError(error) }
    }

    /// Runs `body`, which checks before it changes, on the records; what it throws becomes a `LibraryError`.
    func write<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do { return try catalog.write(body) } catch { throw LibraryError(error) }
    }
}

/// Wakes the committing thread, which begins after the catalog has been opened, and with it the first change made.
private final class Wake: Sendable {
    // A thread and not a closure: each `withLock` on a closure wraps it in one more thunk.
    private let thread = Mutex<BackgroundThread?>(nil)
    func set(_ new: BackgroundThread) { thread.withLock { $0 = new } }
    func call() { thread.withLock { $0 }?.wake() }
}

internal import Glibc
