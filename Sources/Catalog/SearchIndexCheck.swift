internal import AssetModel
internal import GRDB

/// A file `search.sqlite` that no mount has open, opened read-only.
///
/// ## Concurrency
/// Operations run one at a time on the caller's thread.
public final class ClosedSearchIndex: Sendable {
    private let queue: DatabaseQueue
    /// The identifier of the index, and the number of its steps.
    public let state: (index: [UInt8], turn: Int64)

    /// Opens an index without changing it; nil where there is none.
    /// - Throws: if it cannot be read, or its pages are corrupt.
    public init?(path: String) throws(CatalogError) {
        guard ClosedCatalog.size(of: path) > 0 else { return nil }
        do {
            queue = try DatabaseQueue(path: path, configuration: ClosedCatalog.configuration(for: path))
            state = try queue.inDatabase { database in
                let records = Records(database: database)
                if let reason = try records.integrity(isThorough: false).first {
                    throw CatalogError.failed(code: 11, reason: reason)
                }
                let state = try records.allOnce("SELECT identifier, turn FROM state", []) {
                    ($0.bytes(0), $0.integer(1))
                }
                guard let state = state.first else {
                    throw CatalogError.failed(code: 11, reason: "it does not say which one it is")
                }
                return state
            }
        } catch {
            throw CatalogError(error)
        }
    }

    /// Runs `body` with the index.
    public func read<Value>(_ body: (Records) throws -> Value) throws(CatalogError) -> Value {
        do {
            return try queue.inDatabase { try body(Records(database: $0)) }
        } catch {
            throw CatalogError(error)
        }
    }

    /// Closes the file.
    public func close() throws(CatalogError) {
        do { try queue.close() } catch { throw CatalogError(error) }
    }
}

/// The searchable assets within a range of numbers, according to the catalog.
public struct SearchablePart: Sendable {
    /// The assets that can be found.
    public let found: Set<Int64>
    /// The assets with changes that the index does not have yet.
    public let due: Set<Int64>
}

extension Records {
    /// Returns the numbers of assets after a given one, in order.
    public func assets(after position: Int64, limit: Int) throws -> [Int64] {
        try all("SELECT id FROM asset WHERE id > ? ORDER BY id LIMIT ?", [.integer(position), .integer(Int64(limit))]) {
            $0.integer(0)
        }
    }

    /// Returns the assets in a range of numbers that can be found, and those with changes that the index does
    /// not have yet.
    public func searchable(in range: ClosedRange<Int64>) throws -> SearchablePart {
        let bounds: [SQLValue] = [.integer(range.lowerBound), .integer(range.upperBound)]
        let found = try all(
            """
            SELECT DISTINCT a.id FROM asset a JOIN node n ON n.asset = a.id JOIN entry e ON e.node = n.id
            WHERE a.id BETWEEN ? AND ? AND a.trashed IS NULL AND n.links > 0 AND e.collection = 0
            AND NOT EXISTS (SELECT 1 FROM entry f WHERE f.node = e.parent AND f.parent = 9)
            """,
            bounds
        ) { $0.integer(0) }
        let due = try all("SELECT asset FROM search_due WHERE asset BETWEEN ? AND ?", bounds) { $0.integer(0) }
        return SearchablePart(found: Set(found), due: Set(due))
    }

    /// Returns the numbers of assets in an index after a given one, in order.
    public func indexedAssets(after position: Int64, limit: Int) throws -> [Int64] {
        try all(
            "SELECT asset FROM document WHERE asset > ? ORDER BY asset LIMIT ?",
            [.integer(position), .integer(Int64(limit))]
        ) { $0.integer(0) }
    }

    /// Returns whether an index has exactly the present data of an asset.
    public func holds(_ document: SearchDocument) throws -> Bool {
        let columns = Self.documentColumns.map { "\($0) IS ?" }.joined(separator: " AND ")
        let words = SearchQuery.Column.allCases.map { "\($0.rawValue) IS ?" }.joined(separator: " AND ")
        let isEqual = try first("SELECT 1 FROM document WHERE \(columns)", document.values) { _ in true } ?? false
        guard isEqual,
            try first(
                "SELECT 1 FROM words WHERE rowid = ? AND \(words)",
                [document.asset.value] + document.words,
                { _ in true }
            )
                ?? false
        else { return false }
        let folders = try all("SELECT folder FROM place WHERE asset = ?", [document.asset.value]) { $0.integer(0) }
        return Set(folders) == Set(document.folders)
    }

    /// Checks that the words of an index lead to their texts, reading all of them; no row is written.
    /// - Throws: `.failed` with SQLITE_CORRUPT if they do not.
    public func checkWords() throws {
        try database.execute(sql: "PRAGMA query_only = OFF; SAVEPOINT words_check")
        defer { try? database.execute(sql: "ROLLBACK TO words_check; RELEASE words_check") }
        try database.execute(sql: "INSERT INTO words (words) VALUES ('integrity-check')")
    }
}
