public import AssetModel
internal import GRDB

/// The kind of bytes that count for a folder's quota.
public enum UsageKind: Int64, Sendable, CaseIterable {
    /// Files that have a name.
    case files = 1
    /// Former versions of files that have a name.
    case formerContents
    /// Removed files that can be restored.
    case trash
    /// Alternative files of assets.
    case alternatives
    /// Extended attributes and fields.
    case attributes
}

/// Bytes of one kind that count for one folder.
public struct UsageRecord: Sendable {
    /// The folder that they count for directly.
    public let folder: NodeID
    /// The kind of the bytes.
    public let kind: UsageKind
    /// The number of bytes; a change may be negative.
    public let bytes: Int64

    fileprivate init?(_ row: Columns) {
        guard let kind = UsageKind(rawValue: row.integer(1)) else { return nil }
        folder = NodeID(rawValue: row.integer(0))
        (self.kind, bytes) = (kind, row.integer(2))
    }
}

// Counts for quotas. A *unit* is an asset, by its number, or a file or folder without one, by its negative
// number.
//
// Where a folder has a quota, triggers of this connection note each unit that is about to change, with its
// count before the change; its count afterwards is computed when a caller reads the changes. So every way of
// changing a unit is counted.
extension Records {
    private static let alternatives = NodeID.alternatives.rawValue
    private static let unfiled = NodeID.unfiled.rawValue

    /// Returns the folder that contains an asset's file, or that it was removed from, or the asset's own
    /// folder; as SQL.
    private static func home(of asset: String, _ suffix: String) -> String {
        """
        coalesce(
            (SELECT he\(suffix).parent FROM node hn\(suffix) JOIN entry he\(suffix) ON he\(suffix).node = hn\(suffix).id
                WHERE hn\(suffix).asset = \(asset)
                ORDER BY hn\(suffix).former_asset IS NOT NULL, hn\(suffix).id, he\(suffix).collection, he\(suffix).id LIMIT 1),
            (SELECT ha\(suffix).trashed_home FROM asset ha\(suffix) WHERE ha\(suffix).id = \(asset)),
            (SELECT hu\(suffix).node FROM entry hu\(suffix)
                WHERE hu\(suffix).parent = \(unfiled) AND hu\(suffix).name = CAST(CAST(\(asset) AS TEXT) AS BLOB)))
        """
    }

    /// Returns a folder, or, if that holds an asset's alternative files, the folder of the asset's file; as
    /// SQL.
    private static func counting(_ folder: String) -> String {
        """
        (SELECT coalesce(
            (SELECT \(home(of: "CAST(CAST(cp.name AS TEXT) AS INTEGER)", "2")) FROM entry cp
                WHERE cp.node = cf.folder AND cp.parent = \(alternatives)),
            cf.folder) FROM (SELECT \(folder) AS folder) cf)
        """
    }

    /// Returns the bytes that the units of a table count, by folder and kind; as SQL.
    private static func charges(of units: String) -> String {
        func ofNodes(_ condition: String) -> String {
            """
            SELECT \(counting("e.parent")) AS folder,
                iif(EXISTS (SELECT 1 FROM entry p WHERE p.node = e.parent AND p.parent = \(alternatives)), 4, 1) AS kind,
                n.size AS bytes
            FROM \(units) u CROSS JOIN node n CROSS JOIN entry e
            WHERE \(condition) AND e.node = n.id AND e.collection = 0 AND n.size <> 0
            UNION ALL
            SELECT iif(n.mode & 61440 = 16384 AND EXISTS (SELECT 1 FROM policy q WHERE q.node = n.id AND q.key = 'quota'), n.id,
                \(counting("coalesce((SELECT h.parent FROM entry h WHERE h.node = n.id ORDER BY h.collection, h.id LIMIT 1), \(home(of: "n.asset", "1")))"))),
                5, length(x.name) + length(x.value)
            FROM \(units) u CROSS JOIN node n CROSS JOIN extended_attribute x WHERE \(condition) AND x.node = n.id
                AND substr(x.name, 1, 16) <> CAST('user.asset.error' AS BLOB)
            """
        }
        func ofAssets(_ kind: Int, _ bytes: String, _ table: String, _ condition: String) -> String {
            """
            SELECT \(counting(home(of: "s.unit", "1"))), \(kind), s.bytes FROM (
                SELECT u.unit AS unit, sum(\(bytes)) AS bytes FROM \(units) u CROSS JOIN asset a CROSS JOIN \(table) t
                WHERE a.id = u.unit AND t.asset = u.unit AND \(condition) GROUP BY u.unit) s
            """
        }
        return [
            ofNodes("n.asset = u.unit"),
            ofNodes("n.id = -u.unit AND n.asset IS NULL"),
            ofAssets(5, "length(CAST(t.name AS BLOB)) + length(CAST(t.value AS BLOB))", "field", "1"),
            ofAssets(5, "length(t.name) + length(t.value)", "desktop_value", "1"),
            ofAssets(2, "t.size", "version", "a.trashed IS NULL AND t.superseded IS NOT NULL"),
            ofAssets(3, "t.size", "version", "a.trashed IS NOT NULL"),
        ].joined(separator: "\nUNION ALL\n")
    }

