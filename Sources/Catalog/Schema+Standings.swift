internal import AssetModel
internal import GRDB

extension Schema {
    /// Adds the readers of former versions according to the folders on their paths, also to uploads that a
    /// crash must not lose; and `layout`: the positions of a file's data at its upload, if the library
    /// already had its content.
    ///
    /// Existing former versions of files below a folder that is closed to some users become readable to the
    /// recorded owner alone, because it is not known which other users could reach them at the time.
    static func addStandings(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE version ADD COLUMN standings BLOB;
                ALTER TABLE staged ADD COLUMN standing BLOB;
                CREATE TABLE layout (node INTEGER PRIMARY KEY, blob INTEGER NOT NULL, extents TEXT NOT NULL) STRICT;
                CREATE TRIGGER layout_gone AFTER DELETE ON node BEGIN
                    DELETE FROM layout WHERE node = OLD.id;
                END;
                """
        )
        let versions = try Records(database: database).all(
            """
            WITH RECURSIVE closed (id) AS (
                SELECT n.id FROM node n WHERE n.mode & 61440 = 16384 AND (n.mode & 73 <> 73 OR EXISTS (
                    SELECT 1 FROM extended_attribute x
                    WHERE x.node = n.id AND x.name = CAST('system.posix_acl_access' AS BLOB)))
                UNION SELECT e.node FROM closed c JOIN entry e ON e.parent = c.id),
            hidden (asset, uid, gid) AS (
                SELECT n.asset, n.uid, n.gid FROM closed c JOIN node n ON n.id = c.id WHERE n.asset IS NOT NULL
                UNION ALL SELECT a.id, n.uid, n.gid FROM asset a JOIN closed c ON c.id = a.trashed_parent
                    JOIN node n ON n.id = a.trashed_node)
            SELECT v.id, v.rights, h.uid, h.gid FROM hidden h JOIN version v ON v.asset = h.asset
            WHERE v.superseded IS NOT NULL
            """,
            []
        ) {
            let present = FileRights(uid: $0.unsigned(2), gid: $0.unsigned(3), mode: 0o600, list: nil)
            let rights = FileRights($0.bytes(1)) ?? present
            let own = FileRights(uid: rights.uid, gid: rights.gid, mode: rights.mode & 0o700, list: nil)
            return (id: $0.integer(0), standing: Standing(file: own, ways: []))
        }
        for (id, standing) in versions {
            try Records(database: database).run(
                "UPDATE version SET standings = ? WHERE id = ?",
                [.blob(standing.bytes), .integer(id)]
            )
        }
    }
}
