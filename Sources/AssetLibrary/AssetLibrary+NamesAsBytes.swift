internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

// Computed attributes as bytes: a name need not be UTF-8, and a path with a character replaced leads nowhere.
extension AssetLibrary {
    /// Returns a computed extended attribute as bytes; names and paths are as they are on the disk.
    func computedBytes(
        _ key: String,
        of id: NodeID,
        for reader: Uploader,
        isUnwanted: () -> Bool = { false }
    ) throws(LibraryError) -> [UInt8]? {
        try settleIfQuick(id)
        if key == Self.duplicatesKey {
            return try duplicates(of: id, for: reader, isUnwanted: isUnwanted).map { Array($0.utf8) }
        }
        if let path = try signedPath(key, of: id, for: reader) { return path }
        if let name = try nameBytes(key, of: id, for: reader) { return name }
        return try computed(key, of: id, for: reader).map { Array($0.utf8) }
    }

    /// Returns an attribute that is a name or a path; nil for all others, and where there is none.
    private func nameBytes(
        _ key: String,
        of id: NodeID,
        for reader: Uploader
    ) throws(LibraryError) -> [UInt8]? {
        guard ["filename", "original_filename", "path"].contains(key) else { return nil }
        return try read { records in
            guard let assetID = try records.node(id)?.asset, let asset = try records.asset(assetID) else { return nil }
            return switch key {
            case "path": try pathBytes(of: id, asset, for: reader, records)
            case "filename":
                try shownEntry(of: id, for: reader, records)?.name.bytes
                    ?? shownTrashRecord(of: id, assetID, for: reader, records)?.name
            default: asset.originalName
            }
        }
    }

    /// Returns the path of a file below `folders/`, or the path that it had before it was removed.
    func pathBytes(
        of id: NodeID,
        _ asset: AssetRecord,
        for reader: Uploader,
        _ records: Records
    ) throws -> [UInt8]? {
        guard let entry = try shownEntry(of: id, for: reader, records) else {
            return try shownTrashPath(of: id, asset.id, for: reader, records)
        }
        return try records.pathBytes(of: rulebook.place(entry.name, in: entry.parent, records))
    }
}
