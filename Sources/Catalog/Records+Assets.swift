public import AssetModel
internal import GRDBSQLite

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
    /// By how many degrees it is turned clockwise against what was uploaded.
    public var rotation: Int64
    /// Who could read it at the moments when it was replaced: only who could at all of them may; none for the present content, and where
    /// that was not recorded.
    public var standings: [Standing]
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
    /// When it goes by itself; nil where it stays.
    public let expires: Timestamp?
    /// When it goes because somebody said so, or its folder.
    public let deadline: Timestamp?
    /// When it goes because nobody has stored it.
    public let unstoredUntil: Timestamp?
    /// The life that it was given, an ISO 8601 period; nil where it has none, or was given a time.
    public let life: String?
    /// What a scanner found in it.
    public let infection: String?
    /// Its identifier that is unique everywhere, 16 random bytes.
    public let uuid: [UInt8]
}

extension Records {
    /// Finds a blob by its digest.
    public func blob(_ digest: Digest) throws -> BlobID? {
        try first("SELECT id FROM blob WHERE digest = ?", [digest.value]) { BlobID(rawValue: $0.integer(0)) }
    }

    /// Returns the digests of all blobs whose first byte this is.
    public func digests(beginningWith first: UInt8) throws -> [Digest] {
        // One that has all of its bytes is 32 of them.
        try all(
            "SELECT digest FROM blob WHERE digest BETWEEN ? AND ?",
            [.blob([first]), .blob([first] + [UInt8](repeating: 0xFF, count: 31))]
        ) { Digest($0.bytes(0)) }.compactMap { $0 }
    }

    /// Records a blob, under a number that none has had: what is found out about one may be recorded when it is gone.
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

    /// A blob's digest.
    public func digest(of blob: BlobID) throws -> Digest? {
        try first("SELECT digest FROM blob WHERE id = ?", [blob.value]) { Digest($0.bytes(0)) } ?? nil
    }

    /// A blob's size in bytes.
    public func size(of blob: BlobID) throws -> Int64? {
        try first("SELECT size FROM blob WHERE id = ?", [blob.value]) { $0.integer(0) }
    }

    /// Blobs with their sizes, in the order of their rows, behind one of them.
    public func blobs(after blob: BlobID, limit: Int) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        try all(
            "SELECT id, digest, size FROM blob WHERE id > ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) {
            (BlobID(rawValue: $0.integer(0)), Digest($0.bytes(1)), $0.integer(2))
        }
    }

    /// 16 random bytes, which are the same where the statement runs once more; from SQLite, which asks the kernel for none.
    static var newIdentifier: SQLValue {
        var bytes = [UInt8](repeating: 0, count: 16)
        unsafe sqlite3_randomness(16, &bytes)
        return .blob(bytes)
    }

    /// Records an asset, which those may see who may see a file; under a number of its own unless one is asked for.
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

    /// Records under which name an asset was first uploaded.
    public func setOriginalName(of id: AssetID, to name: EntryName) throws {
        try run("UPDATE asset SET original_name = ? WHERE id = ?", [name.value, id.value])
    }

    /// The highest number that an asset has had.
    public func lastAsset() throws -> AssetID {
        AssetID(rawValue: try first("SELECT seq FROM sqlite_sequence WHERE name = 'asset'", []) { $0.integer(0) } ?? 0)
    }

    /// Assets that are listed, in the order of their numbers, behind one of them: not what is in the trash or hidden, and no
    /// alternative files.
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

    /// A former content, and whose it is; nil where it is gone, or is a present one.
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

    /// Whether a file shows an asset.
    public func isShown(_ id: AssetID) throws -> Bool {
        try first("SELECT 1 FROM node WHERE asset = ? AND links > 0 LIMIT 1", [id.value]) { _ in true } ?? false
    }

    /// Removes an asset with its versions and fields; no file that has a name may show it.
    public func deleteAsset(_ id: AssetID) throws {
        try run("UPDATE node SET asset = NULL, former_asset = NULL WHERE asset = ?", [id.value])
        try run("DELETE FROM version WHERE asset = ?", [id.value])
        try run("DELETE FROM field WHERE asset = ?", [id.value])
        try run("DELETE FROM desktop_value WHERE asset = ?", [id.value])
        try run("DELETE FROM visit WHERE asset = ?", [id.value])
        try run("DELETE FROM asset WHERE id = ?", [id.value])
    }

    /// Adds to how often an asset's files were opened, and read from start to end.
    public func addVisits(of asset: AssetID, clicks: Int64, downloads: Int64) throws {
        try run(
            """
            INSERT INTO visit (asset, clicks, downloads) VALUES (?, ?, ?)
            ON CONFLICT (asset) DO UPDATE SET clicks = clicks + excluded.clicks, downloads = downloads + excluded.downloads
            """,
            [asset.value, .integer(clicks), .integer(downloads)]
        )
    }

    /// How often that was.
    public func visits(of asset: AssetID) throws -> (clicks: Int64, downloads: Int64) {
        try first("SELECT clicks, downloads FROM visit WHERE asset = ?", [asset.value]) {
            ($0.integer(0), $0.integer(1))
        } ?? (0, 0)
    }

    /// Records an asset's next version, and gives its row; the one before is superseded, and was readable as `former` says, besides
    /// what was recorded before.
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

    /// Gives a version another content, within the upload that made it.
    public func updateVersion(_ id: VersionID, blob: BlobID?, size: Int64, at now: Timestamp) throws {
        try run(
            "UPDATE version SET blob = ?, size = ?, created = ? WHERE id = ?",
            [SQLValue(blob?.rawValue), .integer(size), now.value, id.value]
        )
        try queueExtraction(of: blob, at: now)
    }

    /// Removes the newest version of an asset: the one before is the present one again.
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

    /// The newest versions of an asset, at most `limit` of them: their rows and blobs, and whether it is recorded who could read them.
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

    /// Records by how many degrees a version is turned against what was uploaded.
    public func setRotation(of id: VersionID, to degrees: Int64) throws {
        try run("UPDATE version SET rotation = ? WHERE id = ?", [.integer(degrees), id.value])
    }
}
