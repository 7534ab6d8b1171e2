public import AssetModel

/// An asset in the trash, or a former version: data that is removed when space is needed.
public struct ReclaimableRecord: Sendable {
    /// The kind of the data, in the order in which a user's data is removed.
    public enum Kind: Int64, Sendable, CaseIterable {
        /// An asset in the trash, with all its versions.
        case trash
        /// A former version of an asset that has a name.
        case formerContent
        /// The first version of such an asset.
        case firstContent
    }

    /// The kind of the data.
    public let kind: Kind
    /// The asset.
    public let asset: AssetID
    /// The former version's row; 0 for an asset in the trash.
    public let version: VersionID
    /// The time when it was trashed or superseded.
    public let since: Timestamp
    /// The uploader; the file's owner if root or the mounting user has uploaded it.
    public let uid: UInt32
    /// Its bytes on the library's own disk that no name shows.
    public let ownBytes: Int64
    /// Its bytes, on any disk.
    public let bytes: Int64

    fileprivate init(_ row: Columns) {
        kind = Kind(rawValue: row.integer(0)) ?? .trash
        asset = AssetID(rawValue: row.integer(1))
        version = VersionID(rawValue: row.integer(2))
        since = row.timestamp(3)
        uid = row.unsigned(4)
        ownBytes = row.integer(5)
        bytes = row.integer(6)
    }
}

/// The position up to which removable data has been read, in the order of `trashed` and `superseded`.
public struct ReclaimablePosition: Sendable {
    /// The last asset of the trash.
    public var trash: (since: Timestamp, asset: AssetID)
    /// The last former version.
    public var versions: (since: Timestamp, version: VersionID)

    /// Creates the position before all data.
    public init() {
        trash = (Timestamp(rawValue: .min), AssetID(rawValue: 0))
        versions = (Timestamp(rawValue: .min), VersionID(rawValue: 0))
    }
}

// Data that can be removed for space, and the user that it counts for.
extension Records {
    /// Returns a version's uploader, or the file's owner if that is `root` or `mounter`, because these upload
    /// for others; as SQL.
    private static func user(_ uploader: String, asset: String) -> String {
        """
        coalesce(nullif(nullif(\(uploader), 0), ?1),
            (SELECT n.uid FROM node n WHERE n.id = (SELECT t.trashed_node FROM asset t WHERE t.id = \(asset))),
            \(owner(ofAsset: asset)))
        """
    }

    private static let trashColumns = """
        0, a.id, 0, a.trashed,
        \(user("(SELECT v.uid FROM version v WHERE v.asset = a.id ORDER BY v.number DESC LIMIT 1)", asset: "a.id")),
        (SELECT coalesce(sum(b.size), 0) FROM version v JOIN blob b ON b.id = v.blob
            WHERE v.asset = a.id AND b.store = 0 AND b.shown = 0),
        (SELECT coalesce(sum(v.size), 0) FROM version v WHERE v.asset = a.id)
        """

    private static let versionColumns = """
        1 + (v.size > 0 AND NOT EXISTS (
            SELECT 1 FROM version w WHERE w.asset = v.asset AND w.number < v.number AND w.size > 0)),
        v.asset, v.id, v.superseded, \(user("v.uid", asset: "v.asset")),
        coalesce((SELECT b.size FROM blob b WHERE b.id = v.blob AND b.store = 0 AND b.shown = 0), 0), v.size
        """

