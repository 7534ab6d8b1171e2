public import AssetModel
internal import Catalog

// What a user is told of a file that they may read: its names in folders that they may go through, and no others.
extension AssetLibrary {
    /// Returns the name of a file that a user is told of; nil where they may go to none.
    func shownEntry(
        of node: NodeID,
        for reader: Uploader,
        _ records: Records
    ) throws -> (parent: NodeID, name: EntryName)? {
        if reader.uid == 0 { return try records.anyEntry(of: node) }
        return try records.entriesNaming(node).first { try mayReach($0.parent, reader, records) }
    }

    /// Returns the place in the trash of a file that has no name, for its owner and root.
    func shownTrashRecord(
        of node: NodeID,
        _ asset: AssetID,
        for reader: Uploader,
        _ records: Records
    ) throws -> TrashRecord? {
        guard let record = try records.trashed(asset) else { return nil }
        return try reader.uid == 0 || reader.uid == records.node(node)?.uid ? record : nil
    }

    /// Returns the bytes of the path that a file in the trash had, for those who may go to what is in its folder; of a folder that was
    /// removed, for those who could go to that.
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

    /// Returns where an asset's file is, for people, as far as a user may read it there.
    func shownPath(of asset: AssetID, for reader: Uploader, _ records: Records) throws -> String? {
        guard let node = try records.nodes(showing: asset).first, try mayRead(node, reader, records),
            let entry = try shownEntry(of: node, for: reader, records)
        else { return nil }
        return try rulebook.place(entry.name, in: entry.parent, records).path
    }

    /// Returns whether a user may change what is in a folder; on a view of it the kernel has asked for the view's mode alone.
    public func mayChange(_ folder: NodeID, by uploader: Uploader) throws(LibraryError) -> Bool {
        if uploader.uid == 0 { return true }
        return try read { records in
            try allows(2, to: uploader, on: folder, records) && mayReach(folder, uploader, records)
        }
    }

    /// Returns whether a list of assets may have a file in it: one that a user may read, and that is not hidden from them.
    func isListed(_ id: NodeID, for reader: Uploader, _ records: Records) throws -> Bool {
        guard reader.uid != 0 else { return true }
        guard let node = try records.node(id), node.access?.isHidden != true || node.uid == reader.uid else {
            return false
        }
        return try mayRead(id, reader, records)
    }
}
