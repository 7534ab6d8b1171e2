internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// Uploads that a policy refuses.
extension AssetLibrary {
    /// Refuses an upload: removes the name that it created, or restores the file's former content, and
    /// records a receipt.
    ///
    /// The bytes stay until the last close: a program may write on, and the next commit may succeed.
    /// - Throws: the refusal, always.
    func refuse(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        _ content: Content?,
        at place: Place,
        _ refusal: UploadRejection
    ) throws -> Never {
        let (uid, isBorn, hasName) = (upload.uploader.uid, upload.isBorn, upload.aim == nil)
        let isForgotten = upload.isRecorded && !upload.isBound
        let lost = try catalog.write { records -> [(place: Place, node: NodeRecord)] in
            try records.append(refusal, at: place, by: uid, content)
            // Recovery must not publish the bytes after a crash.
            if isForgotten { try records.deleteStaged(node.id) }
            guard isBorn, hasName else { return [] }
            let places = try records.entriesNaming(node.id).map { try rulebook.place($0.name, in: $0.parent, records) }
            return try places.compactMap { place in
                guard let record = try records.node(node.id) else { return nil }
                let left = try records.removeName(place.name, in: place.parent, of: record, at: .now)
                // The user can restore from the trash an asset that had the name before, or an earlier part
                // of this upload that was an asset already.
                try rulebook.trashIfLost(left, as: place.name, in: place.parent, records)
                return (place, left)
            }
        }
        noteReceipt(of: refusal, at: place, by: uid)
        diagnosis.note(nil, "node \(node.id): refused: \(refusal.sentence)")
        if isForgotten { upload.isRecorded = false }
        upload.refusal = refusal
        upload.isDirty = false
        upload.isOnlyTruncated = false
        if isBorn, hasName {
            upload.aim = OpenNode.Aim(parent: place.parent, name: place.name)
            for (place, left) in lost { tell(.vanished(place.name, in: place.parent, node: left)) }
        } else if hasName {
            try giveBack(&upload, of: node)
        }
        throw LibraryError.refused(refusal)
    }

