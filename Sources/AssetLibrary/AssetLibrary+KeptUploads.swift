internal import AssetModel
internal import Catalog
internal import Synchronization

// Uploads whose verdict waits, of files that lose their last name because something else goes: alternative files with their asset, members
// with their group. As with rm(1), none of their bytes are lost.
extension AssetLibrary {
    /// Keeps uploads to files in a folder that is about to go: each file is an asset from here on, and gets its bytes in the trash.
    func keepUploads(in folder: NodeID) throws(LibraryError) {
        guard hasWaiting else { return }
        let ids = waiting.withLock { Array($0.keys) }
        let kept = try write { records in
            try makeAssetsOfWaiting(folder, records)
            return try ids.filter { id in
                try records.node(id)?.asset != nil && records.entriesNaming(id).contains { $0.parent == folder }
            }
        }
        for id in kept { openNode(id)?.isKept.store(true, ordering: .relaxed) }
    }

    /// Keeps uploads to alternative files of assets that are about to be removed for good.
    func keepAlternatives(of assets: [AssetID]) throws(LibraryError) {
        guard hasWaiting else { return }
        let folders = try read { records in
            try assets.compactMap { try records.node(named: $0.folderName, in: .alternatives)?.id }
        }
        for folder in folders { try keepUploads(in: folder) }
    }

    /// Returns whether an upload is to a file that has lost its last name with something else, and whose bytes are for the trash.
    func isKeptWithoutName(_ node: OpenNode) throws(LibraryError) -> Bool {
        guard node.isKept.load(ordering: .relaxed), try read({ try $0.node(node.id)?.links == 0 }) else { return false }
        node.isUnlinked.store(true, ordering: .relaxed)
        return true
    }
}
