public import AssetModel
internal import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization

// Uploads that a policy refuses, and those that must not touch the file whose name they aim at.
extension AssetLibrary {
    /// A refused upload: a name that came to be with it is gone, a file that was there has its former content, and there is a receipt.
    ///
    /// The bytes stay until the last descriptor is closed: a program may write on, and the next verdict may be another.
    /// - Throws: the refusal, always.
    func refuse(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        _ content: Content?,
        at place: Place,
        _ refusal: Refusal
    ) throws -> Never {
        let (uid, isNew, hasName) = (upload.uploader.uid, upload.isNew, upload.aim == nil)
        let removed = try catalog.write { records -> NodeRecord? in
            try records.append(refusal, at: place, by: uid, content)
            guard isNew, hasName, let record = try records.node(node.id),
                try records.node(named: place.name, in: place.parent)?.id == node.id
            else { return nil }
            let now = Timestamp.now
            try records.deleteEntry(place.name, in: place.parent)
            try records.touchFolder(place.parent, at: now)
            let left = try records.dropLink(of: record, at: now)
            // What an asset that waits for its next version was called is known, so that it can come back.
            try records.trashIfLost(left, as: place.name, in: place.parent, at: now)
            usage.add(-record.size, to: place.rules)
            return left
        }
        log.notice("Refused \(place.rules.path(of: place.name)): \(refusal.sentence)")
        upload.refusal = refusal
        upload.isDirty = false
        upload.isOnlyTruncated = false
        if removed != nil {
            upload.aim = OpenNode.Aim(parent: place.parent, name: place.name)
            tellOfName(place.name, in: place.parent)
        } else if hasName {
            try giveBack(&upload, of: node)
        }
        throw LibraryError.refused(refusal)
    }

