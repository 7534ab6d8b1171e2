internal import AssetModel
internal import BlobStore
internal import Catalog
public import LibraryStorage
internal import Synchronization
internal import SystemPackage

// Changes of the bytes of an upload under way.
extension AssetLibrary {
    /// Writes bytes at an offset; a hole before them reads as zeros.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, to node: OpenNode) throws(LibraryError) {
        let (end, overflow) = offset.addingReportingOverflow(Int64(bytes.count))
        guard offset >= 0, !overflow else { throw .invalid("The offset is out of range.") }
        try space.take(Int64(bytes.count))
        try change(node) { (upload, staged) throws(BlobStoreError) in
            try unsafe staged.write(bytes, at: offset)
            unsafe upload.digest.update(bytes, at: offset)
            if end % Self.writebackStep < Int64(bytes.count) {
                staged.beginWriteback(from: max(0, end - 2 * Self.writebackStep), count: Self.writebackStep)
            }
            return nil
        } resize: {
            max($0, end)
        }
    }

    /// How many bytes are written before the disk is asked to begin writing them back.
    private static let writebackStep: Int64 = 16 << 20

    /// Truncates or extends a file.
    ///
    /// `isOpening` says that it is the truncation of O_TRUNC, with writes yet to come.
    public func truncate(_ node: OpenNode, to size: Int64, isOpening: Bool = false) throws(LibraryError) {
        if isOpening, node.content.size == 0 {
            // > If the file exists […] and O_TRUNC is set, st_ctime and st_mtime are marked for update —
            // > open(2) in POSIX
            return try touch(node)
        }
        try change(node, keeping: size) { (upload, staged) throws(BlobStoreError) in
            try staged.truncate(to: size)
            upload.digest.disturb()
            if size == 0 { upload.digest = SequentialDigest() }
            return isOpening
        } resize: { _ in
            size
        }
    }

    /// Notes the time of a truncation to the present size, if the file is being written.
    /// - Returns: false where the file is unchanged since its open, so that the catalog has its time.
    public func noteWrite(to node: OpenNode) -> Bool {
        node.upload.withLock { upload in
            guard upload.isDirty else { return false }
            let now = Timestamp.now
            if upload.isBound { try? upload.staged?.file.setModified(now) }
            node.shown.withLock { $0.modified = now }
            return true
        }
    }

    /// Sets a file's time of modification, and nothing else.
    private func touch(_ node: OpenNode) throws(LibraryError) {
        var changes = AttributeChanges()
        changes.modified = .now
        _ = try setAttributes(of: node.id, changes)
    }

    /// Allocates or punches or zeroes a range, by the mode of fallocate(2).
    public func allocate(_ node: OpenNode, mode: Int32, offset: Int64, length: Int64) throws(LibraryError) {
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard offset >= 0, length > 0, !overflow else { throw .invalid("Offset or length is out of range.") }
        if mode & 2 /* FALLOC_FL_PUNCH_HOLE */ == 0 { try space.take(length) }
        try change(node) { (upload, staged) throws(BlobStoreError) in
            try staged.allocate(mode: mode, offset: offset, length: length)
            upload.digest.disturb()
            return nil
        } resize: {
            mode & 1 /* FALLOC_FL_KEEP_SIZE */ != 0 ? $0 : max($0, end)
        }
    }

    /// Changes the private file, which takes the blob's place at the first change.
    ///
    /// The first `keeping` of the present bytes are kept. `body` returns whether this was only the truncation
    /// of an open, and nil when bytes were changed; `resize` computes the new size from the former one.
    func change(
        _ node: OpenNode,
        keeping: Int64 = .max,
        _ body: (inout OpenNode.Upload, StagedFile) throws(BlobStoreError) -> Bool?,
        resize: (Int64) -> Int64
    ) throws(LibraryError) {
        try commitClosing(of: node)
        let isFirst: Bool
        isFirst = try node.upload.withLock { upload throws(LibraryError) in
            takeUpRefused(&upload, of: node)
            let former = node.content.size
            // A file that another open has written, and that is truncated now, has been a version of its own.
            if keeping < former, upload.lastOpening != upload.openings { upload.version = nil }
            upload.lastOpening = upload.openings
            try checkLimit(resize(former), from: former, &upload)
            if !upload.isDirty {
                try leaveTrash(node, upload)
                try noteStanding(&upload, of: node)
            }
            do throws(BlobStoreError) {
                // The clone of a whole file is dirty without a staged file.
                let isFirst = !upload.isDirty || upload.staged == nil
                let (before, wasPrivate) = (node.shown.withLock { $0 }, upload.staged != nil)
                let staged = try privateFile(&upload, of: node, keeping: keeping)
                let isOnlyTruncated: Bool?
                do throws(BlobStoreError) {
                    isOnlyTruncated = try body(&upload, staged)
                } catch {
                    // Some of the bytes may have changed.
                    upload.digest.disturb()
                    if !wasPrivate, !upload.isBound, keeping < former {
                        // The private file has never had the bytes that remain when a truncation fails.
                        upload.staged = nil
                        node.shown.withLock { shown in
                            (shown.file, shown.isCopied, shown.isShared) = (
                                before.file, before.isCopied, before.isShared
                            )
                        }
                        throw error
                    }
                    upload.isDirty = true
                    throw error
                }
                upload.isDirty = true
                upload.isOnlyTruncated = isOnlyTruncated ?? false
                let now = Timestamp.now
                // For a mapped file the time on the disk counts, and the disk's clock is coarser.
                if upload.isBound { try staged.file.setModified(now) }
                node.shown.withLock {
                    $0.size = resize($0.size)
                    $0.modified = now
                    $0.written = .now
                }
                // After a truncation another sync has to record how many bytes are on stable storage.
                return isFirst || upload.isRecorded && upload.recorded?.synced != staged.syncedSize
            } catch {
                throw LibraryError(error)
            }
        }
        if isFirst { commitSoon() }
    }

    /// Returns the node's private file.
    ///
    /// It is made, with the first `keeping` of the present bytes, when there is none.
    func privateFile(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        keeping: Int64 = .max
    ) throws(BlobStoreError) -> StagedFile {
        if let present = upload.staged { return present }
        let size = node.content.size
        // A file that was open when its blob was found to be corrupt must not turn it into another version.
        if keeping > 0, size > 0, let digest = node.shown.withLock({ $0.digest }), blobs.isMarked(digest) {
            throw .corrupt(digest)
        }
        readHealed(node, upload)
        try takeSpace(forCopyOf: node, size: min(size, keeping))
        if upload.isBound {
            try makeBoundFilePrivate(&upload, of: node)
        } else {
            upload.staged = try stageCopy(of: node, size: min(size, keeping))
        }
        if keeping == 0 || size == 0 { upload.digest = SequentialDigest() }
        guard let made = upload.staged else { throw .io(.badFileDescriptor, during: "staging") }
        node.shown.withLock {
            $0.file = made.file
            $0.isCopied = false
            $0.isShared = false
        }
        return made
    }

    /// Takes space for a copy of the first bytes of a file before its first change: the blocks that they take
    /// on the disk, and none where the copy can share extents.
    func takeSpace(forCopyOf node: OpenNode, size: Int64) throws(BlobStoreError) {
        guard size > 0, let file = node.content.file else { return }
        let count = try min(size, file.measure().blocks * 512)
        if !blobs.sharesExtents { try takeSpace(count) }
    }

    /// Takes space for a copy of a file.
    func takeSpace(_ count: Int64) throws(BlobStoreError) {
        do throws(LibraryError) {
            try space.take(count)
        } catch .noSpace {
            throw .noSpace(during: "copying \(count.counted("byte")) before their first change")
        } catch .blobs(let error) {
            throw error
        } catch {
            throw .io(.interrupted, during: "copying \(count.counted("byte")) before their first change")
        }
    }
}
