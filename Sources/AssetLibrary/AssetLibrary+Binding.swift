public import AssetModel
public import BlobStore
internal import Catalog
public import LibraryStorage
internal import Logging
internal import Synchronization

// Passthrough: the kernel reads the blob itself. A mapping of such a file maps the file on the disk, and
// outlives every handle. Therefore:
//
// - A node stays bound to one file on the disk until no handle and no mapping of it is left (`MappedFiles`).
// - Before the first change the blob's name goes to a copy, and the bound file becomes the private one.
// - Before a handle is returned that may map the file for writing, the private file is committed to the
//   catalog, so that the bytes that msync(2) has written are found after a crash.
// - A bound file is never adopted as a blob: each commit adopts a copy.
// - The modification time on the disk tells whether a mapping has changed the file: the first store to a
//   clean page changes it.
// - Only one open node may be bound to a blob. Other nodes with this blob open it by its name at each read
//   meanwhile.
extension AssetLibrary {
    /// Binds an open node to its blob, which the kernel then reads.
    ///
    /// The caller must have the only handle of the node.
    /// - Returns: nil if the content is no blob that this node has for itself, or the disk cannot tell
    ///   whether another process uses a file.
    public func bind(_ node: OpenNode) -> OpenFile? {
        node.upload.withLock { upload in
            guard !upload.isBound, upload.staged == nil, upload.writers == 0 else { return nil }
            let (file, digest, size, isShared) = node.shown.withLock { ($0.file, $0.digest, $0.size, $0.isShared) }
            // The bound file becomes the private one at the first change, with its holes.
            guard let file, let digest, !isShared, mayShowHoles(of: file, size: size, in: node.id),
                contents.bind(digest)
            else { return nil }
            // A later open of this blob finds it reserved; an earlier one is found here.
            let others = contents.isShownBySeveral(digest) || openNodes.withLock { $0[node.id]?.handles } != 1
            // A blob in another store, or one that has just been moved there, cannot be exchanged with a
            // copy.
            guard !others, let bound = try? blobs.openForBinding(digest, as: file),
                bound.isReferencedElsewhere() != nil
            else {
                contents.unbind(digest)
                return nil
            }
            setBound(true, &upload, of: node)
            node.shown.withLock { $0.file = bound }
            return bound
        }
    }

