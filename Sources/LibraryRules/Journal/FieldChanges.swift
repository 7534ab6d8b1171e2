public import AssetModel
public import Catalog
public import LibraryStorage
internal import Synchronization

extension Records {
    /// Returns a field of the asset that a file shows; of a file without an asset, the value kept for its
    /// future asset.
    public func fieldValue(_ field: Field, of node: NodeRecord) throws -> [UInt8]? {
        guard let asset = node.asset else { return try waitingField(field, of: node.id)?.value }
        return try self.field(field, of: asset).map { Array($0.utf8) }
    }

    /// Returns whether a name of a field exists, to be replaced or removed.
    ///
    /// A desktop's name exists if a value was set under it, or if it shows a field that no other desktop's
    /// name has set.
    public func hasFieldAttribute(_ name: [UInt8], _ field: Field, of node: NodeRecord) throws -> Bool {
        if try extendedAttribute(name, of: node.id) != nil { return true }
        guard AttributeName.desktopField(name) != nil else { return try fieldValue(field, of: node) != nil }
        guard let asset = node.asset else {
            return try waitingField(field, of: node.id).map { $0.value != nil && $0.setter == nil } ?? false
        }
        if try desktopValue(name.text, of: asset) != nil { return true }
        return try self.field(field, of: asset) != nil && desktopName(of: field, of: asset) == nil
    }

    /// Sets a field's value under one of its names.
    ///
    /// The value is listed under all names that have set it since the field's own name last did, so that
    /// tools that copy attributes find the names that they know.
    public func setFieldValue(
        _ field: Field,
        of node: NodeRecord,
        to value: [UInt8],
        as name: [UInt8],
        by uid: UInt32?
    ) throws {
        let own = AttributeName.bytes(of: field)
        // A value that was set on the file before it came to show another file's asset is replaced, too.
        try deleteExtendedAttributes(name == own ? AttributeName.names(of: field) : [own, name], of: node.id)
        if let asset = node.asset {
            return try setField(field, of: asset, to: value.text, as: AttributeName.alias(name, of: field), by: uid)
        }
        try setExtendedAttribute(own, of: node.id, to: value, by: uid)
        if name != own { try setExtendedAttribute(name, of: node.id, to: value, by: uid) }
    }

    /// Keeps bytes under a desktop's name that are no value of the field.
    public func keepBytes(
        _ value: [UInt8],
        of name: [UInt8],
        _ field: Field,
        of node: NodeRecord,
        by uid: UInt32
    ) throws {
        if let asset = node.asset {
            try deleteExtendedAttribute(name, of: node.id)
            let value = DesktopValue(name: name.text, value: value, isFieldValue: false, uid: uid)
            return try setDesktopValue(value, of: field, of: asset)
        }
        // Without an asset, the attributes themselves are the field: it loses the value that this name had
        // set.
        if try extendedAttribute(name, of: node.id) != nil {
            _ = try removeFieldValue(field, of: node, by: name)
        }
        try setExtendedAttribute(name, of: node.id, to: value, by: uid)
    }

    /// Removes the value set under a name of a field, and the field's value, unless another desktop's name
    /// has set that.
    ///
    /// If another name has a value of the field as well, the field gets that value.
    /// - Returns: whether the field has changed.
    public func removeFieldValue(_ field: Field, of node: NodeRecord, by name: [UInt8]) throws -> Bool {
        let text = name.text
        var waiting = try waitingField(field, of: node.id)
        var said = try node.asset.map { try desktopValues(of: field, of: $0) } ?? waiting?.names ?? []
        let isOwn =
            try AttributeName.desktopField(name) == nil
            || !said.contains { $0.name == text } && extendedAttribute(name, of: node.id) == nil
        let setter = try node.asset.map { try desktopName(of: field, of: $0) } ?? waiting?.setter?.name
        said.removeAll { $0.name == text }
        try deleteExtendedAttribute(name, of: node.id)
        if let asset = node.asset {
            try deleteDesktopValue(text, of: asset)
            // This value was set on the file before it came to show another file's asset.
            if waiting?.setter?.name == text {
                try deleteExtendedAttribute(AttributeName.bytes(of: field), of: node.id)
            }
        }
        guard isOwn || setter == text else { return false }
        if !isOwn, let next = said.first(where: \.isFieldValue) {
            try setFieldValue(field, of: node, to: next.value, as: Array(next.name.utf8), by: next.uid)
            return true
        }
        if let asset = node.asset { try deleteField(field, of: asset) }
        // Bytes that are no value of the field are no part of it, and stay.
        waiting?.names.removeAll { !$0.isFieldValue }
        if let waiting { try delete(waiting, on: node.id) }
        return true
    }

