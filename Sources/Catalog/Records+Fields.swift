public import AssetModel

/// The meaning of a field's row.
public enum FieldSource: String, Sendable {
    /// A user set the value.
    case person
    /// A user removed the extracted value.
    case removed
}

/// The state of the extraction of metadata from an asset's file.
public enum ExtractionState: String, Sendable {
    /// Extraction has not run yet.
    case waiting
    /// Extraction is complete.
    case ready
    /// Extraction failed, or is incomplete.
    case failed
}

// An asset's fields: user-set values, and for fields without one the values extracted from the newest
// version.
extension Records {
    /// Returns a field's value: the user-set one, or else the extracted one, unless embedded metadata is
    /// ignored.
    public func field(_ field: Field, of asset: AssetID) throws -> String? {
        let own = try first(
            "SELECT value, source FROM field WHERE asset = ? AND name = ?",
            [asset.value, .text(field.name)]
        ) {
            ($0.text(0), FieldSource(rawValue: $0.text(1)))
        }
        if let own { return own.1 == .removed ? nil : own.0 }
        return try extractedField(field, of: asset)
    }

    /// Returns whether a user has set or removed a field's value, and no revert to the extracted value was
    /// requested since.
    public func isSaid(_ field: Field, of asset: AssetID) throws -> Bool {
        try first(
            "SELECT 1 FROM field WHERE asset = ? AND name = ? AND reverts = 0",
            [asset.value, .text(field.name)]
        ) { _ in true } ?? false
    }

    /// Returns the extracted value of a field.
    public func extractedField(_ field: Field, of asset: AssetID) throws -> String? {
        guard field.isExtracted, try !ignoresEmbedded(asset) else { return nil }
        return try finding(Field.isTag(field.name) ? "tags" : "fields", field.name, of: asset)
    }

    /// Returns the fields of an asset that have a value, without tags that no user has set; `attribute` is
    /// the name under which a value was set, if that is not the field's own.
    public func fields(
        of asset: AssetID
    ) throws -> [(field: Field, value: String, isOwn: Bool, attribute: String?)] {
        let own = try all(
            "SELECT name, value, source, attribute FROM field WHERE asset = ? ORDER BY name",
            [asset.value]
        ) {
            (
                name: $0.text(0), value: $0.text(1), isRemoved: $0.text(2) == FieldSource.removed.rawValue,
                attribute: $0.isNull(3) ? nil : $0.text(3)
            )
        }
        var result = own.compactMap { row in
            row.isRemoved
                ? nil : Field(row.name).map { (field: $0, value: row.value, isOwn: true, attribute: row.attribute) }
        }
        guard try !ignoresEmbedded(asset) else { return result }
        let said = try all(
            """
            SELECT j.key, j.value FROM extraction x, json_each(x.findings, '$.fields') j
            WHERE x.blob = \(Self.newestBlob) AND x.findings IS NOT NULL
            """,
            [asset.value]
        ) { ($0.text(0), $0.text(1)) }
        for (name, value) in said where !own.contains(where: { $0.name == name }) {
            if let field = Field(name) { result.append((field, value, false, nil)) }
        }
        return result
    }

    /// Returns the user-set fields, and the names under which they were set, if those are not the fields'
    /// own.
    public func ownFields(
        of asset: AssetID
    ) throws -> [(field: Field, value: String, attribute: String?, uid: UInt32)] {
        try all(
            "SELECT name, value, attribute, uid FROM field WHERE asset = ? AND source = 'person' ORDER BY name",
            [asset.value]
        ) {
            (Field($0.text(0)), $0.text(1), $0.isNull(2) ? nil : $0.text(2), $0.unsigned(3))
        }.compactMap { name, value, attribute, uid in name.map { ($0, value, attribute, uid) } }
    }

    /// Returns the bytes that the names of a node's attributes take in a list, counting only those that a
    /// user has set.
    public func listedBytes(of id: NodeID) throws -> Int64 {
        try first(
            """
            SELECT (SELECT coalesce(sum(length(x.name) + 1), 0) FROM extended_attribute x WHERE x.node = n.id)
                + (SELECT coalesce(sum(12 + length(f.name)), 0) FROM field f
                    WHERE f.asset = n.asset AND f.source = 'person' AND f.attribute IS NULL)
                + (SELECT coalesce(sum(length(d.name) + 1), 0) FROM desktop_value d WHERE d.asset = n.asset)
                + (SELECT coalesce(sum(length(p.key) + 13), 0) FROM policy p WHERE p.node = n.id)
            FROM node n WHERE n.id = ?
            """,
            [id.value]
        ) { $0.integer(0) } ?? 0
    }

    /// Returns the fields whose extracted value users have removed.
    public func removedFields(of asset: AssetID) throws -> [Field] {
        try all(
            "SELECT name FROM field WHERE asset = ? AND source = 'removed' ORDER BY name",
            [asset.value]
        ) { Field($0.text(0)) }.compactMap(\.self)
    }

    /// Returns the number of an asset's keys of free metadata.
    public func metadataCount(of asset: AssetID) throws -> Int {
        try ownFields(of: asset).count { $0.field.isMetadata }
    }

    /// Records the user-set value of a field; `attribute` is the name under which it was set, if that is not
    /// the field's own.
    ///
    /// The values of other desktops' names stay until the field is set under its own name. The value counts
    /// for `uid`, or else for the asset's owner.
    public func setField(
        _ field: Field,
        of asset: AssetID,
        to value: String,
        as attribute: String? = nil,
        by uid: UInt32? = nil
    ) throws {
        try setRow(field, of: asset, to: value, .person, attribute, by: uid)
        guard let attribute else { return try deleteDesktopValues(of: field, of: asset) }
        let value = DesktopValue(name: attribute, value: Array(value.utf8), isFieldValue: true, uid: uid)
        try setDesktopValue(value, of: field, of: asset)
    }

    /// Removes a field's value; an extracted value, present or still to come, then stays hidden.
    public func deleteField(_ field: Field, of asset: AssetID) throws {
        try deleteFieldValues(of: field, of: asset)
        let isUnknown = try field.isExtracted && extraction(of: asset).map { $0.state != .ready } ?? false
        guard try isUnknown || extractedField(field, of: asset) != nil else {
            return try run("DELETE FROM field WHERE asset = ? AND name = ?", [asset.value, .text(field.name)])
        }
        try setRow(field, of: asset, to: "", .removed)
    }

    private func setRow(
        _ field: Field,
        of asset: AssetID,
        to value: String,
        _ source: FieldSource,
        _ attribute: String? = nil,
        by uid: UInt32? = nil
    ) throws {
        try run(
            """
            INSERT OR REPLACE INTO field (asset, name, value, source, attribute, uid)
            VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, \(Self.owner(ofAsset: "?1"))))
            """,
            [
                asset.value, .text(field.name), .text(value), .text(source.rawValue),
                attribute.map(SQLValue.text) ?? .null, SQLValue(uid),
            ]
        )
    }

    /// Copies the user-set values of one asset to another, where they replace its own.
    public func copyFields(of source: AssetID, to asset: AssetID) throws {
        try copyDesktopValues(of: source, to: asset)
        try run(
            """
            INSERT OR REPLACE INTO field (asset, name, value, source, attribute, uid)
            SELECT ?1, name, value, source, attribute, \(Self.owner(ofAsset: "?1")) FROM field WHERE asset = ?2
            """,
            [asset.value, source.value]
        )
    }
}
