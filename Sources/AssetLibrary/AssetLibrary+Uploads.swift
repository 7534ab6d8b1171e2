public import AssetModel
internal import BlobStore
internal import Logging
public import Catalog
internal import Synchronization
internal import SystemPackage

// Opening, writing and ending uploads. The kernel's events map to these as docs/ARCHITECTURE.md shows.
extension AssetLibrary {
    /// Makes a file and opens it for writing.
    ///
    /// `isReplacement` says that it is made in `resources/ID/`, so that the content before it is kept; `requested` is the name that it
    /// was made under there, where that is another.
    public func makeFile(
        _ name: EntryName,
        in parent: NodeID,
        mode: UInt32,
        umask: UInt32 = 0,
        isReplacement: Bool = false,
        requested: EntryName? = nil,
        by uploader: Uploader
    ) throws(LibraryError) -> (NodeRecord, OpenNode) {
        try refuseName(name, in: parent, by: uploader.uid)
        let file = NodeRecord(mode: 0o100000 | mode & 0o7777, uid: uploader.uid, gid: uploader.gid, now: .now)
        let record = try make(name, in: parent, file, umask: umask, by: uploader)
        let node = retain(record.id)
        do throws(LibraryError) {
            try node.upload.withLock { upload throws(LibraryError) in
                node.shown.withLock { $0.isLoaded = true }
                upload.isNew = true
                upload.isBorn = true
                (upload.isReplacement, upload.requested) = (isReplacement, requested)
                upload.addWriter(uploader)
                node.writer.store(uploader.uid, ordering: .relaxed)
                try setLimit(&upload, of: record.id)
            }
        } catch {
            close(node, wasWriting: true)
            throw error
        }
        return (record, node)
    }