    private static let unit = "coalesce(asset, -id)"

    /// The tables and triggers; all are temporary and end with the connection.
    private static let tracking: String = {
        // Without OR IGNORE: within a trigger, the conflict clause of the outer statement applies.
        func markAll(_ query: String) -> String {
            """
            INSERT INTO usage_due SELECT DISTINCT unit FROM (\(query))
                WHERE unit IS NOT NULL AND unit NOT IN (SELECT unit FROM usage_due);
            """
        }
        func mark(_ unit: String) -> String { markAll("SELECT \(unit) AS unit") }
        func markNode(_ node: String) -> String { markAll("SELECT \(unit) AS unit FROM node WHERE id = \(node)") }
        // When an asset moves, its alternative files count elsewhere, too.
        func move(_ asset: String) -> String {
            """
            \(mark(asset))
            \(markAll(
                """
                SELECT coalesce(n.asset, -n.id) AS unit FROM entry f JOIN entry e ON e.parent = f.node JOIN node n ON n.id = e.node
                WHERE f.parent = \(alternatives) AND f.name = CAST(CAST(\(asset) AS TEXT) AS BLOB)
                """
            ))
            \(markAll(
                """
                SELECT a.id AS unit FROM entry f JOIN asset a ON a.trashed_home = f.node
                WHERE f.parent = \(alternatives) AND f.name = CAST(CAST(\(asset) AS TEXT) AS BLOB)
                """
            ))
            """
        }
        func moveNode(_ node: String) -> String { markNode(node) + move("(SELECT asset FROM node WHERE id = \(node))") }
        func trigger(_ name: String, _ event: String, _ body: String) -> String {
            "CREATE TEMP TRIGGER usage_\(name) BEFORE \(event) BEGIN \(body) END;"
        }
        func triggers(_ table: String, _ columns: String, _ body: (String) -> String) -> String {
            trigger("\(table)_made", "INSERT ON \(table)", body("NEW"))
                + trigger("\(table)_changed", "UPDATE OF \(columns) ON \(table)", body("OLD") + body("NEW"))
                + trigger("\(table)_gone", "DELETE ON \(table)", body("OLD"))
        }
        let old = "(SELECT OLD.unit AS unit)"
        let new = "(SELECT NEW.unit AS unit)"
        return """
            CREATE TEMP TABLE usage_due (unit INTEGER PRIMARY KEY);
            CREATE TEMP TABLE usage_change (folder INTEGER, kind INTEGER, bytes INTEGER);
            CREATE TEMP TRIGGER usage_before AFTER INSERT ON usage_due WHEN NEW.unit IS NOT NULL BEGIN
                INSERT INTO usage_change SELECT folder, kind, -bytes FROM (\(charges(of: new)));
            END;
            CREATE TEMP TRIGGER usage_after AFTER DELETE ON usage_due BEGIN
                INSERT INTO usage_change SELECT folder, kind, bytes FROM (\(charges(of: old)));
            END;
            """
                + triggers("entry", "parent, node") { moveNode("\($0).node") }
                + triggers("version", "asset, size, superseded") { mark("\($0).asset") }
                + triggers("field", "asset, name, value") { mark("\($0).asset") }
                + triggers("desktop_value", "asset, name, value") { mark("\($0).asset") }
                + triggers("extended_attribute", "node, name, value") { markNode("\($0).node") }
                + trigger(
                    "node_changed",
                    "UPDATE OF size, asset ON node WHEN NEW.size <> OLD.size OR NEW.asset IS NOT OLD.asset",
                    mark("coalesce(OLD.asset, -OLD.id)")
                )
                + trigger(
                    "node_given",
                    "UPDATE OF asset ON node WHEN NEW.asset IS NOT OLD.asset",
                    mark("-OLD.id") + move("OLD.asset") + move("NEW.asset")
                )
                // A folder with a quota counts its own attributes itself.
                + triggers("policy", "node, key") { mark("iif(\($0).key = 'quota', -\($0).node, NULL)") }
                + trigger("node_gone", "DELETE ON node", mark("coalesce(OLD.asset, -OLD.id)"))
                + trigger("asset_changed", "UPDATE OF trashed, trashed_home ON asset", move("OLD.id"))
                + trigger("asset_gone", "DELETE ON asset", move("OLD.id"))
    }()

