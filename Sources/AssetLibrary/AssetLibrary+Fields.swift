internal import AssetModel
internal import Catalog
internal import Synchronization

// An asset's fields as extended attributes, under their own names and those that desktops use.
extension AssetLibrary {
    func fieldAttribute(_ name: [UInt8], of id: NodeID) throws(LibraryError) -> [UInt8]? {
        try read { records in
            // What was set under a desktop's name when that was no field's.
            let stored = try records.extendedAttribute(name, of: id)
            switch AttributeName(name) {
            case .field(let field):
                // A person's word first, in whichever way it was said.
                if let stored, let asset = try records.node(id)?.asset, try !records.isSaid(field, of: asset) {
                    return stored
                }
                if let value = try records.fieldValue(field, of: id) { return value }
                if let stored { return stored }
                return name == AttributeName.bytes(of: field) ? nil : try records.substitute(for: field, of: id)
            case .rating:
                guard let value = try records.fieldValue(.rank, of: id) else { return stored }
                let rank = Int(String(decoding: value, as: UTF8.self))
                return rank.map { (0...10).contains($0) } ?? false ? value : nil
            default:
                if let stored { return stored }
                return try records.node(id)?.asset.flatMap { asset in
                    try records.finding(named: "mime_type", of: asset).map { Array($0.utf8) }
                }
            }
        }
    }

    func setFieldAttribute(
        _ name: [UInt8],
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        by uploader: Uploader
    ) throws(LibraryError) {
        let text = String(decoding: name, as: UTF8.self)
        let field: Field
        if case .field(let some) = AttributeName(name) {
            field = some
        } else {
            field = .rank
            guard let rating = Int(String(decoding: value, as: UTF8.self)) else {
                throw .invalid("\(text) cannot be “\(value.shown)”: it is not a whole number.")
            }
            guard (0...10).contains(rating) else {
                throw .outOfRange("\(text) cannot be \(rating): ratings are from 0 to 10, half stars.")
            }
        }
        if let objection = field.objection(to: value) { throw LibraryError(objection, to: value, of: text) }
        try settleIfQuick(id)
        try space.take(Int64(value.count))
        // Where a file is to come that has no name yet.
        let aim = rulebook.isSilent ? nil : openNode(id)?.upload.withLock { $0.aim }
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            let former = try records.fieldValue(field, of: id)
            try presence.check(former != nil)
            if node.isFile, let objection = try type(of: field, for: id, aim, records)?.objection(to: value) {
                throw LibraryError(objection, to: value, of: text)
            }
            if field.isMetadata, former == nil, try records.metadataCount(ofNode: node) >= Field.metadataLimit {
                throw LibraryError.tooLong(
                    "\(text) cannot be set: there are \(Field.metadataLimit) keys of free metadata already, which is all that may be."
                )
            }
            let growth = former.map { value.count - $0.count } ?? name.count + value.count
            try refuseAttribute(of: node, growingBy: Int64(growth), records)
            try records.setFieldValue(field, of: node, to: value, as: name)
            let canonical = AttributeName.bytes(of: field)
            if name != canonical, node.asset != nil { try records.deleteExtendedAttribute(name, of: id) }
            try noteChange(of: id, String(decoding: canonical, as: UTF8.self), by: uploader.uid, records)
            try records.addLinks(0, to: id, at: .now)
        }
    }

    /// Which values a field may have in the folder that a file is in or is to come to, where that says anything.
    private func type(
        of field: Field,
        for id: NodeID,
        _ aim: OpenNode.Aim?,
        _ records: Records
    ) throws -> FieldType? {
        guard !rulebook.isSilent else { return nil }
        let folder = try aim == nil ? records.anyEntry(of: id)?.parent : destination(of: id, aim, records)?.parent
        return try folder.flatMap { try rulebook.of($0, records).policy.fieldTypes[field] }
    }

    func removeFieldAttribute(_ name: [UInt8], of id: NodeID, by uploader: Uploader) throws(LibraryError) {
        var field = Field.rank
        if case .field(let some) = AttributeName(name) { field = some }
        try settleIfQuick(id)
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            let isStored = try records.extendedAttribute(name, of: id) != nil
            guard try isStored || records.fieldValue(field, of: id) != nil else { throw LibraryError.noSuchAttribute }
            if let asset = node.asset { try records.deleteField(field, of: asset) }
            for stored in AttributeName.names(of: field) { try records.deleteExtendedAttribute(stored, of: id) }
            let canonical = AttributeName.bytes(of: field)
            try noteChange(of: id, String(decoding: canonical, as: UTF8.self), by: uploader.uid, records)
            try records.addLinks(0, to: id, at: .now)
        }
    }

    /// Somebody has said something of a file.
    func noteChange(of id: NodeID, _ attribute: String, by uid: UInt32, _ records: Records) throws {
        guard let asset = try records.node(id)?.asset else { return }
        let path = try records.anyEntry(of: id).map { try rulebook.place($0.name, in: $0.parent, records).path }
        try records.append(.informationUpdated, of: asset, at: path, by: uid) { $0.add("changed", [attribute]) }
    }
}

