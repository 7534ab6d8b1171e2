internal import AssetModel
internal import GRDB

extension DatabaseMigrator {
    /// Registers a migration; a debug build may be killed at the end of its transaction.
    fileprivate mutating func add(_ name: String, migrate: @escaping @Sendable (Database) throws -> Void) {
        registerMigration(name) { database in
            try migrate(database)
            KillPoint.migrated.reach()
        }
    }
}

/// The tables, version by version.
///
/// A migration that has shipped is never edited: a change is a new one, with docs/FORMAT.md, a library in
/// Tests/Fixtures/libraries, and `Schema.present` written anew (`SchemaTests`).
enum Schema {
    /// The migration that every catalog has.
    static let first = "1 foundation"

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.add(first) { try $0.execute(sql: foundation) }
        migrator.add("2 kernel attributes") { try $0.execute(sql: kernelAttributes) }
        migrator.add("3 policies") { try $0.execute(sql: policies) }
        migrator.add("4 metadata") { try $0.execute(sql: metadata) }
        migrator.add("5 lives") { try $0.execute(sql: lives) }
        migrator.add("6 signing") { try $0.execute(sql: signing) }
        migrator.add("7 search") { try $0.execute(sql: search) }
        migrator.add("8 events") { try $0.execute(sql: events) }
        migrator.add("9 fetches") { try $0.execute(sql: fetches) }
        migrator.add("10 visits") { try $0.execute(sql: visits) }
        migrator.add("11 scrub") { try $0.execute(sql: scrub) }
        migrator.add("12 stores") { try $0.execute(sql: stores) }
        migrator.add("13 places", migrate: addPlaces)
        // The rights at its replacement, `FileRights.bytes`; from migration 20 on they are in `standings`.
        migrator.add("14 rights of versions") { database in
            try database.execute(
                sql: """
                    ALTER TABLE version ADD COLUMN rights BLOB;
                    \(sharedDue)
                    """
            )
        }
        migrator.add("15 interrupted uploads") { try $0.execute(sql: interruptedUploads) }
        migrator.add("16 desktop names") { try $0.execute(sql: desktopValues) }
        migrator.add("17 shares") { try $0.execute(sql: shares) }
        migrator.add("18 attribute shares") { try $0.execute(sql: attributeShares) }
        migrator.add("19 removed folders") { try $0.execute(sql: removedFolders) }
        migrator.add("20 standings", migrate: addStandings)
        migrator.add("21 groups of fetches") { try $0.execute(sql: fetchGroups) }
        migrator.add("22 masked peers") { try $0.execute(sql: maskedPeers) }
        // The column of `NodeRecord.isPlacedByOther`.
        migrator.add("23 placed by others") {
            try $0.execute(sql: "ALTER TABLE node ADD COLUMN placed_by_other INTEGER NOT NULL DEFAULT 0")
        }
        return migrator
    }

    /// The first tables: `AUTOINCREMENT` where a number must never be reused: inode numbers and asset ids.
    ///
    /// Times are nanoseconds since 1970. Names, targets and extended attributes are BLOBs: bytes, compared as
    /// bytes. STRICT tables reject values of a wrong type.
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

    /// An index of the attributes outside `user.`: the kernel asks every node for some, and few have one.
    private static let kernelAttributes = """
        CREATE INDEX extended_attribute_kernel ON extended_attribute (name, node) WHERE name < X'75736572';
        """

    /// Results of policies: files that show another file's asset, and assets that expire or are infected.
    private static let policies = """
        ALTER TABLE node ADD COLUMN former_asset INTEGER;
        ALTER TABLE asset ADD COLUMN expires INTEGER;
        ALTER TABLE asset ADD COLUMN no_exif INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE asset ADD COLUMN infection TEXT;
        CREATE INDEX asset_expires ON asset (expires) WHERE expires IS NOT NULL;
        ALTER TABLE blob ADD COLUMN md5 BLOB;
        CREATE INDEX blob_without_md5 ON blob (id) WHERE md5 IS NULL;
        """

    /// Extracted metadata, by blob, so that equal content is extracted from once.
    ///
    /// `due` is the time of the next attempt; NULL if there is nothing to do.
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

    /// The key for signatures of signed paths.
    private static let signing = "CREATE TABLE signing (id INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT"

    /// Assets to index again, one row per change; and the identifier and step that `search.sqlite` must have.
    private static let search = """
        CREATE TABLE search_due (id INTEGER PRIMARY KEY, asset INTEGER NOT NULL) STRICT;
        CREATE TABLE search_state (identifier BLOB NOT NULL, turn INTEGER NOT NULL) STRICT;
        INSERT INTO search_state VALUES (X'', 0);
        CREATE TRIGGER search_asset AFTER UPDATE OF access, expires, trashed, no_exif ON asset BEGIN
            INSERT INTO search_due (asset) VALUES (NEW.id);
        END;
        CREATE TRIGGER search_asset_gone AFTER DELETE ON asset BEGIN
            INSERT INTO search_due (asset) VALUES (OLD.id);
        END;
        CREATE TRIGGER search_field AFTER INSERT ON field BEGIN
            INSERT INTO search_due (asset) VALUES (NEW.asset);
        END;
        CREATE TRIGGER search_field_gone AFTER DELETE ON field BEGIN
            INSERT INTO search_due (asset) VALUES (OLD.asset);
        END;
        \(searchNode)
        CREATE TRIGGER search_node_left AFTER UPDATE OF asset ON node
        WHEN OLD.asset IS NOT NULL AND NEW.asset IS NOT OLD.asset BEGIN
            INSERT INTO search_due (asset) VALUES (OLD.asset);
        END;
        CREATE TRIGGER search_entry AFTER INSERT ON entry BEGIN
            INSERT INTO search_due (asset) SELECT asset FROM node WHERE id = NEW.node AND asset IS NOT NULL;
        END;
        CREATE TRIGGER search_entry_moved AFTER UPDATE OF parent, name, node ON entry BEGIN
            INSERT INTO search_due (asset) SELECT asset FROM node WHERE id IN (OLD.node, NEW.node) AND asset IS NOT NULL;
        END;
        CREATE TRIGGER search_entry_gone AFTER DELETE ON entry BEGIN
            INSERT INTO search_due (asset) SELECT asset FROM node WHERE id = OLD.node AND asset IS NOT NULL;
        END;
        CREATE TRIGGER search_found AFTER UPDATE OF findings ON extraction WHEN NEW.findings IS NOT OLD.findings BEGIN
            INSERT INTO search_due (asset) SELECT asset FROM version WHERE blob = NEW.blob AND superseded IS NULL;
        END;
        """

    /// The events of assets, and the offset up to which a program has received them.
    private static let events = """
        CREATE TABLE event (end INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
        CREATE TABLE event_hook (id INTEGER PRIMARY KEY, told INTEGER NOT NULL) STRICT;
        """

    /// The queue of URLs to fetch, with finished ones; and the assets fetched from URLs to remember.
    private static let fetches = """
        DROP TABLE job;
        CREATE TABLE fetch (
            id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE, state TEXT NOT NULL, request TEXT NOT NULL,
            folder INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
            asset INTEGER, size INTEGER, code TEXT, sentence TEXT, errno TEXT) STRICT;
        CREATE INDEX fetch_unfinished ON fetch (id) WHERE state <> 'success';
        CREATE INDEX fetch_folder ON fetch (folder, uid, id);
        CREATE TABLE fetched_url (url TEXT PRIMARY KEY, asset INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        """

    /// The supplementary groups of a fetch's user that decided about the folder: gids separated by commas.
    private static let fetchGroups = "ALTER TABLE fetch ADD COLUMN member TEXT NOT NULL DEFAULT ''"

    /// The number of times that an asset's files were opened, and were read from start to end.
    private static let visits = """
        CREATE TABLE visit (asset INTEGER PRIMARY KEY, clicks INTEGER NOT NULL, downloads INTEGER NOT NULL) STRICT
        """

    /// Stores besides the library's own folder, which has the number 0.
    ///
    /// Also the store of each blob, the one for each asset's blobs, and when blobs may have to be moved.
    /// `space` counts the library's own disk.
    private static let stores = """
        CREATE TABLE store (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, identifier TEXT NOT NULL,
            made INTEGER NOT NULL DEFAULT 0) STRICT;
        ALTER TABLE blob ADD COLUMN store INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE asset ADD COLUMN store INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX blob_store ON blob (store) WHERE store <> 0;
        CREATE TABLE store_due (blob INTEGER PRIMARY KEY, due INTEGER NOT NULL, error TEXT) STRICT;
        CREATE INDEX store_due_first ON store_due (due, blob);
        CREATE TRIGGER asset_stored AFTER UPDATE OF store ON asset WHEN NEW.store <> OLD.store BEGIN
            INSERT OR REPLACE INTO store_due
                SELECT DISTINCT blob, 0, NULL FROM version WHERE asset = NEW.id AND blob IS NOT NULL;
        END;
        CREATE TRIGGER version_stored AFTER INSERT ON version WHEN NEW.blob IS NOT NULL AND EXISTS (SELECT 1 FROM store) BEGIN
            INSERT OR IGNORE INTO store_due SELECT NEW.blob, (unixepoch() + 5) * 1000000000, NULL
                WHERE (SELECT store FROM asset WHERE id = NEW.asset) <> (SELECT store FROM blob WHERE id = NEW.blob);
        END;
        CREATE TRIGGER version_restored AFTER UPDATE OF blob ON version
        WHEN NEW.blob IS NOT NULL AND EXISTS (SELECT 1 FROM store) BEGIN
            INSERT OR IGNORE INTO store_due SELECT NEW.blob, (unixepoch() + 5) * 1000000000, NULL
                WHERE (SELECT store FROM asset WHERE id = NEW.asset) <> (SELECT store FROM blob WHERE id = NEW.blob);
        END;
        CREATE TRIGGER version_left AFTER UPDATE OF blob ON version
        WHEN OLD.blob IS NOT NULL AND NEW.blob IS NOT OLD.blob AND EXISTS (SELECT 1 FROM store) BEGIN
            INSERT OR IGNORE INTO store_due SELECT OLD.blob, (unixepoch() + 5) * 1000000000, NULL
                WHERE EXISTS (
                    SELECT 1 FROM version v JOIN asset a ON a.id = v.asset
                    WHERE v.blob = OLD.blob AND a.store <> (SELECT store FROM blob WHERE id = OLD.blob));
        END;
        CREATE TRIGGER version_unstored AFTER DELETE ON version WHEN OLD.blob IS NOT NULL AND EXISTS (SELECT 1 FROM store) BEGIN
            INSERT OR IGNORE INTO store_due SELECT OLD.blob, (unixepoch() + 5) * 1000000000, NULL
                WHERE EXISTS (
                    SELECT 1 FROM version v JOIN asset a ON a.id = v.asset
                    WHERE v.blob = OLD.blob AND a.store <> (SELECT store FROM blob WHERE id = OLD.blob));
        END;
        CREATE TRIGGER stored_gone AFTER DELETE ON blob BEGIN
            DELETE FROM store_due WHERE blob = OLD.id;
        END;

        DROP TRIGGER blob_gone;
        CREATE TRIGGER blob_gone AFTER DELETE ON blob BEGIN
            UPDATE space SET reclaimable = reclaimable - iif(OLD.shown = 0 AND OLD.store = 0, OLD.size, 0),
                last_blob = max(last_blob, OLD.id);
        END;
        DROP TRIGGER blob_shown;
        CREATE TRIGGER blob_shown AFTER UPDATE OF shown ON blob WHEN (NEW.shown = 0) <> (OLD.shown = 0) AND NEW.store = 0 BEGIN
            UPDATE space SET reclaimable = reclaimable + iif(NEW.shown = 0, NEW.size, -NEW.size);
        END;
        CREATE TRIGGER blob_moved AFTER UPDATE OF store ON blob
        WHEN NEW.shown = 0 AND (NEW.store = 0) <> (OLD.store = 0) BEGIN
            UPDATE space SET reclaimable = reclaimable + iif(NEW.store = 0, NEW.size, -NEW.size);
        END;
        """

    /// The progress of verifying blobs against their SHA-256, and the corrupt blobs.
    private static let scrub = """
        \(scrubTable)
        INSERT INTO scrub VALUES (1, NULL, 0, 0, 0, 0, 0, NULL);
        CREATE TABLE damage (blob INTEGER PRIMARY KEY, reason TEXT NOT NULL, found INTEGER NOT NULL) STRICT;
        CREATE TRIGGER damaged_gone AFTER DELETE ON blob BEGIN
            DELETE FROM damage WHERE blob = OLD.id;
        END;
        """

    /// The access level and expiry of assets, and the retention of former versions and of the trash.
    ///
    /// `access` is the number of an `Access`, 0 for none, plus 16 where only a folder has set it.
    /// `asset.expires` is the earlier of `deadline`, which a user or a folder has set, and `unstored_until`.
    /// A node's `access` and `expires` are its asset's. Triggers keep these derived values up to date:
    /// - `lost_node` has files that have left the trash and may have no name;
    /// - `special_folder` has the folders that hold, or held, files that expire or are hidden;
    /// - `blob.uses` counts versions and nodes, `blob.shown` named nodes; `blob.unused`: unused since;
    /// - `entry.collection` marks files in collections; `sealed` has the groups, `member` their members;
    /// - `space.reclaimable` is the number of bytes of all blobs that no name shows.
    private static let lives = """
        ALTER TABLE asset ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE asset ADD COLUMN deadline INTEGER;
        ALTER TABLE asset ADD COLUMN unstored_until INTEGER;
        ALTER TABLE asset ADD COLUMN ttl TEXT;
        ALTER TABLE asset ADD COLUMN trashed_node INTEGER;
        ALTER TABLE asset ADD COLUMN trashed_path TEXT;
        ALTER TABLE asset ADD COLUMN trashed_until INTEGER;
        ALTER TABLE asset ADD COLUMN first_md5 BLOB;
        UPDATE asset SET unstored_until = expires;
        UPDATE asset SET trashed_until = (unixepoch() + 86400) * 1000000000 WHERE trashed IS NOT NULL;
        CREATE INDEX asset_trashed ON asset (id) WHERE trashed IS NOT NULL;
        CREATE INDEX asset_trashed_until ON asset (trashed_until) WHERE trashed_until IS NOT NULL;
        CREATE INDEX asset_trashed_node ON asset (trashed_node) WHERE trashed_node IS NOT NULL;
        CREATE TABLE lost_node (node INTEGER PRIMARY KEY) STRICT;
        CREATE TRIGGER asset_restored AFTER UPDATE OF trashed_node ON asset
        WHEN OLD.trashed_node IS NOT NULL AND NEW.trashed_node IS NOT OLD.trashed_node BEGIN
            INSERT OR IGNORE INTO lost_node VALUES (OLD.trashed_node);
        END;
        CREATE TRIGGER asset_gone AFTER DELETE ON asset WHEN OLD.trashed_node IS NOT NULL BEGIN
            INSERT OR IGNORE INTO lost_node VALUES (OLD.trashed_node);
        END;

        ALTER TABLE node ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE node ADD COLUMN expires INTEGER;
        UPDATE node SET expires = (SELECT a.expires FROM asset a WHERE a.id = node.asset) WHERE asset IS NOT NULL;
        CREATE TRIGGER asset_lives AFTER UPDATE OF access, expires ON asset BEGIN
            UPDATE node SET access = NEW.access, expires = NEW.expires WHERE asset = NEW.id;
        END;
        CREATE TRIGGER node_shows AFTER UPDATE OF asset ON node WHEN NEW.asset IS NOT OLD.asset BEGIN
            UPDATE node SET
                access = coalesce((SELECT a.access FROM asset a WHERE a.id = NEW.asset), iif(NEW.access, NEW.access | 16, 0)),
                expires = (SELECT a.expires FROM asset a WHERE a.id = NEW.asset)
            WHERE id = NEW.id;
        END;

        ALTER TABLE entry ADD COLUMN collection INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE sealed (node INTEGER PRIMARY KEY, created INTEGER NOT NULL) STRICT;
        CREATE TABLE member (
            node INTEGER NOT NULL, position INTEGER NOT NULL, asset INTEGER NOT NULL,
            PRIMARY KEY (node, position)) WITHOUT ROWID, STRICT;

        CREATE TABLE special_folder (node INTEGER PRIMARY KEY) STRICT;
        CREATE TRIGGER node_special AFTER UPDATE OF access, expires ON node
        WHEN NEW.expires IS NOT NULL OR NEW.access & 15 BETWEEN 4 AND 7 BEGIN
            INSERT OR IGNORE INTO special_folder SELECT parent FROM entry WHERE node = NEW.id;
        END;
        CREATE TRIGGER entry_special AFTER INSERT ON entry BEGIN
            INSERT OR IGNORE INTO special_folder SELECT NEW.parent FROM node n
            WHERE n.id = NEW.node AND (n.expires IS NOT NULL OR n.access & 15 BETWEEN 4 AND 7);
        END;
        CREATE TRIGGER entry_moved AFTER UPDATE OF parent, node ON entry BEGIN
            INSERT OR IGNORE INTO special_folder SELECT NEW.parent FROM node n
            WHERE n.id = NEW.node AND (n.expires IS NOT NULL OR n.access & 15 BETWEEN 4 AND 7);
        END;
        INSERT OR IGNORE INTO special_folder
            SELECT e.parent FROM node n JOIN entry e ON e.node = n.id WHERE n.expires IS NOT NULL;

        ALTER TABLE version ADD COLUMN superseded INTEGER;
        UPDATE version SET superseded = (
            SELECT w.created FROM version w WHERE w.asset = version.asset AND w.number > version.number
            ORDER BY w.number LIMIT 1);
        CREATE INDEX version_superseded ON version (superseded, id) WHERE superseded IS NOT NULL;

        ALTER TABLE blob ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE blob ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE blob ADD COLUMN unused INTEGER;
        CREATE INDEX node_blob ON node (blob) WHERE blob IS NOT NULL;
        UPDATE blob SET
            shown = (SELECT count(*) FROM node n WHERE n.blob = blob.id AND n.links > 0),
            uses = (SELECT count(*) FROM node n WHERE n.blob = blob.id)
                + (SELECT count(*) FROM version v WHERE v.blob = blob.id);
        DROP INDEX node_blob;
        UPDATE blob SET unused = unixepoch() * 1000000000 WHERE uses = 0;
        CREATE INDEX blob_unused ON blob (unused) WHERE unused IS NOT NULL;
        CREATE TABLE space (
            id INTEGER PRIMARY KEY, reclaimable INTEGER NOT NULL, last_blob INTEGER NOT NULL DEFAULT 0) STRICT;
        INSERT INTO space (id, reclaimable) VALUES (1, (SELECT coalesce(sum(size), 0) FROM blob WHERE shown = 0));
        CREATE TRIGGER blob_made AFTER INSERT ON blob BEGIN
            UPDATE space SET reclaimable = reclaimable + NEW.size;
        END;
        CREATE TRIGGER blob_gone AFTER DELETE ON blob BEGIN
            UPDATE space SET reclaimable = reclaimable - iif(OLD.shown = 0, OLD.size, 0),
                last_blob = max(last_blob, OLD.id);
        END;
        CREATE TRIGGER blob_shown AFTER UPDATE OF shown ON blob WHEN (NEW.shown = 0) <> (OLD.shown = 0) BEGIN
            UPDATE space SET reclaimable = reclaimable + iif(NEW.shown = 0, NEW.size, -NEW.size);
        END;
        CREATE TRIGGER version_made AFTER INSERT ON version WHEN NEW.blob IS NOT NULL BEGIN
            UPDATE blob SET uses = uses + 1, unused = NULL WHERE id = NEW.blob;
        END;
        CREATE TRIGGER version_gone AFTER DELETE ON version WHEN OLD.blob IS NOT NULL BEGIN
            UPDATE blob SET uses = uses - 1, unused = iif(uses = 1, unixepoch() * 1000000000, NULL) WHERE id = OLD.blob;
        END;
        CREATE TRIGGER version_changed AFTER UPDATE OF blob ON version WHEN NEW.blob IS NOT OLD.blob BEGIN
            UPDATE blob SET uses = uses - 1, unused = iif(uses = 1, unixepoch() * 1000000000, NULL) WHERE id = OLD.blob;
            UPDATE blob SET uses = uses + 1, unused = NULL WHERE id = NEW.blob;
        END;
        CREATE TRIGGER node_gone AFTER DELETE ON node BEGIN
            UPDATE blob SET uses = uses - 1, shown = shown - (OLD.links > 0),
                unused = iif(uses = 1, unixepoch() * 1000000000, NULL) WHERE id = OLD.blob;
            DELETE FROM special_folder WHERE node = OLD.id;
            DELETE FROM lost_node WHERE node = OLD.id;
        END;
        CREATE TRIGGER node_changed AFTER UPDATE OF blob, links ON node
        WHEN NEW.blob IS NOT OLD.blob OR (NEW.links > 0) <> (OLD.links > 0) BEGIN
            UPDATE blob SET uses = uses - 1, shown = shown - (OLD.links > 0),
                unused = iif(uses = 1, unixepoch() * 1000000000, NULL) WHERE id = OLD.blob;
            UPDATE blob SET uses = uses + 1, shown = shown + (NEW.links > 0), unused = NULL WHERE id = NEW.blob;
        END;
        """
}
