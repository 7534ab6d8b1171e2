public import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage

// The names of a readable file that a user may see: those in folders that the user may pass, and no others.
extension AssetLibrary {
    /// Returns the name of a file that a user may see; nil where the user can reach none.
    func shownEntry(
        of node: NodeID,
        for reader: Uploader,
        _ records: Records
    ) throws -> (parent: NodeID, name: EntryName)? {
        if reader.uid == 0 { return try records.anyEntry(of: node) }
        return try records.entriesNaming(node).first { try mayReach($0.parent, reader, records) }
    }

    /// Returns the trash record of a file that has no name, for its owner and root.
    func shownTrashRecord(
        of node: NodeID,
        _ asset: AssetID,
        for reader: Uploader,
        _ records: Records
    ) throws -> TrashRecord? {
        guard let record = try records.trashed(asset) else { return nil }
        return try reader.uid == 0 || reader.uid == records.node(node)?.uid ? record : nil
    }

    /// Returns the bytes of the path that a file in the trash had, if the user can reach its folder.
    ///
    /// For a folder that was removed, its former permissions decide.
    func shownTrashPath(
        of node: NodeID,
        _ asset: AssetID,
        for reader: Uploader,
        _ records: Records
    ) throws -> [UInt8]? {
        guard let record = try shownTrashRecord(of: node, asset, for: reader, records) else { return nil }
        var (next, isAbove) = (record.parent, false)
        while reader.uid != 0, let removed = try records.removedFolder(next) {
            let rights = removed.rights.permissions(of: reader.uid, isMember: reader.isMember(of:))
            if isAbove, rights & 1 == 0 { return nil }
            (next, isAbove) = (removed.parent, true)
        }
        let isReached = try reader.uid == 0 || records.node(next) != nil && mayReach(next, reader, records)
        return isReached ? record.pathBytes : nil
    }

    /// Returns the path of an asset's file as text, if the user may read it there.
    func shownPath(of asset: AssetID, for reader: Uploader, _ records: Records) throws -> String? {
        guard let node = try records.nodes(showing: asset).first, try mayRead(node, reader, records),
            let entry = try shownEntry(of: node, for: reader, records)
        else { return nil }
        return try rulebook.place(entry.name, in: entry.parent, records).path
    }

    /// Returns whether a user may change entries of a folder; for a view of it the kernel has checked only
    /// the view's mode.
    public func mayChange(_ folder: NodeID, by uploader: Uploader) throws(LibraryError) -> Bool {
        if uploader.uid == 0 { return true }
        return try read { records in
            try allows(2, to: uploader, on: folder, records) && mayReach(folder, uploader, records)
        }
    }

    /// Returns whether lists of assets may have a file for a user: a readable one, not hidden from the user.
    func isListed(_ id: NodeID, for reader: Uploader, _ records: Records) throws -> Bool {
        guard reader.uid != 0 else { return true }
        guard let node = try records.node(id), node.access?.isHidden != true || node.uid == reader.uid else {
            return false
        }
        return try mayRead(id, reader, records)
    }
}
