public import AssetModel

extension Records {
    private static let nodeByName =
        "SELECT \(NodeRecord.columns) FROM entry e JOIN node n ON n.id = e.node WHERE e.parent = ? AND e.name = ?"

    /// Finds a name in a folder.
    public func node(named name: EntryName, in parent: NodeID) throws -> NodeRecord? {
        try first(Self.nodeByName, [parent.value, name.value]) { NodeRecord($0) }
    }

    /// Records a name; `isOfCollection` says that the name is a file's in a collection.
    public func insertEntry(
        _ name: EntryName,
        in parent: NodeID,
        node: NodeID,
        isOfCollection: Bool = false
    ) throws {
        // A collection keeps the order in which files were linked.
        let place = isOfCollection ? "(SELECT coalesce(max(place), 0) + 1 FROM entry WHERE parent = ?1)" : "?5"
        try placing(name) { offered in
            try run(
                "INSERT INTO entry (parent, name, node, collection, place) VALUES (?1, ?2, ?3, ?4, \(place))",
                [parent.value, name.value, node.value, isOfCollection ? 1 : 0] + (isOfCollection ? [] : [offered])
            )
        }
    }

    /// Runs a statement that gives a name its place in listings; if another name of the folder has that
    /// place, tries the next one.
    private func placing(_ name: EntryName, _ body: (SQLValue) throws -> Void) throws {
        var place = name.listingPlace
        while true {
            do {
                return try body(.integer(place))
            } catch CatalogError.failed(_, let reason) where reason.hasSuffix("entry.place") {
                place += 1
            }
        }
    }

    /// Makes a name lead to another node.
    public func updateEntry(_ name: EntryName, in parent: NodeID, node: NodeID) throws {
        try run(
            "UPDATE entry SET node = ? WHERE parent = ? AND name = ?",
            [node.value, parent.value, name.value]
        )
    }

    /// Records whether a name in a collection is a file's, after it was made to lead to another node.
    public func markEntry(_ name: EntryName, in parent: NodeID) throws {
        try run(
            """
            UPDATE entry SET collection = (SELECT n.mode & 61440 <> 16384 FROM node n WHERE n.id = entry.node)
            WHERE parent = ? AND name = ?
            """,
            [parent.value, name.value]
        )
    }

    /// Moves an entry to another name and folder; the new name must not exist.
    public func moveEntry(
        _ name: EntryName,
        in parent: NodeID,
        to newName: EntryName,
        in newParent: NodeID
    ) throws {
        try placing(newName) { place in
            try run(
                """
                UPDATE entry SET parent = ?1, name = ?2, place = CASE
                    WHEN collection = 0 THEN ?5
                    WHEN parent = ?1 THEN place
                    ELSE (SELECT coalesce(max(f.place), 0) + 1 FROM entry f WHERE f.parent = ?1) END
                WHERE parent = ?3 AND name = ?4
                """,
                [newParent.value, newName.value, parent.value, name.value, place]
            )
        }
    }

    /// Removes a name.
    public func deleteEntry(_ name: EntryName, in parent: NodeID) throws {
        try run("DELETE FROM entry WHERE parent = ? AND name = ?", [parent.value, name.value])
    }

    /// Returns whether a folder has entries.
    public func hasEntries(_ folder: NodeID) throws -> Bool {
        try first("SELECT 1 FROM entry WHERE parent = ? LIMIT 1", [folder.value]) { _ in true } ?? false
    }

    private static let entriesOfFolder = """
        SELECT e.place, e.name, \(NodeRecord.columns) FROM entry e JOIN node n ON n.id = e.node
        WHERE e.parent = ? AND e.place > ? ORDER BY e.place LIMIT ?
        """

    /// Returns at most `limit` entries of a folder after a cookie, 0 being the start, in an order that does
    /// not change.
    public func entries(of folder: NodeID, after cookie: Int64, limit: Int) throws -> [EntryRecord] {
        try all(
            Self.entriesOfFolder,
            [folder.value, .integer(cookie), .integer(Int64(limit))]
        ) { EntryRecord(cookie: $0.integer(0), name: $0.bytes(1), node: NodeRecord($0, from: 2)) }
    }

    /// Returns one of a node's names, and its folder; a name in a collection only if the node has no other.
    public func anyEntry(of node: NodeID) throws -> (parent: NodeID, name: EntryName)? {
        try first("SELECT parent, name FROM entry WHERE node = ? ORDER BY collection, id LIMIT 1", [node.value]) {
            (NodeID(rawValue: $0.integer(0)), try EntryName($0.bytes(1)))
        }
    }

    /// Returns all of a node's names, and their folders.
    public func entriesNaming(_ node: NodeID) throws -> [(parent: NodeID, name: EntryName)] {
        try all("SELECT parent, name FROM entry WHERE node = ? ORDER BY collection, id", [node.value]) {
            (NodeID(rawValue: $0.integer(0)), try EntryName($0.bytes(1)))
        }
    }

    /// Returns the folder that contains a folder.
    public func parent(of folder: NodeID) throws -> NodeID? {
        try first("SELECT parent FROM entry WHERE node = ? LIMIT 1", [folder.value]) { NodeID(rawValue: $0.integer(0)) }
    }
}