    /// A file shows again what it showed before the upload.
    private func giveBack(_ upload: inout OpenNode.Upload, of node: OpenNode) throws {
        let (record, digest) = try read { records in
            let record = try records.node(node.id)
            let digest = try record?.blob.flatMap { try records.digest(of: $0) }
            // Its bytes are not to be published after a crash.
            if record?.asset != nil { return (record, digest) }
            return (record, digest)
        }
        guard let record else { return }
        try catalog.write { try $0.deleteStaged(node.id) }
        upload.isRecorded = false
        upload.digest.disturb()
        guard !upload.isBound else {
            // The kernel reads this file itself, so the bytes come back into it.
            guard let staged = upload.staged else { return }
            try staged.truncate(to: 0)
            if let digest {
                try staged.copy(of: try blobs.open(digest, size: record.size), from: 0, to: 0, count: record.size)
            }
            node.shown.withLock { ($0.size, $0.modified, $0.digest) = (record.size, nil, digest) }
            return
        }
        if let staged = upload.staged { upload.refused = (staged, node.content.size) }
        upload.staged = nil
        if let digest {
            try showBlob(digest, size: record.size, in: node)
        } else {
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true) }
        }
        noteVerdict()
    }

    /// A descriptor that was open when its upload was refused writes on, from what it had written.
    func takeUpRefused(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard let (staged, size) = upload.refused else { return }
        upload.refused = nil
        upload.staged = staged
        upload.digest.disturb()
        node.shown.withLock { ($0.file, $0.size, $0.isShared) = (staged.file, size, false) }
    }

    /// Refuses a name at once, before there is any content.
    func refuseName(_ name: EntryName, in parent: NodeID, by uid: UInt32) throws(LibraryError) {
        if rulebook.isPlain { return }
        let refused = try write { records -> Refusal? in
            let place = try rulebook.place(name, in: parent, records)
            guard place.rules.nameClass(of: name) == .final, let refusal = nameRefusal(at: place) else { return nil }
            try records.append(refusal, at: place, by: uid, nil)
            log.notice("Refused \(place.rules.path(of: name)): \(refusal.sentence)")
            return refusal
        }
        if let refused { throw .refused(refused) }
    }

    // MARK: Names that stay another's

    /// Whether what is written to a file is to be another file.
    ///
    /// Where that cannot be told it is taken to be so.
    public func divertsWriters(of id: NodeID) -> Bool {
        if rulebook.isPlain { return false }
        let place = try? read { records in try records.node(id).flatMap { try placeToPublish($0, records) } }
        return place.map { !$0.rules.policy.overwrites } ?? true
    }

    /// Begins an upload beside a file whose name is not to be replaced: with the file's content, and without a name until its verdict.
    /// - Returns: nil where the file may be written to: it is empty, an upload to it goes on, or its folder lets names be replaced.
    func divert(_ id: NodeID, by uploader: Uploader) throws(LibraryError) -> OpenNode? {
        if rulebook.isPlain { return nil }
        let found = try read { records -> (NodeRecord, Place, Digest)? in
            guard let record = try records.node(id), record.isFile, record.links > 0, record.size > 0,
                record.asset != nil, let digest = try record.blob.flatMap({ try records.digest(of: $0) }),
                let place = try placeToPublish(record, records), !place.rules.policy.overwrites,
                place.rules.nameClass(of: place.name) == .final
            else { return nil }
            return (record, place, digest)
        }
        guard let (record, place, digest) = found else { return nil }
        if let open = openNode(id), open.upload.withLock({ $0.writers > 0 }) { return nil }
        let made = try write { records in
            var node = NodeRecord(mode: record.mode, uid: uploader.uid, gid: uploader.gid, now: .now)
            node.links = 0
            return try records.insert(node)
        }
        let node = retain(made.id)
        do throws(BlobStoreError) {
            try showBlob(digest, size: record.size, in: node)
        } catch {
            release(node)
            throw LibraryError(error)
        }
        node.upload.withLock { upload in
            upload.writers = 1
            upload.uploader = uploader
            upload.aim = OpenNode.Aim(parent: place.parent, name: place.name)
        }
        return node
    }

    /// The end of an upload that has no name: nobody can find its file any more.
    func dropNameless(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        upload.refused = nil
        guard upload.aim != nil else { return }
        node.isUnlinked.store(true, ordering: .relaxed)
        upload.staged = nil
        upload.isDirty = false
    }

    // MARK: Limits

    /// How large a file in a folder may become by this upload; looked up when it begins.
    func setLimit(_ upload: inout OpenNode.Upload, of id: NodeID) throws(LibraryError) {
        if rulebook.isPlain { return }
        let aim = upload.aim
        upload.limit = try read { records in
            let place: Place?
            if let aim {
                place = try rulebook.place(aim.name, in: aim.parent, records)
            } else {
                place = try records.node(id).flatMap { try placeToPublish($0, records) }
            }
            guard let rules = place?.rules else { return nil }
            let own = try aim == nil ? records.node(id)?.size ?? 0 : 0
            var limit = rules.policy.maxSize.map { ($0.bytes, Refusal.tooLarge($0)) }
            for quota in rules.quotas {
                let left = max(own, quota.limit.bytes - (try usage.of(quota.folder, records)) + own)
                guard left < limit?.0 ?? .max else { continue }
                limit = (left, .quota(quota.limit, of: try rulebook.of(quota.folder, records).path))
            }
            return limit
        }
    }

    /// Refuses the first byte too many; the upload is then refused at its end, unless the file is made smaller before.
    func checkLimit(_ size: Int64, from former: Int64, _ upload: inout OpenNode.Upload) throws(LibraryError) {
        guard let limit = upload.limit else { return }
        if size <= limit.size {
            if size < former { upload.exceeded = nil }
            return
        }
        upload.exceeded = limit.refusal
        throw .refused(limit.refusal)
    }

    /// Refuses an upload that wanted more than the file may have.
    func refuseExceeding(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        guard let refusal = upload.exceeded else { return }
        upload.exceeded = nil
        do {
            guard let place = try read({ try destination(of: node.id, upload.aim, $0) }) else { return }
            try refuse(&upload, of: node, Content(digest: nil, size: node.content.size), at: place, refusal)
        } catch {
            throw LibraryError(error)
        }
    }

    /// Whether a verdict may come after the close: not where a policy may refuse it.
    func mayAnswerFirst(_ id: NodeID, _ upload: borrowing OpenNode.Upload) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return true }
        let aim = upload.aim
        return try read { try destination(of: id, aim, $0)?.rules.policy.mayRefuseOrRename != true }
    }
}
