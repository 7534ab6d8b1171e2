// Rows that refer to others, and counts.
extension Invariant {
    /// Returns the rule that a column of a table names an existing row of another table.
    private static func orphan(_ table: String, _ column: String, of target: String) -> Invariant {
        let condition = "\(column) IS NOT NULL AND \(column) NOT IN (SELECT id FROM \(target))"
        return Invariant(
            "\(table)-orphan",
            "A record of \(table) belongs to a \(target) that is missing.",
            .none,
            "SELECT \(column), NULL FROM \(table) WHERE \(condition)",
            .statements("DELETE FROM \(table) WHERE \(condition)")
        )
    }

    static let orphans =
        ["extended_attribute", "policy", "layout", "special_folder", "sealed"].map { orphan($0, "node", of: "node") }
        + ["field", "desktop_value"].map { orphan($0, "asset", of: "asset") }
        + ["extraction", "damage", "store_due"].map { orphan($0, "blob", of: "blob") } + [
            Invariant(
                "member-orphan",
                "A member belongs to a group that is missing.",
                .none,
                "SELECT node, NULL FROM member WHERE node NOT IN (SELECT node FROM sealed)",
                .statements("DELETE FROM member WHERE node NOT IN (SELECT node FROM sealed)")
            ),
            Invariant(
                "asset-store",
                "An asset's contents are to be in a store that is not known.",
                .asset,
                "SELECT id, id FROM asset WHERE store <> 0 AND store NOT IN (SELECT id FROM store)",
                .statements("UPDATE asset SET store = 0 WHERE store <> 0 AND store NOT IN (SELECT id FROM store)")
            ),
            Invariant(
                "content-store",
                "A content is said to be in a store that is not known.",
                .blob,
                "SELECT id, id FROM blob WHERE store <> 0 AND store NOT IN (SELECT id FROM store)",
                .statements("UPDATE blob SET store = 0 WHERE store <> 0 AND store NOT IN (SELECT id FROM store)")
            ),
        ]

    /// Counts in one pass over all nodes: one query per blob would take hours, because no index has the blobs
    /// of nodes.
    private static let counted = """
        WITH used (blob, uses, shown) AS (
            SELECT blob, sum(uses), sum(shown) FROM (
                SELECT blob, 1 AS uses, 0 AS shown FROM version WHERE blob IS NOT NULL
                UNION ALL SELECT blob, 1, links > 0 FROM node WHERE blob IS NOT NULL) GROUP BY blob)
        """
    private static let miscounted = """
        FROM blob b LEFT JOIN used u ON u.blob = b.id
        WHERE b.uses <> coalesce(u.uses, 0) OR b.shown <> coalesce(u.shown, 0) OR (b.uses = 0) <> (b.unused IS NOT NULL)
        """
    private static let reclaimable = "(SELECT coalesce(sum(b.size), 0) FROM blob b WHERE b.shown = 0 AND b.store = 0)"
    private static let masked = """
        (SELECT coalesce(sum(m.size), 0) FROM (SELECT max(size) AS size FROM masked_copy WHERE shown GROUP BY peers) m)
        """
    private static let lastBlob = "(SELECT coalesce(max(b.id), 0) FROM blob b)"

    private static let isNoCopy = """
        NOT EXISTS (SELECT 1 FROM node n WHERE n.id = masked_copy.node AND n.blob = masked_copy.blob AND (n.links > 0) = masked_copy.shown)
            OR shown AND (SELECT b.shown FROM blob b WHERE b.id = masked_copy.blob)
                <= (SELECT count(*) FROM masked_copy c WHERE c.blob = masked_copy.blob AND c.shown)
        """
    private static let shares = """
        (SELECT uid, sum(bytes) AS bytes FROM (
            SELECT uid, 32 + length(name) + length(value) AS bytes FROM extended_attribute
            UNION ALL SELECT uid, 32 + length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) FROM policy
            UNION ALL SELECT uid, 32 + length(CAST(name AS BLOB)) + length(CAST(value AS BLOB)) FROM field
            UNION ALL SELECT uid, 32 + length(CAST(name AS BLOB)) + length(CAST(value AS BLOB)) FROM desktop_value) GROUP BY uid)
        """
    /// Counts in one pass over the trash, and not in one for each folder.
    private static let trashCounts = """
        WITH RECURSIVE above (asset, folder) AS (
            SELECT id, trashed_parent FROM asset WHERE trashed_parent IN (SELECT node FROM removed_folder)
            UNION SELECT a.asset, r.parent FROM above a JOIN removed_folder r ON r.node = a.folder),
        counted (folder, assets) AS (SELECT folder, count(*) FROM above GROUP BY folder)
        """
    private static let miscountedFolders = """
        FROM removed_folder r LEFT JOIN counted c ON c.folder = r.node
        WHERE r.assets < 1 OR r.assets <> coalesce(c.assets, 0)
        """
    private static let special = """
        SELECT DISTINCT e.parent FROM node n JOIN entry e ON e.node = n.id
            WHERE (n.expires IS NOT NULL OR n.access & 15 BETWEEN 4 AND 7)
            AND e.parent NOT IN (SELECT node FROM special_folder) AND e.parent IN (SELECT id FROM node)
        """

