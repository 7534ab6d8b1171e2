public import AssetModel

/// Who gave a field its value.
public enum FieldSource: String, Sendable {
    /// Somebody set it.
    case person
}

extension Records {
    /// A field's value.
    public func field(_ field: Field, of asset: AssetID) throws -> String? {
        try first("SELECT value FROM field WHERE asset = ? AND name = ?", [asset.value, .text(field.rawValue)]) {
            $0.text(0)
        }
    }

    /// The fields of an asset that have a value.
    public func fields(of asset: AssetID) throws -> [(field: Field, value: String)] {
        try all("SELECT name, value FROM field WHERE asset = ? ORDER BY name", [asset.value]) {
            (Field(rawValue: $0.text(0)), $0.text(1))
        }.compactMap { name, value in name.map { ($0, value) } }
    }

    /// Records a field's value.
    public func setField(_ field: Field, of asset: AssetID, to value: String, by source: FieldSource) throws {
        try run(
            "INSERT OR REPLACE INTO field (asset, name, value, source) VALUES (?, ?, ?, ?)",
            [asset.value, .text(field.rawValue), .text(value), .text(source.rawValue)]
        )
    }

    /// Removes a field's value.
    public func deleteField(_ field: Field, of asset: AssetID) throws {
        try run("DELETE FROM field WHERE asset = ? AND name = ?", [asset.value, .text(field.rawValue)])
    }

    /// Gives one asset the fields of another, which win over its own.
    public func copyFields(of source: AssetID, to asset: AssetID) throws {
        try run(
            "INSERT OR REPLACE INTO field SELECT ?, name, value, source FROM field WHERE asset = ?",
            [asset.value, source.value]
        )
    }
}
