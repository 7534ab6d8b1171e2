// The contents of files, and the histories of assets.
extension Invariant {
    private static let isUnpublished = "EXISTS (SELECT 1 FROM staged s WHERE s.node = n.id)"
    private static let newest = "(SELECT v.blob FROM version v WHERE v.asset = n.asset ORDER BY v.number DESC LIMIT 1)"
    private static let last = "(SELECT max(w.number) FROM version w WHERE w.asset = v.asset)"
    private static let noAsset = "n.asset IS NOT NULL AND n.asset NOT IN (SELECT id FROM asset)"
    private static let isShown = "EXISTS (SELECT 1 FROM node n WHERE n.asset = a.id AND n.links > 0)"
    private static let isNotNewest = """
        n.links > 0 AND n.blob IS NOT NULL AND n.asset IN (SELECT id FROM asset) AND NOT \(isUnpublished)
            AND \(newest) IS NOT n.blob
        """
    private static let hasNoPlace = """
        a.trashed IS NULL AND NOT \(isShown)
            AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.parent = 8 AND e.name = CAST(CAST(a.id AS TEXT) AS BLOB))
        """
    /// Returns the condition that a row has another size than its blob.
    private static func hasOtherSize(_ row: String) -> String {
        "\(row).size <> coalesce((SELECT b.size FROM blob b WHERE b.id = \(row).blob), iif(\(row).blob IS NULL, 0, \(row).size))"
    }
    private static let putBack = "Nothing in the catalog says which content it had: copy the file in again."

    static let histories = [
        Invariant(
            "version-without-asset",
            "A content belongs to an asset that is missing.",
            .none,
            "SELECT id, NULL FROM version WHERE asset NOT IN (SELECT id FROM asset)",
            // A repair deletes no content: the asset is created again, and gets a file below.
            .statements(
                """
                INSERT INTO asset (id, created, uid, original_name, uuid)
                    SELECT v.asset, min(v.created), v.uid, v.name, randomblob(16) FROM version v
                    WHERE v.asset NOT IN (SELECT id FROM asset) GROUP BY v.asset
                """
            )
        ),
        Invariant(
            "file-without-asset",
            "A file shows an asset that is missing.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE \(noAsset)",
            // A file without an asset that is recorded in `staged` becomes one at the next mount.
            .statements(
                """
                INSERT OR IGNORE INTO staged (node, file) SELECT n.id, '' FROM node n WHERE \(noAsset) AND n.links > 0;
                UPDATE node AS n SET asset = NULL, former_asset = NULL WHERE \(noAsset)
                """
            )
        ),
        Invariant(
            "file-without-content",
            "The record of a file's content is missing.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE n.blob IS NOT NULL AND n.blob NOT IN (SELECT id FROM blob)",
            .impossible(putBack)
        ),
        Invariant(
            "version-without-content",
            "The record of a content that an asset has or had is missing.",
            .asset,
            "SELECT id, asset FROM version WHERE blob IS NOT NULL AND blob NOT IN (SELECT id FROM blob)",
            .impossible(putBack)
        ),
        Invariant(
            "trash-shown",
            "An asset is in the trash and has a file as well.",
            .asset,
            "SELECT a.id, a.id FROM asset a WHERE a.trashed IS NOT NULL AND \(isShown)",
            .statements(
                """
                UPDATE asset AS a SET trashed = NULL, trashed_until = NULL, trashed_node = NULL, trashed_parent = NULL,
                    trashed_name = NULL, trashed_path = NULL, trashed_home = NULL WHERE a.trashed IS NOT NULL AND \(isShown)
                """
            )
        ),
        Invariant(
            "trash-without-file",
            "The file of an asset in the trash is missing.",
            .asset,
            "SELECT id, id FROM asset WHERE trashed_node IS NOT NULL AND trashed_node NOT IN (SELECT id FROM node)",
            .statements(
                "UPDATE asset SET trashed_node = NULL WHERE trashed_node NOT IN (SELECT id FROM node)"
            )
        ),
        Invariant(
            "asset-without-file",
            "An asset has no file, and is not in the trash.",
            .asset,
            "SELECT a.id, a.id FROM asset a WHERE \(hasNoPlace)",
            .file
        ),
        Invariant(
            "present-content",
            "The present content of an asset is not marked as the only one.",
            .asset,
            "SELECT v.id, v.asset FROM version v WHERE (v.superseded IS NULL) <> (v.number = \(last))",
            .statements(
                """
                UPDATE version AS v SET superseded = NULL WHERE v.superseded IS NOT NULL AND v.number = \(last);
                UPDATE version AS v SET superseded = (SELECT w.created FROM version w
                        WHERE w.asset = v.asset AND w.number > v.number ORDER BY w.number LIMIT 1)
                    WHERE v.superseded IS NULL AND v.number <> \(last)
                """
            )
        ),
        Invariant(
            "newest-content",
            "A file does not have the newest content of its asset.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE \(isNotNewest)",
            // At the next mount the file's blob becomes the newest version of its asset.
            .statements("INSERT OR IGNORE INTO staged (node, file) SELECT n.id, '' FROM node n WHERE \(isNotNewest)")
        ),
        Invariant(
            "file-size",
            "A file has another size than its content.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE n.mode & 61440 = 32768 AND NOT \(isUnpublished) AND \(hasOtherSize("n"))",
            .statements(
                """
                UPDATE node AS n SET size = coalesce((SELECT b.size FROM blob b WHERE b.id = n.blob), 0)
                    WHERE n.mode & 61440 = 32768 AND NOT \(isUnpublished) AND \(hasOtherSize("n"))
                """
            )
        ),
        Invariant(
            "version-size",
            "A recorded size is not that of the content.",
            .asset,
            "SELECT v.id, v.asset FROM version v WHERE \(hasOtherSize("v"))",
            .statements(
                """
                UPDATE version AS v SET size = coalesce((SELECT b.size FROM blob b WHERE b.id = v.blob), 0)
                    WHERE \(hasOtherSize("v"))
                """
            )
        ),
        Invariant(
            "access",
            "A file does not have the access, or the end, of its asset.",
            .node,
            """
            SELECT n.id, n.id FROM node n JOIN asset a ON a.id = n.asset
                WHERE n.access <> a.access OR n.expires IS NOT a.expires
            """,
            .statements(
                """
                UPDATE node SET access = a.access, expires = a.expires FROM asset a
                    WHERE a.id = node.asset AND (node.access <> a.access OR node.expires IS NOT a.expires)
                """
            )
        ),
        Invariant(
            "damaged-content",
            "Its content was found to be damaged.",
            .blob,
            "SELECT blob, blob FROM damage WHERE blob IN (SELECT id FROM blob)",
            .impossible("Copy the same content in again, or put its file back into blobs/.")
        ),
    ]
}
