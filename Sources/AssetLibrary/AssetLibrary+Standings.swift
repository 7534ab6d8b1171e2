internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// The read access to a version that is replaced: recorded at its first change and at the commit, so that a
// change of mode, owner, access list or folder between the two gives no other user access to the version.

extension AssetLibrary {
    /// Records the read access to a file before its bytes are first changed.
    ///
    /// This reads the file's row and those of the folders above it for an upload to a file with an asset, and
    /// costs a new file nothing.
    func noteStanding(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        guard upload.standing == nil, !upload.isNew, upload.aim == nil else { return }
        upload.standing = try read { records in
            guard let record = try records.node(node.id), let asset = record.asset else { return nil }
            if let trashed = try record.links == 0 ? records.trashed(asset) : nil {
                return try records.standing(ofTrashed: trashed)
            }
            return try rulebook.standing(of: record, records)
        }
    }
}
