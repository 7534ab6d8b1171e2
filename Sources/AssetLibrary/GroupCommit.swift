internal import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization

/// Makes what happened durable, for many operations at once: bytes first, then the rows that name them.
///
/// ## Concurrency
/// `turn` is held for a whole commit: who comes while one is under way waits for it, and then finds that there is nothing left to
/// do or commits for all that came meanwhile. No lock of an `OpenNode` may be held on entry by the thread, except by `fsync`,
/// which has let go of it.
final class GroupCommit: Sendable {
    private let catalog: Catalog
    private let blobs: BlobStore
    private let log: Logger
    /// Holds the failure that ended all committing, if one did.
    private let turn = Mutex<LibraryError?>(nil)

    init(catalog: Catalog, blobs: BlobStore, log: Logger) {
        self.catalog = catalog
        self.blobs = blobs
        self.log = log
    }

    /// Returns when everything that was acknowledged before the call is on stable storage.
    ///
    /// After one failure nothing is committed any more, until the library is opened again: the kernel reports that it could not
    /// write a page once, and then calls it clean, so a later success would mean nothing.
    func commit() throws(LibraryError) {
        let outcome: LibraryError? = turn.withLock { failure in
            guard failure == nil else { return failure }
            do {
                try blobs.removingRetiredNames {
                    guard catalog.hasChanges else { return }
                    try blobs.beginMakingDurable()
                    try catalog.commit { try blobs.makeDurable() }
                }
            } catch {
                log.error("Nothing more can be made durable; mount the library again: \(LibraryError(error))")
                failure = LibraryError(error)
                catalog.stop(reason: "\(LibraryError(error))")
            }
            return failure
        }
        if let outcome { throw outcome }
    }
}
