extension Schema {
    /// The attributes of removed folders, as long as an asset from one, or from a folder below it, is in the
    /// trash.
    ///
    /// `assets` is the number of these assets. An asset's former path is its `trashed_parent`, and then
    /// `parent` of each folder that was removed after it.
    static let removedFolders = """
        CREATE TABLE removed_folder (
            node INTEGER PRIMARY KEY, parent INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
            access_list BLOB, default_list BLOB, policies TEXT NOT NULL, assets INTEGER NOT NULL) STRICT;
        CREATE TRIGGER removed_folder_left AFTER UPDATE OF trashed_parent ON asset
        WHEN OLD.trashed_parent IS NOT NULL AND NEW.trashed_parent IS NOT OLD.trashed_parent
            AND EXISTS (SELECT 1 FROM removed_folder WHERE node = OLD.trashed_parent) BEGIN
            \(leave)
        END;
        CREATE TRIGGER removed_folder_purged AFTER DELETE ON asset
        WHEN OLD.trashed_parent IS NOT NULL AND EXISTS (SELECT 1 FROM removed_folder WHERE node = OLD.trashed_parent) BEGIN
            \(leave)
        END;
        \(removedFoldersCount)
        """

    /// What counts an asset that comes to the trash after its folder is gone.
    static let removedFoldersCount = """
        CREATE TRIGGER removed_folder_entered AFTER UPDATE OF trashed_parent ON asset
        WHEN NEW.trashed_parent IS NOT NULL AND NEW.trashed_parent IS NOT OLD.trashed_parent
            AND EXISTS (SELECT 1 FROM removed_folder WHERE node = NEW.trashed_parent) BEGIN
            \(enter)
        END;
        CREATE TRIGGER removed_folder_copied AFTER INSERT ON asset
        WHEN NEW.trashed_parent IS NOT NULL AND EXISTS (SELECT 1 FROM removed_folder WHERE node = NEW.trashed_parent) BEGIN
            \(enter)
        END;
        """

    /// Adds an asset to the counts of all folders on its former path: it was committed after they were
    /// removed, or it is a copy.
    private static let enter = "UPDATE removed_folder SET assets = assets + 1 WHERE node IN (\(above("NEW")));"

    /// Subtracts an asset from the counts of all folders on its former path, and deletes those that no other
    /// asset needs.
    private static let leave = """
        UPDATE removed_folder SET assets = assets - 1 WHERE node IN (\(above("OLD")));
        DELETE FROM removed_folder WHERE assets <= 0 AND node IN (\(above("OLD")));
        """

    private static func above(_ row: String) -> String {
        """
        WITH RECURSIVE above (id) AS (
            SELECT \(row).trashed_parent UNION SELECT r.parent FROM above a JOIN removed_folder r ON r.node = a.id)
        SELECT id FROM above
        """
    }
}
