internal import BlobStore
public import Catalog
public import LibraryStorage
public import Logging

// The parts of `Storage`.
extension AssetLibrary {
    /// The catalog's records.
    ///
    /// `AssetFilesystem` reads them; changes go through this type.
    public var catalog: Catalog { storage.catalog }
    /// The log of errors that no request waits for.
    public var log: Logger { storage.log }
    /// The counts and debug lines for operators.
    var diagnosis: Diagnosis { storage.diagnosis }
    /// How busy the mount is.
    public var activity: Activity { storage.activity }
    /// The library's folder.
    public var path: String { storage.directory.path }
    var blobs: BlobStore { storage.blobs }
    var contents: ContentStore { storage.contents }
    var blobPins: BlobPins { storage.blobPins }
    var space: SpaceReserve { storage.space }
    var groupCommit: GroupCommit { storage.groupCommit }
    var clock: ExpiryClock { storage.clock }
    var isClosing: CancellationFlag { storage.isClosing }

    /// Returns when every change that was acknowledged before the call is on stable storage.
    public func commit() throws(LibraryError) { try storage.commit() }

    /// Requests a commit soon, for a change that the catalog does not see.
    func commitSoon() { storage.commitSoon() }
}
