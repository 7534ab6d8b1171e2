public import AssetModel

extension Records {
    /// Returns the nodes that have an attribute outside `user.`.
    public func nodes(withAttribute name: String) throws -> [NodeID] {
        // The literal, “user”, is the one of the partial index; without it SQLite would read all attributes.
        try all("SELECT node FROM extended_attribute WHERE name < X'75736572' AND name = ?", [.blob(Array(name.utf8))])
        {
            NodeID(rawValue: $0.integer(0))
        }
    }

    /// Returns an extended attribute's value.
    public func extendedAttribute(_ name: [UInt8], of node: NodeID) throws -> [UInt8]? {
        try first(
            "SELECT value FROM extended_attribute WHERE node = ? AND name = ?",
            [node.value, .blob(name)]
        ) { $0.bytes(0) }
    }

    /// Returns the names of a node's extended attributes.
    public func extendedAttributeNames(of node: NodeID) throws -> [[UInt8]] {
        try all("SELECT name FROM extended_attribute WHERE node = ?", [node.value]) { $0.bytes(0) }
    }

    /// Records an extended attribute or its new value, which counts for `uid`, or for the node's owner.
    public func setExtendedAttribute(
        _ name: [UInt8],
        of node: NodeID,
        to value: [UInt8],
        by uid: UInt32? = nil
    ) throws {
        try run(
            """
            INSERT OR REPLACE INTO extended_attribute (node, name, value, uid)
            VALUES (?1, ?2, ?3, coalesce(?4, \(Self.owner(ofNode: "?1"))))
            """,
            [node.value, .blob(name), .blob(value), SQLValue(uid)]
        )
    }

    /// Removes extended attributes.
    public func deleteExtendedAttributes(_ names: [[UInt8]], of node: NodeID) throws {
        try run(
            "DELETE FROM extended_attribute WHERE node = ? AND name IN (\(Self.marks(names.count)))",
            [node.value] + names.map { .blob($0) }
        )
    }

    /// Returns whether a node has one of the attributes, or a value under a desktop's name of the field.
    public func hasAttribute(_ names: [[UInt8]], orDesktopNameOf field: Field, on node: NodeID) throws -> Bool {
        try first(
            """
            SELECT EXISTS (SELECT 1 FROM extended_attribute WHERE node = ? AND name IN (\(Self.marks(names.count))))
            OR EXISTS (SELECT 1 FROM node n JOIN desktop_value d ON d.asset = n.asset WHERE n.id = ? AND d.field = ?)
            """,
            [node.value] + names.map { .blob($0) } + [node.value, .text(field.name)]
        ) { $0.integer(0) != 0 } ?? false
    }

    /// Removes an extended attribute.
    public func deleteExtendedAttribute(_ name: [UInt8], of node: NodeID) throws {
        try deleteExtendedAttributes([name], of: node)
    }
}
