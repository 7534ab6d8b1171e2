public import AssetModel
public import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization

// Files that the kernel reads itself. A mapping of such a file is one of the file on the disk, and outlives every handle, so
//
//  - a node stays bound to one file on the disk until no handle and no mapping of it is left: `MappedFiles`;
//  - before the first change the blob's name goes to a copy, and the bound file becomes the private one;
//  - before a handle is given out that may map the file for writing, the catalog durably knows the private file, so that what
//    msync(2) has put on the disk is found after a crash;
//  - while it is bound the file is never given away as a blob: each verdict gives away a copy;
//  - the time of modification on the disk says whether a mapping has changed the file: a page that is written to through a mapping
//    moves it at the first store after the page was clean;
//  - only one open node may be bound to a blob, and others that show it meanwhile look it up by its name at each read.
extension AssetLibrary {
    /// Binds an open node to its blob, for the kernel to read.
    ///
    /// The caller is the only one that has the node open.
    /// - Returns: nil when the content is not a blob that this node has for itself, or the disk cannot tell whether another process uses a file.
    public func bind(_ node: OpenNode) -> OpenFile? {
        node.upload.withLock { upload in
            guard !upload.isBound, upload.staged == nil, upload.writers == 0 else { return nil }
            let (file, digest, size, isShared) = node.shown.withLock { ($0.file, $0.digest, $0.size, $0.isShared) }
            // The bound file is the private one from the first change on, with its holes.
            guard let file, let digest, !isShared, mayShowHoles(of: file, size: size, in: node.id),
                boundBlobs.withLock({ $0.insert(digest).inserted })
            else { return nil }
            // An open of the same blob from here on finds it in `boundBlobs`; an earlier one is found here.
            let others = openNodes.withLock { nodes in
                nodes.values.contains { $0.node !== node && $0.node.shown.withLock { $0.digest == digest } }
                    || (nodes[node.id]?.handles ?? 0) != 1
            }
            // A blob in another store, or moved there a moment ago, cannot change places with a copy.
            guard !others, let bound = try? blobs.openForBinding(digest, as: file),
                bound.isReferencedElsewhere() != nil
            else {
                boundBlobs.withLock { _ = $0.remove(digest) }
                return nil
            }
            setBound(true, &upload, of: node)
            node.shown.withLock { $0.file = bound }
            return bound
        }
    }

    /// Reads the content of a node that is open once, for reading, and gives it to `body` while nothing can change or open it.
    ///
    /// The content has at most `limit` bytes.
    /// - Returns: false where `body` was not called: the node is open more than once, is being written to, is empty or larger, or cannot be
    ///   read.
    public func withSoleContent(
        of node: OpenNode,
        upTo limit: Int64,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        // Without waiting: the open has had its turn already.
        node.upload.withLockIfAvailable { upload in
            guard upload.writers == 0, upload.staged == nil, !upload.isBound else { return false }
            let shown = node.shown.withLock { $0 }
            // A second open counts as a handle before it waits for `upload`.
            guard let file = shown.file, shown.digest != nil, !shown.isShared, !shown.isMapped, 1...limit ~= shown.size,
                openNodes.withLock({ $0[node.id]?.handles == 1 })
            else { return false }
            return unsafe withUnsafeTemporaryAllocation(byteCount: Int(shown.size), alignment: 16) { buffer in
                guard let count = unsafe try? file.read(into: buffer, at: 0), count == buffer.count else {
                    return false
                }
                unsafe body(UnsafeRawBufferPointer(buffer))
                return true
            }
        } ?? false
    }

    /// Changes whether a node is bound: for holders of `upload`, for readers without it, and in the count of bound nodes.
    func setBound(_ isBound: Bool, _ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.isBound != isBound else { return }
        upload.isBound = isBound
        node.isBound.store(isBound, ordering: .relaxed)
        boundCount.wrappingAdd(isBound ? 1 : -1, ordering: .relaxed)
    }

    /// Makes a bound file private, because a program that opened it for writing may change it through a mapping, and records it.
    public func prepareForMapping(_ node: OpenNode) throws(LibraryError) {
        let isNew: Bool
        do {
            isNew = try node.upload.withLock { upload in
                guard upload.isBound else { return false }
                if upload.staged == nil { try makeBoundFilePrivate(&upload, of: node) }
                guard !upload.isRecorded, let staged = upload.staged else { return false }
                staged.keepName()
                try staged.synchronize(size: node.content.size)
                try record(&upload, of: node)
                return true
            }
        } catch {
            throw LibraryError(error)
        }
        if isNew { try commit() }
    }

