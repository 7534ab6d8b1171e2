public import AssetModel

/// An asset that is in the trash.
public struct TrashRecord: Sendable {
    /// The asset.
    public let asset: AssetID
    /// When its last name was removed.
    public let trashed: Timestamp
    /// When it is removed for good.
    public let until: Timestamp
    /// The folder that the name was in, which may be gone.
    public let parent: NodeID
    /// The name.
    public let name: [UInt8]
    /// Where that was below `folders/`; not UTF-8 where names are not.
    public let pathBytes: [UInt8]
    /// The same for people.
    public var path: String { String(decoding: pathBytes, as: UTF8.self) }
    /// The file, which has no name; nil where it shows another asset.
    public let node: NodeID?

    static let columns =
        "id, trashed, trashed_until, trashed_parent, trashed_name, trashed_path, trashed_node"

    init(_ row: Columns) {
        asset = AssetID(rawValue: row.integer(0))
        trashed = row.timestamp(1)
        until = row.timestamp(2)
        parent = NodeID(rawValue: row.integer(3))
        name = row.bytes(4)
        pathBytes = row.isNull(5) ? name : row.bytes(5)
        node = row.optionalInteger(6).map(NodeID.init)
    }
}

/// A former content of an asset.
public struct FormerVersionRecord: Sendable {
    /// Its row.
    public let id: VersionID
    /// Whose it is.
    public let asset: AssetID
    /// Since when it is a former one.
    public let superseded: Timestamp
    /// Bytes that it takes of the library's own disk.
    public let size: Int64
    /// Bytes that it has, on whichever disk.
    public let bytes: Int64
    /// Whether it is the first of the asset's contents that are kept, besides empty ones.
    public let isOriginal: Bool
}

// What goes by itself: assets at their time, what was removed, former contents, and contents that nobody uses.
extension Records {
    // MARK: Access

    /// Records who may see a file, and with it its asset; nil for nothing said.
    public func setAccess(of node: NodeRecord, to access: Access?) throws {
        let value = SQLValue.integer(access?.rawValue ?? 0)
        if let asset = node.asset {
            try run("UPDATE asset SET access = ? WHERE id = ?", [value, asset.value])
        } else {
            try run("UPDATE node SET access = ? WHERE id = ?", [value, node.id.value])
        }
    }

    /// Whether a folder may hold something that goes by itself or is hidden.
    public func isSpecial(_ folder: NodeID) throws -> Bool {
        try first("SELECT 1 FROM special_folder WHERE node = ?", [folder.value]) { _ in true } ?? false
    }

    // MARK: Expiry

    private static let recomputeExpiry =
        "UPDATE asset SET expires = coalesce(min(deadline, unstored_until), deadline, unstored_until) WHERE id = ?"

    /// Records whether an asset goes at the time that was said, or not before that is allowed again.
    public func setMayExpire(_ asset: AssetID, _ may: Bool) throws {
        try run(may ? Self.recomputeExpiry : "UPDATE asset SET expires = NULL WHERE id = ?", [asset.value])
    }

    /// Records when an asset is to go, and the period that this was said as; nil for never.
    public func setDeadline(of asset: AssetID, to time: Timestamp?, saidAs life: String? = nil) throws {
        try run(
            "UPDATE asset SET deadline = ?, ttl = ? WHERE id = ?",
            [SQLValue(time?.rawValue), life.map(SQLValue.text) ?? nil, asset.value]
        )
        try run(Self.recomputeExpiry, [asset.value])
    }

    /// Records when an asset goes unless it is stored; nil where it is.
    public func setUnstored(of asset: AssetID, until time: Timestamp?) throws {
        try run("UPDATE asset SET unstored_until = ? WHERE id = ?", [SQLValue(time?.rawValue), asset.value])
        try run(Self.recomputeExpiry, [asset.value])
    }

    /// An asset that was made of another's file goes when that does unless somebody stores it, and has its contents where that has them.
    ///
    /// Not at an end that somebody has set: nobody has set it for this one.
    public func copyLife(of asset: AssetID, to other: AssetID) throws {
        try run(
            """
            UPDATE asset SET (unstored_until, store) = (SELECT unstored_until, store FROM asset WHERE id = ?) WHERE id = ?
            """,
            [asset.value, other.value]
        )
        try run(Self.recomputeExpiry, [other.value])
    }

    /// Assets that are to go by a moment.
    public func expired(by time: Timestamp, limit: Int) throws -> [AssetID] {
        try all(
            "SELECT id FROM asset WHERE expires IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?",
            [time.value, .integer(Int64(limit))]
        ) { AssetID(rawValue: $0.integer(0)) }
    }

