internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization
internal import SystemPackage

/// Makes what happened durable, for many operations at once: bytes first, then the rows that name them.
///
/// ## Concurrency
/// `turn` is held for a whole commit: who comes while one is under way waits for it, and then finds that there is nothing left to
/// do or commits for all that came meanwhile. No lock of an `OpenNode` may be held on entry by the thread, except by `fsync`,
/// which has let go of it.
final class GroupCommit: Sendable {
    private struct State {
        /// The failure that ended all committing, if one did.
        var failure: LibraryError?
        /// Whether the disk did not take the last commit.
        var isWaiting = false
    }

    private let catalog: Catalog
    private let blobs: BlobStore
    private let log: Logger
    private let turn = Mutex(State())
    /// Called when a transaction is committed.
    let whenCommitted = Hook<CommitMark?, Void>()
    /// Called when the disk has taken what it did not take before.
    let whenAgain = Hook<Void, Void>()
    /// Folders that were closed since the last commit.
    let closings = Closings()

    init(catalog: Catalog, blobs: BlobStore, log: Logger) {
        self.catalog = catalog
        self.blobs = blobs
        self.log = log
    }

    /// Returns when everything that was acknowledged before the call is on stable storage.
    ///
    /// A full disk ends nothing, and neither does one that fails: a later call has to try again, and changes are refused until
    /// one has succeeded, but where there are too few descriptors. After a failure of the catalog itself nothing is committed any
    /// more, until the library is opened again.
    ///
    /// `copy` gets a step further between two transactions, also where nothing was changed.
    func commit(advancing copy: CatalogCopy? = nil) throws(LibraryError) {
        let outcome: LibraryError? = turn.withLock { state in
            guard state.failure == nil else { return state.failure }
            do {
                var lost: [Digest] = []
                try blobs.removingRetiredNames {
                    guard catalog.hasChanges || copy != nil else { return }
                    let closed = closings.mark()
                    try blobs.beginMakingDurable()
                    try catalog.commit(advancing: copy) { lost = try blobs.makeDurable() }
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

    /// Whether there are too few descriptors, so that nothing is known of the disk.
    fileprivate var isOfDescriptors: Bool {
        switch self {
        case .blobs(.io(.tooManyOpenFiles, _)), .blobs(.io(.tooManyOpenFilesInSystem, _)): true
        default: false
        }
    }

    /// Whether the disk has no room or failed, and may do what it was asked for later.
    var isOfDisk: Bool {
        switch self {
        case .noSpace, .blobs(.io): true
        case .catalog(let error): error.isTemporary
        default: false
        }
    }
}