    /// Returns how many attributes `user.asset.meta.NAME` the asset or the file has.
    public func metadataCount(ofNode node: NodeRecord) throws -> Int {
        if let asset = node.asset { return try metadataCount(of: asset) }
        return try extendedAttributeNames(of: node.id).count { $0.starts(with: Array("user.asset.meta.".utf8)) }
    }

    /// Returns the value that a desktop is shown for a field without one.
    public func substitute(for field: Field, of node: NodeRecord) throws -> [UInt8]? {
        guard let asset = node.asset else { return nil }
        switch field {
        case .description: return try self.field(.caption, of: asset).map { Array($0.utf8) }
        case .charset: return try finding(named: "encoding", of: asset).map { Array($0.utf8) }
        default: return nil
        }
    }
}

/// The reasons why attributes of files could not be set: the program that tried got an errno only.
///
/// ## Concurrency
/// `sentences` is held briefly.
public final class RefusedAttributes: Sendable {
    /// The last sentence of each user, for each file or folder, the newest at the end.
    private let sentences = RankedMutex<[NodeID: [(uid: UInt32, text: String)]]>(.leaf, [:])
    private static let limit = 1000
    private static let userLimit = 32

    /// Makes an empty table.
    public init() {}

    /// Keeps the error of a user's last refused attribute of a node.
    public func note(_ error: LibraryError, of id: NodeID, for uid: UInt32) {
        switch error {
        case .invalid, .tooLong, .outOfRange, .notPermitted, .unsupported, .busy, .occupied, .fetch, .refused:
            sentences.withLock {
                if $0.count >= Self.limit { $0 = [:] }
                let others = ($0[id] ?? []).filter { $0.uid != uid }.suffix(Self.userLimit - 1)
                // getfattr(1) prints it to terminals, so it is escaped.
                $0[id] = others + [(uid, Shown.sentence(error.description))]
            }
        // The sentence of an earlier attempt is not the reason of this failure.
        default: forget(id, of: uid)
        }
    }

    /// Forgets a user's sentence; for root, the sentences of all users.
    /// - Returns: whether there was one.
    @discardableResult
    public func forget(_ id: NodeID, of uid: UInt32) -> Bool {
        sentences.withLock {
            guard let known = $0[id] else { return false }
            let others = known.filter { uid != 0 && $0.uid != uid }
            $0[id] = others.isEmpty ? nil : others
            return others.count < known.count
        }
    }

    /// Returns a user's sentence; for root, the last one of any user.
    public func sentence(of id: NodeID, for uid: UInt32) -> String? {
        sentences.withLock { $0[id]?.last { uid == 0 || $0.uid == uid }?.text }
    }
}

extension LibraryError {
    /// Returns the error for a value that a folder refuses to a user that may not read the folder's policy.
    public static func notPermittedHere(_ attribute: String) -> LibraryError {
        .invalid("\(attribute) cannot have this value in this folder.")
    }

    /// Describes why bytes are no value of an attribute.
    public init(_ objection: Field.Objection, to value: [UInt8], of attribute: String) {
        let sentence = "\(attribute) cannot be “\(Shown.value(value))”: \(objection.reason)."
        switch objection {
        case .invalid: self = .invalid(sentence)
        case .outOfRange: self = .outOfRange(sentence)
        case .tooLong: self = .tooLong("\(attribute) cannot have this value: \(objection.reason).")
        }
    }
}

extension [UInt8] {
    /// The text of the bytes, as UTF-8.
    public var text: String { String(decoding: self, as: UTF8.self) }
}