    /// Reads the content of a node that has one handle, for reading, and calls `body` with it while nothing
    /// can change or open the file.
    ///
    /// The content may have at most `limit` bytes.
    /// - Returns: false where `body` was not called: the node has several handles, is being written to or may
    ///   be changed by mappings, is empty or larger, or cannot be read.
    public func withSoleContent(
        of node: OpenNode,
        upTo limit: Int64,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        // Does not wait for the lock: this open has had it already.
        node.upload.withLockIfAvailable { upload in
            guard upload.writers == 0, upload.staged == nil, !upload.isBound else { return false }
            let shown = node.shown.withLock { $0 }
            // A second open is counted as a handle before it waits for `upload`.
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

    /// Sets whether a node is bound: for holders of `upload`, for readers without it, and in the number of
    /// bound nodes.
    func setBound(_ isBound: Bool, _ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.isBound != isBound else { return }
        upload.isBound = isBound
        node.isBound.store(isBound, ordering: .relaxed)
        boundCount.wrappingAdd(isBound ? 1 : -1, ordering: .relaxed)
    }

    /// Makes a bound file private and records it, because a program that opened it for writing may change it
    /// through a mapping.
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
        // The copy must be durable before it becomes the blob, and must durably be the blob before the bound
        // file changes.
        try staged.synchronize(size: size)
        let bound = try contents.exchange(staged, with: digest, openAs: file)
        upload.staged = bound
        if let modified {
            try file.setModified(modified)
            upload.unmappedSince = modified
        }
        node.shown.withLock { $0.isMapped = true }
    }

    /// Marks the upload as dirty if a mapping has changed the bound file.
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
                // The disk's timestamps are coarser than ours.
                if isNew || shown.modified.map({ $0 < modified }) ?? false { shown.modified = modified }
                if isNew { shown.written = .now }
            }
        } catch {
            throw LibraryError(error)
        }
    }

    /// The age of a modification time from which on the next store is sure to change it.
    private static let clockTick = Duration.milliseconds(50)

    /// Copies a bound file; the copy can be adopted as a blob.
    /// - Returns: the copy, and the modification time since which no mapping has changed the file; nil if it
    ///   is too recent to tell.
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

    /// Sets the modification time of a bound file on the disk to the one that a program has set.
    func passModificationTime(_ time: Timestamp, to node: OpenNode) {
        guard node.shown.withLock({ $0.isMapped }) else { return }
        node.upload.withLock { upload in
            guard upload.isBound, let staged = upload.staged, let former = try? staged.file.modified(),
                (try? staged.file.setModified(time)) != nil
            else { return }
            if upload.unmappedSince == former { upload.unmappedSince = time }
        }
    }

    /// Returns whether mappings may change a file without a request.
    public func isMapped(_ id: NodeID) -> Bool {
        guard boundCount.load(ordering: .relaxed) > 0 else { return false }
        return openNode(id)?.shown.withLock { $0.isMapped } ?? false
    }

    /// Returns, once, whether the next open through the page cache must drop the kernel's pages of a file.
    public func takeStale(_ id: NodeID) -> Bool { stalePages.remove(id) }

    // MARK: The end of a binding

    /// The result of an attempt to end a binding.
    enum Unbinding {
        /// The node is bound to no file.
        case done
        /// A mapping, or a reader, still refers to the file.
        case isReferenced
        /// Handles use the file.
        case isOpen
    }

    /// Ends a node's binding if neither handles nor mappings are left, and commits the changes made through
    /// mappings.
    ///
    /// `handles` is the number of the caller's handles, which do not count; nor does that of the watch over
    /// mappings. An open that comes meanwhile has its handle counted, or waits for `attachment` and finds the
    /// binding ended. With `isClosing` the caller ends the upload.
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
                if upload.staged == nil, let digest { contents.unbind(digest) }
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

    /// Ends an upload made through mappings, as `close` does with one that was written.
    private func end(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.writers == 0, upload.staged != nil else { return }
        close(&upload, of: node)
    }

    /// Deletes the record of an upload's staged file if the upload has changed nothing.
    func forgetStaged(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        guard upload.isRecorded, !upload.isDirty else { return }
        do throws(LibraryError) {
            try write { try $0.deleteStaged(node.id) }
            upload.isRecorded = false
        } catch {
            log.error("The staged file of node \(node.id) stays until the next mount: \(error)")
        }
    }

    /// Reads from a blob to which another node is bound, and whose file that node may take away.
    /// - Returns: nil if this node's content is its own.
    public func readShared(_ node: OpenNode, at offset: Int64, count: Int) throws(LibraryError) -> [UInt8]? {
        guard
            let (digest, size) = node.shown.withLock({ shown in
                shown.isShared ? shown.digest.map { ($0, shown.size) } : nil
            })
        else { return nil }
        return try read(digest, size: size, at: offset, count: count)
    }

    /// Reads a part of a blob, by its name each time: the file that had the name may be changing.
    func read(_ digest: Digest, size: Int64, at offset: Int64, count: Int) throws(LibraryError) -> [UInt8] {
        do { return try contents.read(digest, size: size, at: offset, count: count) } catch {
            throw LibraryError(error)
        }
    }

    /// Returns a private copy of a node's present content.
    func stageCopy(of node: OpenNode, size: Int64) throws(BlobStoreError) -> StagedFile {
        let (file, digest, whole, isShared) = node.shown.withLock { ($0.file, $0.digest, $0.size, $0.isShared) }
        guard let file, size > 0 else { return try blobs.stage() }
        let staged: StagedFile
        if isShared, let digest {
            staged = try contents.withBlob(digest, size: whole) { blob throws(BlobStoreError) in
                try blobs.stage(copyOf: blob, size: size)
            }
        } else {
            staged = try blobs.stage(copyOf: file, size: size)
        }
        if digest != nil, let layout = try ownLayout(of: node.id) { try lay(staged, as: layout, within: 0..<size) }
        return staged
    }
}
