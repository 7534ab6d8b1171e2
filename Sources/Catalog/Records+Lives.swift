public import AssetModel

/// An asset in the trash.
public struct TrashRecord: Sendable {
    /// The asset.
    public let asset: AssetID
    /// The time when its last name was removed.
    public let trashed: Timestamp
    /// The time when it is removed for good.
    public let until: Timestamp
    /// The folder that the name was in, which may be gone.
    public let parent: NodeID
    /// The name.
    public let name: [UInt8]
    /// The path of the name below `folders/`; not UTF-8 where names are not.
    public let pathBytes: [UInt8]
    /// The path as text for people.
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

/// A former version of an asset.
public struct FormerVersionRecord: Sendable {
    /// Its row.
    public let id: VersionID
    /// The version's asset.
    public let asset: AssetID
    /// The time when it was superseded.
    public let superseded: Timestamp
    /// The bytes that it takes on the library's own disk.
    public let size: Int64
    /// Its bytes, on any disk.
    public let bytes: Int64
    /// Whether it is the oldest kept version of the asset, not counting empty ones.
    public let isOriginal: Bool
}

// Expiry, trash, former versions, and unused blobs.
extension Records {
    // MARK: Access

    /// Records the access level of a file, and with it that of its asset; nil for none.
    public func setAccess(of node: NodeRecord, to access: Access?) throws {
        let value = SQLValue.integer(access?.rawValue ?? 0)
        if let asset = node.asset {
            try run("UPDATE asset SET access = ? WHERE id = ?", [value, asset.value])
        } else {
            try run("UPDATE node SET access = ? WHERE id = ?", [value, node.id.value])
        }
    }

    /// Returns whether a folder may hold files that expire or are hidden.
    public func isSpecial(_ folder: NodeID) throws -> Bool {
        try first("SELECT 1 FROM special_folder WHERE node = ?", [folder.value]) { _ in true } ?? false
    }

    // MARK: Expiry

    private static let recomputeExpiry =
        "UPDATE asset SET expires = coalesce(min(deadline, unstored_until), deadline, unstored_until) WHERE id = ?"

    /// Records whether an asset expires at its time, or not before that is permitted again.
    public func setMayExpire(_ asset: AssetID, _ may: Bool) throws {
        try run(may ? Self.recomputeExpiry : "UPDATE asset SET expires = NULL WHERE id = ?", [asset.value])
    }

    /// Records the explicit deadline of an asset, and the period that it was given as; nil for none.
    public func setDeadline(of asset: AssetID, to time: Timestamp?, saidAs life: String? = nil) throws {
        try run(
            "UPDATE asset SET deadline = ?, ttl = ? WHERE id = ?",
            [SQLValue(time?.rawValue), life.map(SQLValue.text) ?? nil, asset.value]
        )
        try run(Self.recomputeExpiry, [asset.value])
    }

    /// Records the expiry of an asset that is not stored; nil for a stored one.
    public func setUnstored(of asset: AssetID, until time: Timestamp?) throws {
        try run("UPDATE asset SET unstored_until = ? WHERE id = ?", [SQLValue(time?.rawValue), asset.value])
        try run(Self.recomputeExpiry, [asset.value])
    }

    /// Copies to an asset made from another user's file the store and the 24-hour default expiry of that
    /// file's asset.
    ///
    /// An explicit deadline is not copied: no user has set it for this asset.
    public func copyLife(of asset: AssetID, to other: AssetID) throws {
        try run(
            """
            UPDATE asset SET (unstored_until, store) = (SELECT unstored_until, store FROM asset WHERE id = ?) WHERE id = ?
            """,
            [asset.value, other.value]
        )
        try run(Self.recomputeExpiry, [other.value])
    }

    /// Returns assets that have expired by a moment.
    public func expired(by time: Timestamp, limit: Int) throws -> [AssetID] {
        try all(
            "SELECT id FROM asset WHERE expires IS NOT NULL AND expires <= ? ORDER BY expires LIMIT ?",
            [time.value, .integer(Int64(limit))]
        ) { AssetID(rawValue: $0.integer(0)) }
    }

    /// Returns assets that a folder's entries show and that have expired by a moment.
    public func expiredAssets(in folder: NodeID, by time: Timestamp) throws -> [AssetID] {
        try all(
            """
            SELECT DISTINCT n.asset FROM entry e JOIN node n ON n.id = e.node
            WHERE e.parent = ? AND n.expires <= ? AND n.asset IS NOT NULL
            """,
            [folder.value, time.value]
        ) { AssetID(rawValue: $0.integer(0)) }
    }

