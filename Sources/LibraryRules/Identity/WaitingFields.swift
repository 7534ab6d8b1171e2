public import AssetModel
public import Catalog
public import LibraryStorage

// Fields, and values of desktops' names, that are kept as a file's extended attributes until the file has an
// asset.
//
// The field's value is stored under its own name, and the bytes that were set by a desktop's name under that
// name. Where both are equal, the field was set by the desktop's name.

/// The values of one field that were set on a file without an asset.
public struct WaitingField: Sendable {
    /// The field.
    public let field: Field
    /// The field's value; nil where the only bytes that were set are not valid for the field.
    public var value: [UInt8]?
    /// The user whose share the value counts in; nil for the owner.
    public var uid: UInt32?
    /// The values that were set by desktops' names.
    public var names: [DesktopValue]

    /// The desktop's name by which the value was set.
    public var setter: DesktopValue? { value.flatMap { value in names.first { $0.isFieldValue && $0.value == value } } }
}

extension Records {
    /// Returns the values of one field; nil where none was set.
    public func waitingField(_ field: Field, of node: NodeID) throws -> WaitingField? {
        let own = AttributeName.bytes(of: field)
        let names = try AttributeName.names(of: field).filter { $0 != own }.compactMap { name in
            try sharedAttribute(name, of: node).map { value, uid in
                DesktopValue(
                    name: String(decoding: name, as: UTF8.self),
                    value: value,
                    isFieldValue: AttributeName.objection(to: value, of: name) == nil,
                    uid: uid
                )
            }
        }
        // Older libraries have a value under the desktop's name alone.
        let said =
            try sharedAttribute(own, of: node) ?? names.first(where: \.isFieldValue).map { ($0.value, $0.uid ?? 0) }
        if said == nil, names.isEmpty { return nil }
        return WaitingField(field: field, value: said?.value, uid: said?.uid, names: names)
    }

    /// Returns all fields of a file of which a value was set.
    func waitingFields(of node: NodeID) throws -> [WaitingField] {
        try Set(extendedAttributeNames(of: node).compactMap { AttributeName($0).field }).compactMap {
            try waitingField($0, of: node)
        }
    }

    /// Returns the names of a file's own attributes, without those of fields that were set by desktops'
    /// names.
    public func ownAttributeNames(of node: NodeID) throws -> [[UInt8]] {
        let names = try extendedAttributeNames(of: node)
        let hidden = try Set(names.compactMap(AttributeName.desktopField)).filter {
            try waitingField($0, of: node)?.setter != nil
        }.map(AttributeName.bytes)
        return hidden.isEmpty ? names : names.filter { !hidden.contains($0) }
    }

    /// Sets the values from a file on an asset; they replace the asset's values.
    public func give(_ waiting: WaitingField, to asset: AssetID) throws {
        let setter = waiting.setter?.name
        if let value = waiting.value {
            try deleteDesktopValues(of: waiting.field, of: asset)
            let text = String(decoding: value, as: UTF8.self)
            try setField(waiting.field, of: asset, to: text, as: setter, by: waiting.uid)
        }
        for name in waiting.names where name.name != setter {
            try setDesktopValue(name, of: waiting.field, of: asset)
        }
    }

    /// Sets on a file the values from another file, or from an asset.
    public func keep(_ waiting: WaitingField, on node: NodeID) throws {
        if let value = waiting.value {
            let own = AttributeName.bytes(of: waiting.field)
            try setExtendedAttribute(own, of: node, to: value, by: waiting.uid)
        }
        for name in waiting.names {
            try setExtendedAttribute(Array(name.name.utf8), of: node, to: name.value, by: name.uid)
        }
    }

    /// Removes the values of a field from a file.
    public func delete(_ waiting: WaitingField, on node: NodeID) throws {
        if waiting.value != nil { try deleteExtendedAttribute(AttributeName.bytes(of: waiting.field), of: node) }
        for name in waiting.names { try deleteExtendedAttribute(Array(name.name.utf8), of: node) }
    }

    /// Keeps an asset's fields as extended attributes of a file that no longer shows the asset and has none.
    public func keepFields(of asset: AssetID, on node: NodeID) throws {
        for (field, value, _, uid) in try ownFields(of: asset) {
            try keep(WaitingField(field: field, value: Array(value.utf8), uid: uid, names: []), on: node)
        }
        for value in try desktopValues(of: asset) {
            try setExtendedAttribute(Array(value.name.utf8), of: node, to: value.value, by: value.uid)
        }
    }
}

extension AttributeName {
    /// Returns why bytes are no valid value of the field of a name; nil where they are valid.
    public static func objection(to value: [UInt8], of name: [UInt8]) -> LibraryError? {
        let attribute = AttributeName(name)
        let text = String(decoding: name, as: UTF8.self)
        if case .rating = attribute {
            guard let rating = Int(String(decoding: value, as: UTF8.self)) else {
                return .invalid("\(text) cannot be “\(Shown.value(value))”: it is not a whole number.")
            }
            guard (0...10).contains(rating) else {
                return .outOfRange("\(text) cannot be \(rating): ratings are from 0 to 10, half stars.")
            }
        }
        return attribute.field?.objection(to: value).map { LibraryError($0, to: value, of: text) }
    }
}
