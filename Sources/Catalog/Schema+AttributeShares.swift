internal import GRDB

extension Schema {
    /// Records the user that an attribute's bytes count for, and the number of bytes of each user.
    ///
    /// `uid` is the user that set the row, so that no user takes space from another by setting attributes on
    /// that user's files; for rows that no user has set, as in a copy, it is the owner. `attribute_share` is
    /// the sum, with `Records.attributeOverhead` for each row. Triggers maintain it: a plain upload has none
    /// of these rows, and pays nothing.
    static let attributeShares: String = {
        let tables = [
            (name: "extended_attribute", id: "node", key: "name"), (name: "policy", id: "node", key: "key"),
            (name: "field", id: "asset", key: "name"), (name: "desktop_value", id: "asset", key: "name"),
        ]
        func owner(_ table: String, _ id: String) -> String {
            id == "node" ? Records.owner(ofNode: "\(table).node") : Records.owner(ofAsset: "\(table).asset")
        }
        func bytes(_ row: String, _ key: String) -> String {
            "length(CAST(\(row)\(key) AS BLOB)) + length(CAST(\(row)value AS BLOB)) + \(Records.attributeOverhead)"
        }
        var sql = "CREATE TABLE attribute_share (uid INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;"
        for table in tables {
            sql += """
                ALTER TABLE \(table.name) ADD COLUMN uid INTEGER NOT NULL DEFAULT 0;
                UPDATE \(table.name) SET uid = \(owner(table.name, table.id));
                """
        }
        // The reasons of rejections are assetfs's own attributes.
        sql += "UPDATE extended_attribute SET uid = 0 WHERE substr(name, 1, 16) = CAST('user.asset.error' AS BLOB);"
        let rows = tables.map { "SELECT uid, \(bytes("", $0.key)) AS bytes FROM \($0.name)" }
        sql += """
            INSERT INTO attribute_share
                SELECT uid, sum(bytes) FROM (\(rows.joined(separator: " UNION ALL "))) GROUP BY uid;
            """
        for table in tables {
            // OR REPLACE removes a row without firing delete triggers; this trigger runs before it does.
            let (id, key) = (table.id, table.key)
            let former = "FROM \(table.name) t WHERE t.\(id) = NEW.\(id) AND t.\(key) = NEW.\(key)"
            sql += """
                CREATE TRIGGER \(table.name)_charged BEFORE INSERT ON \(table.name) BEGIN
                    UPDATE attribute_share SET bytes = bytes - (SELECT \(bytes("t.", table.key)) \(former))
                        WHERE uid = (SELECT t.uid \(former));
                    INSERT INTO attribute_share
                        SELECT NEW.uid, 0 WHERE NOT EXISTS (SELECT 1 FROM attribute_share WHERE uid = NEW.uid);
                    UPDATE attribute_share SET bytes = bytes + \(bytes("NEW.", table.key)) WHERE uid = NEW.uid;
                END;
                CREATE TRIGGER \(table.name)_released AFTER DELETE ON \(table.name) BEGIN
                    UPDATE attribute_share SET bytes = bytes - (\(bytes("OLD.", table.key))) WHERE uid = OLD.uid;
                END;
                """
        }
        return sql
    }()
}
