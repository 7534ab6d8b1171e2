internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryStorage
internal import Logging

// Blobs in `blobs/` that no row names.
extension AssetLibrary {
    /// The time for which a blob stays in `leftover/`.
    private static let leftoverStay = Duration.seconds(7 * 24 * 3600)

    /// Moves blobs to `leftover/` that a crash has left without rows, or has kept from being deleted.
    ///
    /// It moves only blobs of uploads that no commit has acknowledged: they came while the present catalog
    /// was the only one. All others stay, since a restored catalog lacks the rows of users' files.
    func setAsideLeftovers() throws {
        do {
            if let times = storage.directory.unacknowledged {
                let count = try blobs.setAsideLeftovers(madeSince: times.made, namedSince: times.named) { first in
                    try Set(catalog.read { try $0.digests(beginningWith: first) })
                }
                if count > 0 {
                    log.notice(
                        "Contents of uploads that were not acknowledged before the last session was cut short are in leftover/ for a week: \(count)."
                    )
                }
            } else if storage.directory.isUnproven {
                log.notice(
                    "The last session was cut short while the catalog's file was written to: contents in blobs/ of uploads that were not acknowledged stay there."
                )
            }
        } catch let error as BlobStoreError {
            // A later mount may do it.
            return log.notice("What uploads that were not acknowledged have left stays in blobs/: \(error)")
        }
        try beginSession()
    }

    /// The free space that a disk must have for a session's first transaction, in bytes.
    private static let sessionRoom: Int64 = 4 << 20

    /// Begins a session, with a transaction of its own in the log.
    ///
    /// A full disk is no reason not to mount, but after a failed commit all changes would be refused. So
    /// there is no such transaction on a full disk, and no blob of that session can be proved to be
    /// unacknowledged.
    private func beginSession() throws {
        let disk = try blobs.statistics()
        guard Int64(clamping: disk.f_bavail) &* Int64(clamping: disk.f_frsize) >= Self.sessionRoom else {
            return storage.directory.beginSession(nil)
        }
        try write { try $0.countSession() }
        try commit()
        storage.directory.beginSession(catalog.lastCommit)
    }

    /// Deletes the blobs that have been in `leftover/` long enough.
    func removeOldLeftovers() throws(LibraryError) {
        do throws(BlobStoreError) {
            _ = try blobs.removeLeftovers(before: Timestamp.now.advanced(by: .zero - Self.leftoverStay))
        } catch {
            throw LibraryError(error)
        }
    }
}
