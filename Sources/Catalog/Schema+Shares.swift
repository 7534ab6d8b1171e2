extension Schema {
    /// The folder that an asset in the trash counts for, and contents that are shown as if they were stored
    /// twice.
    ///
    /// `asset.trashed_home` is the folder whose quota counts an asset in the trash: the one that it was
    /// removed from, or the nearest existing one above it. `masked_copy` has the files whose content the
    /// library had already, where their uploader could read no file with it: for each of them with a name,
    /// `shown`, statfs(2) shows `size` bytes less, so that it reveals nothing about the other file.
    /// `space.masked` is the sum of these. Of all files that show a blob at least one is not masked.
    static let shares = """
        ALTER TABLE asset ADD COLUMN trashed_home INTEGER;
        UPDATE asset SET trashed_home = trashed_parent WHERE trashed IS NOT NULL;
        CREATE INDEX asset_trashed_home ON asset (trashed_home) WHERE trashed_home IS NOT NULL;
        CREATE INDEX asset_trashed_since ON asset (trashed, id) WHERE trashed IS NOT NULL;

        CREATE TABLE masked_copy (
            node INTEGER PRIMARY KEY, blob INTEGER NOT NULL, size INTEGER NOT NULL, shown INTEGER NOT NULL) STRICT;
        CREATE INDEX masked_copy_blob ON masked_copy (blob);
        ALTER TABLE space ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
        CREATE TRIGGER masked_made AFTER INSERT ON masked_copy BEGIN
            UPDATE space SET masked = masked + NEW.size * NEW.shown;
        END;
        CREATE TRIGGER masked_changed AFTER UPDATE OF shown ON masked_copy BEGIN
            UPDATE space SET masked = masked + NEW.size * (NEW.shown - OLD.shown);
        END;
        CREATE TRIGGER masked_gone AFTER DELETE ON masked_copy BEGIN
            UPDATE space SET masked = masked - OLD.size * OLD.shown;
        END;
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
        CREATE TRIGGER masked_blob AFTER UPDATE OF shown ON blob
        WHEN NEW.shown < OLD.shown AND NEW.shown > 0 AND EXISTS (SELECT 1 FROM masked_copy WHERE blob = NEW.id) BEGIN
            DELETE FROM masked_copy WHERE node = (SELECT node FROM masked_copy WHERE blob = NEW.id AND shown LIMIT 1)
                AND NEW.shown <= (SELECT count(*) FROM masked_copy WHERE blob = NEW.id AND shown);
        END;
        CREATE TRIGGER masked_elsewhere AFTER UPDATE OF store ON blob WHEN NEW.store <> 0 BEGIN
            DELETE FROM masked_copy WHERE blob = NEW.id;
        END;
        """

    /// Masked copies that count once together: `peers` is a number that they have in common.
    ///
    /// A user that could read a masked copy, but no other file with the blob, knows the blob only by that
    /// copy. As far as that user can know, all these copies are stored once, as long as one of them has a
    /// name.
    static let maskedPeers = """
        ALTER TABLE masked_copy ADD COLUMN peers INTEGER NOT NULL DEFAULT 0;
        UPDATE masked_copy SET peers = node;
        CREATE INDEX masked_copy_peers ON masked_copy (peers);
        DROP TRIGGER masked_made;
        DROP TRIGGER masked_changed;
        DROP TRIGGER masked_gone;
        DROP TRIGGER masked_blob;
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
        """
}
