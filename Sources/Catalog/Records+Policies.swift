public import AssetModel

/// A file that shows an asset.
public struct HolderRecord: Sendable {
    /// The file.
    public let node: NodeID
    /// Its asset.
    public let asset: AssetID
}

/// A position among the files that show a blob.
public struct HolderPosition: Sendable {
    var version: Int64 = 0
    var node: Int64 = 0

    /// Creates the position before the first file.
    public init() {}
}

extension Records {
    // MARK: Policies of folders

    /// Returns the policies that a folder itself sets, in no order.
    public func policies(of folder: NodeID) throws -> [(key: String, value: String)] {
        try all("SELECT key, value FROM policy WHERE node = ?", [folder.value]) { ($0.text(0), $0.text(1)) }
    }

    /// Returns whether any folder sets a policy; with `uploads`, only those by which uploads may be rejected
    /// or filed.
    public func hasPolicies(ofUploads uploads: Bool) throws -> Bool {
        let others = PolicyKey.general.filter { !$0.concernsUploads }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let condition = uploads ? " WHERE key NOT IN (\(others)) AND key NOT LIKE '\(PolicyKey.fieldPrefix)%'" : ""
        return try first("SELECT 1 FROM policy\(condition) LIMIT 1", []) { _ in true } ?? false
    }

    /// Records a policy of a folder, which counts for `uid`, or else for the folder's owner.
    public func setPolicy(_ key: PolicyKey, of folder: NodeID, to value: String, by uid: UInt32? = nil) throws {
        try run(
            """
            INSERT OR REPLACE INTO policy (node, key, value, uid)
            VALUES (?1, ?2, ?3, coalesce(?4, \(Self.owner(ofNode: "?1"))))
            """,
            [folder.value, .text(key.rawValue), .text(value), SQLValue(uid)]
        )
    }

    /// Removes a policy of a folder.
    public func deletePolicy(_ key: PolicyKey, of folder: NodeID) throws {
        try run("DELETE FROM policy WHERE node = ? AND key = ?", [folder.value, .text(key.rawValue)])
    }

    // MARK: Equal content

    /// Calls `body` with files that show an asset with this blob, the first uploaded first, after a position,
    /// until `body` returns false or `limit` rows have been read.
    ///
    /// Only present versions of assets outside the trash count. With a folder, only files in it are passed to
    /// `body`; all others, and former versions, are among the rows that are read.
    /// - Returns: the position to continue from, and whether all rows have been read.
    public func holders(
        of blob: BlobID,
        in folder: NodeID? = nil,
        behind position: HolderPosition = HolderPosition(),
        limit: Int,
        _ body: (HolderRecord) throws -> Bool
    ) throws -> (position: HolderPosition, isEnd: Bool) {
        let isInFolder =
            folder == nil ? "1" : "EXISTS (SELECT 1 FROM entry e WHERE e.node = n.id AND e.parent = ?4)"
        let rows = try statement(
            """
            SELECT v.id, n.id, v.asset, \(isInFolder) FROM version v LEFT JOIN node n
            ON n.asset = v.asset AND n.id > CASE v.id WHEN ?2 THEN ?3 ELSE 0 END AND n.blob = v.blob AND n.links > 0
            WHERE v.blob = ?1 AND v.id >= ?2 ORDER BY v.id, n.id
            """,
            [blob.value, .integer(position.version), .integer(position.node)]
                + (folder.map { [$0.value] } ?? [])
        )
        defer { rows.end() }
        var (last, left) = (position, limit)
        while left > 0, let row = try rows.next() {
            left -= 1
            let (version, node) = (row.integer(0), row.optionalInteger(1))
            // A version's position begins before its first file.
            if last.version != version { last.node = 0 }
            last.version = version
            guard let node else { continue }
            last.node = node
            guard row.integer(3) != 0 else { continue }
            let holder = HolderRecord(
                node: NodeID(rawValue: node),
                asset: AssetID(rawValue: row.integer(2))
            )
            guard try body(holder) else { return (last, false) }
        }
        return (last, left > 0)
    }

