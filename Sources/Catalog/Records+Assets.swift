public import AssetModel
internal import GRDBSQLite

/// One version of an asset.
public struct VersionRecord: Sendable {
    /// Its row.
    public var id: VersionID
    /// The version's number, 1 for the first.
    public var number: Int64
    /// The digest of its blob; nil when it is empty.
    public var digest: Digest?
    /// The number of bytes.
    public var size: Int64
    /// The time of the upload.
    public var created: Timestamp
    /// The uploader.
    public var uid: UInt32
    /// The name it was uploaded under.
    public var name: [UInt8]
    /// The degrees by which it is turned clockwise against the uploaded picture.
    public var rotation: Int64
    /// The readers of the version's file at each moment when it was replaced.
    ///
    /// A user may read the version only if allowed by all of them. Empty for the present version, and where
    /// this was not recorded.
    public var standings: [Standing]
}

/// An asset, which has a history of versions.
public struct AssetRecord: Sendable {
    /// Its number.
    public let id: AssetID
    /// The time of creation.
    public let created: Timestamp
    /// The first uploader.
    public let uid: UInt32
    /// The name it was first uploaded under.
    public let originalName: [UInt8]
    /// The time when its last name was removed; nil while it has one.
    public let trashed: Timestamp?
    /// The time at which it expires; nil where it does not.
    public let expires: Timestamp?
    /// The expiry that a user or its folder has set.
    public let deadline: Timestamp?
    /// The expiry of an asset that is not stored.
    public let unstoredUntil: Timestamp?
    /// The lifetime that it was given, an ISO 8601 period; nil where it has none, or was given a time.
    public let life: String?
    /// The malware that a scanner found in it.
    public let infection: String?
    /// Its globally unique identifier, 16 random bytes.
    public let uuid: [UInt8]
}

extension Records {
    /// Finds a blob by its digest.
    public func blob(_ digest: Digest) throws -> BlobID? {
        try first("SELECT id FROM blob WHERE digest = ?", [digest.value]) { BlobID(rawValue: $0.integer(0)) }
    }

    /// Returns the digests of all blobs that begin with a byte.
    public func digests(beginningWith first: UInt8) throws -> [Digest] {
        // A digest has 32 bytes: the upper bound is the highest one with this first byte.
        try all(
            "SELECT digest FROM blob WHERE digest BETWEEN ? AND ?",
            [.blob([first]), .blob([first] + [UInt8](repeating: 0xFF, count: 31))]
        ) { Digest($0.bytes(0)) }.compactMap { $0 }
    }

    /// Records a blob, under a number that no blob has had: a result of extraction may be recorded after its
    /// blob is gone.
    public func insertBlob(_ digest: Digest, size: Int64, at now: Timestamp) throws -> BlobID {
        try run(
            """
            INSERT INTO blob (id, digest, size, created, unused)
            VALUES (1 + max((SELECT last_blob FROM space), coalesce((SELECT max(id) FROM blob), 0)), ?, ?, ?, ?)
            """,
            [digest.value, .integer(size), now.value, now.value]
        )
        return BlobID(rawValue: lastRow)
    }

    /// Returns the digest of a blob.
    public func digest(of blob: BlobID) throws -> Digest? {
        try first("SELECT digest FROM blob WHERE id = ?", [blob.value]) { Digest($0.bytes(0)) } ?? nil
    }

    /// Returns the size of a blob in bytes.
    public func size(of blob: BlobID) throws -> Int64? {
        try first("SELECT size FROM blob WHERE id = ?", [blob.value]) { $0.integer(0) }
    }