    static let counts = [
        Invariant(
            "content-uses",
            "The uses of a content are miscounted.",
            .blob,
            "\(counted) SELECT b.id, b.id \(miscounted)",
            .statements(
                """
                CREATE TEMP TABLE recount AS \(counted)
                    SELECT b.id, coalesce(u.uses, 0) AS uses, coalesce(u.shown, 0) AS shown \(miscounted);
                UPDATE blob SET uses = r.uses, shown = r.shown, unused = iif(r.uses = 0, unixepoch() * 1000000000, NULL)
                    FROM recount r WHERE r.id = blob.id;
                DROP TABLE recount
                """
            )
        ),
        Invariant(
            "masked-copies",
            "A file is counted as a copy, and is none.",
            .node,
            "SELECT node, node FROM masked_copy WHERE \(isNoCopy)",
            .statements("DELETE FROM masked_copy WHERE \(isNoCopy)")
        ),
        Invariant(
            "space",
            "Bytes that could be reclaimed, or that are masked, are miscounted.",
            .none,
            """
            SELECT id, NULL FROM space
                WHERE reclaimable <> \(reclaimable) OR masked <> \(masked) OR last_blob < 0
            UNION ALL SELECT 1, NULL WHERE (SELECT count(*) FROM space) <> 1
            """,
            .statements(
                """
                DELETE FROM space WHERE id <> 1;
                INSERT OR IGNORE INTO space (id, reclaimable, last_blob) VALUES (1, 0, \(lastBlob));
                UPDATE space SET reclaimable = \(reclaimable), masked = \(masked), last_blob = max(last_blob, \(lastBlob))
                """
            )
        ),
        Invariant(
            "attribute-shares",
            "The bytes of a user's attributes are miscounted.",
            .none,
            """
            SELECT uid, NULL FROM (SELECT uid, bytes FROM \(shares) UNION ALL SELECT uid, -bytes FROM attribute_share)
                GROUP BY uid HAVING sum(bytes) <> 0
            """,
            .statements("DELETE FROM attribute_share; INSERT INTO attribute_share SELECT uid, bytes FROM \(shares)")
        ),
        Invariant(
            "removed-folders",
            "The assets in the trash of a removed folder are miscounted.",
            .none,
            "\(trashCounts) SELECT r.node, NULL \(miscountedFolders)",
            .statements(
                """
                CREATE TEMP TABLE recount AS \(trashCounts)
                    SELECT r.node, coalesce(c.assets, 0) AS assets \(miscountedFolders);
                UPDATE removed_folder SET assets = r.assets FROM recount r WHERE r.node = removed_folder.node;
                DELETE FROM removed_folder WHERE assets < 1;
                DROP TABLE recount
                """
            )
        ),
        Invariant(
            "special-folders",
            "A folder is not known to have files that are hidden or expire.",
            .node,
            "SELECT parent, parent FROM (\(special))",
            .statements("INSERT INTO special_folder \(special)")
        ),
        Invariant(
            "lost-nodes",
            "A node that is missing is to be removed.",
            .none,
            "SELECT node, NULL FROM lost_node WHERE node NOT IN (SELECT id FROM node)",
            .statements("DELETE FROM lost_node WHERE node NOT IN (SELECT id FROM node)")
        ),
    ]

    /// Returns the rules for a journal, a text that only grows.
    private static func journal(_ table: String, _ file: String) -> [Invariant] {
        let gaps = """
            (SELECT end, end - length(line) AS start, coalesce(lag(end) OVER (ORDER BY end), 0) AS before FROM \(table))
            """
        return [
            Invariant(
                "\(table)-gap",
                "Lines of \(file) are missing.",
                .none,
                "SELECT end, NULL FROM \(gaps) WHERE start >= before + 3",
                // An empty object with as many bytes, so that all other lines keep the offsets at which
                // programs have read them.
                .statements(
                    """
                    INSERT INTO \(table) (end, line)
                        SELECT start, CAST('{}' || printf('%*s', start - before - 3, '') || char(10) AS BLOB) FROM \(gaps)
                        WHERE start >= before + 3
                    """
                )
            ),
            Invariant(
                "\(table)-end",
                "The lines of \(file) do not lie one behind the other.",
                .none,
                "SELECT end, NULL FROM \(gaps) WHERE start < before OR start > before AND start < before + 3",
                .impossible("What there is can be read.")
            ),
        ]
    }

    static let journals =
        journal("receipt", "uploads/receipts.jsonl") + journal("event", "uploads/events.jsonl") + [
            Invariant(
                "event-hook",
                "A program is said to know of events that are still to come.",
                .none,
                "SELECT id, NULL FROM event_hook WHERE told > (SELECT coalesce(max(end), 0) FROM event)",
                .statements(
                    """
                    UPDATE event_hook SET told = (SELECT coalesce(max(end), 0) FROM event)
                        WHERE told > (SELECT coalesce(max(end), 0) FROM event)
                    """
                )
            )
        ]
}