    /// Returns whether a file still shows an asset with a blob.
    public func isShown(_ holder: HolderRecord, with blob: BlobID) throws -> Bool {
        try first(
            "SELECT 1 FROM node WHERE id = ? AND asset = ? AND blob = ? AND links > 0",
            [holder.node.value, holder.asset.value, blob.value]
        ) { _ in true } ?? false
    }

    /// Returns the files that show an asset that belongs to another file.
    public func duplicates(of asset: AssetID) throws -> [NodeRecord] {
        try all(
            "SELECT \(NodeRecord.columns) FROM node n WHERE n.asset = ? AND n.former_asset IS NOT NULL",
            [asset.value]
        ) {
            NodeRecord($0)
        }
    }

    /// Returns whether a user owns all named files that show an asset.
    public func isAlone(_ asset: AssetID, of uid: UInt32) throws -> Bool {
        try first(
            "SELECT 1 FROM node WHERE asset = ? AND uid <> ? AND links > 0 LIMIT 1",
            [asset.value, .integer(Int64(uid))]
        ) { _ in true } == nil
    }

    /// Returns files that show another owner's asset, from before that became impossible; each is to get an
    /// asset of its own.
    public func sharedAcrossOwners() throws -> [NodeID] {
        try all("SELECT node FROM shared_due", []) { NodeID(rawValue: $0.integer(0)) }
    }

    /// Records that a file no longer shows another owner's asset.
    public func deleteSharedAcrossOwners(_ node: NodeID) throws {
        try run("DELETE FROM shared_due WHERE node = ?", [node.value])
    }

    /// Copies those fields of an asset that the other does not have itself.
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

    // MARK: Attributes of assets from policies

    /// Records whether an asset's embedded metadata is ignored.
    public func setIgnoresEmbedded(_ ignores: Bool, of asset: AssetID) throws {
        try run("UPDATE asset SET no_exif = ? WHERE id = ?", [ignores ? 1 : 0, asset.value])
    }

    /// Returns whether an asset's embedded metadata is ignored.
    public func ignoresEmbedded(_ asset: AssetID) throws -> Bool {
        try first("SELECT no_exif FROM asset WHERE id = ?", [asset.value]) { $0.integer(0) != 0 } ?? false
    }

    /// Records the malware that a scanner found in an asset's content; nil for none.
    public func setInfection(of asset: AssetID, to signature: String?) throws {
        try run("UPDATE asset SET infection = ? WHERE id = ?", [signature.map(SQLValue.text) ?? nil, asset.value])
    }

    /// Returns the files that show an asset, its own first.
    public func nodes(showing asset: AssetID) throws -> [NodeID] {
        try all(
            "SELECT id FROM node WHERE asset = ? AND links > 0 ORDER BY former_asset IS NOT NULL, id",
            [asset.value]
        ) { NodeID(rawValue: $0.integer(0)) }
    }

    // MARK: MD5

    /// Returns a blob's MD5, if it has been computed.
    public func md5(of blob: BlobID) throws -> [UInt8]? {
        try first("SELECT md5 FROM blob WHERE id = ?", [blob.value]) { $0.bytes(0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Records a blob's MD5.
    public func setMD5(of blob: BlobID, to md5: [UInt8]) throws {
        try run("UPDATE blob SET md5 = ? WHERE id = ?", [.blob(md5), blob.value])
    }

    /// Returns blobs whose MD5 has not been computed, after a given one.
    public func blobsWithoutMD5(after blob: BlobID, limit: Int) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        try all(
            "SELECT id, digest, size FROM blob WHERE md5 IS NULL AND id > ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) {
            (BlobID(rawValue: $0.integer(0)), Digest($0.bytes(1)), $0.integer(2))
        }
    }
}
