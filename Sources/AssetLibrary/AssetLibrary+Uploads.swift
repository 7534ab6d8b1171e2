public import AssetModel
internal import BlobStore
public import LibraryRules
public import LibraryStorage
internal import Logging
public import Catalog
internal import Synchronization
internal import SystemPackage

// Opening, writing and committing uploads. docs/ARCHITECTURE.md maps the kernel's requests to these methods.
extension AssetLibrary {
    /// Creates a file and opens it for writing.
    ///
    /// `isReplacement` says that it is created in `resources/ID/`, so that the former version is kept;
    /// `requested` is the name that it was created under there, where that is another one.
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
        noteMade(record.id, as: name, in: parent, by: uploader.uid)
        return (record, node)
    }

    /// Opens a file.
    ///
    /// Every `open` needs one `close`. A caller that opens for writing has checked with `keptNames` that the
    /// file's name lets it be replaced. `isTruncating` means that the present bytes are not needed, so that a
    /// corrupt blob can be replaced; `isReplacement`, that the file was found in `resources/ID/`, so that its
    /// former version is kept. With `insists` its name was looked up again in vain, so that a file without
    /// its name is opened nevertheless; `false` means that it can be looked up. `mayMap` means that a mapping
    /// may supersede the content without a request.
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
                // A refusal of the first writer's upload must not remove a file that another user writes to,
                // nor one whose bytes were accepted: the kernel reports the last close(2) after it.
                let isAccepted = !upload.isDirty && !upload.isNew
                if isFirst || upload.isBorn && (isAccepted || uploader.uid != upload.uploader.uid) {
                    (upload.isBorn, upload.isReplacement) = (false, isFirst ? false : upload.isReplacement)
                    upload.before = rulebook.isPlain ? nil : try read { try $0.node(id) }
                    node.isChangedByOther.store(false, ordering: .relaxed)
                }
                upload.addWriter(uploader)
                node.writer.store(uploader.uid, ordering: .relaxed)
                if isReplacement { upload.isReplacement = true }
                if upload.isDirty || mayMap { try noteStanding(&upload, of: node) }
                // A new upload begins, while the program of the last version still has the file open.
                if isTruncating, !upload.isDirty { upload.version = nil }
            }
        } catch {
            release(node)
            throw error
        }
        if forWriting { diagnosis.note(.begun, "node \(id): opened for writing by user \(uploader.uid)") }
        return node
    }

    /// Loads the file's content into the node.
    ///
    /// The node is in `openNodes` already, so that every change of the file goes through it.
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
                // The bytes of a file without a name would be lost with the last descriptor.
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

    /// Refuses a file whose blob was found to be corrupt while other handles have it open.
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

    /// Reads a file by its blob's name from here on if the blob was corrupt at the open and is repaired.
    func readHealed(_ node: OpenNode, _ upload: borrowing OpenNode.Upload) {
        guard upload.staged == nil, !upload.isBound, let digest = node.shown.withLock({ $0.digest }),
            blobs.wasHealed(digest)
        else { return }
        node.shown.withLock { $0.isShared = true }
    }

    /// Whether a file's blob had other bytes a while ago, which the kernel may still cache.
    public func wasHealed(_ node: OpenNode) -> Bool {
        node.shown.withLock { $0.digest }.map(blobs.wasHealed) ?? false
    }

    /// Makes an open node show a blob.
    func showBlob(_ digest: Digest, size: Int64, in node: OpenNode) throws(BlobStoreError) {
        _ = try contents.open(digest, size: size) { file, place in
            let blob = contents.show(digest)
            node.shown.withLock { $0 = OpenNode.Shown(isLoaded: true, file: file, size: size, blob: blob) }
            let isShared =
                switch place {
                // Asked after `shown` is set: an open that binds the blob finds this node, or is found here.
                case .own: contents.isBound(digest)
                case .store: false
                case .uncertain: true
                }
            if isShared { node.shown.withLock { $0.isShared = true } }
        }
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
            // The last handle passes to the watch over mappings.
            if found.handles == 1, node.isBound.load(ordering: .relaxed) {
                node.isWatched.store(true, ordering: .relaxed)
                return (false, true)
            }
            nodes[node.id] = found.handles > 1 ? (found.node, found.handles - 1) : nil
            return (found.handles == 1, false)
        }
        if isKept { return keepWhileMapped(node) }
        if isLast { noteUnused(node) }
    }

    /// Returns the size, blocks on the disk and modification time of a file; nil if it is not open and
    /// loaded.
    ///
    /// The blocks of an unchanged file are nil, for those in the catalog: the blob's may be another upload's.
    public func openState(of id: NodeID) -> (size: Int64, blocks: Int64?, modified: Timestamp?)? {
        guard let node = openNode(id) else { return nil }
        let shown = node.shown.withLock { $0 }
        let (file, size, modified) = (shown.file, shown.size, shown.modified)
        guard shown.isLoaded else { return nil }
        if shown.isMapped, let status = try? file?.status() {
            return (size, status.blocks, status.modified)
        }
        if shown.digest != nil, shown.written == nil || shown.isCopied { return (size, nil, modified) }
        // A file that cannot be measured is shown as one without holes.
        let blocks = file.map { (try? $0.measure().blocks) ?? (size + 511) / 512 } ?? 0
        return (size, blocks, modified)
    }

    /// Commits the bytes written, if any, when a descriptor is closed.
    public func flush(_ node: OpenNode) throws(LibraryError) {
        try refuseScanAtEnd(of: node)
        try screenAhead(node)
        try node.upload.withLock { upload throws(LibraryError) in
            try noticeMappedChanges(&upload, of: node)
            try refuseExceeding(&upload, of: node)
            guard upload.isDirty, !upload.isOnlyTruncated else {
                // The refusal is reported to each later close as well, up to that of the last descriptor.
                if let refusal = upload.refusal { throw LibraryError.refused(refusal) }
                return
            }
            let size = node.content.size
            if upload.isCostly(size), try mayAnswerFirst(node.id, upload) { return postpone(node) }
            guard upload.bytesToRead(size) > Self.quickBytes else { return try commit(&upload, of: node) }
            // The writer waits for its answer, and this thread serves other requests meanwhile.
            postpone(node, isAnswered: false)
            throw pending(node.id)
        }
    }

    /// Puts the bytes written to a file, and all earlier changes, on stable storage.
    ///
    /// Commits only a small file without a name, which gives it one. The kernel holds the file's lock
    /// meanwhile.
    public func synchronize(_ node: OpenNode) throws(LibraryError) {
        try node.upload.withLock { upload throws(LibraryError) in
            try noticeMappedChanges(&upload, of: node)
            // With its name the file can be found after a crash.
            if upload.aim != nil, upload.isDirty, upload.bytesToRead(node.content.size) <= Self.quickBytes,
                !isScreened(node.id, upload.aim)
            {
                return try commit(&upload, of: node)
            }
            guard upload.isDirty else { return }
            guard let staged = upload.staged else {
                // A clone is in the catalog already; else a commit has failed after the bytes became a blob.
                if !node.shown.withLock({ $0.isCopied }) { try commit(&upload, of: node) }
                return
            }
            staged.keepName()
            let size = node.content.size
            do throws(BlobStoreError) { try staged.synchronize(size: size) } catch { throw LibraryError(error) }
            // The next mount commits a file without a name, which gives it one.
            try record(&upload, of: node, isLeft: true)
        }
        try commit()
    }

    /// Commits an upload that is not committed yet; a new file without bytes is published as an empty asset.
    func finish(_ node: OpenNode) throws(LibraryError) {
        try node.upload.withLock { upload throws(LibraryError) in try finish(&upload, of: node) }
    }

    /// Commits an upload under its lock, as `finish(_:)` does; defers an expensive commit if it `mayWait`.
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

    /// Returns the open file with a node's number, if it is open.
    func openNode(_ id: NodeID) -> OpenNode? { openNodes.withLock { $0[id]?.node } }

    /// Ends one `open` or `makeFile`.
    ///
    /// Errors are only logged: no request waits for the result.
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
            // The refusal is in the log, and the file has its former content.
        } catch .notFound where upload.aim != nil {
            noteNoPlace(&upload, of: node)
        } catch {
            // The node stays open and keeps the bytes: a later open sees them, and the commit is tried again.
            log.error("The upload to node \(node.id) could not be ended and is kept: \(error)")
            postpone(node, because: error)
        }
        // A deferred commit still needs these values.
        if !upload.isDirty {
            (upload.isBorn, upload.isReplacement, upload.before, upload.standing) = (false, false, nil, nil)
        }
        keepNameless(upload, of: node)
        dropNameless(&upload, of: node)
    }

    /// Records where the bytes of unfinished uploads are, so that a crash does not lose them.
    func recordUnfinishedUploads() {
        for entry in openNodes.withLock({ Array($0.values) }) {
            let node = entry.node
            // Unlinked files do not survive a crash, so they are not synced.
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
                // Outside of the lock: the program goes on writing meanwhile.
                staged.keepName()
                try staged.synchronize(size: node.content.size)
                try node.upload.withLock { upload in
                    if upload.staged === staged, upload.isDirty { try record(&upload, of: node) }
                }
            } catch {
                // Errors of the disk have their own line in the log; the recording is tried again.
                if LibraryError(error).isOfDisk {
                    commitSoon()
                } else {
                    log.error("The upload to node \(node.id) would not survive a crash: \(error)")
                }
            }
        }
    }

    /// Leaves an upload to the next mount if its commit would delay the end, or its file is still mapped.
    /// - Returns: false where the upload is to be committed now.
    /// - Throws: why its bytes are lost, if they are.
    func leaveForNextMount(_ node: OpenNode) throws(LibraryError) -> Bool {
        // A file that is still mapped may be written to, so the next mount reads it again.
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

    /// Records an upload for the next mount after its commit has failed while the library is being closed.
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
