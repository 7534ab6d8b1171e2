public import AssetModel

/// A folder for blobs besides the library's own.
public struct StoreRecord: Sendable {
    /// Its number, from 1.
    public let id: Int64
    /// Its name.
    public let name: String
    /// Its path.
    public var path: String
    /// The identifier in the folder's own file.
    public let identifier: String
    /// Whether the folder has that file.
    public let isMade: Bool
}

/// A blob that may have to be moved.
public struct MoveRecord: Sendable {
    /// The blob.
    public let blob: BlobID
    /// Its SHA-256.
    public let digest: Digest?
    /// The number of bytes.
    public let size: Int64
    /// The store that has it.
    public let store: Int64
    /// The store that is to have it: the one of all assets with a version of it, or the library's own where
    /// they differ; nil where no version has it.
    public let target: Int64?
}

// Stores besides the library's own folder, which has the number 0.
extension Records {
    /// Returns all stores.
    public func stores() throws -> [StoreRecord] {
        try all("SELECT id, name, path, identifier, made FROM store ORDER BY id", []) {
            StoreRecord(
                id: $0.integer(0),
                name: $0.text(1),
                path: $0.text(2),
                identifier: $0.text(3),
                isMade: $0.integer(4) != 0
            )
        }
    }

    /// Records a store, under the next number.
    public func insertStore(named name: String, path: String, identifier: String) throws -> StoreRecord {
        try run(
            "INSERT INTO store (name, path, identifier) VALUES (?, ?, ?)",
            [.text(name), .text(path), .text(identifier)]
        )
        return StoreRecord(id: lastRow, name: name, path: path, identifier: identifier, isMade: false)
    }

    /// Records the path of a store.
    public func setPath(ofStore id: Int64, to path: String) throws {
        try run("UPDATE store SET path = ? WHERE id = ?", [.text(path), .integer(id)])
    }

    /// Removes a store that was never used.
    public func deleteStore(_ id: Int64) throws { try run("DELETE FROM store WHERE id = ?", [.integer(id)]) }

    /// Returns the number of blobs in a store, and their bytes.
    public func contents(ofStore id: Int64) throws -> (count: Int64, bytes: Int64) {
        try first("SELECT count(*), coalesce(sum(size), 0) FROM blob WHERE store = ? AND store <> 0", [.integer(id)]) {
            ($0.integer(0), $0.integer(1))
        } ?? (0, 0)
    }

    /// Records that a store's folder has the file that identifies it.
    public func setMade(store id: Int64) throws { try run("UPDATE store SET made = 1 WHERE id = ?", [.integer(id)]) }

    /// Returns the store that an asset's blobs are to be in.
    public func store(of asset: AssetID) throws -> Int64 {
        try first("SELECT store FROM asset WHERE id = ?", [asset.value]) { $0.integer(0) } ?? 0
    }

    /// Records the store that an asset's blobs are to be in.
    public func setStore(of asset: AssetID, to store: Int64) throws {
        try run("UPDATE asset SET store = ? WHERE id = ?", [.integer(store), asset.value])
    }

    /// Returns the store that a blob is in.
    public func store(of blob: BlobID) throws -> Int64 {
        try first("SELECT store FROM blob WHERE id = ?", [blob.value]) { $0.integer(0) } ?? 0
    }

    // The store that a blob is to be in: the one of all assets with a version of it, or the library's own
    // where they differ; NULL where no version has it. A subquery of `b`.
    private static let target = """
        (SELECT iif(count(*) = 0, NULL, iif(min(a.store) = max(a.store), min(a.store), 0))
        FROM version v JOIN asset a ON a.id = v.asset WHERE v.blob = b.id)
        """

    /// Records the store that a blob is in, and ends its move, unless it is to be in another store by now.
    public func setStore(of blob: BlobID, to store: Int64) throws {
        try run("UPDATE blob SET store = ? WHERE id = ?", [.integer(store), blob.value])
        try run(
            """
            DELETE FROM store_due WHERE blob = ? AND coalesce((SELECT \(Self.target) FROM blob b WHERE b.id = store_due.blob), ?) = ?
            """,
            [blob.value, .integer(store), .integer(store)]
        )
    }

    /// Leaves a blob where it is, regardless of the store that it is to be in.
    public func deleteMove(of blob: BlobID) throws { try run("DELETE FROM store_due WHERE blob = ?", [blob.value]) }

    /// Queues a check whether a blob is in the store that it is to be in.
    public func queueMove(of blob: BlobID, at time: Timestamp, because error: String? = nil) throws {
        try run(
            "INSERT OR REPLACE INTO store_due (blob, due, error) SELECT id, ?, ? FROM blob WHERE id = ?",
            [time.value, error.map(SQLValue.text) ?? .null, blob.value]
        )
    }

    /// Retries the failed moves now.
    public func retryMoves() throws { try run("UPDATE store_due SET due = 0 WHERE error IS NOT NULL", []) }

    /// Returns the blob whose move has been due longest by a moment, except from or to absent stores.
    public func dueMove(by time: Timestamp, notBetween absent: [Int64] = []) throws -> MoveRecord? {
        let stores = absent.map(String.init).joined(separator: ", ")
        return try first(
            """
            SELECT b.id, b.digest, b.size, b.store, \(Self.target) AS target FROM store_due d JOIN blob b ON b.id = d.blob
            WHERE d.due <= ? AND b.store NOT IN (\(stores)) AND coalesce(target, 0) NOT IN (\(stores))
            ORDER BY d.due, d.blob LIMIT 1
            """,
            [time.value]
        ) {
            MoveRecord(
                blob: BlobID(rawValue: $0.integer(0)),
                digest: Digest($0.bytes(1)),
                size: $0.integer(2),
                store: $0.integer(3),
                target: $0.optionalInteger(4)
            )
        }
    }

    /// Returns the time at which the next move is due; nil where there is none.
    public func nextMove() throws -> Timestamp? {
        try first("SELECT min(due) FROM store_due", []) { $0.optionalTimestamp(0) } ?? nil
    }

    /// Returns the number of blobs that may have to be moved, and the error of one that could not be.
    public func moves() throws -> (count: Int64, error: String?) {
        try first("SELECT count(*), max(error) FROM store_due", []) {
            ($0.integer(0), $0.isNull(1) ? nil : $0.text(1))
        } ?? (0, nil)
    }
}