    /// Returns trashed assets and former versions after a position, which advances, the oldest first.
    ///
    /// Empty ones, and former versions of trashed assets, are left out. `isEnd` says that all have been read.
    public func reclaimable(
        after position: inout ReclaimablePosition,
        mounter: UInt32,
        limit: Int
    ) throws -> (records: [ReclaimableRecord], isEnd: Bool) {
        let (mounter, most) = (SQLValue.integer(Int64(mounter)), SQLValue.integer(Int64(limit)))
        let trash = try all(
            """
            SELECT \(Self.trashColumns) FROM asset a WHERE a.trashed IS NOT NULL AND (a.trashed, a.id) > (?2, ?3)
            ORDER BY a.trashed, a.id LIMIT ?4
            """,
            [mounter, position.trash.since.value, position.trash.asset.value, most]
        ) { ReclaimableRecord($0) }
        if let last = trash.last { position.trash = (last.since, last.asset) }
        let versions = try all(
            """
            SELECT \(Self.versionColumns), (SELECT a.trashed IS NOT NULL FROM asset a WHERE a.id = v.asset) FROM version v
            WHERE v.superseded IS NOT NULL AND (v.superseded, v.id) > (?2, ?3) ORDER BY v.superseded, v.id LIMIT ?4
            """,
            [mounter, position.versions.since.value, position.versions.version.value, most]
        ) { (ReclaimableRecord($0), $0.integer(7) != 0) }
        if let last = versions.last { position.versions = (last.0.since, last.0.version) }
        let records = (trash + versions.filter { !$0.1 }.map(\.0)).filter { $0.bytes > 0 }
        return (records, trash.count < limit && versions.count < limit)
    }

    /// Returns the trashed assets and former versions of a folder and all folders below it, in no order.
    public func reclaimable(below folder: NodeID, mounter: UInt32) throws -> [ReclaimableRecord] {
        let values = [SQLValue.integer(Int64(mounter)), folder.value]
        let trash = try all(
            """
            \(Self.units(below: "?2")) SELECT \(Self.trashColumns) FROM unit u CROSS JOIN asset a
            WHERE a.id = u.unit AND a.trashed IS NOT NULL
            """,
            values
        ) { ReclaimableRecord($0) }
        let versions = try all(
            """
            \(Self.units(below: "?2")) SELECT \(Self.versionColumns) FROM unit u CROSS JOIN asset a CROSS JOIN version v
            WHERE a.id = u.unit AND a.trashed IS NULL AND v.asset = a.id AND v.superseded IS NOT NULL
            """,
            values
        ) { ReclaimableRecord($0) }
        return (trash + versions).filter { $0.bytes > 0 }
    }

    /// Returns the position after all trashed assets and former versions.
    public func reclaimableEnd() throws -> ReclaimablePosition {
        var end = ReclaimablePosition()
        let trash = try first(
            "SELECT trashed, id FROM asset WHERE trashed IS NOT NULL ORDER BY trashed DESC, id DESC LIMIT 1",
            []
        ) { ($0.timestamp(0), AssetID(rawValue: $0.integer(1))) }
        if let trash { end.trash = trash }
        let version = try first(
            "SELECT superseded, id FROM version WHERE superseded IS NOT NULL ORDER BY superseded DESC, id DESC LIMIT 1",
            []
        ) { ($0.timestamp(0), VersionID(rawValue: $0.integer(1))) }
        if let version { end.versions = version }
        return end
    }

    /// Returns whether a version is still a former one, since the recorded moment.
    public func isFormer(_ record: ReclaimableRecord) throws -> Bool {
        try first(
            """
            SELECT 1 FROM version v JOIN asset a ON a.id = v.asset
            WHERE v.id = ? AND v.asset = ? AND v.superseded = ? AND a.trashed IS NULL
            """,
            [record.version.value, record.asset.value, record.since.value]
        ) { _ in true } ?? false
    }

    /// Returns the bytes of removable data on the library's own disk that no name shows, and how many of them
    /// its removal frees: those of blobs that no other asset and no other version has.
    public func freedBytes(by record: ReclaimableRecord) throws -> (held: Int64, freed: Int64) {
        let (own, other) =
            record.kind == .trash ? ("v.asset = ?1", "w.asset <> ?1") : ("v.id = ?2", "w.id <> ?2")
        return try first(
            """
            SELECT coalesce(sum(b.size), 0), coalesce(sum(iif(EXISTS (
                SELECT 1 FROM version w WHERE w.blob = b.id AND \(other)), 0, b.size)), 0)
            FROM blob b WHERE b.store = 0 AND b.shown = 0
                AND b.id IN (SELECT v.blob FROM version v WHERE v.asset = ?1 AND \(own))
            """,
            [record.asset.value] + (record.kind == .trash ? [] : [record.version.value])
        ) { ($0.integer(0), $0.integer(1)) } ?? (0, 0)
    }
}
