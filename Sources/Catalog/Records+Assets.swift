public import AssetModel
internal import GRDB

/// One content of an asset.
public struct VersionRecord: Sendable {
    /// Its row.
    public var id: VersionID
    /// 1 for the first, and so on.
    public var number: Int64
    /// Nil when it is empty.
    public var digest: Digest?
    /// Bytes.
    public var size: Int64
    /// When it was uploaded.
    public var created: Timestamp
    /// Who uploaded it.
    public var uid: UInt32
    /// The name it was uploaded under.
    public var name: [UInt8]
}

/// The thing with a history.
public struct AssetRecord: Sendable {
    /// Its number.
    public let id: AssetID
    /// When it came to be.
    public let created: Timestamp
    /// Who first uploaded it.
    public let uid: UInt32
    /// The name it was first uploaded under.
    public let originalName: [UInt8]
    /// When its last name was removed; nil while it has one.
    public let trashed: Timestamp?
}

extension Records {
    /// Finds a blob by its digest.
    public func blob(_ digest: Digest) throws -> BlobID? {
        try first("SELECT id FROM blob WHERE digest = ?", [digest.bytes.asData]) { BlobID(rawValue: $0[0]) }
    }

    /// Records a blob.
    public func insertBlob(_ digest: Digest, size: Int64, at now: Timestamp) throws -> BlobID {
        try run(
            "INSERT INTO blob (digest, size, created) VALUES (?, ?, ?)", [digest.bytes.asData, size, now.rawValue])
        return BlobID(rawValue: database.lastInsertedRowID)
    }

    /// A blob's digest.
    public func digest(of blob: BlobID) throws -> Digest? {
        try first("SELECT digest FROM blob WHERE id = ?", [blob.rawValue]) { Digest(try $0.bytes(0)) } ?? nil
    }

    /// Blobs with their sizes, in the order of their rows, behind one of them.
    public func blobs(after blob: BlobID, limit: Int) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        try all("SELECT id, digest, size FROM blob WHERE id > ? ORDER BY id LIMIT ?", [blob.rawValue, limit]) {
            (BlobID(rawValue: $0[0]), Digest(try $0.bytes(1)), $0[2])
        }
    }

    /// Records an asset.
    public func insertAsset(uid: UInt32, name: EntryName, at now: Timestamp) throws -> AssetID {
        try run(
            "INSERT INTO asset (created, uid, original_name) VALUES (?, ?, ?)", [now.rawValue, uid, name.bytes.asData])
        return AssetID(rawValue: database.lastInsertedRowID)
    }

    /// Finds an asset.
    public func asset(_ id: AssetID) throws -> AssetRecord? {
        try first("SELECT created, uid, original_name, trashed FROM asset WHERE id = ?", [id.rawValue]) {
            AssetRecord(
                id: id, created: $0.timestamp(0), uid: $0[1], originalName: try $0.bytes(2),
                trashed: ($0[3] as Int64?).map(Timestamp.init))
        }
    }

    /// Records that an asset lost its last name, and which it was. An asset that another node shows stays.
    public func trash(_ id: AssetID, parent: NodeID, name: EntryName, at now: Timestamp) throws {
        try run(
            """
            UPDATE asset SET trashed = ?, trashed_parent = ?, trashed_name = ?
            WHERE id = ? AND NOT EXISTS (SELECT 1 FROM node WHERE asset = ? AND links > 0)
            """, [now.rawValue, parent.rawValue, name.bytes.asData, id.rawValue, id.rawValue])
    }

    /// Records an asset's next version, and gives its row.
    public func insertVersion(
        of asset: AssetID, blob: BlobID?, size: Int64, uid: UInt32, name: EntryName, at now: Timestamp
    ) throws -> VersionID {
        try run(
            """
            INSERT INTO version (asset, number, blob, size, created, uid, name)
            VALUES (?, 1 + coalesce((SELECT max(number) FROM version WHERE asset = ?), 0), ?, ?, ?, ?, ?)
            """, [asset.rawValue, asset.rawValue, blob?.rawValue, size, now.rawValue, uid, name.bytes.asData])
        return VersionID(rawValue: database.lastInsertedRowID)
    }

    /// Gives a version another content, within the upload that made it.
    public func updateVersion(_ id: VersionID, blob: BlobID?, size: Int64, at now: Timestamp) throws {
        try run(
            "UPDATE version SET blob = ?, size = ?, created = ? WHERE id = ?",
            [blob?.rawValue, size, now.rawValue, id.rawValue])
    }

    /// An asset's versions, the newest first.
    public func versions(of asset: AssetID) throws -> [VersionRecord] {
        try all(
            """
            SELECT v.id, v.number, b.digest, v.size, v.created, v.uid, v.name FROM version v LEFT JOIN blob b ON b.id = v.blob
            WHERE v.asset = ? ORDER BY v.number DESC
            """, [asset.rawValue]
        ) {
            VersionRecord(
                id: VersionID(rawValue: $0[0]), number: $0[1], digest: Digest(try $0.bytes(2)), size: $0[3],
                created: $0.timestamp(4), uid: $0[5], name: try $0.bytes(6))
        }
    }
}
