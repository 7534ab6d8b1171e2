internal import AssetModel
internal import Catalog
internal import LibraryRules

// The removed folders above a file in the trash, so that a program can create them again with their
// attributes.
extension AssetLibrary {
    /// Returns the attributes of the removed folders above a file in the trash as JSON, the outermost first.
    ///
    /// `depth` is the number of names of `user.asset.path` that lead to the folder. A user sees folders as
    /// far as the permissions of those above let them pass, and policies of folders of their own. The result
    /// is nil where no folder was removed.
    func removedFolders(
        of id: NodeID,
        _ asset: AssetID,
        for reader: Uploader,
        _ records: Records
    ) throws -> String? {
        guard let trashed = try shownTrashRecord(of: id, asset, for: reader, records),
            trashed.pathBytes.first != 0x2F
        else { return nil }
        var depth = Int64(trashed.pathBytes.count { $0 == 0x2F })
        var folders: [(depth: Int64, record: RemovedFolderRecord)] = []
        var next = trashed.parent
        while depth > 0, let record = try records.removedFolder(next) {
            folders.append((depth, record))
            depth -= 1
            next = record.parent
        }
        guard !folders.isEmpty else { return nil }
        var isReached = try reader.uid == 0 || records.node(next) != nil && mayReach(next, reader, records)
        var shown: [JSONObject] = []
        for (depth, folder) in folders.reversed() where isReached {
            shown.append(folder.description(at: depth, for: reader))
            isReached = reader.permissions(by: folder.rights) & 1 != 0
        }
        guard !shown.isEmpty else { return nil }
        var result = JSONObject()
        result.add("folders", shown)
        return String(decoding: result.bytes, as: UTF8.self)
    }
}

extension RemovedFolderRecord {
    var rights: FileRights {
        FileRights(uid: uid, gid: gid, mode: mode, list: accessList.flatMap(AccessControlList.init))
    }

    fileprivate func description(at depth: Int64, for reader: Uploader) -> JSONObject {
        var object = JSONObject()
        object.add("depth", depth)
        object.add("mode", String(mode & 0o7777, radix: 8))
        object.add("uid", Int64(uid))
        object.add("gid", Int64(gid))
        object.add("access_list", accessList?.hexadecimal)
        object.add("default_list", defaultList?.hexadecimal)
        if policies != "{}", [0, uid].contains(reader.uid) { object.add("policies", json: policies) }
        return object
    }
}