    /// Returns blobs with their digests and sizes, in the order of their rows, after a given one.
    public func blobs(after blob: BlobID, limit: Int) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        try all(
            "SELECT id, digest, size FROM blob WHERE id > ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) {
            (BlobID(rawValue: $0.integer(0)), Digest($0.bytes(1)), $0.integer(2))
        }
    }

    /// 16 random bytes as a value, so that a repeated statement has them again; from SQLite, which makes no
    /// system call for them.
    static var newIdentifier: SQLValue {
        var bytes = [UInt8](repeating: 0, count: 16)
        unsafe sqlite3_randomness(16, &bytes)
        return .blob(bytes)
    }

    /// Records an asset with the access level of a file; under a number of its own unless `id` is given.
    public func insertAsset(
        _ id: AssetID? = nil,
        uid: UInt32,
        name: EntryName,
        like node: NodeRecord,
        at now: Timestamp
    ) throws -> AssetID {
        try run(
            "INSERT INTO asset (id, created, uid, original_name, access, uuid) VALUES (?, ?, ?, ?, ?, ?)",
            [SQLValue(id?.rawValue), now.value, .integer(Int64(uid)), name.value, node.accessValue, Self.newIdentifier]
        )
        return AssetID(rawValue: lastRow)
    }

    /// Records the name under which an asset was first uploaded.
    public func setOriginalName(of id: AssetID, to name: EntryName) throws {
        try run("UPDATE asset SET original_name = ? WHERE id = ?", [name.value, id.value])
    }

    /// Returns the highest number that an asset has had.
    public func lastAsset() throws -> AssetID {
        AssetID(rawValue: try first("SELECT seq FROM sqlite_sequence WHERE name = 'asset'", []) { $0.integer(0) } ?? 0)
    }

    /// Returns the listed assets in the order of their numbers, after a given one: no trashed or hidden
    /// assets, and no alternative files.
    public func listedAssets(after id: AssetID, limit: Int) throws -> [AssetID] {
        try all(
            """
            SELECT a.id FROM asset a WHERE a.id > ? AND a.trashed IS NULL AND NOT a.access & 15 BETWEEN 4 AND 7
            AND NOT EXISTS (
                SELECT 1 FROM node n JOIN entry e ON e.node = n.id JOIN entry f ON f.node = e.parent
                WHERE n.asset = a.id AND f.parent = ?)
            ORDER BY a.id LIMIT ?
            """,
            [id.value, NodeID.alternatives.value, .integer(Int64(limit))]
        ) { AssetID(rawValue: $0.integer(0)) }
    }

    /// Returns a former version with its asset; nil if it is gone or is a present one.
    public func formerVersion(_ id: VersionID) throws -> (asset: AssetID, version: VersionRecord)? {
        let asset = try first("SELECT asset FROM version WHERE id = ? AND superseded IS NOT NULL", [id.value]) {
            AssetID(rawValue: $0.integer(0))
        }
        return try asset.flatMap { asset in
            try versions(of: asset).first { $0.id == id }.map { (asset, $0) }
        }
    }

    /// Finds an asset.
    public func asset(_ id: AssetID) throws -> AssetRecord? {
        try first(
            """
            SELECT created, uid, original_name, trashed, expires, infection, uuid, deadline, unstored_until, ttl
            FROM asset WHERE id = ?
            """,
            [id.value]
        ) {
            AssetRecord(
                id: id,
                created: $0.timestamp(0),
                uid: $0.unsigned(1),
                originalName: $0.bytes(2),
                trashed: $0.optionalTimestamp(3),
                expires: $0.optionalTimestamp(4),
                deadline: $0.optionalTimestamp(7),
                unstoredUntil: $0.optionalTimestamp(8),
                life: $0.isNull(9) ? nil : $0.text(9),
                infection: $0.bytes(5).isEmpty ? nil : $0.text(5),
                uuid: $0.bytes(6)
            )
        }
    }

    /// Returns whether a file shows an asset.
    public func isShown(_ id: AssetID) throws -> Bool {
        try first("SELECT 1 FROM node WHERE asset = ? AND links > 0 LIMIT 1", [id.value]) { _ in true } ?? false
    }

    /// Deletes an asset with its versions and fields; no file that has a name may show it.
    public func deleteAsset(_ id: AssetID) throws {
        try run("UPDATE node SET asset = NULL, former_asset = NULL WHERE asset = ?", [id.value])
        try run("DELETE FROM version WHERE asset = ?", [id.value])
        try run("DELETE FROM field WHERE asset = ?", [id.value])
        try run("DELETE FROM desktop_value WHERE asset = ?", [id.value])
        try run("DELETE FROM visit WHERE asset = ?", [id.value])
        try run("DELETE FROM asset WHERE id = ?", [id.value])
    }

    /// Adds to the number of times that an asset's files were opened, and were read from start to end.
    public func addVisits(of asset: AssetID, clicks: Int64, downloads: Int64) throws {
        try run(
            """
            INSERT INTO visit (asset, clicks, downloads) VALUES (?, ?, ?)
            ON CONFLICT (asset) DO UPDATE SET clicks = clicks + excluded.clicks, downloads = downloads + excluded.downloads
            """,
            [asset.value, .integer(clicks), .integer(downloads)]
        )
    }

    /// Returns the number of clicks and downloads of an asset.
    public func visits(of asset: AssetID) throws -> (clicks: Int64, downloads: Int64) {
        try first("SELECT clicks, downloads FROM visit WHERE asset = ?", [asset.value]) {
            ($0.integer(0), $0.integer(1))
        } ?? (0, 0)
    }

    /// Records an asset's next version and returns its row; the previous version is superseded, and `former`
    /// is added to its recorded standings.
    public func insertVersion(
        of asset: AssetID,
        blob: BlobID?,
        size: Int64,
        uid: UInt32,
        name: EntryName,
        at now: Timestamp,
        insteadOf former: [Standing] = []
    ) throws -> VersionID {
        let newest = "(SELECT max(number) FROM version WHERE asset = ?)"
        try run(
            """
            UPDATE version SET superseded = ?, standings = nullif(CAST(coalesce(standings, x'') || ? AS BLOB), x'')
            WHERE asset = ? AND number = \(newest)
            """,
            [now.value, .blob(former.flatMap(\.bytes)), asset.value, asset.value]
        )
        try run(
            """
            INSERT INTO version (asset, number, blob, size, created, uid, name)
            VALUES (?, 1 + coalesce(\(newest), 0), ?, ?, ?, ?, ?)
            """,
            [
                asset.value, asset.value, SQLValue(blob?.rawValue), .integer(size), now.value, .integer(Int64(uid)),
                name.value,
            ]
        )
        let id = VersionID(rawValue: lastRow)
        try queueExtraction(of: blob, at: now)
        return id
    }

    /// Replaces a version's content, within the upload that made it.
    public func updateVersion(_ id: VersionID, blob: BlobID?, size: Int64, at now: Timestamp) throws {
        try run(
            "UPDATE version SET blob = ?, size = ?, created = ? WHERE id = ?",
            [SQLValue(blob?.rawValue), .integer(size), now.value, id.value]
        )
        try queueExtraction(of: blob, at: now)
    }

    /// Deletes the newest version of an asset: the previous one is the present one again.
    public func deleteNewestVersion(_ id: VersionID, of asset: AssetID) throws {
        try run("DELETE FROM version WHERE id = ?", [id.value])
        try run(
            """
            UPDATE version SET superseded = NULL, standings = NULL, rights = NULL
            WHERE asset = ? AND number = (SELECT max(number) FROM version WHERE asset = ?)
            """,
            [asset.value, asset.value]
        )
    }

    /// Returns the newest versions of an asset, at most `limit`: their rows and blobs, and whether their
    /// readers are recorded.
    public func newestVersions(
        of asset: AssetID,
        limit: Int
    ) throws -> [(id: VersionID, blob: BlobID?, hasStandings: Bool)] {
        try all(
            """
            SELECT id, blob, coalesce(standings, rights) IS NOT NULL FROM version WHERE asset = ? ORDER BY number DESC LIMIT ?
            """,
            [asset.value, .integer(Int64(limit))]
        ) { (VersionID(rawValue: $0.integer(0)), $0.optionalInteger(1).map(BlobID.init), $0.integer(2) != 0) }
    }

    /// Records the degrees by which a version is turned against the uploaded picture.
    public func setRotation(of id: VersionID, to degrees: Int64) throws {
        try run("UPDATE version SET rotation = ? WHERE id = ?", [.integer(degrees), id.value])
    }
}
