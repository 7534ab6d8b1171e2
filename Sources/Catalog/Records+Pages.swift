public import AssetModel

// Long lists, page by page.
extension Records {
    /// Returns at most `limit` entries of a folder after a cookie, with the modes of their nodes.
    public func modes(
        in folder: NodeID,
        after cookie: Int64,
        limit: Int
    ) throws -> [(cookie: Int64, node: NodeID, mode: UInt32)] {
        try all(
            """
            SELECT e.place, n.id, n.mode FROM entry e CROSS JOIN node n ON n.id = e.node
            WHERE e.parent = ? AND e.place > ? ORDER BY e.place LIMIT ?
            """,
            [folder.value, .integer(cookie), .integer(Int64(limit))]
        ) { ($0.integer(0), NodeID(rawValue: $0.integer(1)), $0.unsigned(2)) }
    }

    /// Returns whether any folder sets a policy.
    public func hasFolders(saying key: PolicyKey) throws -> Bool {
        try first("SELECT 1 FROM policy WHERE key = ? LIMIT 1", [.text(key.rawValue)]) { _ in true } ?? false
    }

    /// Returns folders that set the retention of former versions.
    public func foldersSayingVersions() throws -> [NodeID] {
        try all("SELECT DISTINCT node FROM policy WHERE key IN ('versions', 'preset')", []) {
            NodeID(rawValue: $0.integer(0))
        }
    }

    /// Returns an asset's versions, the newest first.
    public func versions(of asset: AssetID) throws -> [VersionRecord] {
        try versions("v.asset = ? ORDER BY v.number DESC", [asset.value])
    }

    /// Returns an asset's present version; nil where it has none.
    public func presentVersion(of asset: AssetID) throws -> VersionRecord? {
        try versions("v.asset = ? ORDER BY v.number DESC LIMIT 1", [asset.value]).first
    }

    /// Returns the number of an asset's versions.
    public func versionCount(of asset: AssetID) throws -> Int64 {
        try first("SELECT count(*) FROM version WHERE asset = ?", [asset.value]) { $0.integer(0) } ?? 0
    }

    /// Returns at most `limit` former versions of an asset after a number.
    public func formerVersions(of asset: AssetID, after number: Int64, limit: Int) throws -> [VersionRecord] {
        try versions(
            """
            v.asset = ?1 AND v.number > ?2 AND v.number < (SELECT max(number) FROM version WHERE asset = ?1)
            ORDER BY v.number LIMIT ?3
            """,
            [asset.value, .integer(number), .integer(Int64(limit))]
        )
    }

    private func versions(_ condition: String, _ values: [SQLValue]) throws -> [VersionRecord] {
        try all(
            """
            SELECT v.id, v.number, b.digest, v.size, v.created, v.uid, v.name, v.rotation, v.rights, v.standings
            FROM version v LEFT JOIN blob b ON b.id = v.blob WHERE \(condition)
            """,
            values
        ) {
            VersionRecord(
                id: VersionID(rawValue: $0.integer(0)),
                number: $0.integer(1),
                digest: Digest($0.bytes(2)),
                size: $0.integer(3),
                created: $0.timestamp(4),
                uid: $0.unsigned(5),
                name: $0.bytes(6),
                rotation: $0.integer(7),
                standings: (FileRights($0.bytes(8)).map { [Standing(file: $0, ways: [])] } ?? [])
                    + Standing.all(in: $0.bytes(9))
            )
        }
    }
}
