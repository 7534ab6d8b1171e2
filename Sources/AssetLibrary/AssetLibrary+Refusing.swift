internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Synchronization

// Uploads that a policy refuses.
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
        let (uid, isBorn, hasName) = (upload.uploader.uid, upload.isBorn, upload.aim == nil)
        let isForgotten = upload.isRecorded && !upload.isBound
        let lost = try catalog.write { records -> [(place: Place, node: NodeRecord)] in
            try note(refusal, at: place, by: uid, content, records)
            // Its bytes are not to be published after a crash.
            if isForgotten { try records.deleteStaged(node.id) }
            guard isBorn, hasName else { return [] }
            let places = try records.entriesNaming(node.id).map { try rulebook.place($0.name, in: $0.parent, records) }
            return try places.compactMap { place in
                guard let record = try records.node(node.id) else { return nil }
                let left = try records.removeName(place.name, in: place.parent, of: record, at: .now)
                // An asset that had the name before, and what of this upload was one already, can come back.
                try rulebook.trashIfLost(left, as: place.name, in: place.parent, records)
                return (place, left)
            }
        }
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

    /// A file shows again what it showed before the upload, with the attributes that it had.
    private func giveBack(_ upload: inout OpenNode.Upload, of node: OpenNode) throws {
        let (before, isBound, isRecorded, name) = (
            upload.before, upload.isBound, upload.isRecorded, upload.staged?.name
        )
        let state = interrupted(upload, of: node)
        let found = try catalog.write { records -> (NodeRecord, Digest?)? in
            guard var record = try records.node(node.id) else { return nil }
            // Its bytes are not to be published after a crash.
            try records.deleteStaged(node.id)
            // A mapping may write on.
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
            // The kernel reads this file itself, so the bytes come back into it.
            guard let staged = upload.staged else { return }
            try staged.truncate(to: 0)
            if let digest {
                try staged.copy(of: try blobs.open(digest, size: record.size), from: 0, to: 0, count: record.size)
            }
            try staged.file.setModified(record.modified)
            (upload.unmappedSince, upload.mappedAt, upload.candidate) = (record.modified, nil, nil)
            node.shown.withLock { ($0.size, $0.modified, $0.digest) = (record.size, nil, digest) }
            return
        }
        // Where others write to the file too, nobody could say whose the bytes are.
        if let staged = upload.staged, upload.writers == 1 { upload.refused = (staged, node.content.size) }
        upload.staged = nil
        if let digest {
            try showBlob(digest, size: record.size, in: node)
        } else {
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true) }
        }
        noteVerdict()
    }

    /// Notes that another user than the one who writes has said who may do what with a file: a refusal of the upload leaves that.
    func noteRights(of id: NodeID, setBy uid: UInt32?) {
        guard let uid, let node = openNode(id), node.writer.load(ordering: .relaxed) != uid else { return }
        node.isChangedByOther.store(true, ordering: .relaxed)
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
        let place = try read { try rulebook.place(name, in: parent, $0) }
        guard place.isFinal, let refusal = nameRefusal(at: place) else { return }
        try write { try note(refusal, at: place, by: uid, nil, $0) }
        throw .refused(refusal)
    }

    // MARK: Limits

    /// How large a file in a folder may become by this upload; looked up when it begins.
    func setLimit(_ upload: inout OpenNode.Upload, of id: NodeID) throws(LibraryError) {
        if rulebook.isPlain { return }
        let (aim, present, uploader) = (upload.aim, upload.version, upload.uploader)
        upload.limit = try read { records in
            guard let rules = try destination(of: id, aim, records)?.rules else { return nil }
            let own = try records.node(id).map { try growthBase(of: $0, aim, rules, present, records) } ?? 0
            var limit = rules.policy.maxSize.map { ($0.bytes, Refusal.tooLarge($0)) }
            for quota in usage.isTracking ? try rulebook.quotas(of: rules, records) : [] {
                let held = try usage.of(quota.folder, records, rulebook)
                let (free, overflow) = quota.limit.bytes.subtractingReportingOverflow(held.staying - own)
                let left = overflow ? .max : max(own, free)
                guard left < limit?.0 ?? .max else { continue }
                limit = (left, try quotaRefusal(quota, held, for: uploader, records))
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
        // A crash must not make the upload smaller than the writer wanted it.
        commitSoon()
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

    /// Whether a verdict may come after the close: not where a policy may refuse it, or the rename that ends an upload under a temporary
    /// name, which may not wait.
    func mayAnswerFirst(_ id: NodeID, _ upload: borrowing OpenNode.Upload) throws(LibraryError) -> Bool {
        // What has no name yet would be lost with its last descriptor.
        if upload.aim != nil { return false }
        if rulebook.isPlain { return true }
        return try read {
            let place = try destination(of: id, nil, $0) ?? temporaryPlace(of: id, $0)
            return place?.rules.policy.mayRefuseOrRename != true
        }
    }
}

extension NodeRecord {
    /// Gives a file the owner, group and mode that it had before a refused upload, which may have set others as cp -p does.
    ///
    /// Of a file that has its owner still nothing is opened that is closed now.
    fileprivate mutating func giveBackRights(of before: NodeRecord) {
        let hasOwner = (uid, gid) == (before.uid, before.gid)
        mode = hasOwner ? before.mode & (mode | ~0o777) : before.mode
        (uid, gid) = (before.uid, before.gid)
    }
}
