internal import AssetModel
internal import GRDB

/// The tables, version by version.
///
/// A migration that has shipped is never edited: a change is a new one, with docs/FORMAT.md.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 foundation") { try $0.execute(sql: foundation) }
        migrator.registerMigration("2 kernel attributes") { try $0.execute(sql: kernelAttributes) }
        migrator.registerMigration("3 policies") { try $0.execute(sql: policies) }
        migrator.registerMigration("4 metadata") { try $0.execute(sql: metadata) }
        return migrator
    }

    /// `AUTOINCREMENT` where a number must never come back: inode numbers and asset ids.
    ///
    /// Times are nanoseconds since 1970. Names, targets and extended attributes are BLOBs: bytes, compared as bytes.
    /// STRICT, so that no value of a wrong type can get in.
    private static let foundation = """
        CREATE TABLE blob (
            id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;
        CREATE TABLE asset (
            id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER NOT NULL, uid INTEGER NOT NULL,
            original_name BLOB NOT NULL, trashed INTEGER, trashed_parent INTEGER, trashed_name BLOB) STRICT;
        CREATE TABLE version (
            id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, number INTEGER NOT NULL, blob INTEGER, size INTEGER NOT NULL,
            created INTEGER NOT NULL, uid INTEGER NOT NULL, name BLOB NOT NULL, UNIQUE (asset, number)) STRICT;
        CREATE INDEX version_blob ON version (blob);
        CREATE TABLE node (
            id INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, links INTEGER NOT NULL,
            uid INTEGER NOT NULL, gid INTEGER NOT NULL, device INTEGER NOT NULL DEFAULT 0,
            size INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0, blob INTEGER, asset INTEGER,
            accessed INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL, born INTEGER NOT NULL,
            target BLOB) STRICT;
        CREATE INDEX node_unlinked ON node (id) WHERE links = 0;
        CREATE INDEX node_asset ON node (asset) WHERE asset IS NOT NULL;
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, node INTEGER NOT NULL,
            UNIQUE (parent, name)) STRICT;
        CREATE INDEX entry_parent ON entry (parent);
        CREATE INDEX entry_node ON entry (node);
        CREATE TABLE extended_attribute (
            node INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (node, name)) WITHOUT ROWID, STRICT;
        CREATE TABLE policy (
            node INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (node, key)) WITHOUT ROWID, STRICT;
        CREATE TABLE field (
            asset INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, source TEXT NOT NULL,
            PRIMARY KEY (asset, name)) WITHOUT ROWID, STRICT;
        CREATE TABLE receipt (end INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
        CREATE TABLE job (
            id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL,
            asset INTEGER, created INTEGER NOT NULL, updated INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;
        CREATE TABLE staged (node INTEGER PRIMARY KEY, file TEXT NOT NULL, modified INTEGER) STRICT;
        INSERT INTO sqlite_sequence (name, seq) VALUES ('node', \(NodeID.firstInCatalog - 1));
        """

    /// Which nodes have an attribute that is not a user's: the kernel asks every node for some, and few have one.
    private static let kernelAttributes = """
        CREATE INDEX extended_attribute_kernel ON extended_attribute (name, node) WHERE name < X'75736572';
        """

    /// What policies make of uploads: files that show another file's asset, assets that go by themselves or are infected.
    private static let policies = """
        ALTER TABLE node ADD COLUMN former_asset INTEGER;
        ALTER TABLE asset ADD COLUMN expires INTEGER;
        ALTER TABLE asset ADD COLUMN no_exif INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE asset ADD COLUMN infection TEXT;
        CREATE INDEX asset_expires ON asset (expires) WHERE expires IS NOT NULL;
        ALTER TABLE blob ADD COLUMN md5 BLOB;
        CREATE INDEX blob_without_md5 ON blob (id) WHERE md5 IS NULL;
        """

    /// What files say themselves: kept by content, so that equal ones are looked into once.
    ///
    /// `due` is when that is to be done, or done again; NULL where there is nothing to do.
    private static let metadata = """
        CREATE TABLE extraction (
            blob INTEGER PRIMARY KEY, state TEXT NOT NULL, due INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
            updated INTEGER NOT NULL, error TEXT, findings TEXT) STRICT;
        CREATE INDEX extraction_due ON extraction (due, blob) WHERE due IS NOT NULL;
        CREATE INDEX extraction_unfinished ON extraction (blob) WHERE state <> 'ready';
        ALTER TABLE asset ADD COLUMN uuid BLOB;
        UPDATE asset SET uuid = randomblob(16);
        ALTER TABLE asset ADD COLUMN reverts INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE version ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE field ADD COLUMN reverts INTEGER NOT NULL DEFAULT 0;
        INSERT INTO extraction (blob, state, due, updated)
            SELECT DISTINCT v.blob, 'waiting', 1, 0 FROM version v JOIN asset a ON a.id = v.asset
            WHERE v.blob IS NOT NULL AND a.trashed IS NULL;
        """
}