    /// Returns whether any folder has a quota.
    public func hasQuotas() throws -> Bool {
        try first("SELECT 1 FROM policy WHERE key = 'quota' LIMIT 1", []) { _ in true } ?? false
    }

    /// Creates the tables and triggers that note changes for quotas.
    public func trackUsage() throws { try run(script: Self.tracking) }

    /// Returns the changes since the last `takeUsageChanges`; nothing is written.
    public func usageChanges() throws -> [UsageRecord] {
        try all(
            """
            SELECT folder, kind, sum(bytes) FROM (
                SELECT folder, kind, bytes FROM usage_change UNION ALL SELECT * FROM (\(Self.charges(of: "usage_due"))))
            WHERE folder IS NOT NULL GROUP BY folder, kind HAVING sum(bytes) <> 0
            """,
            []
        ) { UsageRecord($0) }.compactMap { $0 }
    }

    /// Returns the changes since the last call, and clears them.
    public func takeUsageChanges() throws -> [UsageRecord] {
        try run("DELETE FROM usage_due", [])
        let changes = try all(
            """
            SELECT folder, kind, sum(bytes) FROM usage_change WHERE folder IS NOT NULL
            GROUP BY folder, kind HAVING sum(bytes) <> 0
            """,
            []
        ) { UsageRecord($0) }
        try run("DELETE FROM usage_change", [])
        return changes.compactMap { $0 }
    }

    /// Returns the beginning of a query: the folders below one, including itself, as `below`, and the units
    /// that may count for them as `unit`.
    static func units(below folder: String) -> String {
        """
        WITH RECURSIVE below (id) AS (
            SELECT \(folder) UNION SELECT \(unfiled) WHERE \(folder) = \(NodeID.folders.rawValue) UNION
            SELECT e.node FROM below b JOIN entry e ON e.parent = b.id JOIN node n ON n.id = e.node
            WHERE n.mode & 61440 = 16384),
        named (unit) AS MATERIALIZED (
            SELECT -\(folder) UNION
            SELECT coalesce(n.asset, -n.id) FROM below b JOIN entry e ON e.parent = b.id JOIN node n ON n.id = e.node UNION
            SELECT a.id FROM below b JOIN asset a ON a.trashed_home = b.id UNION
            SELECT CAST(CAST(e.name AS TEXT) AS INTEGER) FROM entry e
            WHERE e.parent = \(unfiled) AND \(folder) = \(NodeID.folders.rawValue)),
        unit (unit) AS MATERIALIZED (
            SELECT unit FROM named UNION
            SELECT coalesce(n.asset, -n.id) FROM named m JOIN entry f
                ON f.parent = \(alternatives) AND f.name = CAST(CAST(m.unit AS TEXT) AS BLOB)
                JOIN entry e ON e.parent = f.node JOIN node n ON n.id = e.node UNION
            SELECT a.id FROM named m JOIN entry f
                ON f.parent = \(alternatives) AND f.name = CAST(CAST(m.unit AS TEXT) AS BLOB)
                JOIN asset a ON a.trashed_home = f.node)
        """
    }

    /// Counts the bytes of a folder and all folders below it; for `folders/` also those of assets without a
    /// folder.
    public func usage(below folder: NodeID) throws -> [UsageRecord] {
        try all(
            """
            \(Self.units(below: "?1"))
            SELECT folder, kind, sum(bytes) FROM (\(Self.charges(of: "unit"))) WHERE folder IN (SELECT id FROM below)
            GROUP BY folder, kind
            """,
            [folder.value]
        ) { UsageRecord($0) }.compactMap { $0 }
    }