    func makeBoundFilePrivate(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(BlobStoreError) {
        let (file, digest, size) = node.shown.withLock { ($0.file, $0.digest, $0.size) }
        guard let file, let digest else { return }
        let modified = (try? read { try $0.node(node.id)?.modified }).flatMap { $0 }
        let staged = try blobs.stage(copyOf: file, size: size)
        // The copy is durable before it is the blob, and it is the blob, durably, before the bound file changes.
        try staged.synchronize(size: size)
        let bound = try sharedBlobs.withLock { _ throws(BlobStoreError) in
            // A bound file that was found damaged, and was healed since, is not the blob any more.
            guard blobs.isPrimary(file, of: digest) else { throw .corrupt(digest) }
            return try blobs.exchange(staged, with: digest, openAs: file)
        }
        boundBlobs.withLock { _ = $0.remove(digest) }
        upload.staged = bound
        if let modified {
            try file.setModified(modified)
            upload.unmappedSince = modified
        }
        node.shown.withLock { $0.isMapped = true }
    }

    /// Looks whether a bound file was changed through a mapping: then the upload is dirty.
    func noticeMappedChanges(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        guard upload.isBound, let staged = upload.staged else { return }
        do throws(BlobStoreError) {
            let modified = try staged.file.modified()
            guard modified != upload.unmappedSince else { return }
            let isNew = !upload.isDirty
            if isNew {
                upload.isDirty = true
                upload.digest.disturb()
                upload.mappedAt = upload.digest.changes.value
            }
            node.shown.withLock { shown in
                // The disk's clock ticks more coarsely than ours.
                if isNew || shown.modified.map({ $0 < modified }) ?? false { shown.modified = modified }
                if isNew { shown.written = .now }
            }
        } catch {
            throw LibraryError(error)
        }
    }

    /// How old a time of modification must be for the next store to get another one.
    private static let clockTick = Duration.milliseconds(50)

    /// Makes a copy of a bound file that can be given away, and remembers since when mappings have not changed the file.
    func copyBoundFile(
        _ staged: StagedFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) -> (copy: StagedFile, unmappedSince: Timestamp?) {
        try staged.file.protectMappedPages()
        let modified = try staged.file.modified()
        let isSettled = modified < Timestamp.now.advanced(by: .zero - Self.clockTick)
        let copy = try blobs.stage(copyOf: staged.file, size: size, isCancelled: isCancelled)
        return (copy, isSettled ? modified : nil)
    }

    /// Gives a bound file the time of modification that a program has set.
    func passModificationTime(_ time: Timestamp, to node: OpenNode) {
        guard node.shown.withLock({ $0.isMapped }) else { return }
        node.upload.withLock { upload in
            guard upload.isBound, let staged = upload.staged, let former = try? staged.file.modified(),
                (try? staged.file.setModified(time)) != nil
            else { return }
            if upload.unmappedSince == former { upload.unmappedSince = time }
        }
    }

    /// Whether mappings may change a file without a request.
    public func isMapped(_ id: NodeID) -> Bool {
        guard boundCount.load(ordering: .relaxed) > 0 else { return false }
        return openNode(id)?.shown.withLock { $0.isMapped } ?? false
    }

    /// Whether the kernel's page cache of a file must be dropped by the next open that uses it; asked once.
    public func takeStale(_ id: NodeID) -> Bool { stalePages.remove(id) }

    // MARK: The end of a binding

    /// What became of an attempt to end a binding.
    enum Unbinding {
        /// The node is bound to no file.
        case done
        /// A mapping, or a reader, still refers to the file.
        case isReferenced
        /// Handles use the file.
        case isOpen
    }

    /// Ends a node's binding where neither handles nor mappings are left; an upload that mappings have made has its verdict.
    ///
    /// `handles` are those of the caller, which do not count, nor does that of the watch over mappings. An open that comes meanwhile has
    /// its handle counted, or waits for `attachment` and finds the binding ended.
    func unbind(_ node: OpenNode, besides handles: Int, isClosing: Bool = false) -> Unbinding {
        node.attachment.withLock { attachment in
            node.upload.withLock { upload in
                guard upload.isBound else { return .done }
                let others = openNodes.withLock { nodes in
                    (nodes[node.id]?.handles ?? 0) - (node.isWatched.load(ordering: .relaxed) ? 1 : 0)
                }
                guard others <= handles else { return .isOpen }
                let (file, digest) = node.shown.withLock { ($0.file, $0.digest) }
                guard file?.isReferencedElsewhere() != true else { return .isReferenced }
                do throws(LibraryError) { try noticeMappedChanges(&upload, of: node) } catch {
                    log.error("Node \(node.id) cannot be compared with what was written through a mapping: \(error)")
                    return .isReferenced
                }
                if upload.staged == nil, let digest { boundBlobs.withLock { _ = $0.remove(digest) } }
                if node.shown.withLock({ $0.isMapped }) { stalePages.insert(node.id) }
                upload.candidate = nil
                setBound(false, &upload, of: node)
                node.shown.withLock { $0.isMapped = false }
                attachment = nil
                if !isClosing { end(&upload, of: node) }
                return .done
            }
        }
    }

    /// Ends the upload that mappings have made, as `close` does with one that was written.
    private func end(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.writers == 0, upload.staged != nil else { return }
        close(&upload, of: node)
    }

    /// Has the catalog forget where the bytes of an upload are that has changed nothing.
    func forgetStaged(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.isRecorded, !upload.isDirty else { return }
        do throws(LibraryError) {
            try write { try $0.deleteStaged(node.id) }
            upload.isRecorded = false
        } catch {
            log.error("The staged file of node \(node.id) stays until the next mount: \(error)")
        }
    }

    /// Reads from a blob that another node is bound to and may take away.
    /// - Returns: nil when this node's content is its own.
    public func readShared(_ node: OpenNode, at offset: Int64, count: Int) throws(LibraryError) -> [UInt8]? {
        guard
            let (digest, size) = node.shown.withLock({ shown in
                shown.isShared ? shown.digest.map { ($0, shown.size) } : nil
            })
        else { return nil }
        return try read(digest, size: size, at: offset, count: count)
    }

    /// Does something with a blob, opened by its name: one of the library's own folder while nobody gives that name to another file, one
    /// of another store, which nobody is bound to, without holding up anybody.
    func withBlob<Value>(
        _ digest: Digest,
        size: Int64,
        _ body: (OpenFile) throws(BlobStoreError) -> Value
    ) throws(BlobStoreError) -> Value {
        let own = try sharedBlobs.withLock { _ throws(BlobStoreError) -> Value? in
            guard let file = try blobs.openOwn(digest, size: size) else { return nil }
            return try body(file)
        }
        if let own { return own }
        if let other = try blobs.openElsewhere(digest, size: size) { return try body(other) }
        return try sharedBlobs.withLock { _ throws(BlobStoreError) in try body(blobs.open(digest, size: size)) }
    }

    /// Reads a part of a blob, by its name each time: a program may be changing the file that had it a moment ago.
    func read(_ digest: Digest, size: Int64, at offset: Int64, count: Int) throws(LibraryError) -> [UInt8] {
        let length = Int(max(0, min(Int64(count), size - offset)))
        do throws(BlobStoreError) {
            return try withBlob(digest, size: size) { file throws(BlobStoreError) in
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 1)
                defer { unsafe buffer.deallocate() }
                let done = try unsafe file.read(into: buffer, at: offset)
                return unsafe Array(buffer.prefix(done))
            }
        } catch {
            throw LibraryError(error)
        }
    }

    /// A private copy of a node's content as it is.
    func stageCopy(of node: OpenNode, size: Int64) throws(BlobStoreError) -> StagedFile {
        let (file, digest, whole, isShared) = node.shown.withLock { ($0.file, $0.digest, $0.size, $0.isShared) }
        guard let file, size > 0 else { return try blobs.stage() }
        let staged: StagedFile
        if isShared, let digest {
            staged = try withBlob(digest, size: whole) { blob throws(BlobStoreError) in
                try blobs.stage(copyOf: blob, size: size)
            }
        } else {
            staged = try blobs.stage(copyOf: file, size: size)
        }
        if digest != nil, let layout = try ownLayout(of: node.id) { try lay(staged, as: layout, within: 0..<size) }
        return staged
    }
}
