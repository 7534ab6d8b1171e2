public import AssetModel
internal import BlobStore
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// Assets by number: the content of `resources/<id>/`.
extension AssetLibrary {
    /// An asset that was found by its number.
    public struct Resource: Sendable {
        /// The asset.
        public let asset: AssetRecord
        /// The file that shows the asset; nil where it has none yet.
        public let node: NodeRecord?
        /// The file's name.
        public let name: EntryName?
        /// The folder that the file is in, or will be in; its permissions decide which users may replace it.
        public let folder: NodeRecord
        /// The node whose mode and owner decide which users may read about the asset: its file, also in the
        /// trash, or else the folder.
        public let rights: NodeRecord
    }

    /// Returns an asset by its number, if the user may read its file.
    ///
    /// The result is nil where there is none, or where it is in the trash and had a name in `folders/`.
    public func resource(_ id: AssetID, for reader: Uploader = Uploader()) throws(LibraryError) -> Resource? {
        let now = clock.now
        return try read { records in
            guard let asset = try records.asset(id) else { return nil }
            if let found = try records.nodes(showing: id).first, let node = try records.node(found),
                try records.anyEntry(of: found) != nil
            {
                guard !node.isExpired(at: now), try mayRead(found, reader, records),
                    let entry = try shownEntry(of: found, for: reader, records),
                    let folder = try records.node(entry.parent)
                else { return nil }
                return Resource(asset: asset, node: node, name: entry.name, folder: folder, rights: node)
            }
            guard let folder = try records.node(named: id.folderName, in: .unfiled) else { return nil }
            var rights = folder
            if let record = try records.trashed(id) {
                // An asset in the trash is visible to its owner and root only.
                guard let file = try record.node.flatMap({ try records.node($0) }) else { return nil }
                guard reader.uid == 0 || reader.uid == file.uid else { return nil }
                rights = file
                rights.mode &= ~0o077
            } else if try !allows(5, to: reader, on: folder.id, records) {
                return nil
            }
            return Resource(asset: asset, node: nil, name: nil, folder: folder, rights: rights)
        }
    }

    /// Returns the numbers of the listed assets that a user may read, in ascending order.
    ///
    /// `pages` is how many pages of the catalog may be read for that.
    /// - Returns: nil where more pages are needed.
    public func resources(
        for reader: Uploader,
        pages: Int = .max,
        isUnwanted: () -> Bool
    ) throws(LibraryError) -> [AssetID]? {
        try shownAssets(pages: pages, isUnwanted) { (last) throws(LibraryError) in
            let some = try read { try $0.listedAssets(after: last, limit: Self.longReadPage) }
            var shown: [AssetID] = []
            for asset in some {
                // Root may read all assets, and a name that cannot be resolved does no harm.
                if reader.uid == 0 {
                    shown.append(asset)
                } else if try resource(asset, for: reader) != nil {
                    shown.append(asset)
                }
            }
            return (shown, some.count < Self.longReadPage ? nil : some.last)
        }
    }

    /// The highest asset number that may be requested.
    private static let highestResource: Int64 = 1 << 39

    /// Creates an asset that has no file yet.
    ///
    /// The operation is ResourceSpace's `create_resource`. Numbers are never given twice: a number that an
    /// asset has had is refused.
    public func makeResource(_ id: AssetID, mode: UInt32, by uploader: Uploader) throws(LibraryError) {
        try space.take(4096)
        // Only users with access to the asset get EEXIST; for all others the number counts as used before.
        let isSeen = try resource(id, for: uploader) != nil
        try write { records in
            if isSeen { throw LibraryError.nameTaken(try id.folderName) }
            guard try id.rawValue > records.lastAsset().rawValue, try records.asset(id) == nil else {
                throw LibraryError.notPermitted("The number \(id) has been an asset's; a number is given once.")
            }
            guard id.rawValue <= Self.highestResource else {
                throw LibraryError.invalid("The number \(id) is too high; up to \(Self.highestResource) there may be.")
            }
            let now = Timestamp.now
            let mode = 0o040000 | mode & 0o777
            let folder = try records.insert(NodeRecord(mode: mode, uid: uploader.uid, gid: uploader.gid, now: now))
            _ = try records.insertAsset(id, uid: uploader.uid, name: id.folderName, like: folder, at: now)
            try records.insertEntry(id.folderName, in: .unfiled, node: folder.id)
            try records.touchFolder(.unfiled, subfolders: 1, at: now)
        }
    }

