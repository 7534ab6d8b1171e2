internal import GRDB

/// What a look at a file `search.sqlite` has shown, which no mount has open.
public enum SearchIndexCheck: Sendable {
    /// There is none.
    case missing
    /// It cannot be read; why.
    case damaged(String)
    /// It can be read: which index it is, how many steps it has taken, and the assets in it.
    case sound(index: [UInt8], turn: Int64, assets: Set<Int64>)

    /// Looks at a file and changes nothing.
    public static func look(at path: String) -> SearchIndexCheck {
        guard ClosedCatalog.size(of: path) > 0 else { return .missing }
        do {
            let queue = try DatabaseQueue(path: path, configuration: ClosedCatalog.configuration(for: path))
            defer { try? queue.close() }
            return try queue.inDatabase { database in
                let records = Records(database: database)
                let reasons = try records.integrity(isThorough: false)
                guard reasons.isEmpty else { return .damaged(reasons[0]) }
                let state = try records.allOnce("SELECT identifier, turn FROM state", []) {
                    ($0.bytes(0), $0.integer(1))
                }
                guard let state = state.first else { return .damaged("it does not say which one it is.") }
                let assets = try records.allOnce("SELECT asset FROM document", []) { $0.integer(0) }
                return .sound(index: state.0, turn: state.1, assets: Set(assets))
            }
        } catch {
            return .damaged("\(CatalogError(error))")
        }
    }
}

extension Records {
    /// Returns the assets that can be found, and those of which the index has yet to hear.
    public func searchableAssets() throws -> (found: Set<Int64>, due: Set<Int64>) {
        let found = try allOnce(
            """
            SELECT DISTINCT a.id FROM asset a JOIN node n ON n.asset = a.id JOIN entry e ON e.node = n.id
            WHERE a.trashed IS NULL AND n.links > 0 AND e.collection = 0
            AND NOT EXISTS (SELECT 1 FROM entry f WHERE f.node = e.parent AND f.parent = 9)
            """,
            []
        ) { $0.integer(0) }
        let due = try allOnce("SELECT asset FROM search_due", []) { $0.integer(0) }
        return (Set(found), Set(due))
    }
}
