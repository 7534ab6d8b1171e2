internal import AssetModel
internal import BlobStore
public import Catalog
internal import Logging
internal import Synchronization
internal import SystemPackage

/// Makes changes durable, for many operations at once: bytes first, then the rows that name them.
///
/// ## Concurrency
/// `turn` is held for a whole commit: a thread that calls during a commit waits for it, and then finds
/// nothing left to do, or commits for all threads that called meanwhile. The calling thread may hold no lock
/// of an `OpenNode`; `fsync` releases it before the call.
public final class GroupCommit: Sendable {
    private struct State {
        /// The failure after which nothing is committed any more, if there was one.
        var failure: LibraryError?
        /// Whether the disk did not take the last commit.
        var isWaiting = false
    }

    private let catalog: Catalog
    private let blobs: BlobStore
    private let log: Logger
    private let diagnosis: Diagnosis
    private let turn = RankedMutex(.groupCommit, State())
    /// Called when a transaction is committed.
    let whenCommitted = Hook<CommitMark?, Void>()
    /// Called when the disk has taken a commit that it did not take before.
    public let whenAgain = Hook<Void, Void>()
    /// The folders that were closed to users since the last commit.
    public let closings = Closings()

    init(catalog: Catalog, blobs: BlobStore, log: Logger, _ diagnosis: Diagnosis) {
        self.catalog = catalog
        self.blobs = blobs
        self.log = log
        self.diagnosis = diagnosis
    }

    /// Returns when all changes that were acknowledged before the call are on stable storage.
    ///
    /// After ENOSPC or an I/O error a later call has to try again, and changes are refused until one has
    /// succeeded; after a lack of descriptors they are not refused. After a failure of the catalog itself
    /// nothing is committed until the library is opened again.
    ///
    /// `copy` is advanced by a step between two transactions, also where nothing was changed.
    public func commit(advancing copy: CatalogCopy? = nil) throws(LibraryError) {
        let outcome: LibraryError? = turn.withLock { state in
            guard state.failure == nil else { return state.failure }
            do {
                var lost: [Digest] = []
                try blobs.removingRetiredNames {
                    guard catalog.hasChanges || copy != nil else { return }
                    let (closed, began) = (closings.mark(), diagnosis.beginCommit())
                    try blobs.beginMakingDurable()
                    let changes = try catalog.commit(advancing: copy) { lost = try blobs.makeDurable() }
                    if changes > 0 { diagnosis.noteCommit(of: changes, since: began) }
                    closings.forget(upTo: closed)
                    whenCommitted(catalog.lastCommit)
                }
                for digest in lost {
                    log.error(
                        "The disk has not kept blob \(digest), whose sync had failed; copy the same content in again."
                    )
                }
                if state.isWaiting {
                    state.isWaiting = false
                    whenAgain()
                }
                return nil
            } catch {
                let error = LibraryError(error)
                guard error.isOfDisk else {
                    log.error("Nothing more can be made durable; mount the library again: \(error)")
                    state.failure = error
                    catalog.stop(reason: "\(error)")
                    return error
                }
                if !error.isOfDescriptors { catalog.refuseChanges(isFull: error.isNoSpace) }
                if !state.isWaiting {
                    log.error("What was changed last is not on the disk yet, and nothing can be changed: \(error)")
                    state.isWaiting = true
                }
                return error
            }
        }
        if let outcome { throw outcome }
    }
}

extension LibraryError {
    /// Whether the disk has no room.
    fileprivate var isNoSpace: Bool {
        if case .noSpace = self { true } else { false }
    }

    /// Whether there are too few descriptors, so that the state of the disk is unknown.
    fileprivate var isOfDescriptors: Bool {
        switch self {
        case .blobs(.io(.tooManyOpenFiles, _)), .blobs(.io(.tooManyOpenFilesInSystem, _)): true
        default: false
        }
    }

    /// Whether the disk has no room or failed, and a later try may succeed.
    public var isOfDisk: Bool {
        switch self {
        case .noSpace, .blobs(.io): true
        case .catalog(let error): error.isTemporary
        default: false
        }
    }
}
