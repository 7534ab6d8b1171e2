internal import GRDB

extension Schema {
    /// Files whose rights have changed are to be looked at by the search index.
    static let searchNode = """
        CREATE TRIGGER search_node AFTER UPDATE OF asset, blob, uid, mode ON node
        WHEN NEW.asset IS NOT NULL AND (NEW.asset IS NOT OLD.asset OR NEW.blob IS NOT OLD.blob OR NEW.uid <> OLD.uid OR NEW.mode <> OLD.mode)
        BEGIN
            INSERT INTO search_due (asset) VALUES (NEW.asset);
        END;
        """

    /// How far contents have been compared.
    static let scrubTable = """
        CREATE TABLE scrub (
            id INTEGER PRIMARY KEY, began INTEGER, position INTEGER NOT NULL, last INTEGER NOT NULL, contents INTEGER NOT NULL, bytes INTEGER NOT NULL, skipped INTEGER NOT NULL,
            finished INTEGER) STRICT;
        """

    /// Files that show an asset whose owner is another user, and are to get one of their own.
    static let sharedDue = """
        CREATE TABLE shared_due (node INTEGER PRIMARY KEY) STRICT;
        INSERT OR IGNORE INTO shared_due SELECT n.id FROM node n JOIN node o ON o.asset = n.asset
            WHERE n.former_asset IS NOT NULL AND n.links > 0 AND o.links > 0 AND o.uid <> n.uid;
        """

    /// Adds the tables, columns and triggers that migrations 7, 11, 14 and 19 did not create in their first
    /// hours.
    ///
    /// It is no migration: the catalogs that lack nothing stay readable for former versions.
    static func mendFormerShapes(_ database: Database) throws {
        let lacking = Set(
            try String.fetchAll(
                database,
                sql: """
                    SELECT name FROM sqlite_schema
                    WHERE name = 'scrub' AND instr(sql, 'skipped') = 0 OR name = 'search_node' AND instr(sql, 'NEW.mode') = 0
                    UNION ALL SELECT 'shared_due' WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'shared_due')
                    UNION ALL SELECT 'removed_folder'
                    WHERE NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'removed_folder_entered')
                    """
            )
        )
        guard !lacking.isEmpty else { return }
        try database.inTransaction {
            if lacking.contains("search_node") {
                // The index has files by the rights that they had when something else of them changed last.
                try database.execute(
                    sql: "DROP TRIGGER search_node; \(searchNode) UPDATE search_state SET identifier = X'', turn = 0"
                )
            }
            if lacking.contains("scrub") {
                try database.execute(
                    sql: """
                        ALTER TABLE scrub RENAME TO former_scrub;
                        \(scrubTable)
                        INSERT INTO scrub SELECT id, began, position, last, contents, bytes, 0, finished FROM former_scrub;
                        DROP TABLE former_scrub;
                        """
                )
            }
            if lacking.contains("shared_due") { try database.execute(sql: sharedDue) }
            if lacking.contains("removed_folder") {
                try database.execute(
                    sql: """
                        \(removedFoldersCount)
                        UPDATE removed_folder SET assets = (
                            WITH RECURSIVE below (id) AS (
                                SELECT removed_folder.node UNION SELECT r.node FROM below b JOIN removed_folder r ON r.parent = b.id)
                            SELECT count(*) FROM asset WHERE trashed_parent IN (SELECT id FROM below));
                        DELETE FROM removed_folder WHERE assets < 1;
                        """
                )
            }
            return .commit
        }
    }
}