    /// Returns the time at which the next asset expires.
    public func nextExpiry() throws -> Timestamp? {
        try first("SELECT expires FROM asset WHERE expires IS NOT NULL ORDER BY expires LIMIT 1", []) {
            $0.timestamp(0)
        }
    }

    // MARK: Trash

    /// Moves an asset that lost its last name to the trash: records its file, folder, name and path, and the
    /// time until which it can be restored.
    ///
    /// An asset that another node shows is left unchanged.
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

    /// Records the file as which an asset in the trash is restored.
    public func setTrashedNode(of id: AssetID, to node: NodeID) throws {
        try run("UPDATE asset SET trashed_node = ? WHERE id = ?", [node.value, id.value])
    }

    /// Returns the blob, size and upload time of an asset's present version.
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

    /// Returns the record of an asset in the trash; nil if it is not there.
    public func trashed(_ id: AssetID) throws -> TrashRecord? {
        try first("SELECT \(TrashRecord.columns) FROM asset WHERE id = ? AND trashed IS NOT NULL", [id.value]) {
            TrashRecord($0)
        }
    }

    /// Returns assets in the trash, in the order of their numbers, after a given one.
    public func trashed(after id: AssetID, limit: Int) throws -> [TrashRecord] {
        try all(
            "SELECT \(TrashRecord.columns) FROM asset WHERE trashed IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
            [id.value, .integer(Int64(limit))]
        ) { TrashRecord($0) }
    }

    /// Returns assets whose time in the trash is over at a moment, in the order of that time.
    public func purgeable(by time: Timestamp, limit: Int) throws -> [TrashRecord] {
        try all(
            """
            SELECT \(TrashRecord.columns) FROM asset WHERE trashed_until IS NOT NULL AND trashed_until <= ?
            ORDER BY trashed_until LIMIT ?
            """,
            [time.value, .integer(Int64(limit))]
        ) { TrashRecord($0) }
    }

    /// Returns the time when the next asset leaves the trash.
    public func nextPurge() throws -> Timestamp? {
        try first("SELECT trashed_until FROM asset WHERE trashed_until IS NOT NULL ORDER BY trashed_until LIMIT 1", [])
        {
            $0.timestamp(0)
        }
    }

    // MARK: Former versions

    /// Returns former versions of all assets after a given one, in the order in which they were superseded.
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

    /// Returns an asset's former versions, the newest first, with the times of their upload and of their
    /// replacement.
    public func formerVersions(
        of asset: AssetID
    ) throws -> [(id: VersionID, created: Timestamp, superseded: Timestamp, size: Int64)] {
        try all(
            "SELECT id, created, superseded, size FROM version WHERE asset = ? AND superseded IS NOT NULL ORDER BY number DESC",
            [asset.value]
        ) { (VersionID(rawValue: $0.integer(0)), $0.timestamp(1), $0.timestamp(2), $0.integer(3)) }
    }

    /// Deletes a former version; the MD5 of an asset's first version is kept, if it had been computed.
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

    /// Returns the MD5 of an asset's first version, if that version was deleted.
    public func firstMD5(of asset: AssetID) throws -> [UInt8]? {
        try first("SELECT first_md5 FROM asset WHERE id = ?", [asset.value]) { $0.bytes(0) }.flatMap {
            $0.isEmpty ? nil : $0
        }
    }

    // MARK: Unused blobs

    /// Returns blobs that neither a version nor a file has used since a moment, in the order of that time.
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

    /// Deletes a blob and its extracted metadata, unless a version or a file uses it.
    /// - Returns: whether it was deleted.
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

    /// Returns the bytes of blobs that no name shows: those of the trash and of former versions, and unused
    /// ones.
    public func reclaimableBytes() throws -> Int64 {
        try first("SELECT reclaimable FROM space", []) { max(0, $0.integer(0)) } ?? 0
    }

    /// Returns the bytes that statfs(2) shows as free besides those of the disk; negative where more are
    /// masked than can be reclaimed.
    public func shownFreeBytes() throws -> Int64 {
        try first("SELECT max(0, reclaimable) - masked FROM space", []) { $0.integer(0) } ?? 0
    }

    /// Returns the totals of the library, counted row by row.
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

/// The totals of a library.
public struct LibraryCounts: Sendable {
    /// Assets that have a name.
    public let assets: Int64
    /// Assets in the trash.
    public let trashed: Int64
    /// Former versions.
    public let formerVersions: Int64
    /// The bytes of all blobs; equal content is stored once.
    public let bytes: Int64
    /// The bytes of blobs that no name shows.
    public let reclaimable: Int64
}
