public import AssetModel

// Who could read contents that are not the present ones any more.
extension Records {
    /// Of some folders those that not everybody may go through, and those of `listed`, which have an access control list.
    public func closedFolders(of folders: [NodeID], listed: [NodeID]) throws -> [NodeRecord] {
        guard !folders.isEmpty else { return [] }
        let having = listed.isEmpty ? "" : " OR n.id IN (\(Self.marks(listed.count)))"
        return try all(
            """
            SELECT \(NodeRecord.columns) FROM node n WHERE n.id IN (\(Self.marks(folders.count))) AND (n.mode & 73 <> 73\(having))
            """,
            (folders + listed).map(\.value)
        ) { NodeRecord($0) }
    }

    /// Records who could read an asset's present content, for when it is a former one; what was recorded before holds, too.
    public func keepStanding(_ standing: Standing, ofNewestVersionOf asset: AssetID) throws {
        try run(
            "UPDATE version SET standings = CAST(coalesce(standings, x'') || ? AS BLOB) WHERE asset = ? AND superseded IS NULL",
            [.blob(standing.bytes), asset.value]
        )
    }

    /// Forgets who could read a version: it is the present one still, and its file says that.
    public func forgetStandings(of version: VersionID) throws {
        try run("UPDATE version SET standings = NULL, rights = NULL WHERE id = ?", [version.value])
    }
}
