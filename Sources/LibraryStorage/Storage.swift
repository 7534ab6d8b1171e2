public import AssetModel
public import BlobStore
public import Catalog
public import Logging

/// A library on disk: the catalog's rows and the blobs' bytes, made durable in groups.
///
/// Every other part of an open library uses it; it knows none of them.
///
/// ## Concurrency
/// Every method may be called from any thread; `LockRank` has the order of locks.
public final class Storage: Sendable {
    /// The library's folder, which this holds locked.
    public let directory: LibraryDirectory
    /// The rows.
    public let catalog: Catalog
    /// The bytes.
    public let blobs: BlobStore
    /// The blobs by their names.
    public let contents: ContentStore
    /// The blobs that may not be removed, and those that are being removed.
    public let blobPins = BlobPins()
    /// The part of the disk that uploads may not use.
    public let space: SpaceReserve
    /// Makes changes durable.
    public let groupCommit: GroupCommit
    /// The clock for expiry.
    public let clock: ExpiryClock
    /// How busy the mount is.
    public let activity: Activity
    /// Is set when the library is being closed.
    public let isClosing = CancellationFlag()
    /// The log of errors that no request waits for.
    public let log: Logger
    /// The counts and debug lines for operators.
    public let diagnosis: Diagnosis
    private let committer: BackgroundWorker

    /// How long a change waits for others before all are committed: with the commit less than a second.
    private static let commitDelay = Duration.milliseconds(500)

    /// Opens the catalog and the blobs in a library's folder, and creates both in a new one.
    ///
    /// `time` is the time for expiry.
    /// - Throws: `CatalogError` or `BlobStoreError`.
    public init(
        in directory: LibraryDirectory,
        log: Logger,
        activity: Activity,
        time: @escaping @Sendable () -> Timestamp
    ) throws {
        self.directory = directory
        self.log = log
        diagnosis = Diagnosis(log)
        self.activity = activity
        clock = ExpiryClock(time)
        let committer = BackgroundWorker()
        self.committer = committer
        blobs = try BlobStore(at: directory.path)
        let reserve = SpaceReserve.part(of: try blobs.statistics())
        catalog = try Catalog(path: directory.catalogPath, isExpected: !directory.isNew, reserve: reserve) {
            committer.wake()
        }
        contents = ContentStore(blobs)
        space = SpaceReserve(blobs: blobs, catalog: catalog)
        groupCommit = GroupCommit(catalog: catalog, blobs: blobs, log: log, diagnosis)
        groupCommit.whenCommitted.set { directory.note($0) }
    }

    /// Runs `body` on the records; its errors become a `LibraryError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do { return try catalog.read(body) } catch { throw LibraryError(error) }
    }

    /// Runs `body`, which checks before it changes, on the records; its errors become a `LibraryError`.
    ///
    /// `apply` is called with the result behind it: the effects on memory.
    public func write<Value>(
        _ body: (Records) throws -> Value,
        then apply: (Value) -> Void = { _ in }
    ) throws(LibraryError) -> Value {
        do { return try catalog.write(body, then: apply) } catch { throw LibraryError(error) }
    }

    /// Returns when every change that was acknowledged before the call is on stable storage.
    ///
    /// `copy` is advanced by a step, also where nothing was changed.
    public func commit(advancing copy: CatalogCopy? = nil) throws(LibraryError) {
        try groupCommit.commit(advancing: copy)
    }

    /// Requests a commit soon, for a change that the catalog does not see.
    public func commitSoon() { committer.wake() }

    /// Starts the thread that commits soon after each change, by `commit`.
    ///
    /// Where the disk fails, the thread tries again; every other failure is logged by `commit`, and every
    /// later operation fails with it again.
    public func startCommitting(by commit: @escaping @Sendable () throws(LibraryError) -> Void) {
        let committer = committer
        committer.start(delay: Self.commitDelay) {
            do throws(LibraryError) { try commit() } catch {
                if error.isOfDisk { committer.wake() }
            }
        }
    }

    /// Stops that thread after a running commit.
    public func stopCommitting() { committer.stop() }
}
