public import AssetModel

/// The attributes of a folder when it was removed.
public struct RemovedFolderRecord: Sendable {
    /// The folder that contained it, which may be removed as well.
    public let parent: NodeID
    /// All of st_mode.
    public let mode: UInt32
    /// Owner.
    public let uid: UInt32
    /// Group.
    public let gid: UInt32
    /// The access control list, in the kernel's form; nil where the mode was complete.
    public let accessList: [UInt8]?
    /// The default access control list, likewise.
    public let defaultList: [UInt8]?
    /// Its policies, as a JSON object of texts.
    public let policies: String

    fileprivate init(_ row: Columns) {
        parent = NodeID(rawValue: row.integer(0))
        mode = UInt32(truncatingIfNeeded: row.integer(1))
        uid = UInt32(truncatingIfNeeded: row.integer(2))
        gid = UInt32(truncatingIfNeeded: row.integer(3))
        accessList = row.isNull(4) ? nil : row.bytes(4)
        defaultList = row.isNull(5) ? nil : row.bytes(5)
        policies = row.text(6)
    }
}

// Folders that are removed while files from them are in the trash: triggers delete each record with the last
// of these files.
extension Records {
    /// Records a folder that is being removed, if assets from it, or from a recorded folder below it, are in
    /// the trash.
    ///
    /// Must be called before `countTrash(of:for:)`.
    public func recordRemoval(of folder: NodeID, in parent: NodeID) throws {
        try run(
            """
            INSERT OR REPLACE INTO removed_folder
                (node, parent, mode, uid, gid, access_list, default_list, policies, assets)
            SELECT n.id, ?2, n.mode, n.uid, n.gid,
                (SELECT value FROM extended_attribute WHERE node = ?1 AND name = CAST('system.posix_acl_access' AS BLOB)),
                (SELECT value FROM extended_attribute WHERE node = ?1 AND name = CAST('system.posix_acl_default' AS BLOB)),
                (SELECT json_group_object(key, value) FROM policy WHERE node = ?1), t.count
            FROM node n CROSS JOIN (
                SELECT count(*) AS count FROM asset a WHERE a.trashed_home = ?1 AND (
                    a.trashed_parent = ?1 OR EXISTS (SELECT 1 FROM removed_folder r WHERE r.node = a.trashed_parent))) t
            WHERE n.id = ?1 AND t.count > 0
            """,
            [folder.value, parent.value]
        )
    }

    /// Returns the record of a removed folder; nil if no asset in the trash comes from it, or it still
    /// exists.
    public func removedFolder(_ id: NodeID) throws -> RemovedFolderRecord? {
        try first(
            """
            SELECT parent, mode, uid, gid, access_list, default_list, policies FROM removed_folder WHERE node = ?
            """,
            [id.value]
        ) { RemovedFolderRecord($0) }
    }
}
