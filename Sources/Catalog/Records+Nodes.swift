public import AssetModel
internal import GRDB

extension NodeRecord {
    static let columns = """
        n.id, n.mode, n.links, n.uid, n.gid, n.device, n.size, n.blocks, n.blob, n.asset, n.accessed, n.modified, n.changed,
        n.born, n.target
        """

    init(_ row: Row, from first: Int = 0) throws {
        self.init(
            mode: row[first + 1], uid: row[first + 3], gid: row[first + 4], now: row.timestamp(first + 13))
        id = NodeID(rawValue: row[first])
        links = row[first + 2]
        device = UInt64(bitPattern: row[first + 5] as Int64)
        size = row[first + 6]
        blocks = row[first + 7]
        blob = (row[first + 8] as Int64?).map(BlobID.init)
        asset = (row[first + 9] as Int64?).map(AssetID.init)
        accessed = row.timestamp(first + 10)
        modified = row.timestamp(first + 11)
        changed = row.timestamp(first + 12)
        if isSymbolicLink { target = try row.bytes(first + 14) }
    }
}

extension Records {
    /// Finds a node by its number.
    public func node(_ id: NodeID) throws -> NodeRecord? {
        try first("SELECT \(NodeRecord.columns) FROM node n WHERE n.id = ?", [id.rawValue]) { try NodeRecord($0) }
    }

    /// Records a new node, under a number of its own unless it brings one.
    /// - Returns: the node with its number.
    public func insert(_ node: NodeRecord) throws -> NodeRecord {
        var node = node
        try run(
            """
            INSERT INTO node (id, mode, links, uid, gid, device, accessed, modified, changed, born, target)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                node.id.rawValue == 0 ? nil : node.id.rawValue, node.mode, node.links, node.uid, node.gid,
                Int64(bitPattern: node.device), node.accessed.rawValue, node.modified.rawValue, node.changed.rawValue,
                node.born.rawValue, node.isSymbolicLink ? node.target.asData : nil,
            ])
        node.id = NodeID(rawValue: database.lastInsertedRowID)
        return node
    }

    /// Records a node's attributes: mode, owner and times.
    public func updateAttributes(of node: NodeRecord) throws {
        try run(
            "UPDATE node SET mode = ?, uid = ?, gid = ?, accessed = ?, modified = ?, changed = ? WHERE id = ?",
            [
                node.mode, node.uid, node.gid, node.accessed.rawValue, node.modified.rawValue, node.changed.rawValue,
                node.id.rawValue,
            ])
    }

    /// Records what a file's content is, and which asset it shows.
    public func updateContent(of node: NodeRecord) throws {
        try run(
            "UPDATE node SET size = ?, blocks = ?, blob = ?, asset = ?, mode = ?, modified = ?, changed = ? WHERE id = ?",
            [
                node.size, node.blocks, node.blob?.rawValue, node.asset?.rawValue, node.mode, node.modified.rawValue,
                node.changed.rawValue, node.id.rawValue,
            ])
    }

    /// Adds to a node's count of names, and says when.
    public func addLinks(_ count: Int64, to id: NodeID, at now: Timestamp) throws {
        try run("UPDATE node SET links = links + ?, changed = ? WHERE id = ?", [count, now.rawValue, id.rawValue])
    }

    /// Records that a folder's entries changed, and how many subfolders it gained.
    public func touchFolder(_ id: NodeID, subfolders: Int64 = 0, at now: Timestamp) throws {
        try run(
            "UPDATE node SET links = links + ?, modified = ?, changed = ? WHERE id = ?",
            [subfolders, now.rawValue, now.rawValue, id.rawValue])
    }

    /// Removes a node that has no names, and all that hangs on it. A node that has names stays.
    public func deleteUnlinkedNode(_ id: NodeID) throws {
        try run("DELETE FROM node WHERE id = ? AND links = 0", [id.rawValue])
        guard database.changesCount > 0 else { return }
        try run("DELETE FROM extended_attribute WHERE node = ?", [id.rawValue])
        try run("DELETE FROM policy WHERE node = ?", [id.rawValue])
    }

    /// Nodes without a name: what was open when the library was last left.
    public func unlinkedNodes() throws -> [NodeID] {
        try all("SELECT id FROM node WHERE links = 0", []) { NodeID(rawValue: $0[0]) }
    }

    /// How many nodes there are.
    public func nodeCount() throws -> Int64 {
        try first("SELECT count(*) FROM node", []) { $0[0] } ?? 0
    }
}
