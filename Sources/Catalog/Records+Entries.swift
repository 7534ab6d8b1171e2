public import AssetModel
internal import FoundationEssentials
internal import GRDB

extension [UInt8] {
    /// As a BLOB's value.
    var asData: Data { Data(self) }
}

extension Records {
    /// Finds a name in a folder.
    public func node(named name: EntryName, in parent: NodeID) throws -> NodeRecord? {
        try first(
            "SELECT \(NodeRecord.columns) FROM entry e JOIN node n ON n.id = e.node WHERE e.parent = ? AND e.name = ?",
            [parent.rawValue, name.bytes.asData]
        ) { try NodeRecord($0) }
    }

    /// Records a name.
    public func insertEntry(_ name: EntryName, in parent: NodeID, node: NodeID) throws {
        try run(
            "INSERT INTO entry (parent, name, node) VALUES (?, ?, ?)",
            [parent.rawValue, name.bytes.asData, node.rawValue])
    }

    /// Makes a name mean another node.
    public func updateEntry(_ name: EntryName, in parent: NodeID, node: NodeID) throws {
        try run(
            "UPDATE entry SET node = ? WHERE parent = ? AND name = ?",
            [node.rawValue, parent.rawValue, name.bytes.asData])
    }

    /// Gives an entry another name and folder; nothing may be there.
    public func moveEntry(
        _ name: EntryName, in parent: NodeID, to newName: EntryName, in newParent: NodeID
    ) throws {
        try run(
            "UPDATE entry SET parent = ?, name = ? WHERE parent = ? AND name = ?",
            [newParent.rawValue, newName.bytes.asData, parent.rawValue, name.bytes.asData])
    }

    /// Removes a name.
    public func deleteEntry(_ name: EntryName, in parent: NodeID) throws {
        try run("DELETE FROM entry WHERE parent = ? AND name = ?", [parent.rawValue, name.bytes.asData])
    }

    /// Whether a folder has entries.
    public func hasEntries(_ folder: NodeID) throws -> Bool {
        try first("SELECT 1 FROM entry WHERE parent = ? LIMIT 1", [folder.rawValue]) { _ in true } ?? false
    }

    /// At most `limit` entries of a folder behind a cookie, 0 being the start, in an order that stays.
    public func entries(of folder: NodeID, after cookie: Int64, limit: Int) throws -> [EntryRecord] {
        try all(
            """
            SELECT e.id, e.name, \(NodeRecord.columns) FROM entry e JOIN node n ON n.id = e.node
            WHERE e.parent = ? AND e.id > ? ORDER BY e.id LIMIT ?
            """, [folder.rawValue, cookie, limit]
        ) { EntryRecord(cookie: $0[0], name: try $0.bytes(1), node: try NodeRecord($0, from: 2)) }
    }

    /// One of a node's names, and the folder it is in.
    public func anyEntry(of node: NodeID) throws -> (parent: NodeID, name: EntryName)? {
        try first("SELECT parent, name FROM entry WHERE node = ? LIMIT 1", [node.rawValue]) {
            (NodeID(rawValue: $0[0]), try EntryName(try $0.bytes(1)))
        }
    }

    /// The folder that a folder is in.
    public func parent(of folder: NodeID) throws -> NodeID? {
        try first("SELECT parent FROM entry WHERE node = ? LIMIT 1", [folder.rawValue]) { NodeID(rawValue: $0[0]) }
    }
}
