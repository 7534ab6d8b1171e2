public import AssetModel
internal import GRDB

// The number of bytes of attributes, fields and policies that users have set: `Schema.attributeShares`.
extension Records {
    /// The number of bytes that each attribute counts besides its name and value.
    public static let attributeOverhead: Int64 = 32

    /// Returns the number of bytes of attributes, fields and policies that a user has set.
    public func attributeBytes(of uid: UInt32) throws -> Int64 {
        try first("SELECT bytes FROM attribute_share WHERE uid = ?", [.integer(Int64(uid))]) { $0.integer(0) } ?? 0
    }

    /// Returns how many bytes of an attribute's present rows count for a user: those of the names on the file
    /// itself, and those of a field and of the last name on its asset.
    public func attributeBytes(
        of uid: UInt32,
        on node: NodeRecord,
        names: [[UInt8]],
        field: Field?
    ) throws -> Int64 {
        var bytes: Int64 = 0
        let user = SQLValue.integer(Int64(uid))
        for name in names {
            bytes +=
                try first(
                    """
                    SELECT length(name) + length(value) + \(Self.attributeOverhead) FROM extended_attribute
                    WHERE node = ? AND name = ? AND uid = ?
                    """,
                    [node.id.value, .blob(name), user]
                ) { $0.integer(0) } ?? 0
        }
        guard let asset = node.asset, let name = names.last else { return bytes }
        return bytes
            + (try first(
                """
                SELECT coalesce((SELECT length(CAST(name AS BLOB)) + length(CAST(value AS BLOB)) + \(Self.attributeOverhead)
                    FROM field WHERE asset = ?1 AND name = ?2 AND uid = ?4), 0)
                    + coalesce((SELECT length(CAST(name AS BLOB)) + length(value) + \(Self.attributeOverhead)
                    FROM desktop_value WHERE asset = ?1 AND name = ?3 AND uid = ?4), 0)
                """,
                [asset.value, field.map { .text($0.name) } ?? .null, .bytesAsText(name), user]
            ) { $0.integer(0) } ?? 0)
    }

    /// Returns how many bytes of a folder's policy count for a user.
    public func policyBytes(of uid: UInt32, _ key: PolicyKey, of folder: NodeID) throws -> Int64 {
        try first(
            """
            SELECT length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) + \(Self.attributeOverhead) FROM policy
            WHERE node = ? AND key = ? AND uid = ?
            """,
            [folder.value, .text(key.rawValue), .integer(Int64(uid))]
        ) { $0.integer(0) } ?? 0
    }

    /// Returns an extended attribute's value, and the user that it counts for.
    public func sharedAttribute(_ name: [UInt8], of node: NodeID) throws -> (value: [UInt8], uid: UInt32)? {
        try first("SELECT value, uid FROM extended_attribute WHERE node = ? AND name = ?", [node.value, .blob(name)]) {
            ($0.bytes(0), $0.unsigned(1))
        }
    }

    /// Returns the user that attributes of a node count for where no other is given, as SQL.
    static func owner(ofNode node: String) -> String {
        "coalesce((SELECT n.uid FROM node n WHERE n.id = \(node)), 0)"
    }

    /// Returns the user that attributes of an asset count for where no other is given, as SQL.
    static func owner(ofAsset asset: String) -> String {
        """
        coalesce((SELECT n.uid FROM node n WHERE n.asset = \(asset) ORDER BY n.former_asset IS NOT NULL, n.id LIMIT 1),
            (SELECT a.uid FROM asset a WHERE a.id = \(asset)), 0)
        """
    }
}

extension SQLValue {
    /// Creates a user's number, or NULL.
    init(_ uid: UInt32?) { self = uid.map { .integer(Int64($0)) } ?? .null }
}
