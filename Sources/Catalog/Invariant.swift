/// A rule that the rows of a catalog keep, also in the state in which a crash leaves it.
public struct Invariant: Sendable {
    /// The kind of object that a row is about, by which the path for a report is found.
    enum Subject: Sendable { case node, asset, blob, none }

    /// The way in which rows that break the rule are repaired.
    enum Repair: Sendable {
        /// Statements that repair all of them at once.
        case statements(String)
        /// The missing roots are created.
        case roots
        /// The subject, a node without a name, gets one in `lost+found/`.
        case name
        /// The first folder that no root leads to moves to `lost+found/`, with everything below it; then the
        /// next one, until none is left.
        case reconnect
        /// The subject, an asset without a file, gets one in `lost+found/`.
        case file
        /// No repair exists; a sentence tells the user a remedy.
        case impossible(String)
    }

    /// A short name, for programs.
    public let name: String
    /// The fault of a row, as a sentence.
    public let sentence: String
    let subject: Subject
    /// A SELECT of the number of each row that breaks the rule, and of its subject.
    let rows: String
    let repair: Repair

    /// The user's remedy for rows that no repair mends; nil where one does.
    public var advice: String? {
        if case .impossible(let sentence) = repair { return sentence }
        return nil
    }

    init(_ name: String, _ sentence: String, _ subject: Subject, _ rows: String, _ repair: Repair) {
        (self.name, self.sentence, self.subject, self.rows, self.repair) = (name, sentence, subject, rows, repair)
    }

    /// All rules, in the order in which they are checked and repaired: names before the assets that need
    /// files, and counts at the end.
    public static let all = names + histories + orphans + counts + journals
}

// MARK: Names and folders

extension Invariant {
    /// Whether the node `n` is a folder.
    private static let isFolder = "n.mode & 61440 = 16384"
    /// The rule whose rows are names, and not nodes.
    static let entryWithoutFolder = "entry-without-folder"
    private static let roots = "(2, 8, 9, 10)"
    private static let subfolders =
        "(SELECT count(*) FROM entry e JOIN node c ON c.id = e.node WHERE e.parent = n.id AND c.mode & 61440 = 16384)"
    private static let entries = "(SELECT count(*) FROM entry e WHERE e.node = n.id)"
    private static let isNamed = "EXISTS (SELECT 1 FROM entry e WHERE e.node = n.id)"

    /// The folders that the roots lead to, as the beginning of a statement.
    static let reached = """
        WITH RECURSIVE reached (id) AS (
            SELECT id FROM node WHERE id IN \(roots)
            UNION SELECT e.node FROM reached r JOIN entry e ON e.parent = r.id JOIN node n ON n.id = e.node WHERE \(isFolder))
        """

    /// The folders that no root leads to, the one with the lowest number first, as a statement.
    static let unreached = """
        \(reached) SELECT n.id, n.id FROM node n WHERE \(isFolder) AND n.links > 0 AND n.id NOT IN \(roots) AND \(isNamed)
            AND n.id NOT IN (SELECT id FROM reached) ORDER BY n.id
        """

    private static let names = [
        Invariant(
            "entry-without-node",
            "A name leads to nothing.",
            .none,
            "SELECT id, NULL FROM entry WHERE node NOT IN (SELECT id FROM node)",
            .statements("DELETE FROM entry WHERE node NOT IN (SELECT id FROM node)")
        ),
        Invariant(
            "root-missing",
            "A root folder is missing.",
            .none,
            """
            SELECT r.column1, NULL FROM (VALUES (2), (8), (9), (10)) r
                WHERE NOT EXISTS (SELECT 1 FROM node n WHERE n.id = r.column1 AND \(isFolder))
            """,
            .roots
        ),
        Invariant(
            "folder-with-names",
            "A folder has more than one name.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE \(isFolder) AND \(entries) > 1",
            .statements(
                """
                DELETE FROM entry WHERE id > (SELECT min(o.id) FROM entry o WHERE o.node = entry.node)
                    AND node IN (SELECT n.id FROM node n WHERE \(isFolder))
                """
            )
        ),
        Invariant(
            entryWithoutFolder,
            "The folder of a name is missing.",
            .node,
            "SELECT id, node FROM entry WHERE parent NOT IN (SELECT n.id FROM node n WHERE \(isFolder))",
            .name
        ),
        Invariant(
            "folder-without-name",
            "A folder has no name.",
            .node,
            """
            SELECT n.id, n.id FROM node n
                WHERE \(isFolder) AND n.links > 0 AND n.id NOT IN \(roots) AND NOT \(isNamed)
            """,
            .name
        ),
        Invariant(
            "folder-unreached",
            "A folder is in no folder that has a path.",
            .node,
            unreached,
            .reconnect
        ),
        Invariant(
            "file-without-name",
            "A file has no name.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE NOT (\(isFolder)) AND n.links > 0 AND NOT \(isNamed)",
            .name
        ),
        Invariant(
            "file-names",
            "The names of a file are miscounted.",
            .node,
            "SELECT n.id, n.id FROM node n WHERE NOT (\(isFolder)) AND n.links <> \(entries)",
            .statements(
                "UPDATE node AS n SET links = \(entries) WHERE NOT (\(isFolder)) AND n.links <> \(entries)"
            )
        ),
        Invariant(
            "folder-links",
            "The subfolders of a folder are miscounted.",
            .node,
            """
            SELECT n.id, n.id FROM node n
                WHERE \(isFolder) AND (n.id IN \(roots) OR \(isNamed)) AND n.links <> 2 + \(subfolders)
            """,
            .statements(
                """
                UPDATE node AS n SET links = 2 + \(subfolders)
                    WHERE \(isFolder) AND (n.id IN \(roots) OR \(isNamed)) AND n.links <> 2 + \(subfolders)
                """
            )
        ),
    ]
}
