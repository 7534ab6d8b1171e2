internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// Uncommitted uploads to files that lose their last name because another file or folder is deleted:
// alternative files with their asset, members with their group. As with rm(1), none of their bytes are lost.
extension AssetLibrary {
    /// Keeps uploads to the files in a folder that is about to be deleted: each file becomes an asset, and
    /// its bytes go to the trash.
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

    /// Keeps uploads to alternative files of assets that are about to be deleted for good.
    func keepAlternatives(of assets: [AssetID]) throws(LibraryError) {
        guard hasWaiting else { return }
        let folders = try read { records in
            try assets.compactMap { try records.node(named: $0.folderName, in: .alternatives)?.id }
        }
        for folder in folders { try keepUploads(in: folder) }
    }

    /// Returns whether a file has lost its last name in that way, so that the bytes of its upload go to the
    /// trash.
    func isKeptWithoutName(_ node: OpenNode) throws(LibraryError) -> Bool {
        guard node.isKept.load(ordering: .relaxed), try read({ try $0.node(node.id)?.links == 0 }) else { return false }
        node.isUnlinked.store(true, ordering: .relaxed)
        return true
    }
}
