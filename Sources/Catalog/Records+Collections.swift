public import AssetModel

// Collections, and groups, which are sealed collections.
extension Records {
    /// Returns a folder and all folders below it.
    public func folders(below root: NodeID) throws -> [NodeID] {
        try all(
            """
            WITH RECURSIVE below (id) AS (
                VALUES (?) UNION ALL
                SELECT e.node FROM below b JOIN entry e ON e.parent = b.id JOIN node n ON n.id = e.node
                WHERE n.mode & 61440 = 16384)
            SELECT id FROM below
            """,
            [root.value]
        ) { NodeID(rawValue: $0.integer(0)) }
    }

    /// Returns the owners of the collections that a file has names in.
    public func ownersOfCollections(with file: NodeID) throws -> [UInt32] {
        try all(
            "SELECT DISTINCT f.uid FROM entry e JOIN node f ON f.id = e.parent WHERE e.node = ? AND e.collection = 1",
            [file.value]
        ) { $0.unsigned(0) }
    }

    /// Moves the names that a file has in an owner's collections to another file.
    /// - Returns: the number of names.
    public func moveCollectionEntries(from former: NodeID, to node: NodeID, of owner: UInt32) throws -> Int64 {
        try run(
            """
            UPDATE entry SET node = ?1 WHERE node = ?2 AND collection = 1 AND parent IN (SELECT id FROM node WHERE uid = ?3)
            """,
            [node.value, former.value, .integer(Int64(owner))]
        )
        return Int64(changedRows)
    }

    /// Records a group, with its members in their order.
    public func insertGroup(_ id: NodeID, members: [AssetID], at now: Timestamp) throws {
        try run("INSERT INTO sealed (node, created) VALUES (?, ?)", [id.value, now.value])
        for (position, member) in members.enumerated() {
            try run(
                "INSERT INTO member (node, position, asset) VALUES (?, ?, ?)",
                [id.value, .integer(Int64(position)), member.value]
            )
        }
    }

    /// Forgets a group.
    public func deleteGroup(_ id: NodeID) throws {
        try run("DELETE FROM sealed WHERE node = ?", [id.value])
        try run("DELETE FROM member WHERE node = ?", [id.value])
    }

    /// Returns all groups.
    public func groups() throws -> [NodeID] {
        try all("SELECT node FROM sealed", []) { NodeID(rawValue: $0.integer(0)) }
    }

    /// Returns the time when a group was sealed; nil for a folder that is not a group.
    public func groupCreated(_ id: NodeID) throws -> Timestamp? {
        try first("SELECT created FROM sealed WHERE node = ?", [id.value]) { $0.timestamp(0) }
    }

    /// Returns the members that a group was sealed with, in their order.
    public func members(of id: NodeID) throws -> [AssetID] {
        try all("SELECT asset FROM member WHERE node = ? ORDER BY position", [id.value]) {
            AssetID(rawValue: $0.integer(0))
        }
    }
}