    /// Deletes an asset that has no file.
    public func removeResource(_ id: AssetID) throws(LibraryError) {
        try write { records in
            guard try records.asset(id) != nil else { throw LibraryError.notFound }
            guard try !records.isShown(id) else { throw LibraryError.folderNotEmpty(try id.folderName) }
            for root in [NodeID.alternatives, .unfiled] {
                guard let folder = try records.node(named: id.folderName, in: root) else { continue }
                if try records.hasEntries(folder.id) { throw LibraryError.folderNotEmpty(try id.folderName) }
            }
            guard try records.trashed(id) == nil else {
                throw LibraryError.notPermitted(
                    "The file of asset \(id) is in the trash: take it back, or remove it there."
                )
            }
            try records.deleteWithItsOwn(id, rulebook)
        }
        rulebook.forget()
    }

    /// Returns the asset without a file to which a final name in its own folder would give the first file.
    func withoutFile(_ name: EntryName, in parent: NodeID, _ records: Records) throws -> AssetID? {
        let rules = try rulebook.of(parent, records)
        guard rules.root == .unfiled, parent != .unfiled, rules.nameClass(of: name) == .final,
            let entry = try records.anyEntry(of: parent), let number = Int64(entry.name.description)
        else { return nil }
        let id = AssetID(rawValue: number)
        guard try records.asset(id) != nil, try !records.isShown(id) else { return nil }
        return id
    }

