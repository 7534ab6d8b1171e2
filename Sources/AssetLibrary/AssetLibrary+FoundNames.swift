public import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage

// Names in the directory of a query. The kernel holds the directory's lock during a lookup, so that this code
// uses nothing that other requests may hold for long, and does no work that grows with the library.
extension AssetLibrary {
    /// Refuses a query with a folder that a user cannot find.
    /// - Throws: `.invalid`.
    public func refuseMissingFolders(of query: SearchQuery, for reader: Uploader) throws(LibraryError) {
        for case .folder(let path) in query.leaves { _ = try searchedFolder(path, for: reader) }
    }

    /// Returns whether a query matches an asset that a user may read, from the asset's present record alone.
    ///
    /// Filters for duplicates are ignored: they only leave an asset out of a listing.
    public func isFound(
        _ asset: AssetID,
        by query: SearchQuery,
        for reader: Uploader
    )
        throws(LibraryError) -> Bool
    {
        guard let document = try read({ try $0.searchDocument(of: asset) }) else { return false }
        var scope = SearchScope(uid: reader.uid, now: clock.now)
        for leaf in query.leaves {
            switch leaf {
            case .folder(let path):
                let folder = try searchedFolder(path, for: reader)
                scope.folders[path] = try read { records in
                    try document.places.filter { try isReachable($0, from: folder, for: reader, records) }
                }
            case .digest(let digest): scope.blobs[digest] = try read { try $0.blob(digest) }
            default: break
            }
        }
        let queries =
            query.asksForDuplicates ? [true, false].map { query.assuming(isDuplicate: $0) } : [query]
        do {
            return try queries.contains { try searching.means($0, document, in: scope) }
        } catch {
            throw LibraryError(error)
        }
    }

    /// Returns the folder that a path in a query means to a user.
    /// - Throws: `.invalid` if there is none.
    func searchedFolder(_ path: String, for reader: Uploader) throws(LibraryError) -> NodeID {
        guard let folder = try read({ try folder(path, for: reader, $0) }) else {
            throw LibraryError.invalid("in: there is no folder “\(Shown.value(path))”.")
        }
        return folder
    }

    /// Returns whether a folder is another one or below it, and a user may reach it from there.
    private func isReachable(
        _ place: NodeID,
        from folder: NodeID,
        for reader: Uploader,
        _ records: Records
    ) throws -> Bool {
        let ancestors = try rulebook.of(place, records).ancestors
        guard let end = ancestors.firstIndex(of: folder) else { return false }
        return try ancestors[...end].allSatisfy { try allows(1, to: reader, on: $0, records) }
    }
}