    /// Opens a file.
    ///
    /// Every `open` needs one `close`. Whoever opens for writing sees to it that the file's name lets it be replaced: `keptNames`.
    /// `isTruncating` says that nothing of its bytes is wanted, so that a damaged content can be replaced; `isReplacement` that the
    /// file was found in `resources/ID/`, so that its former content is kept; `insists`, that its name
    /// has been looked up again in vain, so that a file which has lost it is opened for writing all the same, and `false`, that it can be;
    /// `mayMap`, that the content may stop standing without a request.
    public func open(
        _ id: NodeID,
        forWriting: Bool,
        isTruncating: Bool = false,
        isReplacement: Bool = false,
        insists: Bool? = nil,
        mayMap: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> OpenNode {
        let node = retain(id)
        if forWriting { unbindForWriting(node) }
        do throws(LibraryError) {
            try node.upload.withLock { upload throws(LibraryError) in
                try load(node, &upload, isTruncating: isTruncating)
                try refuseDamaged(node, upload, isTruncating: isTruncating)
                guard forWriting else { return }
                try admitNameless(node, upload, insists: insists)
                try setLimit(&upload, of: id)
                let isFirst = upload.writers == 0 && !upload.isDirty
                // A file that another user writes to as well is not the first writer's to be removed by a refusal.
                if isFirst || upload.isBorn && uploader.uid != upload.uploader.uid {
                    (upload.isBorn, upload.isReplacement) = (false, isFirst ? false : upload.isReplacement)
                    upload.before = rulebook.isPlain ? nil : try read { try $0.node(id) }
                    node.isChangedByOther.store(false, ordering: .relaxed)
                }
                upload.addWriter(uploader)
                node.writer.store(uploader.uid, ordering: .relaxed)
                if isReplacement { upload.isReplacement = true }
                if upload.isDirty || mayMap { try noteStanding(&upload, of: node) }
                // Another program begins anew, while one that has uploaded something still has it open.
                if isTruncating, !upload.isDirty { upload.version = nil }
            }
        } catch {
            release(node)
            throw error
        }
        return node
    }

    /// Reads what the file is.
    ///
    /// It is in `openNodes` already, so that nobody can change it past us.
    private func load(
        _ node: OpenNode,
        _ upload: inout OpenNode.Upload,
        isTruncating: Bool
    ) throws(LibraryError) {
        guard !node.shown.withLock({ $0.isLoaded }) else { return }
        let (record, digest) = try read { records in
            guard let record = try records.node(node.id) else { throw LibraryError.notFound }
            return (record, try record.blob.flatMap { try records.digest(of: $0) })
        }
        guard record.isFile else { throw record.isFolder ? .isAFolder : .invalid("It is not a file.") }
        upload.isNew = record.asset == nil && record.blob == nil
        let accessed = accessTimes.time(of: node.id) ?? record.accessed
        node.access.withLock { $0 = (accessed, max(record.modified, record.changed)) }
        if record.links == 0 { node.isUnlinked.store(true, ordering: .relaxed) }
        guard let digest else {
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true, file: nil, size: record.size) }
            return
        }
        do throws(BlobStoreError) {
            do throws(BlobStoreError) {
                try showBlob(digest, size: record.size, in: node)
            } catch {
                // What has no name would be lost with the last descriptor.
                guard isTruncating, record.links > 0 else { throw error }
                let staged = try blobs.stage()
                upload.staged = staged
                (upload.isDirty, upload.isOnlyTruncated) = (true, true)
                node.shown.withLock {
                    $0 = OpenNode.Shown(isLoaded: true, file: staged.file, size: 0)
                    $0.modified = .now
                    $0.written = .now
                }
            }
        } catch {
            throw LibraryError(error)
        }
    }

    /// Of a file that others have open, too, it may have been found out meanwhile that its content is damaged.
    private func refuseDamaged(
        _ node: OpenNode,
        _ upload: borrowing OpenNode.Upload,
        isTruncating: Bool
    ) throws(LibraryError) {
        let (file, digest) = node.shown.withLock { ($0.file, $0.digest) }
        guard upload.staged == nil, let file, let digest else { return }
        let isStale = upload.isBound && blobs.wasHealed(digest) && !blobs.isPrimary(file, of: digest)
        if !isTruncating, blobs.isMarked(digest) || isStale { throw .blobs(.corrupt(digest)) }
        readHealed(node, upload)
    }

    /// A file whose content was damaged when it was opened, and has been healed, is read by the blob's name from here on.
    func readHealed(_ node: OpenNode, _ upload: borrowing OpenNode.Upload) {
        guard upload.staged == nil, !upload.isBound, let digest = node.shown.withLock({ $0.digest }),
            blobs.wasHealed(digest)
        else { return }
        node.shown.withLock { $0.isShared = true }
    }

    /// Whether a file's content had other bytes a while ago, which the kernel may still have.
    public func wasHealed(_ node: OpenNode) -> Bool {
        node.shown.withLock { $0.digest }.map(blobs.wasHealed) ?? false
    }

    /// Makes an open node show a blob.
    func showBlob(_ digest: Digest, size: Int64, in node: OpenNode) throws(BlobStoreError) {
        func show(_ file: OpenFile) {
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true, file: file, size: size, digest: digest) }
        }
        // No blob's name goes to another file between the opening and the look at `boundBlobs`.
        let isOwn = try sharedBlobs.withLock { _ throws(BlobStoreError) in
            guard let file = try blobs.openOwn(digest, size: size) else { return false }
            show(file)
            // After `shown`, so that whoever binds the blob finds us there if we do not find it here.
            if boundBlobs.withLock({ $0.contains(digest) }) { node.shown.withLock { $0.isShared = true } }
            return true
        }
        if isOwn { return }
        // What is elsewhere is bound to nobody.
        if let file = try blobs.openElsewhere(digest, size: size) { return show(file) }
        show(try blobs.open(digest, size: size))
        node.shown.withLock { $0.isShared = true }
    }

    func retain(_ id: NodeID) -> OpenNode {
        openNodes.withLock { nodes in
            let node = nodes[id]?.node ?? OpenNode(id: id)
            nodes[id] = (node, (nodes[id]?.handles ?? 0) + 1)
            return node
        }
    }

    func release(_ node: OpenNode) {
        let (isLast, isKept) = openNodes.withLock { nodes -> (Bool, Bool) in
            guard let found = nodes[node.id], found.node === node else { return (false, false) }
            // The last handle goes to the watch over mappings.
            if found.handles == 1, node.isBound.load(ordering: .relaxed) {
                node.isWatched.store(true, ordering: .relaxed)
                return (false, true)
            }
            nodes[node.id] = found.handles > 1 ? (found.node, found.handles - 1) : nil
            return (found.handles == 1, false)
        }
        if isKept { return keepWhileMapped(node) }
        // Its content may be looked into now.
        if isLast { extraction.wake() }
    }

    /// A file's size, blocks on the disk and time of writing while it is open; nil when it is not.
    ///
    /// While nobody has written the blocks are nil, those that the catalog has: the file's may be another upload's.
    public func openState(of id: NodeID) -> (size: Int64, blocks: Int64?, modified: Timestamp?)? {
        guard let node = openNode(id) else { return nil }
        let shown = node.shown.withLock { $0 }
        let (file, size, modified) = (shown.file, shown.size, shown.modified)
        guard shown.isLoaded else { return nil }
        if shown.isMapped, let status = try? file?.status() {
            return (size, status.blocks, status.modified)
        }
        if shown.digest != nil, shown.written == nil || shown.isCopied { return (size, nil, modified) }
        // A file that cannot be asked is shown as one without holes.
        let blocks = file.map { (try? $0.measure().blocks) ?? (size + 511) / 512 } ?? 0
        return (size, blocks, modified)
    }

    /// A descriptor was closed: the verdict on what was written, if anything was.
    public func flush(_ node: OpenNode) throws(LibraryError) {
        try refuseScanAtEnd(of: node)
        try screenAhead(node)
        try node.upload.withLock { upload throws(LibraryError) in
            try noticeMappedChanges(&upload, of: node)
            try refuseExceeding(&upload, of: node)
            guard upload.isDirty, !upload.isOnlyTruncated else {
                // Whichever descriptor is closed last, it hears of it.
                if let refusal = upload.refusal { throw LibraryError.refused(refusal) }
                return
            }
            let size = node.content.size
            if upload.isCostly(size), try mayAnswerFirst(node.id, upload) { return postpone(node) }
            guard upload.bytesToRead(size) > Self.quickBytes else { return try commit(&upload, of: node) }
            // The writer waits for its answer, and this thread serves others meanwhile.
            postpone(node, isAnswered: false)
            throw pending(node.id)
        }
    }

    /// Puts what was written to a file, and all that happened before, on stable storage.
    ///
    /// Not a verdict, but of a small file that has no name yet, which gets it. The kernel holds the file's lock meanwhile.
    public func synchronize(_ node: OpenNode) throws(LibraryError) {
        try node.upload.withLock { upload throws(LibraryError) in
            try noticeMappedChanges(&upload, of: node)
            // With its name it has a place where it is found after a crash.
            if upload.aim != nil, upload.isDirty, upload.bytesToRead(node.content.size) <= Self.quickBytes,
                !isScreened(node.id, upload.aim)
            {
                return try commit(&upload, of: node)
            }
            guard upload.isDirty else { return }
            guard let staged = upload.staged else {
                // A clone is in the catalog already; else a verdict has failed when the bytes were a blob's.
                if !node.shown.withLock({ $0.isCopied }) { try commit(&upload, of: node) }
                return
            }
            staged.keepName()
            let size = node.content.size
            do throws(BlobStoreError) { try staged.synchronize(size: size) } catch { throw LibraryError(error) }
            // Without a name the next mount gives it that.
            try record(&upload, of: node, isLeft: true)
        }
        try commit()
    }

    /// The verdict on whatever is still to come; a new file that nothing was written to is an upload of nothing.
    func finish(_ node: OpenNode) throws(LibraryError) {
        try node.upload.withLock { upload throws(LibraryError) in try finish(&upload, of: node) }
    }

    /// The same; a costly verdict is put off if it `mayWait`.
    func finish(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        mayWait: Bool = false
    ) throws(LibraryError) {
        try noticeMappedChanges(&upload, of: node)
        try refuseExceeding(&upload, of: node)
        if mayWait, upload.isDirty, isScanned(node.id, upload.aim) { return postpone(node, isAnswered: false) }
        if mayWait, upload.isDirty, upload.isCostly(node.content.size) {
            let isAnswered = try mayAnswerFirst(node.id, upload)
            if isAnswered || upload.bytesToRead(node.content.size) > Self.quickBytes {
                return postpone(node, isAnswered: isAnswered)
            }
        }
        let isEmptyFile = upload.isNew && node.content.size == 0 && upload.refusal == nil
        if upload.isDirty || isEmptyFile { try commit(&upload, of: node) }
        if upload.writers == 0 { upload.version = nil }
        if !upload.isBound { forgetStaged(&upload, of: node) }
    }

    /// The open file behind a number, if it is open.
    func openNode(_ id: NodeID) -> OpenNode? { openNodes.withLock { $0[id]?.node } }

    /// Ends one `open` or `makeFile`.
    ///
    /// An error is for the log alone: nobody waits for it.
    public func close(_ node: OpenNode, wasWriting: Bool) {
        guard wasWriting else { return release(node) }
        node.upload.withLock { upload in
            upload.writers -= 1
            if upload.writers == 0 { close(&upload, of: node) }
        }
        release(node)
    }

    /// Ends an upload that has no writer any more.
    func close(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        do throws(LibraryError) {
            try finish(&upload, of: node, mayWait: true)
        } catch .refused {
            // It is in the log, and the file is what it was.
        } catch .notFound where upload.aim != nil {
            noteNoPlace(&upload, of: node)
        } catch {
            // The node stays open, so that its bytes do: a later open sees them, and the verdict is tried again.
            log.error("The upload to node \(node.id) could not be ended and is kept: \(error)")
            postpone(node, because: error)
        }
        // A verdict that waits needs to know.
        if !upload.isDirty {
            (upload.isBorn, upload.isReplacement, upload.before, upload.standing) = (false, false, nil, nil)
        }
        keepNameless(upload, of: node)
        dropNameless(&upload, of: node)
    }

    /// Tells the catalog where the bytes of uploads that go on are, so that a crash does not lose them.
    func recordUnfinishedUploads() {
        for entry in openNodes.withLock({ Array($0.values) }) {
            let node = entry.node
            // What has lost its name survives no crash, and need not be synced for one.
            guard !isLost(node) else { continue }
            let unrecorded = node.upload.withLockIfAvailable { upload in
                upload.isDirty && upload.aim == nil && !isRecorded(upload, of: node) ? upload.staged : nil
            }
            guard let unrecorded else {
                commitSoon()
                continue
            }
            guard let staged = unrecorded else { continue }
            do {
                // Not under the lock: the program goes on writing meanwhile.
                staged.keepName()
                try staged.synchronize(size: node.content.size)
                try node.upload.withLock { upload in
                    if upload.staged === staged, upload.isDirty { try record(&upload, of: node) }
                }
            } catch {
                // A disk that is full or fails has its own line in the log, and it is tried again.
                if LibraryError(error).isOfDisk {
                    commitSoon()
                } else {
                    log.error("The upload to node \(node.id) would not survive a crash: \(error)")
                }
            }
        }
    }

    /// Leaves an upload to the next mount whose verdict would hold up the end of this one, or whose file is mapped still.
    /// - Returns: false where the verdict is to come now.
    /// - Throws: why its bytes are lost, if they are.
    func leaveForNextMount(_ node: OpenNode) throws(LibraryError) -> Bool {
        // One that is mapped still may be written to, and is read again by the next mount.
        let isMapped = unbind(node, besides: .max, isClosing: true) == .isReferenced
        let isLeft = node.upload.withLock { upload in
            guard upload.staged != nil, !isLost(node) else { return false }
            let bytes = upload.isDirty ? upload.bytesToRead(node.content.size) : 0
            return isMapped || bytes > closingBudget.subtract(bytes, ordering: .relaxed).oldValue
        }
        guard isLeft else { return false }
        if let lost = keepForNextMount(node) { throw lost }
        log.notice("The upload to node \(node.id) is ended by the next mount.")
        return true
    }

    /// The last thing that can be done for an upload whose verdict fails when the library is closed.
    /// - Returns: why its bytes are lost, if they are.
    func keepForNextMount(_ node: OpenNode) -> LibraryError? {
        node.upload.withLock { upload in
            upload.given?.abandonName()
            guard upload.isDirty || upload.isBound, let staged = upload.staged else { return nil }
            staged.keepName()
            do {
                try staged.synchronize(size: node.content.size)
                try record(&upload, of: node, isLeft: true)
                staged.abandonName()
                return nil
            } catch {
                log.error("The upload to node \(node.id) is lost: \(error)")
                return LibraryError(error)
            }
        }
    }
}