    /// Assets that a folder's entries show and that are to go by a moment.
    public func expiredAssets(in folder: NodeID, by time: Timestamp) throws -> [AssetID] {
        try all(
            """
            SELECT DISTINCT n.asset FROM entry e JOIN node n ON n.id = e.node
            WHERE e.parent = ? AND n.expires <= ? AND n.asset IS NOT NULL
            """,
            [folder.value, time.value]
        ) { AssetID(rawValue: $0.integer(0)) }
    }

    /// When the next asset goes.
    public func nextExpiry() throws -> Timestamp? {
        try first("SELECT expires FROM asset WHERE expires IS NOT NULL ORDER BY expires LIMIT 1", []) {
            $0.timestamp(0)
        }
    }

    // MARK: Trash

    /// Records that an asset lost its last name: which it was, where, whose, and until when it can be taken back.
    ///
    /// An asset that another node shows stays.
    public func trash(
        _ id: AssetID,
        _ node: NodeID?,
        parent: NodeID,
        name: EntryName,
        path: [UInt8],
        at now: Timestamp,
        until: Timestamp
    ) throws {
        try run(
            """
            UPDATE asset SET trashed = ?1, trashed_until = ?2, trashed_node = ?3, trashed_parent = ?4, trashed_name = ?5,
            trashed_path = ?6, trashed_home = ?4
            WHERE id = ?7 AND NOT EXISTS (SELECT 1 FROM node WHERE asset = ?7 AND links > 0)
            """,
            [
                now.value, until.value, SQLValue(node?.rawValue), parent.value, name.value, .bytesAsText(path),
                id.value,
            ]
        )
    }

    /// Records which file an asset in the trash comes back as.
    public func setTrashedNode(of id: AssetID, to node: NodeID) throws {
        try run("UPDATE asset SET trashed_node = ? WHERE id = ?", [node.value, id.value])
    }

    /// An asset's present content, and when that was uploaded.
    public func newestVersion(of asset: AssetID) throws -> (blob: BlobID?, size: Int64, created: Timestamp)? {
        try first(
            "SELECT blob, size, created FROM version WHERE asset = ? ORDER BY number DESC LIMIT 1",
            [asset.value]
        ) { ($0.optionalInteger(0).map(BlobID.init), $0.integer(1), $0.timestamp(2)) }
    }

    /// Takes an asset out of the trash.
    public func restore(_ id: AssetID) throws {
        try run(
            """
            UPDATE asset SET trashed = NULL, trashed_until = NULL, trashed_node = NULL, trashed_parent = NULL,
            trashed_name = NULL, trashed_path = NULL, trashed_home = NULL WHERE id = ? AND trashed IS NOT NULL
            """,
            [id.value]
        )
    }

    /// What is known of an asset in the trash; nil where it is not there.
    public func trashed(_ id: AssetID) throws -> TrashRecord? {
        try first("SELECT \(TrashRecord.columns) FROM asset WHERE id = ? AND trashed IS NOT NULL", [id.value]) {
            TrashRecord($0)
        }
    }

    /// Assets in the trash, in the order of their numbers, behind one of them.
    public func trashed(after id: AssetID, limit: Int) throws -> [TrashRecord] {
        try all(
            "SELECT \(TrashRecord.columns) FROM asset WHERE trashed IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
            [id.value, .integer(Int64(limit))]
        ) { TrashRecord($0) }
    }

    /// Assets whose time in the trash is over at a moment; the first to go first.
    public func purgeable(by time: Timestamp, limit: Int) throws -> [TrashRecord] {
        try all(
            """
            SELECT \(TrashRecord.columns) FROM asset WHERE trashed_until IS NOT NULL AND trashed_until <= ?
            ORDER BY trashed_until LIMIT ?
            """,
            [time.value, .integer(Int64(limit))]
        ) { TrashRecord($0) }
    }

    /// When the next asset leaves the trash.
    public func nextPurge() throws -> Timestamp? {
        try first("SELECT trashed_until FROM asset WHERE trashed_until IS NOT NULL ORDER BY trashed_until LIMIT 1", [])
        {
            $0.timestamp(0)
        }
    }

    // MARK: Former contents

    /// Former contents of all assets, those superseded first in front, behind one of them.
    public func formerVersions(
        after last: FormerVersionRecord?,
        limit: Int
    ) throws -> [FormerVersionRecord] {
        try all(
            """
            SELECT id, asset, superseded, iif((SELECT store FROM blob WHERE id = version.blob) = 0, size, 0),
            size > 0 AND NOT EXISTS (
                SELECT 1 FROM version v WHERE v.asset = version.asset AND v.number < version.number AND v.size > 0),
            size
            FROM version
            WHERE superseded IS NOT NULL AND (superseded, id) > (?, ?) ORDER BY superseded, id LIMIT ?
            """,
            [
                .integer(last?.superseded.rawValue ?? .min), .integer(last?.id.rawValue ?? 0), .integer(Int64(limit)),
            ]
        ) {
            FormerVersionRecord(
                id: VersionID(rawValue: $0.integer(0)),
                asset: AssetID(rawValue: $0.integer(1)),
                superseded: $0.timestamp(2),
                size: $0.integer(3),
                bytes: $0.integer(5),
                isOriginal: $0.integer(4) != 0
            )
        }
    }

