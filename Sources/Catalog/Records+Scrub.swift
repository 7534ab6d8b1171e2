public import AssetModel

/// How far the contents have been read and compared with their SHA-256.
public struct ScrubRecord: Sendable {
    /// When the pass under way began; nil where there is none.
    public var began: Timestamp?
    /// Up to which content it has come.
    public var position = BlobID(rawValue: 0)
    /// The last content that there was when it began.
    public var last = BlobID(rawValue: 0)
    /// How many it has read.
    public var contents: Int64 = 0
    /// Their bytes.
    public var bytes: Int64 = 0
    /// How many it could not read: their store is not there, or they were changed again and again.
    public var skipped: Int64 = 0
    /// When the last pass ended; nil before there was one.
    public var finished: Timestamp?

    /// None yet.
    public init() {}
}

/// A content that is not what it was when it was stored.
public struct DamageRecord: Sendable {
    /// The content.
    public let blob: BlobID
    /// Its SHA-256.
    public let digest: Digest?
    /// What is wrong with it: a sentence.
    public let reason: String
    /// When that was found.
    public let found: Timestamp
}

// Whether contents are what they were when they were stored.
extension Records {
    /// How far the contents have been looked through.
    public func scrub() throws -> ScrubRecord {
        try first("SELECT began, position, last, contents, bytes, skipped, finished FROM scrub", []) { row in
            var record = ScrubRecord()
            record.began = row.optionalTimestamp(0)
            record.position = BlobID(rawValue: row.integer(1))
            record.last = BlobID(rawValue: row.integer(2))
            (record.contents, record.bytes) = (row.integer(3), row.integer(4))
            record.skipped = row.integer(5)
            record.finished = row.optionalTimestamp(6)
            return record
        } ?? ScrubRecord()
    }

    /// Records how far they have been.
    public func setScrub(_ record: ScrubRecord) throws {
        try run(
            "UPDATE scrub SET began = ?, position = ?, last = ?, contents = ?, bytes = ?, skipped = ?, finished = ?",
            [
                SQLValue(record.began?.rawValue), record.position.value, record.last.value,
                .integer(record.contents), .integer(record.bytes), .integer(record.skipped),
                SQLValue(record.finished?.rawValue),
            ]
        )
    }

    /// The highest number of a content.
    public func lastBlob() throws -> BlobID {
        BlobID(rawValue: try first("SELECT max(id) FROM blob", []) { $0.optionalInteger(0) ?? 0 } ?? 0)
    }

    /// What is wrong with a content; nil where nothing is known.
    public func damage(of blob: BlobID) throws -> String? {
        try first("SELECT reason FROM damage WHERE blob = ?", [blob.value]) { $0.text(0) }
    }

    /// Records what is wrong with a content.
    public func setDamage(of blob: BlobID, to reason: String, at now: Timestamp) throws {
        try run(
            "INSERT OR REPLACE INTO damage (blob, reason, found) VALUES (?, ?, ?)",
            [blob.value, .text(reason), now.value]
        )
    }

    /// A content is what it was.
    public func deleteDamage(of blob: BlobID) throws { try run("DELETE FROM damage WHERE blob = ?", [blob.value]) }

    /// Contents that are damaged, in the order of their numbers.
    public func damage(limit: Int = .max) throws -> [DamageRecord] {
        try all(
            "SELECT d.blob, b.digest, d.reason, d.found FROM damage d JOIN blob b ON b.id = d.blob ORDER BY d.blob LIMIT ?",
            [.integer(Int64(limit))]
        ) {
            DamageRecord(
                blob: BlobID(rawValue: $0.integer(0)),
                digest: Digest($0.bytes(1)),
                reason: $0.text(2),
                found: $0.timestamp(3)
            )
        }
    }

    /// How many are damaged.
    public func damageCount() throws -> Int64 { try first("SELECT count(*) FROM damage", []) { $0.integer(0) } ?? 0 }

    /// Assets that have a content, or had it, with the number of the version; `isFormer` where it is no asset's present one.
    public func uses(of blob: BlobID, limit: Int) throws -> [(asset: AssetID, version: Int64, isFormer: Bool)] {
        try all(
            "SELECT asset, number, superseded IS NOT NULL FROM version WHERE blob = ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) { (AssetID(rawValue: $0.integer(0)), $0.integer(1), $0.integer(2) != 0) }
    }
}
