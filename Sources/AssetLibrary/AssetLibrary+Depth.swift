internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

// Limits of a folder's depth. Receipts, events and the rules of a folder have its whole path, so that paths
// of any length would take all memory, and files of one byte could fill the catalog.
extension AssetLibrary {
    /// The maximum number of folders in a path, and of its bytes.
    private static let limit = (levels: 1000, bytes: 64 << 10)

    /// Refuses to make a folder whose path would be too long.
    ///
    /// Deeper folders of older libraries remain usable, but no folder can be made in them.
    func refuseTooDeep(_ name: EntryName, in parent: NodeID, _ records: Records) throws {
        let place = depth(of: name, in: try rulebook.of(parent, records))
        guard place.levels <= Self.limit.levels, place.bytes <= Self.limit.bytes else { throw tooDeep }
    }

    /// Refuses to move a folder to a place where its path, or that of a folder below it, would be too long.
    ///
    /// The search covers at most 2,000 of the folders below it. A folder that gets no deeper may be moved
    /// anywhere.
    func refuseTooDeep(
        _ folder: NodeRecord,
        from former: (name: EntryName, parent: NodeID),
        to name: EntryName,
        in parent: NodeID,
        _ records: Records
    ) throws {
        let present = depth(of: former.name, in: try rulebook.of(former.parent, records))
        let place = depth(of: name, in: try rulebook.of(parent, records))
        if place.levels <= present.levels, place.bytes <= present.bytes { return }
        let left = (levels: Self.limit.levels - place.levels, bytes: Self.limit.bytes - place.bytes)
        guard left.levels >= 0, left.bytes >= 0 else { throw tooDeep }
        if folder.links > 2, try records.isDeeper(folder.id, than: left.levels, bytes: left.bytes) { throw tooDeep }
    }

    private func depth(of name: EntryName, in parent: FolderRules) -> (levels: Int, bytes: Int) {
        (parent.ancestors.count, parent.path.utf8.count + 1 + name.bytes.count)
    }

    private var tooDeep: LibraryError {
        .pathTooLong(
            "The path of a folder may go through \(Self.limit.levels) folders and have \(Self.limit.bytes) bytes."
        )
    }
}
