public import AssetModel

/// The progress of verifying all blobs against their SHA-256.
public struct ScrubRecord: Sendable {
    /// The time when the running pass began; nil if there is none.
    public var began: Timestamp?
    /// The last blob that the pass has read.
    public var position = BlobID(rawValue: 0)
    /// The last blob that existed when the pass began.
    public var last = BlobID(rawValue: 0)
    /// The number of blobs that it has read.
    public var contents: Int64 = 0
    /// The bytes of these blobs.
    public var bytes: Int64 = 0
    /// The number of blobs that it could not read: their store was absent, or they changed again and again.
    public var skipped: Int64 = 0
    /// The time when the last pass ended; nil before the first one.
    public var finished: Timestamp?

    /// Creates the state before the first pass.
    public init() {}
}

/// A corrupt blob.
public struct DamageRecord: Sendable {
    /// The blob.
    public let blob: BlobID
    /// Its SHA-256.
    public let digest: Digest?
    /// The damage, as a sentence.
    public let reason: String
    /// The time when it was found.
    public let found: Timestamp
}

// The verification of blobs.
extension Records {
    /// Returns the progress of the verification.
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

    /// Records the progress of the verification.
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

    /// Returns the highest number of a blob.
    public func lastBlob() throws -> BlobID {
        BlobID(rawValue: try first("SELECT max(id) FROM blob", []) { $0.optionalInteger(0) ?? 0 } ?? 0)
    }

    /// Returns the damage of a blob; nil where none is known.
    public func damage(of blob: BlobID) throws -> String? {
        try first("SELECT reason FROM damage WHERE blob = ?", [blob.value]) { $0.text(0) }
    }

    /// Records the damage of a blob.
    public func setDamage(of blob: BlobID, to reason: String, at now: Timestamp) throws {
        try run(
            "INSERT OR REPLACE INTO damage (blob, reason, found) VALUES (?, ?, ?)",
            [blob.value, .text(reason), now.value]
        )
    }

    /// Deletes the damage of a blob, which is intact again.
    public func deleteDamage(of blob: BlobID) throws { try run("DELETE FROM damage WHERE blob = ?", [blob.value]) }

    /// Returns the corrupt blobs, in the order of their numbers.
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

    /// Returns the number of corrupt blobs.
    public func damageCount() throws -> Int64 { try first("SELECT count(*) FROM damage", []) { $0.integer(0) } ?? 0 }

    /// Returns the assets that have or had a blob, with the number of the version; `isFormer` where it is not
    /// the present one.
    public func uses(of blob: BlobID, limit: Int) throws -> [(asset: AssetID, version: Int64, isFormer: Bool)] {
        try all(
            "SELECT asset, number, superseded IS NOT NULL FROM version WHERE blob = ? ORDER BY id LIMIT ?",
            [blob.value, .integer(Int64(limit))]
        ) { (AssetID(rawValue: $0.integer(0)), $0.integer(1), $0.integer(2) != 0) }
    }
}
