public import AssetModel
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// The trash: removed assets that can be restored, each under its number and its name.
extension AssetLibrary {
    /// An asset in the trash, and its file.
    public struct Trashed: Sendable {
        /// The asset's record in the trash.
        public let record: TrashRecord
        /// The file, without a name.
        public let node: NodeRecord

        /// The name in the trash, such as `8-photo.jpg`; a long one is cut.
        public var name: [UInt8] { EntryName.listed("\(record.asset)-", record.name) }
    }

    /// Returns the numbers of the assets in the trash that a user may see, ascending: root all, others their
    /// own.
    ///
    /// `pages` is how many pages of the catalog may be read for that.
    /// - Returns: nil where more pages are needed.
    public func trashedAssets(
        for reader: Uploader,
        pages: Int = .max,
        isUnwanted: () -> Bool
    ) throws(LibraryError) -> [AssetID]? {
        try shownAssets(pages: pages, isUnwanted) { (last) throws(LibraryError) in
            let records = try read { try $0.trashed(after: last, limit: Self.longReadPage) }
            var shown: [AssetID] = []
            for record in records where try trashed(record, for: reader) != nil {
                shown.append(record.asset)
            }
            return (shown, records.count < Self.longReadPage ? nil : records.last?.asset)
        }
    }

    /// Returns those of some assets that are in the trash and that a user may see there.
    public func trashed(_ assets: some Sequence<AssetID>, for reader: Uploader) throws(LibraryError) -> [Trashed] {
        var found: [Trashed] = []
        for record in try read({ records in try assets.compactMap { try records.trashed($0) } }) {
            if let trashed = try trashed(record, for: reader) { found.append(trashed) }
        }
        return found
    }

    /// Returns the asset with a name in the trash, if the user may see it.
    public func trashed(named name: [UInt8], for reader: Uploader) throws(LibraryError) -> Trashed? {
        guard let dash = name.firstIndex(of: UInt8(ascii: "-")),
            let number = Int64(String(decoding: name[..<dash], as: UTF8.self)),
            let record = try read({ try $0.trashed(AssetID(rawValue: number)) }),
            let trashed = try trashed(record, for: reader), trashed.name == name
        else { return nil }
        return trashed
    }

    private func trashed(_ record: TrashRecord, for reader: Uploader) throws(LibraryError) -> Trashed? {
        guard rulebook.isRestorable(record) else { return nil }
        var node = try read { records in try record.node.flatMap { try records.node($0) } }
        if node == nil { node = try write { try $0.makeTrashedNode(of: record.asset) } }
        guard let node, !node.isExpired(at: clock.now), reader.uid == 0 || reader.uid == node.uid else { return nil }
        return Trashed(record: record, node: node)
    }

    /// Restores an asset from the trash, under a name that is free.
    /// - Returns: its file.
    public func restore(
        _ asset: AssetID,
        as name: EntryName,
        in parent: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord {
        guard !collections.has(parent) else {
            throw .notPermitted("A collection holds links: take the file back into folders/, and then link it.")
        }
        try refuseForeign(asset, in: parent)
        try refuseFixed(parent, .immutable)
        try refuseName(name, in: parent, by: uploader.uid)
        let restored = try clearing(name, in: parent) { () throws(LibraryError) in
            try write { records in
                let place = try rulebook.place(name, in: parent, records)
                _ = try records.folder(parent)
                guard let record = try records.trashed(asset), let id = record.node, var node = try records.node(id)
                else { throw LibraryError.notFound }
                guard try records.node(named: name, in: parent) == nil else { throw LibraryError.nameTaken(name) }
                if let refusal = try exceededQuota(of: place.rules, for: uploader, records, { _ in node.size }) {
                    throw LibraryError.refused(refusal)
                }
                let now = Timestamp.now
                try records.notePlacing(of: &node, isElsewhere: true, by: uploader)
                try records.insertEntry(name, in: parent, node: id)
                try records.addLinks(1, to: id, at: now)
                try records.touchFolder(parent, at: now)
                try records.restore(asset)
                try records.append(.restored, of: asset, at: place.path, by: uploader.uid)
                node.links += 1
                return node
            }
        }
        mayHaveLayouts.store(true, ordering: .relaxed)
        openNode(restored.id)?.isUnlinked.store(false, ordering: .relaxed)
        vacancies.remove(asset)
        vacancies.remove(name, in: parent)
        return restored
    }

    /// Refuses an asset in the folder that belongs to another asset.
    private func refuseForeign(_ asset: AssetID, in parent: NodeID) throws(LibraryError) {
        let isForeign = try read { records in
            guard try rulebook.of(parent, records).root == .unfiled else { return false }
            return try records.anyEntry(of: parent)?.name != asset.folderName
        }
        if isForeign { throw .notPermitted("This directory is another asset's; take the file back into folders/.") }
    }

    /// Deletes an asset from the trash.
    /// - Returns: its file, which is removed with the last reference.
    public func purge(_ asset: AssetID) throws(LibraryError) -> NodeRecord? {
        try keepAlternatives(of: [asset])
        let node = try write { records in
            guard let record = try records.trashed(asset) else { throw LibraryError.notFound }
            let node = try record.node.flatMap { try records.node($0) }
            try records.deleteWithItsOwn(asset, rulebook)
            try records.append(.purged, of: asset, at: record.path)
            return node
        }
        sweeper.wake()
        return node
    }
}
