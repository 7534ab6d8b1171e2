internal import AssetModel
internal import GRDB

extension Schema {
    /// Makes the tables of a new catalog in one transaction: all migrations take ten times as long, because
    /// SQLite reads all tables again after each change of one.
    static func make(in database: Database) throws {
        try database.inTransaction {
            try database.execute(sql: present)
            KillPoint.migrated.reach()
            return .commit
        }
    }

    /// Returns whether a database has no tables at all.
    static func isEmpty(_ database: Database) throws -> Bool {
        try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") == 0
    }

    /// The tables to which all migrations lead, and their rows; `SchemaTests` compares the two.
    static let present = """
        CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
        CREATE TABLE blob (
            id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, created INTEGER NOT NULL, md5 BLOB, uses INTEGER NOT NULL DEFAULT 0, shown INTEGER NOT NULL DEFAULT 0, unused INTEGER, store INTEGER NOT NULL DEFAULT 0) STRICT;
        CREATE TABLE asset (
            id INTEGER PRIMARY KEY AUTOINCREMENT, created INTEGER NOT NULL, uid INTEGER NOT NULL,
            original_name BLOB NOT NULL, trashed INTEGER, trashed_parent INTEGER, trashed_name BLOB, expires INTEGER, no_exif INTEGER NOT NULL DEFAULT 0, infection TEXT, uuid BLOB, reverts INTEGER NOT NULL DEFAULT 0, access INTEGER NOT NULL DEFAULT 0, deadline INTEGER, unstored_until INTEGER, ttl TEXT, trashed_node INTEGER, trashed_path TEXT, trashed_until INTEGER, first_md5 BLOB, store INTEGER NOT NULL DEFAULT 0, trashed_home INTEGER) STRICT;
        CREATE TABLE version (
            id INTEGER PRIMARY KEY, asset INTEGER NOT NULL, number INTEGER NOT NULL, blob INTEGER, size INTEGER NOT NULL,
            created INTEGER NOT NULL, uid INTEGER NOT NULL, name BLOB NOT NULL, rotation INTEGER NOT NULL DEFAULT 0, superseded INTEGER, rights BLOB, standings BLOB, UNIQUE (asset, number)) STRICT;
        CREATE INDEX version_blob ON version (blob);
        CREATE TABLE node (
            id INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, links INTEGER NOT NULL,
            uid INTEGER NOT NULL, gid INTEGER NOT NULL, device INTEGER NOT NULL DEFAULT 0,
            size INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0, blob INTEGER, asset INTEGER,
            accessed INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL, born INTEGER NOT NULL,
            target BLOB, former_asset INTEGER, access INTEGER NOT NULL DEFAULT 0, expires INTEGER, placed_by_other INTEGER NOT NULL DEFAULT 0) STRICT;
        CREATE INDEX node_unlinked ON node (id) WHERE links = 0;
        CREATE INDEX node_asset ON node (asset) WHERE asset IS NOT NULL;
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, node INTEGER NOT NULL, collection INTEGER NOT NULL DEFAULT 0, place INTEGER NOT NULL DEFAULT 0,
            UNIQUE (parent, name)) STRICT;
        CREATE INDEX entry_node ON entry (node);
        CREATE TABLE extended_attribute (
            node INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL, uid INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (node, name)) WITHOUT ROWID, STRICT;
        CREATE TABLE policy (
            node INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, uid INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (node, key)) WITHOUT ROWID, STRICT;
        CREATE TABLE field (
            asset INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, source TEXT NOT NULL, reverts INTEGER NOT NULL DEFAULT 0, attribute TEXT, uid INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (asset, name)) WITHOUT ROWID, STRICT;
        CREATE TABLE receipt (end INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
        CREATE TABLE staged (node INTEGER PRIMARY KEY, file TEXT NOT NULL, modified INTEGER, uid INTEGER, gid INTEGER, flags INTEGER, former_mode INTEGER, former_uid INTEGER, former_gid INTEGER, former_modified INTEGER, former_accessed INTEGER, aim_parent INTEGER, aim_name BLOB, aim_asset INTEGER, aim_uploaded BLOB, standing BLOB) STRICT;
        CREATE INDEX extended_attribute_kernel ON extended_attribute (name, node) WHERE name < X'75736572';
        CREATE INDEX asset_expires ON asset (expires) WHERE expires IS NOT NULL;
        CREATE INDEX blob_without_md5 ON blob (id) WHERE md5 IS NULL;
        CREATE TABLE extraction (
            blob INTEGER PRIMARY KEY, state TEXT NOT NULL, due INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
            updated INTEGER NOT NULL, error TEXT, findings TEXT) STRICT;
        CREATE INDEX extraction_due ON extraction (due, blob) WHERE due IS NOT NULL;
        CREATE INDEX extraction_unfinished ON extraction (blob) WHERE state <> 'ready';
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
        CREATE TRIGGER asset_lives AFTER UPDATE OF access, expires ON asset BEGIN
            UPDATE node SET access = NEW.access, expires = NEW.expires WHERE asset = NEW.id;
        END;
        CREATE TRIGGER node_shows AFTER UPDATE OF asset ON node WHEN NEW.asset IS NOT OLD.asset BEGIN
            UPDATE node SET
                access = coalesce((SELECT a.access FROM asset a WHERE a.id = NEW.asset), iif(NEW.access, NEW.access | 16, 0)),
                expires = (SELECT a.expires FROM asset a WHERE a.id = NEW.asset)
            WHERE id = NEW.id;
        END;
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
        CREATE INDEX version_superseded ON version (superseded, id) WHERE superseded IS NOT NULL;
        CREATE INDEX blob_unused ON blob (unused) WHERE unused IS NOT NULL;
        CREATE TABLE space (
            id INTEGER PRIMARY KEY, reclaimable INTEGER NOT NULL, last_blob INTEGER NOT NULL DEFAULT 0, masked INTEGER NOT NULL DEFAULT 0) STRICT;
        CREATE TRIGGER blob_made AFTER INSERT ON blob BEGIN
            UPDATE space SET reclaimable = reclaimable + NEW.size;
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
        CREATE TABLE signing (id INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;
        CREATE TABLE search_due (id INTEGER PRIMARY KEY, asset INTEGER NOT NULL) STRICT;
        CREATE TABLE search_state (identifier BLOB NOT NULL, turn INTEGER NOT NULL) STRICT;
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
        CREATE TRIGGER search_node AFTER UPDATE OF asset, blob, uid, mode ON node
        WHEN NEW.asset IS NOT NULL AND (NEW.asset IS NOT OLD.asset OR NEW.blob IS NOT OLD.blob OR NEW.uid <> OLD.uid OR NEW.mode <> OLD.mode)
        BEGIN
            INSERT INTO search_due (asset) VALUES (NEW.asset);
        END;
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
        CREATE TABLE event (end INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
        CREATE TABLE event_hook (id INTEGER PRIMARY KEY, told INTEGER NOT NULL) STRICT;
        CREATE TABLE fetch (
            id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE, state TEXT NOT NULL, request TEXT NOT NULL,
            folder INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
            asset INTEGER, size INTEGER, code TEXT, sentence TEXT, errno TEXT, member TEXT NOT NULL DEFAULT '') STRICT;
        CREATE INDEX fetch_unfinished ON fetch (id) WHERE state <> 'success';
        CREATE INDEX fetch_folder ON fetch (folder, uid, id);
        CREATE TABLE fetched_url (url TEXT PRIMARY KEY, asset INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE visit (asset INTEGER PRIMARY KEY, clicks INTEGER NOT NULL, downloads INTEGER NOT NULL) STRICT;
        CREATE TABLE scrub (
            id INTEGER PRIMARY KEY, began INTEGER, position INTEGER NOT NULL, last INTEGER NOT NULL, contents INTEGER NOT NULL, bytes INTEGER NOT NULL, skipped INTEGER NOT NULL,
            finished INTEGER) STRICT;
        CREATE TABLE damage (blob INTEGER PRIMARY KEY, reason TEXT NOT NULL, found INTEGER NOT NULL) STRICT;
        CREATE TRIGGER damaged_gone AFTER DELETE ON blob BEGIN
            DELETE FROM damage WHERE blob = OLD.id;
        END;
        CREATE TABLE store (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, identifier TEXT NOT NULL,
            made INTEGER NOT NULL DEFAULT 0) STRICT;
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
        CREATE TRIGGER blob_gone AFTER DELETE ON blob BEGIN
            UPDATE space SET reclaimable = reclaimable - iif(OLD.shown = 0 AND OLD.store = 0, OLD.size, 0),
                last_blob = max(last_blob, OLD.id);
        END;
        CREATE TRIGGER blob_shown AFTER UPDATE OF shown ON blob WHEN (NEW.shown = 0) <> (OLD.shown = 0) AND NEW.store = 0 BEGIN
            UPDATE space SET reclaimable = reclaimable + iif(NEW.shown = 0, NEW.size, -NEW.size);
        END;
        CREATE TRIGGER blob_moved AFTER UPDATE OF store ON blob
        WHEN NEW.shown = 0 AND (NEW.store = 0) <> (OLD.store = 0) BEGIN
            UPDATE space SET reclaimable = reclaimable + iif(NEW.store = 0, NEW.size, -NEW.size);
        END;
        CREATE UNIQUE INDEX entry_place ON entry (parent, place);
        CREATE TABLE shared_due (node INTEGER PRIMARY KEY) STRICT;
        CREATE TABLE desktop_value (
            asset INTEGER NOT NULL, name TEXT NOT NULL, field TEXT NOT NULL, value BLOB NOT NULL,
            is_field_value INTEGER NOT NULL, uid INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (asset, name)) WITHOUT ROWID, STRICT;
        CREATE INDEX asset_trashed_home ON asset (trashed_home) WHERE trashed_home IS NOT NULL;
        CREATE INDEX asset_trashed_since ON asset (trashed, id) WHERE trashed IS NOT NULL;
        CREATE TABLE masked_copy (
            node INTEGER PRIMARY KEY, blob INTEGER NOT NULL, size INTEGER NOT NULL, shown INTEGER NOT NULL, peers INTEGER NOT NULL DEFAULT 0) STRICT;
        CREATE INDEX masked_copy_blob ON masked_copy (blob);
        CREATE TRIGGER masked_node BEFORE UPDATE OF blob, links ON node
        WHEN EXISTS (SELECT 1 FROM masked_copy WHERE node = OLD.id) BEGIN
            DELETE FROM masked_copy WHERE node = OLD.id AND (
                NEW.blob IS NOT OLD.blob
                OR OLD.links = 0 AND NEW.links > 0 AND (SELECT b.shown FROM blob b WHERE b.id = OLD.blob) = 0);
            UPDATE masked_copy SET shown = NEW.links > 0 WHERE node = OLD.id AND shown <> (NEW.links > 0);
        END;
        CREATE TRIGGER masked_node_gone BEFORE DELETE ON node BEGIN
            DELETE FROM masked_copy WHERE node = OLD.id;
        END;
        CREATE TRIGGER masked_elsewhere AFTER UPDATE OF store ON blob WHEN NEW.store <> 0 BEGIN
            DELETE FROM masked_copy WHERE blob = NEW.id;
        END;
        CREATE TABLE attribute_share (uid INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
        CREATE TRIGGER extended_attribute_charged BEFORE INSERT ON extended_attribute BEGIN
            UPDATE attribute_share SET bytes = bytes - (SELECT length(CAST(t.name AS BLOB)) + length(CAST(t.value AS BLOB)) + 32 FROM extended_attribute t WHERE t.node = NEW.node AND t.name = NEW.name)
                WHERE uid = (SELECT t.uid FROM extended_attribute t WHERE t.node = NEW.node AND t.name = NEW.name);
            INSERT INTO attribute_share
                SELECT NEW.uid, 0 WHERE NOT EXISTS (SELECT 1 FROM attribute_share WHERE uid = NEW.uid);
            UPDATE attribute_share SET bytes = bytes + length(CAST(NEW.name AS BLOB)) + length(CAST(NEW.value AS BLOB)) + 32 WHERE uid = NEW.uid;
        END;
        CREATE TRIGGER extended_attribute_released AFTER DELETE ON extended_attribute BEGIN
            UPDATE attribute_share SET bytes = bytes - (length(CAST(OLD.name AS BLOB)) + length(CAST(OLD.value AS BLOB)) + 32) WHERE uid = OLD.uid;
        END;
        CREATE TRIGGER policy_charged BEFORE INSERT ON policy BEGIN
            UPDATE attribute_share SET bytes = bytes - (SELECT length(CAST(t.key AS BLOB)) + length(CAST(t.value AS BLOB)) + 32 FROM policy t WHERE t.node = NEW.node AND t.key = NEW.key)
                WHERE uid = (SELECT t.uid FROM policy t WHERE t.node = NEW.node AND t.key = NEW.key);
            INSERT INTO attribute_share
                SELECT NEW.uid, 0 WHERE NOT EXISTS (SELECT 1 FROM attribute_share WHERE uid = NEW.uid);
            UPDATE attribute_share SET bytes = bytes + length(CAST(NEW.key AS BLOB)) + length(CAST(NEW.value AS BLOB)) + 32 WHERE uid = NEW.uid;
        END;
        CREATE TRIGGER policy_released AFTER DELETE ON policy BEGIN
            UPDATE attribute_share SET bytes = bytes - (length(CAST(OLD.key AS BLOB)) + length(CAST(OLD.value AS BLOB)) + 32) WHERE uid = OLD.uid;
        END;
        CREATE TRIGGER field_charged BEFORE INSERT ON field BEGIN
            UPDATE attribute_share SET bytes = bytes - (SELECT length(CAST(t.name AS BLOB)) + length(CAST(t.value AS BLOB)) + 32 FROM field t WHERE t.asset = NEW.asset AND t.name = NEW.name)
                WHERE uid = (SELECT t.uid FROM field t WHERE t.asset = NEW.asset AND t.name = NEW.name);
            INSERT INTO attribute_share
                SELECT NEW.uid, 0 WHERE NOT EXISTS (SELECT 1 FROM attribute_share WHERE uid = NEW.uid);
            UPDATE attribute_share SET bytes = bytes + length(CAST(NEW.name AS BLOB)) + length(CAST(NEW.value AS BLOB)) + 32 WHERE uid = NEW.uid;
        END;
        CREATE TRIGGER field_released AFTER DELETE ON field BEGIN
            UPDATE attribute_share SET bytes = bytes - (length(CAST(OLD.name AS BLOB)) + length(CAST(OLD.value AS BLOB)) + 32) WHERE uid = OLD.uid;
        END;
        CREATE TRIGGER desktop_value_charged BEFORE INSERT ON desktop_value BEGIN
            UPDATE attribute_share SET bytes = bytes - (SELECT length(CAST(t.name AS BLOB)) + length(CAST(t.value AS BLOB)) + 32 FROM desktop_value t WHERE t.asset = NEW.asset AND t.name = NEW.name)
                WHERE uid = (SELECT t.uid FROM desktop_value t WHERE t.asset = NEW.asset AND t.name = NEW.name);
            INSERT INTO attribute_share
                SELECT NEW.uid, 0 WHERE NOT EXISTS (SELECT 1 FROM attribute_share WHERE uid = NEW.uid);
            UPDATE attribute_share SET bytes = bytes + length(CAST(NEW.name AS BLOB)) + length(CAST(NEW.value AS BLOB)) + 32 WHERE uid = NEW.uid;
        END;
        CREATE TRIGGER desktop_value_released AFTER DELETE ON desktop_value BEGIN
            UPDATE attribute_share SET bytes = bytes - (length(CAST(OLD.name AS BLOB)) + length(CAST(OLD.value AS BLOB)) + 32) WHERE uid = OLD.uid;
        END;
        CREATE TABLE removed_folder (
            node INTEGER PRIMARY KEY, parent INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
            access_list BLOB, default_list BLOB, policies TEXT NOT NULL, assets INTEGER NOT NULL) STRICT;
        CREATE TRIGGER removed_folder_left AFTER UPDATE OF trashed_parent ON asset
        WHEN OLD.trashed_parent IS NOT NULL AND NEW.trashed_parent IS NOT OLD.trashed_parent
            AND EXISTS (SELECT 1 FROM removed_folder WHERE node = OLD.trashed_parent) BEGIN
            UPDATE removed_folder SET assets = assets - 1 WHERE node IN (WITH RECURSIVE above (id) AS (
            SELECT OLD.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        DELETE FROM removed_folder WHERE assets <= 0 AND node IN (WITH RECURSIVE above (id) AS (
            SELECT OLD.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        END;
        CREATE TRIGGER removed_folder_purged AFTER DELETE ON asset
        WHEN OLD.trashed_parent IS NOT NULL AND EXISTS (SELECT 1 FROM removed_folder WHERE node = OLD.trashed_parent) BEGIN
            UPDATE removed_folder SET assets = assets - 1 WHERE node IN (WITH RECURSIVE above (id) AS (
            SELECT OLD.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        DELETE FROM removed_folder WHERE assets <= 0 AND node IN (WITH RECURSIVE above (id) AS (
            SELECT OLD.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        END;
        CREATE TRIGGER removed_folder_entered AFTER UPDATE OF trashed_parent ON asset
        WHEN NEW.trashed_parent IS NOT NULL AND NEW.trashed_parent IS NOT OLD.trashed_parent
            AND EXISTS (SELECT 1 FROM removed_folder WHERE node = NEW.trashed_parent) BEGIN
            UPDATE removed_folder SET assets = assets + 1 WHERE node IN (WITH RECURSIVE above (id) AS (
            SELECT NEW.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        END;
        CREATE TRIGGER removed_folder_copied AFTER INSERT ON asset
        WHEN NEW.trashed_parent IS NOT NULL AND EXISTS (SELECT 1 FROM removed_folder WHERE node = NEW.trashed_parent) BEGIN
            UPDATE removed_folder SET assets = assets + 1 WHERE node IN (WITH RECURSIVE above (id) AS (
            SELECT NEW.trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above);
        END;
        CREATE TABLE layout (node INTEGER PRIMARY KEY, blob INTEGER NOT NULL, extents TEXT NOT NULL) STRICT;
        CREATE TRIGGER layout_gone AFTER DELETE ON node BEGIN
            DELETE FROM layout WHERE node = OLD.id;
        END;
        CREATE INDEX masked_copy_peers ON masked_copy (peers);
        CREATE TRIGGER masked_made AFTER INSERT ON masked_copy
        WHEN NEW.shown AND NOT EXISTS (
            SELECT 1 FROM masked_copy WHERE peers = NEW.peers AND node <> NEW.node AND shown) BEGIN
            UPDATE space SET masked = masked + NEW.size;
        END;
        CREATE TRIGGER masked_changed AFTER UPDATE OF shown ON masked_copy
        WHEN NEW.shown <> OLD.shown AND NOT EXISTS (
            SELECT 1 FROM masked_copy WHERE peers = NEW.peers AND node <> NEW.node AND shown) BEGIN
            UPDATE space SET masked = masked + NEW.size * (NEW.shown - OLD.shown);
        END;
        CREATE TRIGGER masked_gone AFTER DELETE ON masked_copy
        WHEN OLD.shown AND NOT EXISTS (SELECT 1 FROM masked_copy WHERE peers = OLD.peers AND shown) BEGIN
            UPDATE space SET masked = masked - OLD.size;
        END;
        CREATE TRIGGER masked_blob AFTER UPDATE OF shown ON blob
        WHEN NEW.shown < OLD.shown AND NEW.shown > 0
            AND NEW.shown <= (SELECT count(*) FROM masked_copy WHERE blob = NEW.id AND shown) BEGIN
            DELETE FROM masked_copy
            WHERE peers = (SELECT peers FROM masked_copy WHERE blob = NEW.id AND shown ORDER BY peers LIMIT 1);
        END;
        INSERT INTO grdb_migrations (identifier) VALUES ('1 foundation');
        INSERT INTO grdb_migrations (identifier) VALUES ('10 visits');
        INSERT INTO grdb_migrations (identifier) VALUES ('11 scrub');
        INSERT INTO grdb_migrations (identifier) VALUES ('12 stores');
        INSERT INTO grdb_migrations (identifier) VALUES ('13 places');
        INSERT INTO grdb_migrations (identifier) VALUES ('14 rights of versions');
        INSERT INTO grdb_migrations (identifier) VALUES ('15 interrupted uploads');
        INSERT INTO grdb_migrations (identifier) VALUES ('16 desktop names');
        INSERT INTO grdb_migrations (identifier) VALUES ('17 shares');
        INSERT INTO grdb_migrations (identifier) VALUES ('18 attribute shares');
        INSERT INTO grdb_migrations (identifier) VALUES ('19 removed folders');
        INSERT INTO grdb_migrations (identifier) VALUES ('2 kernel attributes');
        INSERT INTO grdb_migrations (identifier) VALUES ('20 standings');
        INSERT INTO grdb_migrations (identifier) VALUES ('21 groups of fetches');
        INSERT INTO grdb_migrations (identifier) VALUES ('22 masked peers');
        INSERT INTO grdb_migrations (identifier) VALUES ('23 placed by others');
        INSERT INTO grdb_migrations (identifier) VALUES ('3 policies');
        INSERT INTO grdb_migrations (identifier) VALUES ('4 metadata');
        INSERT INTO grdb_migrations (identifier) VALUES ('5 lives');
        INSERT INTO grdb_migrations (identifier) VALUES ('6 signing');
        INSERT INTO grdb_migrations (identifier) VALUES ('7 search');
        INSERT INTO grdb_migrations (identifier) VALUES ('8 events');
        INSERT INTO grdb_migrations (identifier) VALUES ('9 fetches');
        INSERT INTO sqlite_sequence (name, seq) VALUES ('node', 63);
        INSERT INTO space (id, reclaimable, last_blob, masked) VALUES (1, 0, 0, 0);
        INSERT INTO search_state (identifier, turn) VALUES (X'', 0);
        INSERT INTO scrub (id, began, position, last, contents, bytes, skipped, finished) VALUES (1, NULL, 0, 0, 0, 0, 0, NULL);
        """
}
