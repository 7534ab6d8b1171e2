public import AssetModel

// An asset that continues with another owner's file, and the part of it that stays with the former owner.
extension Records {
    /// Records a copy of an asset under another number, with its attributes, its place in the trash, its
    /// fields, and the versions that it has had since it came to an owner: the recorded standings of a
    /// version begin with its owner.
    public func insertCopy(of asset: AssetID, since owner: UInt32) throws -> AssetID {
        let columns = """
            created, uid, original_name, trashed, trashed_parent, trashed_name, trashed_node, trashed_path, trashed_until, trashed_home,
            deadline, unstored_until, expires, ttl, no_exif, infection, reverts, store, access, first_md5
            """
        try run(
            "INSERT INTO asset (uuid, \(columns)) SELECT ?, \(columns) FROM asset WHERE id = ?",
            [Self.newIdentifier, asset.value]
        )
        let copy = AssetID(rawValue: lastRow)
        try copyFields(of: asset, to: copy)
        try run(
            """
            INSERT INTO version (asset, number, blob, size, created, uid, name, rotation, superseded, rights, standings)
            SELECT ?1, number, blob, size, created, uid, name, rotation, superseded, iif(superseded IS NULL, NULL, rights),
                iif(superseded IS NULL, NULL, standings) FROM version
            WHERE asset = ?2 AND number > coalesce((
                SELECT max(number) FROM version WHERE asset = ?2 AND superseded IS NOT NULL
                AND coalesce(substr(standings, 9, 4), substr(rights, 1, 4)) <> ?3), 0)
            """,
            [copy.value, asset.value, .blob(Array(FileRights(uid: owner, gid: 0, mode: 0, list: nil).bytes.prefix(4)))]
        )
        return copy
    }

    /// Returns the owner of an asset: of the file that shows it, or showed it last, or else its creator.
    public func owner(of asset: AssetID) throws -> UInt32 {
        let file = "(SELECT n.uid FROM node n WHERE n.id = (SELECT a.trashed_node FROM asset a WHERE a.id = ?1))"
        return try first("SELECT coalesce(\(file), \(Self.owner(ofAsset: "?1")))", [asset.value]) { $0.unsigned(0) }
            ?? 0
    }

    /// Records the readers of those versions of an asset that have none recorded.
    public func setMissingRights(_ rights: FileRights, ofVersionsOf asset: AssetID) throws {
        try run(
            "UPDATE version SET rights = ? WHERE asset = ? AND coalesce(standings, rights) IS NULL",
            [.blob(rights.bytes), asset.value]
        )
    }

    /// Returns the access level of an asset; nil where none is set.
    public func access(of asset: AssetID) throws -> Access? {
        try first("SELECT access & 15 FROM asset WHERE id = ?", [asset.value]) { Access(rawValue: $0.integer(0)) }
            ?? nil
    }

    /// Records the access level of a file that shows no asset.
    public func setAccess(ofNode node: NodeRecord) throws {
        try run("UPDATE node SET access = ? WHERE id = ?", [node.accessValue, node.id.value])
    }

    /// Gives an asset the access level of a file.
    public func setAccess(of asset: AssetID, like node: NodeRecord) throws {
        try run("UPDATE asset SET access = ? WHERE id = ?", [node.accessValue, asset.value])
    }
}