    /// Returns the folder of an asset's alternative files; with `makes`, creates it if there is none.
    public func alternatives(of id: AssetID, makes: Bool) throws(LibraryError) -> NodeID? {
        let present = try read { try $0.node(named: id.folderName, in: .alternatives)?.id }
        if present != nil || !makes { return present }
        return try write { records in
            if let present = try records.node(named: id.folderName, in: .alternatives) { return present.id }
            guard try records.asset(id) != nil else { throw LibraryError.notFound }
            let now = Timestamp.now
            let folder = try records.insert(NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: now))
            try records.insertEntry(id.folderName, in: .alternatives, node: folder.id)
            try records.touchFolder(.alternatives, subfolders: 1, at: now)
            return folder.id
        }
    }

    /// Whether a name in a folder is final: a file written under it is an upload.
    public func isFinal(_ name: EntryName, in folder: NodeID) throws(LibraryError) -> Bool {
        try read { try rulebook.place(name, in: folder, $0).isFinal }
    }

    // MARK: Replacing

    /// Creates a file that replaces an asset's own file when it is complete, under any name.
    ///
    /// The operation is ResourceSpace's `upload_multipart`. The file has no name until its commit, and is
    /// removed if nothing is written to it.
    public func makeReplacement(
        _ name: EntryName,
        for resource: Resource,
        mode: UInt32,
        umask: UInt32,
        by uploader: Uploader
    ) throws(LibraryError) -> (NodeRecord, OpenNode) {
        guard let own = resource.name, let former = resource.node else { throw .notFound }
        try refuseFixed(former.id)
        try refuseName(own, in: resource.folder.id, by: uploader.uid)
        try space.take(4096)
        let made = try write { records in
            var node = NodeRecord(
                mode: 0o100000 | mode & 0o7777 & ~(umask & 0o777),
                uid: uploader.uid,
                gid: resource.folder.mode & 0o2000 != 0 ? resource.folder.gid : uploader.gid,
                now: .now
            )
            node.links = 0
            return try records.insert(node)
        }
        formerOwners.note(uploader.uid, of: made.id)
        let node = retain(made.id)
        node.original.store(former.id.rawValue, ordering: .relaxed)
        do throws(LibraryError) {
            try node.upload.withLock { upload throws(LibraryError) in
                node.shown.withLock { $0.isLoaded = true }
                let aim = OpenNode.Aim(
                    parent: resource.folder.id,
                    name: own,
                    replacing: (resource.asset.id, name),
                    isByNumber: true
                )
                // Looks up the groups that decide while the process exists; the commit asks for them again.
                _ = try read { records in
                    try replacementRefusal(aim, at: rulebook.place(own, in: aim.parent, records), by: uploader, records)
                }
                upload.aim = aim
                upload.addWriter(uploader)
                try setLimit(&upload, of: made.id)
            }
        } catch {
            close(node, wasWriting: true)
            throw error
        }
        return (made, node)
    }

    /// Gives a file without a name the name of the file that it replaces.
    ///
    /// - Returns: the version that it is published as, and the file that lost the name.
    func replace(
        at place: Place,
        with node: NodeRecord,
        _ uploaded: EntryName,
        by uploader: Uploader,
        _ infection: String?,
        _ records: Records
    ) throws -> (version: VersionID?, former: NodeRecord?) {
        // `destination` has found the name through the file, so it exists.
        guard let target = try records.node(named: place.name, in: place.parent) else { return (nil, nil) }
        let now = Timestamp.now
        try records.updateEntry(place.name, in: place.parent, node: node.id)
        KillPoint.nameReplaced.reach()
        try records.addLinks(1, to: node.id, at: now)
        try records.touchFolder(place.parent, at: now)
        let former = try records.dropLink(of: target, at: now)
        guard var node = try records.node(node.id) else { return (nil, former) }
        var arrival = Arrival(
            place: place,
            uploader: uploader,
            isUnderWay: false,
            savingBegan: vacancies.savingBegan,
            infection: infection
        )
        arrival.requested = uploaded == place.name ? nil : uploaded
        arrival.isReplacement = true
        // The former file's owner decides on access level and expiry; settings of the new file's creator are
        // dropped.
        try records.takeOwnersWord(of: &node, kernelAttributes)
        (node.mode, node.uid, node.gid) = (former.mode, former.uid, former.gid)
        if uploader.uid != former.uid { node.mode &= ~0o6000 }
        try records.updateAttributes(of: node)
        for name in try records.extendedAttributeNames(of: former.id)
        where !name.elementsEqual(KernelAttributes.capability.utf8) {
            guard let (value, uid) = try records.sharedAttribute(name, of: former.id) else { continue }
            try records.setExtendedAttribute(name, of: node.id, to: value, by: uid)
            kernelAttributes.add(String(decoding: name, as: UTF8.self), node.id)
        }
        let rights = try rulebook.rights(of: former, records)
        let heritage = former.asset.map {
            Heritage(asset: $0, former: former, owner: former.uid, rights: rights)
        }
        let version = try records.arrive(node, arrival, heritage, rulebook)
        let left = try records.node(former.id)
        if let left { try rulebook.trashIfLost(left, as: place.name, in: place.parent, records) }
        return (version, left)
    }

    // MARK: Former versions

    /// Returns the next former versions of an asset after a number that the user could read while they were
    /// current.
    public func formerVersions(
        of id: AssetID,
        after number: Int64,
        for reader: Uploader
    ) throws(LibraryError) -> [VersionRecord] {
        var last = number
        while true {
            let page = try read { try $0.formerVersions(of: id, after: last, limit: Self.longReadPage) }
            let readable = try named(page.filter { reader.couldRead($0) }, of: id, for: reader)
            guard readable.isEmpty, page.count == Self.longReadPage, let end = page.last else { return readable }
            last = end.number
        }
    }

    /// Returns a former version by its number; nil where there is none, or the user could not read it while
    /// it was current.
    public func formerVersion(
        _ number: Int64,
        of id: AssetID,
        for reader: Uploader
    ) throws(LibraryError) -> VersionRecord? {
        let found = try read { try $0.formerVersions(of: id, after: number - 1, limit: 1) }.filter {
            $0.number == number && reader.couldRead($0)
        }
        return try named(found, of: id, for: reader).first
    }

    /// Returns versions with names that the user may know: those in a closed folder only if the user could
    /// pass.
    private func named(
        _ versions: [VersionRecord],
        of id: AssetID,
        for reader: Uploader
    ) throws(LibraryError) -> [VersionRecord] {
        guard !versions.allSatisfy(reader.knewName) else { return versions }
        let shown = try read { records in
            try records.nodes(showing: id).first.flatMap { try shownEntry(of: $0, for: reader, records) }
        }
        return versions.map { version in
            var version = version
            if !reader.knewName(of: version) { version.name = shown?.name.bytes ?? [] }
            return version
        }
    }

    /// Returns a former version and its asset; nil where there is none, or the user could not read it while
    /// it was current.
    public func formerVersion(
        _ id: VersionID,
        for reader: Uploader
    ) throws(LibraryError) -> (asset: AssetID, version: VersionRecord)? {
        try read { try $0.formerVersion(id) }.flatMap { reader.couldRead($0.version) ? $0 : nil }
    }

    /// Returns a pin that keeps the blob of a former version until it is released.
    public func use(_ version: VersionRecord?) -> BlobPin? { version?.digest.map { BlobPin(of: $0, blobPins) } }

    /// Returns a part of a former version's bytes.
    public func read(
        _ version: VersionRecord,
        at offset: Int64,
        count: Int
    ) throws(LibraryError) -> [UInt8] {
        guard let digest = version.digest else { return [] }
        return try read(digest, size: version.size, at: offset, count: count)
    }
}
