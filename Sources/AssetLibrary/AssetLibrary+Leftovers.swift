internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import Logging

// Contents in `blobs/` that no row names.
extension AssetLibrary {
    /// How long a content stays in `leftover/`.
    private static let leftoverStay = Duration.seconds(7 * 24 * 3600)

    /// Moves contents to `leftover/` that a crash has kept from their rows, or from their removal.
    ///
    /// Only those go whose upload was acknowledged by no commit: they came while the catalog that is there was the only one. All others stay,
    /// since a catalog that was restored lacks the rows of what users have.
    func setAsideLeftovers() throws {
        do {
            if let times = layout.unacknowledged {
                let count = try blobs.setAsideLeftovers(madeSince: times.made, namedSince: times.named) { first in
                    try Set(catalog.read { try $0.digests(beginningWith: first) })
                }
                if count > 0 {
                    log.notice(
                        "\(count) contents of uploads that were not acknowledged before the last session was cut short are in leftover/ for a week."
                    )
                }
            }
        } catch let error as BlobStoreError {
            // The mount after this one may do it.
            return log.notice("What uploads that were not acknowledged have left stays in blobs/: \(error)")
        }
        try beginSession()
    }

    /// How much room a disk must have for a session's first transaction, in bytes.
    private static let sessionRoom: Int64 = 4 << 20

    /// Begins a session, with a transaction of its own in the log.
    ///
    /// A disk without room is no reason not to mount, and after a commit that failed nothing could be changed: there is no such transaction
    /// then, and nothing will be proved of the session's contents.
    private func beginSession() throws {
        let disk = try blobs.statistics()
        guard Int64(clamping: disk.f_bavail) &* Int64(clamping: disk.f_frsize) >= Self.sessionRoom else {
            return layout.beginSession(nil)
        }
        try write { try $0.countSession() }
        try commit()
        layout.beginSession(catalog.lastCommit)
    }

    /// Removes the contents whose time in `leftover/` is over.
    func removeOldLeftovers() throws(LibraryError) {
        do throws(BlobStoreError) {
            _ = try blobs.removeLeftovers(before: Timestamp.now.advanced(by: .zero - Self.leftoverStay))
        } catch {
            throw LibraryError(error)
        }
    }
}
