public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Makes a node for an asset in the trash that has none because its own came to show another asset.
    public func makeTrashedNode(of id: AssetID) throws -> NodeRecord? {
        guard let asset = try asset(id) else { return nil }
        let node = try insertTrashedNode(
            of: id,
            like: NodeRecord(mode: 0o100600, uid: asset.uid, gid: 0, now: asset.created)
        )
        try setTrashedNode(of: id, to: node)
        return try self.node(node)
    }

    /// Inserts a node without a name that shows an asset's present version.
    func insertTrashedNode(of id: AssetID, like file: NodeRecord) throws -> NodeID {
        let version = try newestVersion(of: id)
        let time = version?.created ?? file.born
        var node = NodeRecord(mode: 0o100000 | file.mode & 0o777, uid: file.uid, gid: file.gid, now: time)
        node.links = 0
        node.isPlacedByOther = file.isPlacedByOther
        node = try insert(node)
        (node.blob, node.size) = (version?.blob, version?.size ?? 0)
        node.blocks = (node.size + 511) / 512
        try updateContent(of: node)
        // A single range, to match the blocks; holes of the blob's file belong to another upload.
        if node.size > 0 { try setLayout(of: node, to: [0..<node.size]) }
        try setAsset(of: node.id, to: id)
        return node.id
    }
}

extension Records {
    /// Returns the path of a name with its bytes unchanged, in the form of `Place.path`, which is text.
    public func pathBytes(of place: Place) throws -> [UInt8] {
        let shown = Array(place.path.utf8)
        // The names of all folders are read only where bytes were replaced.
        guard place.path.unicodeScalars.contains("\u{FFFD}") else { return shown }
        let (root, folders) = try path(of: place.parent)
        var names = folders.map(\.bytes)
        switch root {
        case .unfiled: names.insert(Array("/resources".utf8), at: 0)
        case .collections: names.insert(Array("/collections".utf8), at: 0)
        case .alternatives:
            names.insert(Array("/resources".utf8), at: 0)
            names.insert(Array("alternatives".utf8), at: min(2, names.count))
        default: break
        }
        return Array((names + [place.name.bytes]).joined(separator: [0x2F]))
    }
}