    /// Counts the present bytes of an asset with its alternative files, or of a file or folder without an
    /// asset.
    public func usage(of node: NodeRecord) throws -> [UsageRecord] {
        try all(
            """
            WITH unit (unit) AS MATERIALIZED (
                SELECT ?1 UNION
                SELECT coalesce(n.asset, -n.id) FROM entry f JOIN entry e ON e.parent = f.node JOIN node n ON n.id = e.node
                WHERE f.parent = \(Self.alternatives) AND f.name = CAST(CAST(?1 AS TEXT) AS BLOB))
            SELECT folder, kind, bytes FROM (\(Self.charges(of: "unit")))
            """,
            [.integer(node.asset?.rawValue ?? -node.id.rawValue)]
        ) { UsageRecord($0) }.compactMap { $0 }
    }

    /// Returns the folder that a folder's files count for: another one only for alternative files.
    public func countingFolder(of folder: NodeID) throws -> NodeID? {
        try first("SELECT \(Self.counting("?"))", [folder.value]) { $0.optionalInteger(0).map(NodeID.init) } ?? nil
    }

    /// Returns the folder that an asset counts for.
    public func countingFolder(ofAsset asset: AssetID) throws -> NodeID? {
        try first("SELECT \(Self.counting(Self.home(of: "?1", "1")))", [asset.value]) {
            $0.optionalInteger(0).map(NodeID.init)
        } ?? nil
    }

    /// Makes files removed from a folder count for another one, because the folder is removed.
    public func countTrash(of folder: NodeID, for other: NodeID) throws {
        try run("UPDATE asset SET trashed_home = ? WHERE trashed_home = ?", [other.value, folder.value])
    }

    // MARK: Masked copies

    /// Records that a file's content is shown as if it were stored for this file alone, or for it and its
    /// `peers`, unless no other file shows it.
    public func maskCopy(_ node: NodeRecord, with peers: Int64? = nil) throws {
        guard let blob = node.blob else { return }
        try run(
            """
            INSERT OR IGNORE INTO masked_copy (node, blob, size, shown, peers)
            SELECT ?1, id, (size + 4095) / 4096 * 4096, ?3, coalesce(?4, ?1) FROM blob
            WHERE id = ?2 AND store = 0 AND shown > ?3
            """,
            [node.id.value, blob.value, .integer(node.links > 0 ? 1 : 0), SQLValue(peers)]
        )
    }

    /// Returns the number that a masked copy shares with the copies counted together with it; nil for a file
    /// that is not masked.
    public func maskedPeers(of node: NodeID) throws -> Int64? {
        try first("SELECT peers FROM masked_copy WHERE node = ?", [node.value]) { $0.integer(0) }
    }

    /// Copies the layout and mask of a file to another one that shows its content.
    public func copyMask(of source: NodeID, to node: NodeID) throws {
        try run("DELETE FROM layout WHERE node = ?", [node.value])
        try run(
            """
            INSERT INTO layout (node, blob, extents)
            SELECT ?1, l.blob, l.extents FROM layout l JOIN node s ON s.id = l.node AND s.blob = l.blob
            JOIN node n ON n.id = ?1 AND n.blob = l.blob WHERE l.node = ?2
            """,
            [node.value, source.value]
        )
        if changedRows > 0 {
            try run(
                "UPDATE node SET blocks = (SELECT blocks FROM node s WHERE s.id = ?2) WHERE id = ?1",
                [node.value, source.value]
            )
        }
        try run(
            """
            INSERT OR IGNORE INTO masked_copy (node, blob, size, shown, peers)
            SELECT ?1, m.blob, m.size, n.links > 0, m.peers FROM masked_copy m JOIN node n ON n.id = ?1 AND n.blob = m.blob
            WHERE m.node = ?2
            """,
            [node.value, source.value]
        )
    }

    /// Returns whether any file has a layout of its own, different from the blob's file.
    public func hasLayouts() throws -> Bool { try first("SELECT 1 FROM layout LIMIT 1", []) { _ in true } ?? false }

    /// Records the layout of a file's data at its upload, when the library already had the content.
    public func setLayout(of node: NodeRecord, to extents: [Range<Int64>]) throws {
        guard let blob = node.blob else { return }
        let text = extents.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
        try run("INSERT OR REPLACE INTO layout VALUES (?, ?, ?)", [node.id.value, blob.value, .text(text)])
    }

    /// Returns the layout of a file's data, if it differs from the blob's file.
    public func layout(of node: NodeID) throws -> [Range<Int64>]? {
        try first(
            "SELECT l.extents FROM layout l JOIN node n ON n.id = l.node AND n.blob = l.blob WHERE l.node = ?",
            [node.value]
        ) {
            $0.text(0).split(separator: ",").compactMap { part in
                let ends = part.split(separator: "-").compactMap { Int64($0) }
                return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
            }
        }
    }
}
