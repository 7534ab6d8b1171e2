public import AssetModel

/// A URL in the import queue, fetched or not.
public struct FetchRecord: Sendable {
    /// The state of a fetch, in Uploadcare's terms.
    public enum State: String, Sendable {
        case waiting, progress, success, error
    }

    /// Its row.
    public let id: Int64
    /// The public identifier of the fetch: 16 random bytes as a UUID.
    public let token: String
    /// The state of the fetch.
    public let state: State
    /// The request as the user wrote it.
    public let request: String
    /// The folder that the file is put into.
    public let folder: NodeID
    /// The requesting user.
    public let uid: UInt32
    /// The group of that user.
    public let gid: UInt32
    /// The user's other groups, as far as they decided about access to the folder at the time of the request.
    public let groups: [UInt32]
    /// The time of the request.
    public let created: Timestamp
    /// The time when it reached its state.
    public let updated: Timestamp
    /// The asset that it has become.
    public let asset: AssetID?
    /// The number of bytes of the file.
    public let size: Int64?
    /// The reason why it could not be fetched: Uploadcare's code, a sentence, and errno's name.
    public let problem: (code: String, sentence: String, errno: String)?

    fileprivate static let columns =
        "id, token, state, request, folder, uid, gid, created, updated, asset, size, code, sentence, errno, member"

    fileprivate init(_ row: Columns) {
        id = row.integer(0)
        token = row.text(1)
        state = State(rawValue: row.text(2)) ?? .error
        request = row.text(3)
        folder = NodeID(rawValue: row.integer(4))
        (uid, gid) = (row.unsigned(5), row.unsigned(6))
        (created, updated) = (row.timestamp(7), row.timestamp(8))
        asset = row.optionalInteger(9).map(AssetID.init)
        size = row.optionalInteger(10)
        groups = row.text(14).split(separator: ",").compactMap { UInt32($0) }
        problem = row.isNull(11) ? nil : (row.text(11), row.text(12), row.text(13))
    }
}

// The queue of URLs to fetch: the queue is the table, so that no crash loses it.
extension Records {
    /// Records a URL to be fetched.
    public func insertFetch(
        _ request: String,
        token: String,
        into folder: NodeID,
        uid: UInt32,
        gid: UInt32,
        groups: [UInt32],
        at now: Timestamp
    ) throws -> Int64 {
        try run(
            "INSERT INTO fetch (token, state, request, folder, uid, gid, member, created, updated) VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?, ?)",
            [
                .text(token), .text(request), folder.value, .integer(Int64(uid)), .integer(Int64(gid)),
                .text(groups.map(String.init).joined(separator: ",")), now.value, now.value,
            ]
        )
        return lastRow
    }

    /// Returns a fetch by its row.
    public func fetch(_ id: Int64) throws -> FetchRecord? {
        try first("SELECT \(FetchRecord.columns) FROM fetch WHERE id = ?", [.integer(id)]) { FetchRecord($0) }
    }

    /// Returns a fetch by its token.
    public func fetch(token: String) throws -> FetchRecord? {
        try first("SELECT \(FetchRecord.columns) FROM fetch WHERE token = ?", [.text(token)]) { FetchRecord($0) }
    }

    /// Returns the last fetch that a user has requested into a folder.
    public func lastFetch(into folder: NodeID, by uid: UInt32) throws -> FetchRecord? {
        try first(
            "SELECT \(FetchRecord.columns) FROM fetch WHERE folder = ? AND uid = ? ORDER BY id DESC LIMIT 1",
            [folder.value, .integer(Int64(uid))]
        ) { FetchRecord($0) }
    }

    /// Returns each user's first fetch that is waiting or was interrupted, except the running ones; the
    /// oldest first.
    public func firstWaitingFetches(except running: [Int64]) throws -> [(id: Int64, uid: UInt32)] {
        try all(
            """
            SELECT min(id), uid FROM fetch
            WHERE state <> 'success' AND state IN ('waiting', 'progress') AND id NOT IN (\(Self.marks(running.count))) GROUP BY uid ORDER BY 1
            """,
            running.map(SQLValue.integer)
        ) { ($0.integer(0), $0.unsigned(1)) }
    }

    /// Returns the number of a user's fetches that have not ended.
    public func waitingFetches(of uid: UInt32) throws -> Int64 {
        try first(
            "SELECT count(*) FROM fetch WHERE state <> 'success' AND state IN ('waiting', 'progress') AND uid = ?",
            [.integer(Int64(uid))]
        ) { $0.integer(0) } ?? 0
    }

    /// Returns fetches that are unfinished or have failed, after a given one.
    public func unfinishedFetches(after id: Int64, limit: Int) throws -> [FetchRecord] {
        try all(
            "SELECT \(FetchRecord.columns) FROM fetch WHERE state <> 'success' AND id > ? ORDER BY id LIMIT ?",
            [.integer(id), .integer(Int64(limit))]
        ) { FetchRecord($0) }
    }

    /// Records the state of a fetch.
    public func setFetch(
        _ id: Int64,
        to state: FetchRecord.State,
        asset: AssetID? = nil,
        size: Int64? = nil,
        problem: FetchProblem? = nil,
        at now: Timestamp
    ) throws {
        try run(
            "UPDATE fetch SET state = ?, asset = ?, size = ?, code = ?, sentence = ?, errno = ?, updated = ? WHERE id = ?",
            [
                .text(state.rawValue), SQLValue(asset?.rawValue), SQLValue(size),
                (problem?.code.rawValue).map(SQLValue.text) ?? .null, (problem?.sentence).map(SQLValue.text) ?? .null,
                (problem?.errno).map(SQLValue.text) ?? .null, now.value, .integer(id),
            ]
        )
    }

    /// Forgets fetches that ended before a moment, and remembered URLs whose asset is gone.
    public func deleteFetches(endedBefore time: Timestamp) throws {
        try run("DELETE FROM fetch WHERE state IN ('success', 'error') AND updated < ?", [time.value])
        try run("DELETE FROM fetched_url WHERE asset NOT IN (SELECT id FROM asset)", [])
    }

    /// Forgets a fetch.
    public func deleteFetch(_ id: Int64) throws { try run("DELETE FROM fetch WHERE id = ?", [.integer(id)]) }

    /// Returns whether any fetch ended before a moment.
    public func hasFetches(endedBefore time: Timestamp) throws -> Bool {
        try first(
            "SELECT 1 FROM fetch WHERE state IN ('success', 'error') AND updated < ? LIMIT 1",
            [time.value]
        ) { _ in true } ?? false
    }

    // MARK: URLs that were fetched before

    /// Returns the asset that was fetched from a URL, if it was remembered and a file still shows it.
    public func fetchedAsset(from url: String) throws -> AssetID? {
        let asset = try first("SELECT asset FROM fetched_url WHERE url = ?", [.text(url)]) {
            AssetID(rawValue: $0.integer(0))
        }
        return try asset.flatMap { try isShown($0) ? $0 : nil }
    }

    /// Remembers which asset was fetched from a URL.
    public func setFetchedAsset(from url: String, to asset: AssetID) throws {
        try run("INSERT OR REPLACE INTO fetched_url (url, asset) VALUES (?, ?)", [.text(url), asset.value])
    }
}
