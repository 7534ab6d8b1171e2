public import AssetModel

extension NodeRecord {
    static let columns = """
        n.id, n.mode, n.links, n.uid, n.gid, n.device, n.size, n.blocks, n.blob, n.asset, n.accessed, n.modified, n.changed,
        n.born, n.target, n.former_asset, n.access, n.expires, n.placed_by_other
        """

    /// The bit of an access value that comes from a folder alone.
    private static let inheritedAccess: Int64 = 16

    /// The value of the column with the access level.
    var accessValue: SQLValue {
        .integer(access.map { $0.rawValue | (isAccessInherited ? Self.inheritedAccess : 0) } ?? 0)
    }

    init(_ row: Columns, from first: Int32 = 0) {
        self.init(
            mode: row.unsigned(first + 1),
            uid: row.unsigned(first + 3),
            gid: row.unsigned(first + 4),
            now: row.timestamp(first + 13)
        )
        id = NodeID(rawValue: row.integer(first))
        links = row.integer(first + 2)
        device = UInt64(bitPattern: row.integer(first + 5))
        size = row.integer(first + 6)
        blocks = row.integer(first + 7)
        blob = row.optionalInteger(first + 8).map(BlobID.init)
        asset = row.optionalInteger(first + 9).map(AssetID.init)
        accessed = row.timestamp(first + 10)
        modified = row.timestamp(first + 11)
        changed = row.timestamp(first + 12)
        if isSymbolicLink { target = row.bytes(first + 14) }
        formerAsset = row.optionalInteger(first + 15).map(AssetID.init)
        let said = row.integer(first + 16)
        access = Access(rawValue: said & ~NodeRecord.inheritedAccess)
        isAccessInherited = said & NodeRecord.inheritedAccess != 0
        expires = row.optionalTimestamp(first + 17)
        isPlacedByOther = row.integer(first + 18) != 0
    }
}

extension Records {
    private static let nodeByNumber = "SELECT \(NodeRecord.columns) FROM node n WHERE n.id = ?"

    /// Returns a node by its number.
    public func node(_ id: NodeID) throws -> NodeRecord? { try first(Self.nodeByNumber, [id.value]) { NodeRecord($0) } }

