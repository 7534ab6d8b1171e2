internal import Glibc
internal import Synchronization

/// The points at which a debug build can be killed: each is between two effects of which a crash may keep
/// one.
///
/// `ASSETFS_KILL_AT=blob-named` ends the process by SIGKILL when it first reaches that point, `blob-named:3`
/// when it reaches it for the third time. `make crash` reads the names from this file, kills at each, and
/// reports the number of times.
public enum KillPoint: String, Sendable {
    // An upload, its commit, and the commit of many changes.
    case stagedMade = "staged-made"
    case stagedSynced = "staged-synced"
    case uploadRecorded = "upload-recorded"
    case blobNamed = "blob-named"
    case blobAdopted = "blob-adopted"
    case verdictShown = "verdict-shown"
    case verdictGiven = "verdict-given"
    case blobsSynced = "blobs-synced"
    case committed
    case stagedRetired = "staged-retired"
    case blobExchanged = "blob-exchanged"

    // Names.
    case nameRemoved = "name-removed"
    case targetRemoved = "target-removed"
    case nameMoved = "name-moved"
    case namesHalfSwapped = "names-half-swapped"
    case nameReplaced = "name-replaced"
    case assetExpired = "asset-expired"

    // Unused blobs, and blobs that move to another store.
    case rowsCollected = "rows-collected"
    case blobRemoved = "blob-removed"
    case copyMade = "copy-made"
    case copyPlaced = "copy-placed"
    case originalRemoved = "original-removed"

    // Files beside the catalog.
    case searchStepWritten = "search-step-written"
    case searchCleared = "search-cleared"
    case snapshotStepped = "snapshot-stepped"
    case snapshotMade = "snapshot-made"
    case snapshotNamed = "snapshot-named"
    case keyNamed = "key-named"

    // `assetfs recover` and `assetfs verify --repair`.
    case leftoversTaken = "leftovers-taken"
    case snapshotCopied = "snapshot-copied"
    case contentsAdded = "contents-added"
    case catalogRecovered = "catalog-recovered"
    case catalogPutAside = "catalog-put-aside"
    case logPutAside = "log-put-aside"
    case catalogReplaced = "catalog-replaced"
    case catalogHalfKept = "catalog-half-kept"
    case catalogKept = "catalog-kept"
    case catalogMended = "catalog-mended"
    case filesMended = "files-mended"

    // Creating a library, opening one, and the end of a mount.
    case migrated
    case rootsCommitted = "roots-committed"
    case formatWritten = "format-written"
    case formatNamed = "format-named"
    case recovering
    case uploadRecovered = "upload-recovered"
    case namelessRemoved = "nameless-removed"
    case recoveryCommitted = "recovery-committed"
    case stagingCleared = "staging-cleared"
    case leftoverSetAside = "leftover-set-aside"
    case expiryCommitted = "expiry-committed"
    case statisticsAsked = "statistics-asked"
    case closeBegun = "close-begun"
    case uploadsEnded = "uploads-ended"
    case closeCommitted = "close-committed"
    case indexClosed = "index-closed"
    case catalogClosed = "catalog-closed"
    case endNoted = "end-noted"

    #if DEBUG
    /// Kills the process if the environment names this point.
    public func reach() {
        guard let wanted = Self.wanted, wanted.point == self,
            wanted.left.wrappingSubtract(1, ordering: .relaxed).oldValue == 1
        else { return }
        let line = Array("Killed at \(rawValue).\n".utf8)
        unsafe _ = write(2, line, line.count)
        kill(getpid(), SIGKILL)
        // The signal may reach another thread first; this one must do nothing more.
        while true { _ = pause() }
    }

    private final class Wanted: Sendable {
        let point: KillPoint
        /// The number of passages left until the one that kills.
        let left: Atomic<Int>

        init(_ point: KillPoint, _ left: Int) {
            self.point = point
            self.left = Atomic(left)
        }
    }

    private static let wanted: Wanted? = {
        guard let text = unsafe getenv("ASSETFS_KILL_AT") else { return nil }
        let words = unsafe String(cString: text).split(separator: ":")
        guard let name = words.first, let point = KillPoint(rawValue: String(name)) else { return nil }
        return Wanted(point, words.count > 1 ? Int(words[1]) ?? 1 : 1)
    }()
    #else
    /// Does nothing in a release build.
    @inlinable
    public func reach() {}
    #endif
}