extension Records {
    /// A field of the asset that a file shows; of a file that is no asset, what was set for it to be one day.
    func fieldValue(_ field: Field, of id: NodeID) throws -> [UInt8]? {
        guard let asset = try node(id)?.asset else {
            return try AttributeName.names(of: field).lazy.compactMap { try extendedAttribute($0, of: id) }.first
        }
        return try self.field(field, of: asset).map { Array($0.utf8) }
    }

    /// A value is listed under the name by which it was last set, so that what copies attributes finds the names that it knows.
    fileprivate func setFieldValue(_ field: Field, of node: NodeRecord, to value: [UInt8], as name: [UInt8]) throws {
        if let asset = node.asset {
            return try setField(
                field,
                of: asset,
                to: String(decoding: value, as: UTF8.self),
                as: AttributeName.alias(name, of: field)
            )
        }
        for other in AttributeName.names(of: field) where other != name {
            try deleteExtendedAttribute(other, of: node.id)
        }
        try setExtendedAttribute(name, of: node.id, to: value)
    }

    fileprivate func metadataCount(ofNode node: NodeRecord) throws -> Int {
        if let asset = node.asset { return try metadataCount(of: asset) }
        return try extendedAttributeNames(of: node.id).count { $0.starts(with: Array("user.asset.meta.".utf8)) }
    }

    /// What a desktop is shown where a field has no value.
    fileprivate func substitute(for field: Field, of id: NodeID) throws -> [UInt8]? {
        guard let asset = try node(id)?.asset else { return nil }
        switch field {
        case .description: return try self.field(.caption, of: asset).map { Array($0.utf8) }
        case .charset: return try finding(named: "encoding", of: asset).map { Array($0.utf8) }
        default: return nil
        }
    }
}

/// Why attributes of files could not be set: the program that tried saw a number only.
///
/// ## Concurrency
/// `sentences` is held for a moment only.
final class RefusedAttributes: Sendable {
    private let sentences = Mutex<[NodeID: String]>([:])
    private static let limit = 1000

    func note(_ error: LibraryError, of id: NodeID) {
        switch error {
        case .invalid, .tooLong, .outOfRange, .notPermitted, .unsupported, .busy, .fetch, .refused:
            sentences.withLock {
                if $0.count >= Self.limit { $0 = [:] }
                $0[id] = error.description
            }
        // What another attempt was told is no longer the reason of the last.
        default: forget(id)
        }
    }

    /// - Returns: whether there was one.
    @discardableResult
    func forget(_ id: NodeID) -> Bool { sentences.withLock { $0.removeValue(forKey: id) } != nil }

    func sentence(of id: NodeID) -> String? { sentences.withLock { $0[id] } }
}

extension LibraryError {
    init(_ objection: Field.Objection, to value: [UInt8], of attribute: String) {
        let sentence = "\(attribute) cannot be “\(value.shown)”: \(objection.reason)."
        switch objection {
        case .invalid: self = .invalid(sentence)
        case .outOfRange: self = .outOfRange(sentence)
        case .tooLong: self = .tooLong("\(attribute) cannot have this value: \(objection.reason).")
        }
    }
}

extension [UInt8] {
    /// The beginning of a value, for a message.
    fileprivate var shown: String {
        let text = String(decoding: self, as: UTF8.self)
        return text.count > 60 ? text.prefix(60) + "…" : text
    }
}
