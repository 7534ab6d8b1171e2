internal import AssetModel
internal import Catalog

// Computed attributes as bytes: a name need not be text, and a path with another name in it leads nowhere.
extension AssetLibrary {
    /// The bytes of a computed extended attribute, as `computed` gives the text.
    func computedBytes(_ key: String, of id: NodeID, for reader: Uploader) throws(LibraryError) -> [UInt8]? {
        try settle(id)
        if let path = try signedPath(key, of: id, for: reader) { return path }
        guard let text = try computed(key, of: id, for: reader) else { return nil }
        // Only what was not text has been replaced.
        if key == "path" || key == "filename", text.unicodeScalars.contains("\u{FFFD}"),
            let bytes = try read({ try key == "path" ? pathBytes(of: id, $0) : nameBytes(of: id, $0) })
        {
            return bytes
        }
        return Array(text.utf8)
    }

    /// The name of a file, or the one that it had before it was removed.
    private func nameBytes(of id: NodeID, _ records: Records) throws -> [UInt8]? {
        if let entry = try records.anyEntry(of: id) { return entry.name.bytes }
        return try records.node(id)?.asset.flatMap { try records.trashed($0)?.name }
    }

    /// Where a file is below `folders/`, or was before it was removed; nil where it was elsewhere, or a folder above it is gone.
    private func pathBytes(of id: NodeID, _ records: Records) throws -> [UInt8]? {
        var names: [[UInt8]] = []
        var folder: NodeID
        if let entry = try records.anyEntry(of: id) {
            (names, folder) = ([entry.name.bytes], entry.parent)
        } else if let trashed = try records.node(id)?.asset.flatMap({ try records.trashed($0) }) {
            (names, folder) = ([trashed.name], trashed.parent)
        } else {
            return nil
        }
        while folder != .folders {
            guard let entry = try records.anyEntry(of: folder) else { return nil }
            names.append(entry.name.bytes)
            folder = entry.parent
        }
        return Array(names.reversed().joined(separator: [UInt8(ascii: "/")]))
    }
}