    /// Former contents of an asset, the newest first, with when they were uploaded and superseded.
    public func formerVersions(
        of asset: AssetID
    ) throws -> [(id: VersionID, created: Timestamp, superseded: Timestamp, size: Int64)] {
        try all(
            "SELECT id, created, superseded, size FROM version WHERE asset = ? AND superseded IS NOT NULL ORDER BY number DESC",
            [asset.value]
        ) { (VersionID(rawValue: $0.integer(0)), $0.timestamp(1), $0.timestamp(2), $0.integer(3)) }
    }

    /// Removes a former content; the MD5 of an asset's first one stays known, if it was.
    public func deleteFormerVersion(_ id: VersionID, of asset: AssetID) throws {
        try run(
            """
            UPDATE asset SET first_md5 = (SELECT b.md5 FROM version v JOIN blob b ON b.id = v.blob WHERE v.id = ?)
            WHERE id = ? AND 1 = (SELECT number FROM version WHERE id = ?)
            """,
            [id.value, asset.value, id.value]
        )
        try run("DELETE FROM version WHERE id = ? AND superseded IS NOT NULL", [id.value])
    }

    /// The MD5 of an asset's first content, where that is no longer kept.
    public func firstMD5(of asset: AssetID) throws -> [UInt8]? {
        try first("SELECT first_md5 FROM asset WHERE id = ?", [asset.value]) { $0.bytes(0) }.flatMap {
            $0.isEmpty ? nil : $0
        }
    }

    // MARK: Contents that nobody uses

    /// Blobs that neither a version nor a file has needed since before a moment, in the order of that time.
    public func unusedBlobs(
        since time: Timestamp,
        notIn stores: [Int64] = [],
        limit: Int
    ) throws -> [(id: BlobID, digest: Digest?, size: Int64)] {
        let elsewhere = stores.map(String.init).joined(separator: ", ")
        return try all(
            """
            SELECT id, digest, size FROM blob WHERE unused IS NOT NULL AND unused <= ? AND store NOT IN (\(elsewhere))
            ORDER BY unused LIMIT ?
            """,
            [time.value, .integer(Int64(limit))]
        ) { (BlobID(rawValue: $0.integer(0)), Digest($0.bytes(1)), $0.integer(2)) }
    }

    /// Removes a blob, and what was found in it, unless something uses it.
    /// - Returns: whether it is gone.
    public func deleteUnusedBlob(_ id: BlobID) throws -> Bool {
        let isUsed = """
            EXISTS (SELECT 1 FROM version v WHERE v.blob = blob.id) OR uses <> 0 OR shown <> 0
            """
        try run("DELETE FROM blob WHERE id = ? AND NOT (\(isUsed))", [id.value])
        guard changedRows > 0 else { return false }
        try run("DELETE FROM extraction WHERE blob = ?", [id.value])
        return true
    }

    // MARK: Space

    /// Bytes of contents that no name shows: what the trash and former contents hold, and what is not yet removed.
    public func reclaimableBytes() throws -> Int64 {
        try first("SELECT reclaimable FROM space", []) { max(0, $0.integer(0)) } ?? 0
    }

    /// Bytes that statfs(2) shows as free besides those of the disk; negative where more are masked than can be reclaimed.
    public func shownFreeBytes() throws -> Int64 {
        try first("SELECT max(0, reclaimable) - masked FROM space", []) { $0.integer(0) } ?? 0
    }

    /// What the library holds, counted row by row.
    public func counts() throws -> LibraryCounts {
        func number(_ sql: String) throws -> Int64 { try first(sql, []) { $0.integer(0) } ?? 0 }
        return LibraryCounts(
            assets: try number("SELECT count(*) FROM asset WHERE trashed IS NULL"),
            trashed: try number("SELECT count(*) FROM asset WHERE trashed IS NOT NULL"),
            formerVersions: try number("SELECT count(*) FROM version WHERE superseded IS NOT NULL"),
            bytes: try number("SELECT coalesce(sum(size), 0) FROM blob"),
            reclaimable: try reclaimableBytes()
        )
    }
}

/// How much a library holds.
public struct LibraryCounts: Sendable {
    /// Assets that have a name.
    public let assets: Int64
    /// Assets in the trash.
    public let trashed: Int64
    /// Former contents.
    public let formerVersions: Int64
    /// Bytes of all contents; equal ones are kept once.
    public let bytes: Int64
    /// Those of contents that no name shows.
    public let reclaimable: Int64
}