    /// Restores the content and attributes that a file had before the upload.
    private func giveBack(_ upload: inout OpenNode.Upload, of node: OpenNode) throws {
        let (before, isBound, isRecorded, name) = (
            upload.before, upload.isBound, upload.isRecorded, upload.staged?.name
        )
        let state = interrupted(upload, of: node)
        let found = try catalog.write { records -> (NodeRecord, Digest?)? in
            guard var record = try records.node(node.id) else { return nil }
            // Recovery must not publish the bytes after a crash.
            try records.deleteStaged(node.id)
            // A mapping may still write to the file.
            if isBound, isRecorded, let name { try records.recordStaged(node.id, file: name, modified: nil, state) }
            if let before {
                if !node.isChangedByOther.load(ordering: .relaxed) { record.giveBackRights(of: before) }
                (record.modified, record.accessed) = (before.modified, before.accessed)
                try records.updateAttributes(of: record)
            }
            return (record, try record.blob.flatMap { try records.digest(of: $0) })
        }
        guard let (record, digest) = found else { return }
        if !isBound { upload.isRecorded = false }
        upload.digest.disturb()
        guard !upload.isBound else {
            // The kernel reads this file itself, so the former bytes are copied back into it.
            guard let staged = upload.staged else { return }
            try staged.truncate(to: 0)
            if let digest {
                try contents.withBlob(digest, size: record.size) { blob throws(BlobStoreError) in
                    try staged.copy(of: blob, from: 0, to: 0, count: record.size)
                }
            }
            try staged.file.setModified(record.modified)
            (upload.unmappedSince, upload.mappedAt, upload.candidate) = (record.modified, nil, nil)
            node.shown.withLock { ($0.size, $0.modified, $0.blob) = (record.size, nil, contents.show(digest)) }
            return
        }
        // With several writers the bytes cannot be attributed to one of them, so they are not kept.
        if let staged = upload.staged, upload.writers == 1 { upload.refused = (staged, node.content.size) }
        upload.staged = nil
        if let digest {
            try showBlob(digest, size: record.size, in: node)
        } else {
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true) }
        }
        noteVerdict()
    }

    /// Notes that a user other than the writer has changed a file's permissions or owner: a refusal of the
    /// upload does not undo that.
    func noteRights(of id: NodeID, setBy uid: UInt32?) {
        guard let uid, let node = openNode(id), node.writer.load(ordering: .relaxed) != uid else { return }
        node.isChangedByOther.store(true, ordering: .relaxed)
    }

    /// Continues a refused upload through a descriptor that is still open, with the bytes written before.
    func takeUpRefused(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard let (staged, size) = upload.refused else { return }
        upload.refused = nil
        upload.staged = staged
        upload.digest.disturb()
        node.shown.withLock { ($0.file, $0.size, $0.isShared) = (staged.file, size, false) }
    }

    /// Refuses a name at once, before any byte is written.
    func refuseName(_ name: EntryName, in parent: NodeID, by uid: UInt32) throws(LibraryError) {
        if rulebook.isPlain { return }
        let place = try read { try rulebook.place(name, in: parent, $0) }
        guard place.isFinal, let refusal = nameRefusal(at: place) else { return }
        try note(refusal, at: place, by: uid, nil)
        throw .refused(refusal)
    }

    // MARK: Limits

    /// Sets how large a file may become by this upload; computed when the upload begins.
    func setLimit(_ upload: inout OpenNode.Upload, of id: NodeID) throws(LibraryError) {
        if rulebook.isPlain { return }
        let (aim, present, uploader) = (upload.aim, upload.version, upload.uploader)
        upload.limit = try read { records in
            guard let node = try records.node(id) else { return nil }
            let place = try destination(of: id, aim, records)
            let own = try place.map { try growthBase(of: node, aim, $0.rules, present, records) } ?? 0
            var limit = place?.rules.policy.maxSize.map { ($0.bytes, UploadRejection.tooLarge($0)) }
            // By quota, the number of names under which the new bytes count, and the bytes that they replace.
            var counted = try countedNames(of: node, aim, besides: place, records).map {
                (quota: $0.quota, names: Int64($0.count), replaced: Int64($0.count) * node.size)
            }
            let quotas = usage.isTracking ? try place.map { try rulebook.quotas(of: $0.rules, records) } : nil
            for quota in quotas ?? [] {
                if let index = counted.firstIndex(where: { $0.quota.folder == quota.folder }) {
                    counted[index].names += 1
                    counted[index].replaced += own
                } else {
                    counted.append((quota, 1, own))
                }
            }
            for (quota, names, replaced) in counted {
                let held = try usage.of(quota.folder, records, rulebook)
                let (free, overflow) = quota.limit.bytes.subtractingReportingOverflow(held.staying - replaced)
                let left = overflow ? .max : max(names == 1 ? replaced : own, free / names)
                guard left < limit?.0 ?? .max else { continue }
                limit = (left, try quotaRefusal(quota, held, for: uploader, records))
            }
            return limit
        }
    }

    /// Refuses a write beyond the limit, and thus the whole upload at its commit, unless the file is made
    /// smaller first.
    func checkLimit(_ size: Int64, from former: Int64, _ upload: inout OpenNode.Upload) throws(LibraryError) {
        guard let limit = upload.limit else { return }
        if size <= limit.size {
            if size < former { upload.exceeded = nil }
            return
        }
        upload.exceeded = limit.refusal
        // Recorded soon: the recovery after a crash must not publish the upload without these bytes.
        commitSoon()
        throw .refused(limit.refusal)
    }

    /// Refuses an upload that tried to write more than the file may have.
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

    /// Whether the commit may come after the answer to close.
    ///
    /// It may not where a policy may refuse the upload, or may refuse the rename that ends an upload under a
    /// temporary name, since a rename cannot wait.
    func mayAnswerFirst(_ id: NodeID, _ upload: borrowing OpenNode.Upload) throws(LibraryError) -> Bool {
        // A file that has no name yet would be lost with its last descriptor.
        if upload.aim != nil { return false }
        if rulebook.isPlain { return true }
        return try read {
            let place = try destination(of: id, nil, $0) ?? temporaryPlace(of: id, $0)
            return place?.rules.policy.mayRefuseOrRename != true
        }
    }
}

extension NodeRecord {
    /// Restores the owner, group and mode from before a refused upload, which may have set others as cp -p
    /// does.
    ///
    /// A file that still has its owner gains no permission bits that it lacks now.
    fileprivate mutating func giveBackRights(of before: NodeRecord) {
        let hasOwner = (uid, gid) == (before.uid, before.gid)
        mode = hasOwner ? before.mode & (mode | ~0o777) : before.mode
        (uid, gid) = (before.uid, before.gid)
    }
}
