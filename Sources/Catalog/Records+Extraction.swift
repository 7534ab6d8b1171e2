public import AssetModel

/// The state of the extraction of a blob's metadata.
public struct ExtractionRecord: Sendable {
    /// The blob.
    public let blob: BlobID
    /// The state of its extraction.
    public let state: ExtractionState
    /// The time of the next attempt; nil if there is nothing to do.
    public let due: Timestamp?
    /// The number of failed attempts.
    public let attempts: Int64
    /// The time of the last attempt.
    public let updated: Timestamp
    /// The reason of the failure.
    public let error: String?

    fileprivate static let columns = "x.blob, x.state, x.due, x.attempts, x.updated, x.error"

    fileprivate init(_ row: Columns) {
        blob = BlobID(rawValue: row.integer(0))
        state = ExtractionState(rawValue: row.text(1)) ?? .failed
        due = row.optionalTimestamp(2)
        attempts = row.integer(3)
        updated = row.timestamp(4)
        error = row.isNull(5) ? nil : row.text(5)
    }
}

// Extracted metadata, and the queue of blobs to extract from: the queue is the table, so that no crash loses
// it.
extension Records {
    /// The blob of an asset's newest version, as an SQL expression with the asset as its one value.
    static let newestBlob = "(SELECT v.blob FROM version v WHERE v.asset = ? ORDER BY v.number DESC LIMIT 1)"

    /// Queues the extraction of a blob, unless it has been queued before.
    public func queueExtraction(of blob: BlobID?, at now: Timestamp) throws {
        guard let blob else { return }
        try run(
            "INSERT OR IGNORE INTO extraction (blob, state, due, updated) VALUES (?, 'waiting', ?, ?)",
            [blob.value, now.value, now.value]
        )
    }

    /// Queues the extraction of a blob before all others; repeats a finished one if `again`.
    public func hurryExtraction(of blob: BlobID, again: Bool = false, at now: Timestamp) throws {
        try queueExtraction(of: blob, at: now)
        let condition = again ? "" : " AND state = 'waiting'"
        try run(
            "UPDATE extraction SET due = 0, state = 'waiting' WHERE blob = ?\(condition)",
            [blob.value]
        )
    }

    /// Returns the extraction of an asset's present version; nil if it is empty or was never queued.
    public func extraction(of asset: AssetID) throws -> ExtractionRecord? {
        try first(
            "SELECT \(ExtractionRecord.columns) FROM extraction x WHERE x.blob = \(Self.newestBlob)",
            [asset.value]
        ) { ExtractionRecord($0) }
    }

    /// Returns the blob of an asset's present version.
    public func currentBlob(of asset: AssetID) throws -> BlobID? {
        try first("SELECT \(Self.newestBlob)", [asset.value]) { $0.optionalInteger(0).map(BlobID.init) } ?? nil
    }

    /// Returns the next blobs to extract from: those that requests wait for if `isHurried`, and otherwise all
    /// others.
    public func dueExtractions(isHurried: Bool, by now: Timestamp, limit: Int) throws -> [ExtractionRecord] {
        try all(
            """
            SELECT \(ExtractionRecord.columns) FROM extraction x WHERE x.due BETWEEN ? AND ?
            ORDER BY x.due, x.blob LIMIT ?
            """,
            [isHurried ? 0 : 1, isHurried ? 0 : now.value, .integer(Int64(limit))]
        ) { ExtractionRecord($0) }
    }

    /// Returns whether the extraction of a blob is due, for the first time or again after a failure.
    public func isWaiting(_ blob: BlobID) throws -> Bool {
        try first("SELECT 1 FROM extraction WHERE blob = ? AND due IS NOT NULL", [blob.value]) { _ in true } ?? false
    }

    /// Returns the time at which the next extraction is due.
    public func nextExtraction() throws -> Timestamp? {
        try first("SELECT due FROM extraction WHERE due IS NOT NULL ORDER BY due LIMIT 1", []) { $0.timestamp(0) }
    }

    /// Returns the assets outside the trash whose present version is a blob, with the names that it was
    /// uploaded under.
    public func assets(showing blob: BlobID) throws -> [(asset: AssetID, name: [UInt8])] {
        try all(
            """
            SELECT v.asset, v.name FROM version v JOIN asset a ON a.id = v.asset WHERE v.blob = ? AND a.trashed IS NULL
            AND NOT EXISTS (SELECT 1 FROM version w WHERE w.asset = v.asset AND w.number > v.number)
            """,
            [blob.value]
        ) { (AssetID(rawValue: $0.integer(0)), $0.bytes(1)) }
    }

    /// Records the metadata found in a blob, or the reason why it is incomplete and the time of the next
    /// attempt.
    public func setFindings(
        of blob: BlobID,
        _ findings: String?,
        error: String?,
        retry: Timestamp?,
        at now: Timestamp
    ) throws {
        try run(
            """
            UPDATE extraction SET state = ?, due = ?, attempts = attempts + ?, updated = ?, error = ?,
            findings = coalesce(?, findings) WHERE blob = ?
            """,
            [
                .text(error == nil ? "ready" : "failed"), SQLValue(retry?.rawValue), error == nil ? 0 : 1, now.value,
                error.map(SQLValue.text) ?? nil, findings.map(SQLValue.text) ?? nil, blob.value,
            ]
        )
    }

