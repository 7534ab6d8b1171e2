public import AssetModel

/// A file that shows an asset.
public struct HolderRecord: Sendable {
    /// The file.
    public let node: NodeID
    /// Its asset.
    public let asset: AssetID
}

extension Records {
    // MARK: What folders say

    /// What a folder itself says, in no order.
    public func policies(of folder: NodeID) throws -> [(key: String, value: String)] {
        try all("SELECT key, value FROM policy WHERE node = ?", [folder.value]) { ($0.text(0), $0.text(1)) }
    }

    /// Whether any folder says anything; with `uploads`, anything that an upload may fail by, or be filed by.
    public func hasPolicies(ofUploads uploads: Bool) throws -> Bool {
        let others = PolicyKey.general.filter { !$0.concernsUploads }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let condition = uploads ? " WHERE key NOT IN (\(others)) AND key NOT LIKE '\(PolicyKey.fieldPrefix)%'" : ""
        return try first("SELECT 1 FROM policy\(condition) LIMIT 1", []) { _ in true } ?? false
    }

    /// Records what a folder says, in the share of `uid` or else of the folder's owner.
    public func setPolicy(_ key: PolicyKey, of folder: NodeID, to value: String, by uid: UInt32? = nil) throws {
        try run(
            """
            INSERT OR REPLACE INTO policy (node, key, value, uid)
            VALUES (?1, ?2, ?3, coalesce(?4, \(Self.owner(ofNode: "?1"))))
            """,
            [folder.value, .text(key.rawValue), .text(value), SQLValue(uid)]
        )
    }

    /// Removes what a folder says.
    public func deletePolicy(_ key: PolicyKey, of folder: NodeID) throws {
        try run("DELETE FROM policy WHERE node = ? AND key = ?", [folder.value, .text(key.rawValue)])
    }

    // MARK: Equal content

    /// Gives files that show an asset with this content, the first uploaded first, until `body` answers false.
    ///
    /// Only what the assets are now counts, not what they were or are in the trash. With a folder, only files in it are given.
    public func holders(
        of blob: BlobID,
        in folder: NodeID? = nil,
        _ body: (HolderRecord) throws -> Bool
    ) throws {
        let inFolder = folder == nil ? "" : " AND EXISTS (SELECT 1 FROM entry e WHERE e.node = n.id AND e.parent = ?)"
        let rows = try statement(
            """
            SELECT n.id, n.asset FROM version v JOIN node n ON n.asset = v.asset
            WHERE v.blob = ? AND n.blob = v.blob AND n.links > 0\(inFolder) ORDER BY v.id
            """,
            [blob.value] + (folder.map { [$0.value] } ?? [])
        )
        defer { rows.end() }
        while let row = try rows.next() {
            let holder = HolderRecord(node: NodeID(rawValue: row.integer(0)), asset: AssetID(rawValue: row.integer(1)))
            guard try body(holder) else { return }
        }
    }

    /// Names in a folder under which there is a content.
    public func names(
        of blob: BlobID,
        in folder: NodeID
    ) throws -> [(name: EntryName, node: NodeID, asset: AssetID)] {
        try all(
            """
            SELECT DISTINCT e.name, n.id, n.asset FROM version v JOIN node n ON n.asset = v.asset JOIN entry e ON e.node = n.id
            WHERE v.blob = ? AND n.blob = v.blob AND n.links > 0 AND e.parent = ?
            """,
            [blob.value, folder.value]
        ) { (try EntryName($0.bytes(0)), NodeID(rawValue: $0.integer(1)), AssetID(rawValue: $0.integer(2))) }
    }

    /// Files that show an asset of which another was the first.
    public func duplicates(of asset: AssetID) throws -> [NodeRecord] {
        try all(
            "SELECT \(NodeRecord.columns) FROM node n WHERE n.asset = ? AND n.former_asset IS NOT NULL",
            [asset.value]
        ) {
            NodeRecord($0)
        }
    }

    /// Whether all files with names that show an asset are one user's.
    public func isAlone(_ asset: AssetID, of uid: UInt32) throws -> Bool {
        try first(
            "SELECT 1 FROM node WHERE asset = ? AND uid <> ? AND links > 0 LIMIT 1",
            [asset.value, .integer(Int64(uid))]
        ) { _ in true } == nil
    }

    /// Files that showed another owner's asset before that became impossible, and are to get one of their own.
    public func sharedAcrossOwners() throws -> [NodeID] {
        try all("SELECT node FROM shared_due", []) { NodeID(rawValue: $0.integer(0)) }
    }

    /// Records that a file shows no other owner's asset any more.
    public func deleteSharedAcrossOwners(_ node: NodeID) throws {
        try run("DELETE FROM shared_due WHERE node = ?", [node.value])
    }

    /// Gives an asset the fields of another that it has not itself.
    public func copyMissingFields(of source: AssetID, to asset: AssetID) throws {
        try run(
            """
            INSERT INTO field (asset, name, value, source, attribute, uid)
            SELECT ?1, name, value, source, attribute, \(Self.owner(ofAsset: "?1")) FROM field
            WHERE asset = ?2 AND name NOT IN (SELECT name FROM field WHERE asset = ?1)
            """,
            [asset.value, source.value]
        )
    }

    // MARK: What policies make of assets

    /// Records that an asset's embedded metadata is to be left alone.
    public func setIgnoresEmbedded(_ ignores: Bool, of asset: AssetID) throws {
        try run("UPDATE asset SET no_exif = ? WHERE id = ?", [ignores ? 1 : 0, asset.value])
    }

    /// Whether an asset's embedded metadata is to be left alone.
    public func ignoresEmbedded(_ asset: AssetID) throws -> Bool {
        try first("SELECT no_exif FROM asset WHERE id = ?", [asset.value]) { $0.integer(0) != 0 } ?? false
    }

    /// Records what a scanner found in an asset's content; nil for nothing.
    public func setInfection(of asset: AssetID, to signature: String?) throws {
        try run("UPDATE asset SET infection = ? WHERE id = ?", [signature.map(SQLValue.text) ?? nil, asset.value])
    }

    /// Files that show an asset, its own first.
    public func nodes(showing asset: AssetID) throws -> [NodeID] {
        try all(
            "SELECT id FROM node WHERE asset = ? AND links > 0 ORDER BY former_asset IS NOT NULL, id",
            [asset.value]
        ) { NodeID(rawValue: $0.integer(0)) }
    }

    // MARK: MD5

    /// A blob's MD5, if it has been computed.
    public func md5(of blob: BlobID) throws -> [UInt8]? {
        try first("SELECT md5 FROM blob WHERE id = ?", [blob.value]) { $0.bytes(0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Records a blob's MD5.
    public func setMD5(of blob: BlobID, to md5: [UInt8]) throws {
        try run("UPDATE blob SET md5 = ? WHERE id = ?", [.blob(md5), blob.value])
    }

    /// Blobs whose MD5 has not been computed, behind one of them.
    public func blobsWithoutMD5(after blob: BlobID, limit: Int) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        try all(
            "SELECT id, digest, size FROM blob WHERE md5 IS NULL AND id > ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) {
            (BlobID(rawValue: $0.integer(0)), Digest($0.bytes(1)), $0.integer(2))
        }
    }
}
