internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// An asset's fields as extended attributes, under their own names and under those that desktops use.
extension AssetLibrary {
    func fieldAttribute(_ name: [UInt8], of id: NodeID) throws(LibraryError) -> [UInt8]? {
        try read { records in
            let stored = try records.extendedAttribute(name, of: id)
            guard let node = try records.node(id) else { return stored }
            let asset = node.asset
            let attribute = AttributeName(name)
            guard let field = attribute.field else {
                if let stored { return stored }
                return try asset.flatMap { try records.finding(named: "mime_type", of: $0).map { Array($0.utf8) } }
            }
            let isDesktops = AttributeName.desktopField(name) != nil
            // A desktop's name returns the bytes that were set under it.
            if isDesktops, let own = try asset.map({ try records.desktopValue(name.text, of: $0) }) ?? stored {
                return own
            }
            // A user-set value comes first, also one that only the node has.
            if let stored, let asset, try !records.isSaid(field, of: asset) { return stored }
            if let value = try records.fieldValue(field, of: node) {
                guard case .rating = attribute else { return value }
                return Int(value.text).map { (0...10).contains($0) } ?? false ? value : nil
            }
            return try stored ?? (isDesktops ? records.substitute(for: field, of: node) : nil)
        }
    }

    /// Sets a field, under its own name or a desktop's.
    ///
    /// Bytes that are no value of the field are kept under a desktop's name, and the field stays as it is:
    /// programs have written such bytes elsewhere.
    func setFieldAttribute(
        _ name: [UInt8],
        _ field: Field,
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        by uploader: Uploader
    ) throws(LibraryError) {
        let objection = AttributeName.objection(to: value, of: name)
        if let objection, AttributeName.desktopField(name) == nil { throw objection }
        try settleIfQuick(id)
        try space.take(Int64(value.count))
        // The destination of a file that has no name yet.
        let aim = rulebook.isSilent ? nil : openNode(id)?.upload.withLock { $0.aim }
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            if presence != .any {
                try refuseGuess(whether: name, isThereOn: id, by: uploader, records)
                try presence.check(try records.hasFieldAttribute(name, field, of: node))
            }
            if node.isFile, let (type, folder) = try type(of: field, for: id, aim, records) {
                let found = objection ?? type.objection(to: value).map { LibraryError($0, to: value, of: name.text) }
                if let found {
                    throw try allows(4, to: uploader, on: folder, records) ? found : .notPermittedHere(name.text)
                }
            }
            if field.isMetadata, try records.metadataCount(ofNode: node) >= Field.metadataLimit,
                try records.fieldValue(field, of: node) == nil
            {
                throw LibraryError.tooLong(
                    "\(name.text) cannot be set: there are \(Field.metadataLimit) keys of free metadata already, which is all that may be."
                )
            }
            let isSaid = try objection == nil && (node.asset.map { try records.isSaid(field, of: $0) } ?? true)
            let former = isSaid ? try records.fieldValue(field, of: node) : nil
            let growth = former.map { value.count - $0.count } ?? name.count + value.count
            try refuseAttribute(of: node, growingBy: Int64(growth), by: uploader, records)
            try refuseField(field, on: node, name, value, isValue: objection == nil, by: uploader.uid, records)
            if objection == nil {
                try records.setFieldValue(field, of: node, to: value, as: name, by: uploader.uid)
            } else {
                try records.keepBytes(value, of: name, field, of: node, by: uploader.uid)
            }
            if objection == nil { try noteChange(of: node, field, by: uploader.uid, records) }
            try records.addLinks(0, to: id, at: .now)
        }
    }

    /// Returns the values that a field may have in a file's folder, or its destination, and that folder; nil
    /// if the folder sets no limits.
    private func type(
        of field: Field,
        for id: NodeID,
        _ aim: OpenNode.Aim?,
        _ records: Records
    ) throws -> (type: FieldType, folder: NodeID)? {
        guard !rulebook.isSilent else { return nil }
        let folder = try aim == nil ? records.anyEntry(of: id)?.parent : destination(of: id, aim, records)?.parent
        return try folder.flatMap { folder in
            try rulebook.of(folder, records).policy.fieldTypes[field].map { ($0, folder) }
        }
    }

    /// Removes a field under its own name, or the value set under a desktop's name, with the field if that
    /// name has set it.
    func removeFieldAttribute(
        _ name: [UInt8],
        _ field: Field,
        of id: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        try settleIfQuick(id)
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            try refuseGuess(whether: name, isThereOn: id, by: uploader, records)
            guard try records.hasFieldAttribute(name, field, of: node) else { throw LibraryError.noSuchAttribute }
            let isChange = try records.removeFieldValue(field, of: node, by: name)
            if isChange { try noteChange(of: node, field, by: uploader.uid, records) }
            try records.addLinks(0, to: id, at: .now)
        }
    }

    /// Notes that a field of a file has another value.
    private func noteChange(of node: NodeRecord, _ field: Field, by uid: UInt32, _ records: Records) throws {
        try noteChange(of: node, AttributeName.bytes(of: field).text, by: uid, records)
    }

    /// Appends an event for a user's change of a file's attribute.
    func noteChange(of node: NodeRecord, _ attribute: String, by uid: UInt32, _ records: Records) throws {
        guard let asset = node.asset else { return }
        let path = try records.anyEntry(of: node.id).map { try rulebook.place($0.name, in: $0.parent, records).path }
        try records.append(.informationUpdated, of: asset, at: path, by: uid) { $0.add("changed", [attribute]) }
    }
}
