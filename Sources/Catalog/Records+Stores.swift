public import AssetModel

/// A folder besides the library's own that contents may be in.
public struct StoreRecord: Sendable {
    /// Its number, from 1.
    public let id: Int64
    /// What people call it.
    public let name: String
    /// Where it is.
    public var path: String
    /// What the folder's own file says that it is.
    public let identifier: String
    /// Whether it does.
    public let isMade: Bool
}

/// A content that may have to be moved.
public struct MoveRecord: Sendable {
    /// The content.
    public let blob: BlobID
    /// Its SHA-256.
    public let digest: Digest?
    /// Bytes.
    public let size: Int64
    /// In which store it is.
    public let store: Int64
    /// In which it is to be: that of all assets that have it or had it, or the library's own; nil where nobody has it any more.
    public let target: Int64?
}

// Stores besides the library's own folder, which has the number 0.
extension Records {
    /// All of them.
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

    /// Records where a store is.
    public func setPath(ofStore id: Int64, to path: String) throws {
        try run("UPDATE store SET path = ? WHERE id = ?", [.text(path), .integer(id)])
    }

    /// Removes a store that was never used.
    public func deleteStore(_ id: Int64) throws { try run("DELETE FROM store WHERE id = ?", [.integer(id)]) }

    /// How many contents a store has, and their bytes.
    public func contents(ofStore id: Int64) throws -> (count: Int64, bytes: Int64) {
        try first("SELECT count(*), coalesce(sum(size), 0) FROM blob WHERE store = ? AND store <> 0", [.integer(id)]) {
            ($0.integer(0), $0.integer(1))
        } ?? (0, 0)
    }

    /// Records that a store's folder says whose it is.
    public func setMade(store id: Int64) throws { try run("UPDATE store SET made = 1 WHERE id = ?", [.integer(id)]) }

    /// In which store an asset is to have its contents.
    public func store(of asset: AssetID) throws -> Int64 {
        try first("SELECT store FROM asset WHERE id = ?", [asset.value]) { $0.integer(0) } ?? 0
    }

    /// Records in which store an asset is to have its contents.
    public func setStore(of asset: AssetID, to store: Int64) throws {
        try run("UPDATE asset SET store = ? WHERE id = ?", [.integer(store), asset.value])
    }

    /// In which store a content is.
    public func store(of blob: BlobID) throws -> Int64 {
        try first("SELECT store FROM blob WHERE id = ?", [blob.value]) { $0.integer(0) } ?? 0
    }

    // In which store a content is to be: that of all assets that have it or had it, or the library's own; NULL where nobody has it any
    // more. A subquery of `b`.
    private static let target = """
        (SELECT iif(count(*) = 0, NULL, iif(min(a.store) = max(a.store), min(a.store), 0))
        FROM version v JOIN asset a ON a.id = v.asset WHERE v.blob = b.id)
        """

    /// Records in which store a content is, and that there is nothing more to be done with it, unless it is to be in another by now.
    public func setStore(of blob: BlobID, to store: Int64) throws {
        try run("UPDATE blob SET store = ? WHERE id = ?", [.integer(store), blob.value])
        try run(
            """
            DELETE FROM store_due WHERE blob = ? AND coalesce((SELECT \(Self.target) FROM blob b WHERE b.id = store_due.blob), ?) = ?
            """,
            [blob.value, .integer(store), .integer(store)]
        )
    }

    /// A content stays where it is, wherever it is to be.
    public func deleteMove(of blob: BlobID) throws { try run("DELETE FROM store_due WHERE blob = ?", [blob.value]) }

    /// Has a content looked at, whether it is where it is to be.
    public func queueMove(of blob: BlobID, at time: Timestamp, because error: String? = nil) throws {
        try run(
            "INSERT OR REPLACE INTO store_due (blob, due, error) SELECT id, ?, ? FROM blob WHERE id = ?",
            [time.value, error.map(SQLValue.text) ?? .null, blob.value]
        )
    }

    /// What could not be moved is tried again now.
    public func retryMoves() throws { try run("UPDATE store_due SET due = 0 WHERE error IS NOT NULL", []) }

    /// The content that has been due for longest, by a moment; not between stores that are not there.
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

    /// When the next is due; nil where there is none.
    public func nextMove() throws -> Timestamp? {
        try first("SELECT min(due) FROM store_due", []) { $0.optionalTimestamp(0) } ?? nil
    }

    /// How many contents may have to be moved, and why one could not be.
    public func moves() throws -> (count: Int64, error: String?) {
        try first("SELECT count(*), max(error) FROM store_due", []) {
            ($0.integer(0), $0.isNull(1) ? nil : $0.text(1))
        } ?? (0, nil)
    }
}
