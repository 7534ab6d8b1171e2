public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Returns a folder that exists and has not been removed.
    public func folder(_ id: NodeID) throws -> NodeRecord {
        guard let node = try node(id), node.links > 0 else { throw LibraryError.notFound }
        guard node.isFolder else { throw LibraryError.notAFolder }
        return node
    }

    /// Removes a file's name from a folder.
    /// - Returns: the file with the names that it has left.
    public func removeName(
        _ name: EntryName,
        in parent: NodeID,
        of node: NodeRecord,
        at now: Timestamp
    ) throws -> NodeRecord {
        try deleteEntry(name, in: parent)
        KillPoint.nameRemoved.reach()
        try touchFolder(parent, at: now)
        return try dropLink(of: node, at: now)
    }

    /// Removes one link of a node; a node without links is kept while it is referenced.
    public func dropLink(of node: NodeRecord, at now: Timestamp) throws -> NodeRecord {
        var node = node
        let dropped: Int64 = node.isFolder ? node.links : 1
        node.links -= dropped
        try addLinks(-dropped, to: node.id, at: now)
        return node
    }
}
