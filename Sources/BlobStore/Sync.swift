internal import Glibc

/// The syncs of a library, by the data that they put on stable storage.
///
/// A debug build leaves out those that the environment variable `ASSETFS_WITHOUT_SYNC` names, separated by
/// commas: `powercut.py --without NAME` shows that a power cut reveals each missing one. Those of the catalog
/// have their names in `CWriteAheadLog.c`.
public enum Sync: String, Sendable {
    /// fsync(2) of a blob's file, before the rows that name it.
    case blob
    /// fsync(2) of the folder with a blob's name.
    case blobName = "blob-name"
    /// syncfs(2) instead of these two, for many blobs.
    case blobs
    /// syncfs(2) before the catalog is locked for the commit.
    case blobsEarly = "blobs-early"
    /// fsync(2) of an unfinished upload, before its row.
    case staged
    /// fsync(2) of `staging/`, for the names there.
    case stagedName = "staged-name"
    /// fsync(2) of a blob after a failed sync.
    case rewritten
    /// fsync(2) of a blob's copy in an alternate store, before it is read back.
    case copied
    /// fsync(2) of that copy under its name, before the original is deleted.
    case placed
    /// fsync(2) of the file that identifies a store, and of its folder.
    case store
    /// fsync(2) of a library's FORMAT, and of its folder.
    case format
    /// fsync(2) of the key of signed paths, and of its folder.
    case key

    /// Runs a sync.
    public func run(_ sync: () -> Int32) -> Int32 {
        #if DEBUG
        if Self.leftOut.contains(rawValue) { return 0 }
        #endif
        return sync()
    }

    #if DEBUG
    private static let leftOut: Set<String> = {
        guard let names = unsafe getenv("ASSETFS_WITHOUT_SYNC") else { return [] }
        return Set(unsafe String(cString: names).split(separator: ",").map(String.init))
    }()
    #endif
}