    /// Postpones the extraction of a blob, because its file could not be read.
    ///
    /// It goes on waiting, and has failed no attempt: an error of the disk is no property of the file.
    public func postponeExtraction(of blob: BlobID, _ reason: String, until time: Timestamp, at now: Timestamp) throws {
        try run(
            "UPDATE extraction SET due = ?, updated = ?, error = ? WHERE blob = ? AND due IS NOT NULL",
            [time.value, now.value, .text(reason), blob.value]
        )
    }

    /// Returns whether extractions are postponed beyond a time.
    public func hasPostponedExtractions(beyond now: Timestamp) throws -> Bool {
        try first("SELECT 1 FROM extraction WHERE due > ? AND state = 'waiting' LIMIT 1", [now.value]) { _ in true }
            ?? false
    }

    /// Makes postponed extractions due.
    public func resumeExtractions(at now: Timestamp) throws {
        try run("UPDATE extraction SET due = ?1 WHERE due > ?1 AND state = 'waiting'", [now.value])
    }

    /// Forgets the extraction of a blob.
    public func deleteExtraction(of blob: BlobID) throws {
        try run("DELETE FROM extraction WHERE blob = ?", [blob.value])
    }

    // MARK: Findings

    /// Returns a member of an object in the extracted metadata of an asset's present version, as text.
    func finding(_ object: String, _ name: String, of asset: AssetID) throws -> String? {
        try finding("$.\(object).\"\(name)\"", of: asset)
    }

    /// Returns whether the extracted metadata of an asset has a tag, such as `exif.FNumber`.
    public func hasTag(_ name: String, _ asset: AssetID) throws -> Bool {
        try finding("tags", name, of: asset) != nil
    }

    /// Returns a value of an asset's extracted metadata, such as `width`, as text; 1 for true and 0 for
    /// false.
    public func finding(named name: String, of asset: AssetID) throws -> String? {
        try finding("$.\"\(name)\"", of: asset)
    }

    private func finding(_ path: String, of asset: AssetID) throws -> String? {
        try first(
            "SELECT CAST(json_extract(x.findings, ?) AS TEXT) FROM extraction x WHERE x.blob = \(Self.newestBlob)",
            [.text(path), asset.value]
        ) { $0.isNull(0) ? nil : $0.text(0) } ?? nil
    }

    /// Returns all extracted metadata of an asset, member by member, each as JSON.
    public func findings(of asset: AssetID) throws -> [(name: String, json: String)] {
        try all(
            """
            SELECT j.key, x.findings -> ('$."' || j.key || '"') FROM extraction x, json_each(x.findings) j
            WHERE x.blob = \(Self.newestBlob) AND x.findings IS NOT NULL
            """,
            [asset.value]
        ) { ($0.text(0), $0.text(1)) }
    }

    // MARK: Reverting to extracted values

    /// Records whether an asset's fields are to revert to the extracted values when these are known.
    ///
    /// Values that users set after this call are kept.
    public func setReverts(_ reverts: Bool, of asset: AssetID) throws {
        try run("UPDATE asset SET reverts = ? WHERE id = ?", [reverts ? 1 : 0, asset.value])
        try run("UPDATE field SET reverts = ? WHERE asset = ?", [reverts ? 1 : 0, asset.value])
    }

    /// Returns whether an asset's fields are to revert to the extracted values.
    public func reverts(_ asset: AssetID) throws -> Bool {
        try first("SELECT reverts FROM asset WHERE id = ?", [asset.value]) { $0.integer(0) != 0 } ?? false
    }

    /// Deletes the user-set values that were to be reverted, of those fields that have an extracted value.
    public func revertFields(of asset: AssetID) throws {
        let rows = try all("SELECT name FROM field WHERE asset = ? AND reverts <> 0", [asset.value]) { $0.text(0) }
        for field in rows.compactMap({ Field($0) }) where try extractedField(field, of: asset) != nil {
            try run("DELETE FROM field WHERE asset = ? AND name = ?", [asset.value, .text(field.name)])
            try deleteFieldValues(of: field, of: asset)
        }
    }

    // MARK: Jobs

    /// Returns blobs whose extraction is outstanding or has failed, after a given one, each with the first
    /// asset that shows it.
    public func unfinishedExtractions(after blob: BlobID, limit: Int) throws -> [(blob: BlobID, asset: AssetID)] {
        try all(
            """
            SELECT blob, asset FROM (
                SELECT x.blob, (
                    SELECT min(v.asset) FROM version v JOIN asset a ON a.id = v.asset
                    WHERE v.blob = x.blob AND a.trashed IS NULL
                    AND NOT EXISTS (SELECT 1 FROM version w WHERE w.asset = v.asset AND w.number > v.number)) AS asset
                FROM extraction x WHERE x.state <> 'ready' AND x.blob > ? ORDER BY x.blob)
            WHERE asset IS NOT NULL LIMIT ?
            """,
            [blob.value, .integer(Int64(limit))]
        ) { (BlobID(rawValue: $0.integer(0)), AssetID(rawValue: $0.integer(1))) }
    }
}