    /// Records a new node, under a number of its own unless it has one.
    /// - Returns: the node with its number.
    public func insert(_ node: NodeRecord) throws -> NodeRecord {
        var node = node
        try run(
            """
            INSERT INTO node (
                id, mode, links, uid, gid, device, accessed, modified, changed, born, target, access, placed_by_other)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                node.id.rawValue == 0 ? nil : node.id.value, .integer(Int64(node.mode)), .integer(node.links),
                .integer(Int64(node.uid)), .integer(Int64(node.gid)), .integer(Int64(bitPattern: node.device)),
                node.accessed.value, node.modified.value, node.changed.value, node.born.value,
                node.isSymbolicLink ? .blob(node.target) : nil, node.accessValue,
                .integer(node.isPlacedByOther ? 1 : 0),
            ]
        )
        node.id = NodeID(rawValue: lastRow)
        return node
    }

    /// Records a copy of a file: its content, attributes, asset and extended attributes, but not its names.
    public func insertCopy(of node: NodeRecord) throws -> NodeID {
        var copy = node
        (copy.id, copy.links) = (NodeID(rawValue: 0), 0)
        let id = try insert(copy).id
        try run(
            """
            UPDATE node SET (size, blocks, blob, asset, former_asset, modified, changed)
                = (SELECT size, blocks, blob, asset, former_asset, modified, changed FROM node f WHERE f.id = ?2)
            WHERE id = ?1
            """,
            [id.value, node.id.value]
        )
        try run(
            """
            INSERT INTO extended_attribute (node, name, value, uid)
            SELECT ?1, name, value, uid FROM extended_attribute WHERE node = ?2
            """,
            [id.value, node.id.value]
        )
        try copyMask(of: node.id, to: id)
        return id
    }

    /// Records a node's attributes: mode, owner and times.
    public func updateAttributes(of node: NodeRecord) throws {
        try run(
            "UPDATE node SET mode = ?, uid = ?, gid = ?, accessed = ?, modified = ?, changed = ? WHERE id = ?",
            [
                .integer(Int64(node.mode)), .integer(Int64(node.uid)), .integer(Int64(node.gid)), node.accessed.value,
                node.modified.value, node.changed.value, node.id.value,
            ]
        )
    }

    /// Records the time when a node was last read; its change time is left unchanged.
    public func setAccessTime(of node: NodeID, to time: Timestamp) throws {
        try run("UPDATE node SET accessed = ? WHERE id = ? AND accessed < ?", [time.value, node.value, time.value])
    }

    /// Records a file's content: size, blocks, blob and times.
    public func updateContent(of node: NodeRecord) throws {
        try run(
            "UPDATE node SET size = ?, blocks = ?, blob = ?, modified = ?, changed = ? WHERE id = ?",
            [
                .integer(node.size), .integer(node.blocks), SQLValue(node.blob?.rawValue), node.modified.value,
                node.changed.value, node.id.value,
            ]
        )
    }

    /// Records the asset that a file shows, and, if that is another file's, the asset that it showed before.
    public func setAsset(of id: NodeID, to asset: AssetID?, former: AssetID? = nil) throws {
        try run(
            "UPDATE node SET asset = ?, former_asset = ? WHERE id = ?",
            [SQLValue(asset?.rawValue), SQLValue(former?.rawValue), id.value]
        )
    }

    /// Records whether a user other than its owner and root has put a node into its folder.
    public func setPlacedByOther(_ id: NodeID, _ isPlacedByOther: Bool) throws {
        try run("UPDATE node SET placed_by_other = ? WHERE id = ?", [.integer(isPlacedByOther ? 1 : 0), id.value])
    }

    /// Returns whether another user has put the file that shows an asset, or that showed it last, into its
    /// folder.
    public func isPlacedByOther(_ asset: AssetID) throws -> Bool {
        try first(
            """
            SELECT 1 FROM node n WHERE n.placed_by_other = 1
            AND (n.asset = ?1 OR n.id = (SELECT a.trashed_node FROM asset a WHERE a.id = ?1)) LIMIT 1
            """,
            [asset.value]
        ) { _ in true } ?? false
    }

    /// Adds to a node's link count, and sets its change time.
    public func addLinks(_ count: Int64, to id: NodeID, at now: Timestamp) throws {
        try run("UPDATE node SET links = links + ?, changed = ? WHERE id = ?", [.integer(count), now.value, id.value])
    }

    /// Records that a folder's entries changed, and adds to its number of subfolders.
    public func touchFolder(_ id: NodeID, subfolders: Int64 = 0, at now: Timestamp) throws {
        try run(
            "UPDATE node SET links = links + ?, modified = ?, changed = ? WHERE id = ?",
            [.integer(subfolders), now.value, now.value, id.value]
        )
    }

    /// Deletes a node that has no names, with its attributes and policies.
    ///
    /// A node that has names is kept, and so is one whose asset is in the trash.
    public func deleteUnlinkedNode(_ id: NodeID, keepsUpload: Bool = false) throws {
        try run("DELETE FROM node WHERE id = ? AND \(Self.isLost)", [id.value])
        let isGone = changedRows > 0
        // The staged bytes of a trashed file may still be committed; otherwise the upload has ended in any
        // case.
        if keepsUpload { return }
        try run(
            "DELETE FROM staged WHERE node = ? AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = staged.node AND links > 0)",
            [id.value]
        )
        guard isGone else { return }
        try run("DELETE FROM extended_attribute WHERE node = ?", [id.value])
        try run("DELETE FROM policy WHERE node = ?", [id.value])
    }

    private static let isLost =
        "links = 0 AND NOT EXISTS (SELECT 1 FROM asset a WHERE a.trashed_node = node.id)"

    /// Returns nodes without a name that are not in the trash, and that no interrupted upload will name.
    public func unlinkedNodes() throws -> [NodeID] {
        try all(
            """
            SELECT id FROM node WHERE \(Self.isLost)
            AND NOT EXISTS (SELECT 1 FROM staged WHERE staged.node = node.id AND aim_parent IS NOT NULL)
            """,
            []
        ) { NodeID(rawValue: $0.integer(0)) }
    }

    /// Returns whether any node has left the trash and may have no name.
    public func hasLostNodes() throws -> Bool {
        try first("SELECT 1 FROM lost_node LIMIT 1", []) { _ in true } ?? false
    }

    /// Lists a node without a name, which the sweeper deletes if nothing uses it.
    public func noteLost(_ id: NodeID) throws { try run("INSERT OR IGNORE INTO lost_node VALUES (?)", [id.value]) }

    /// Removes nodes from the list of those that have left the trash, and returns the ones without a name.
    public func takeLostNodes(limit: Int) throws -> [NodeID] {
        let nodes = try all("SELECT node FROM lost_node LIMIT ?", [.integer(Int64(limit))]) {
            NodeID(rawValue: $0.integer(0))
        }
        for node in nodes { try run("DELETE FROM lost_node WHERE node = ?", [node.value]) }
        return try nodes.filter { try self.node($0)?.links == 0 }
    }

    /// Returns the number of nodes.
    public func nodeCount() throws -> Int64 {
        try first("SELECT count(*) FROM node", []) { $0.integer(0) } ?? 0
    }
}
