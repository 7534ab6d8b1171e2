public import AssetModel

// The readers of former versions.
extension Records {
    /// Returns those of some folders that are not executable for all users, and those of `listed`, which have
    /// an access control list.
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

    /// Records the readers of an asset's present version, for the time when it is a former one; earlier
    /// records stay in effect.
    public func keepStanding(_ standing: Standing, ofNewestVersionOf asset: AssetID) throws {
        try run(
            "UPDATE version SET standings = CAST(coalesce(standings, x'') || ? AS BLOB) WHERE asset = ? AND superseded IS NULL",
            [.blob(standing.bytes), asset.value]
        )
    }

    /// Deletes the recorded readers of a version: it is still the present one, and its file determines them.
    public func forgetStandings(of version: VersionID) throws {
        try run("UPDATE version SET standings = NULL, rights = NULL WHERE id = ?", [version.value])
    }
}
