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
    private let turn = Mutex<Void>(())

    init(catalog: Catalog, blobs: BlobStore, log: Logger) {
        self.catalog = catalog
        self.blobs = blobs
        self.log = log
    }

    /// Returns when everything that was acknowledged before the call is on stable storage.
    func commit() throws(LibraryError) {
        do {
            try turn.withLock { _ in
                guard catalog.hasChanges else { return }
                try blobs.beginMakingDurable()
                try blobs.removingRetiredNames {
                    try catalog.commit { try blobs.makeDurable() }
                }
            }
        } catch {
            log.error("Nothing could be made durable: \(LibraryError(error))")
            throw LibraryError(error)
        }
    }
}
