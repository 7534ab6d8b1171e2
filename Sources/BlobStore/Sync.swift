internal import Glibc

/// The syncs of a library, by what they put on stable storage.
///
/// A debug build leaves out those that the environment variable `ASSETFS_WITHOUT_SYNC` names, with commas between them:
/// `powercut.py --without NAME` shows that a power cut finds each that is missing. The catalog's have their names in
/// `CWriteAheadLog.c`.
public enum Sync: String, Sendable {
    /// fsync(2) of a blob's file, before the rows that name it.
    case blob
    /// fsync(2) of the folder that has a blob's name.
    case blobName = "blob-name"
    /// syncfs(2) instead of the two, for many blobs.
    case blobs
    /// syncfs(2) before the catalog is locked for the rest.
    case blobsEarly = "blobs-early"
    /// fsync(2) of an upload that goes on, before its row.
    case staged
    /// fsync(2) of `staging/`, for the names there.
    case stagedName = "staged-name"
    /// fsync(2) of a blob that an earlier sync has failed for.
    case rewritten
    /// fsync(2) of a blob's copy in an alternate store, before it is read back.
    case copied
    /// fsync(2) of that copy under its name, before the blob is removed where it was.
    case placed
    /// fsync(2) of the file that says whose store a folder is, and of the folder.
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
