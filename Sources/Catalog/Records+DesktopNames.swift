public import AssetModel
internal import GRDB

/// The bytes that a program has set under an extended attribute that desktops use for a field.
public struct DesktopValue: Sendable {
    /// The extended attribute's name, such as `user.xdg.tags`.
    public let name: String
    /// The bytes that were set.
    public let value: [UInt8]
    /// Whether the bytes were also set as the field's value.
    public let isFieldValue: Bool
    /// The user that the bytes count for; nil for the asset's owner.
    public let uid: UInt32?

    /// Creates a value.
    public init(name: String, value: [UInt8], isFieldValue: Bool, uid: UInt32?) {
        self.name = name
        self.value = value
        self.isFieldValue = isFieldValue
        self.uid = uid
    }
}

// The values of desktops' attributes, byte for byte. `setField`, `deleteField` and `copyFields` keep them in
// step with the fields.
extension Records {
    /// Returns the bytes that were set under a desktop's name; nil where that name answers from the field.
    public func desktopValue(_ name: String, of asset: AssetID) throws -> [UInt8]? {
        try first("SELECT value FROM desktop_value WHERE asset = ? AND name = ?", [asset.value, .text(name)]) {
            $0.bytes(0)
        }
    }

    /// Returns all values that were set under desktops' names of one field.
    public func desktopValues(of field: Field, of asset: AssetID) throws -> [DesktopValue] {
        try all(
            "SELECT name, value, is_field_value, uid FROM desktop_value WHERE asset = ? AND field = ?",
            [asset.value, .text(field.name)]
        ) {
            DesktopValue(
                name: $0.text(0),
                value: $0.bytes(1),
                isFieldValue: $0.integer(2) != 0,
                uid: $0.unsigned(3)
            )
        }
    }

    /// Returns all values that were set under desktops' names.
    public func desktopValues(of asset: AssetID) throws -> [DesktopValue] {
        try all("SELECT name, value, is_field_value, uid FROM desktop_value WHERE asset = ?", [asset.value]) {
            DesktopValue(
                name: $0.text(0),
                value: $0.bytes(1),
                isFieldValue: $0.integer(2) != 0,
                uid: $0.unsigned(3)
            )
        }
    }

    /// Returns the desktops' names that have a value.
    public func desktopNames(of asset: AssetID) throws -> [String] {
        try all("SELECT name FROM desktop_value WHERE asset = ?", [asset.value]) { $0.text(0) }
    }

    /// Returns the desktop's name under which a field's present value was set; nil if there is no value, or
    /// it was set otherwise.
    public func desktopName(of field: Field, of asset: AssetID) throws -> String? {
        try first(
            "SELECT attribute FROM field WHERE asset = ? AND name = ? AND source = 'person'",
            [asset.value, .text(field.name)]
        ) { $0.isNull(0) ? nil : $0.text(0) } ?? nil
    }

    /// Records the value of a desktop's name; the field is left unchanged.
    public func setDesktopValue(_ value: DesktopValue, of field: Field, of asset: AssetID) throws {
        try run(
            """
            INSERT OR REPLACE INTO desktop_value (asset, name, field, value, is_field_value, uid)
            VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, \(Self.owner(ofAsset: "?1"))))
            """,
            [
                asset.value, .text(value.name), .text(field.name), .blob(value.value), value.isFieldValue ? 1 : 0,
                SQLValue(value.uid),
            ]
        )
    }

    /// Removes the value of a desktop's name; the field is left unchanged.
    public func deleteDesktopValue(_ name: String, of asset: AssetID) throws {
        try run("DELETE FROM desktop_value WHERE asset = ? AND name = ?", [asset.value, .text(name)])
    }

    /// Removes the values of all desktops' names of a field, which then answer from the field again.
    public func deleteDesktopValues(of field: Field, of asset: AssetID) throws {
        try run("DELETE FROM desktop_value WHERE asset = ? AND field = ?", [asset.value, .text(field.name)])
    }

    /// Removes the desktop values of a field that has lost its value; bytes that never were a value of the
    /// field stay.
    func deleteFieldValues(of field: Field, of asset: AssetID) throws {
        try run(
            "DELETE FROM desktop_value WHERE asset = ? AND field = ? AND is_field_value = 1",
            [asset.value, .text(field.name)]
        )
    }

    /// Copies the desktop values of one asset to another, before its fields are copied.
    ///
    /// Values for a field that the source has a value of are replaced.
    func copyDesktopValues(of source: AssetID, to asset: AssetID) throws {
        try run(
            "DELETE FROM desktop_value WHERE asset = ? AND field IN (SELECT name FROM field WHERE asset = ?)",
            [asset.value, source.value]
        )
        try run(
            """
            INSERT OR REPLACE INTO desktop_value (asset, name, field, value, is_field_value, uid)
            SELECT ?1, name, field, value, is_field_value, \(Self.owner(ofAsset: "?1")) FROM desktop_value WHERE asset = ?2
            """,
            [asset.value, source.value]
        )
    }
}

extension Schema {
    /// The table of the bytes that programs set under desktops' names: `is_field_value` is 1 where they were
    /// also set as the field's value.
    static let desktopValues = """
        CREATE TABLE desktop_value (
            asset INTEGER NOT NULL, name TEXT NOT NULL, field TEXT NOT NULL, value BLOB NOT NULL,
            is_field_value INTEGER NOT NULL, PRIMARY KEY (asset, name)) WITHOUT ROWID, STRICT;
        INSERT INTO desktop_value (asset, name, field, value, is_field_value)
            SELECT asset, attribute, name, CAST(value AS BLOB), 1 FROM field
            WHERE attribute IS NOT NULL AND source = 'person';
        """
}
