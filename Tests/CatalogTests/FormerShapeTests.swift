import Catalog
import TestSupport
import Testing

/// Catalogs of a time when migrations made less than they do now.
struct FormerShapeTests {
    private func tables(_ path: String) throws -> String {
        try run("sqlite3", path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name").check().output
    }

    @Test(arguments: [
        "ALTER TABLE scrub DROP COLUMN skipped",
        "DROP TABLE shared_due",
        "DROP TRIGGER removed_folder_entered; DROP TRIGGER removed_folder_copied",
        """
        DROP TRIGGER search_node;
        CREATE TRIGGER search_node AFTER UPDATE OF asset, blob, uid ON node WHEN NEW.asset IS NOT NULL BEGIN
            INSERT INTO search_due (asset) VALUES (NEW.asset);
        END
        """,
    ])
    func `a catalog gets what migrations had left out at first`(change: String) throws {
        try withScratch { scratch in
            let path = scratch + "/catalog.sqlite"
            try Catalog(path: path) {}.close()
            let made = try tables(path)
            try run("sqlite3", path, change).check()
            #expect(try tables(path) != made)
            try Catalog(path: path) {}.close()
            #expect(try tables(path) == made)
        }
    }
}
