internal import AssetModel
public import BlobStore
internal import Synchronization

// Files that the kernel reads itself. What is bound stays bound to one file on the disk until the node is closed, so
//
//  - before the first change the blob's name goes to a copy, and the bound file becomes the private one;
//  - only one open node may be bound to a blob, and others that show it meanwhile look it up by its name at each read;
//  - a program may change the bound file through a mapping, unseen: while there are writers it is never given away as a blob,
//    and each verdict reads it again.
extension AssetLibrary {
    /// Binds an open node to its blob, for the kernel to read.
    ///
    /// The caller is the only one that has the node open.
    /// - Returns: nil when the content is not a blob that this node has for itself.
    public func bind(_ node: OpenNode) -> OpenFile? {
        node.upload.withLock { upload in
            guard !upload.isBound, upload.staged == nil, upload.writers == 0 else { return nil }
            let (file, digest, isShared) = node.shown.withLock { ($0.file, $0.digest, $0.isShared) }
            guard let file, let digest, !isShared, boundBlobs.withLock({ $0.insert(digest).inserted }) else {
                return nil
            }
            // Who opens the same blob from here on finds it in `boundBlobs`; who has it open already is found here.
            let others = openNodes.withLock { nodes in
                nodes.values.contains { $0.node !== node && $0.node.shown.withLock { $0.digest == digest } }
                    || (nodes[node.id]?.handles ?? 0) != 1
            }
            // What is in another store, or was moved there a moment ago, cannot change places with a copy.
            guard !others, blobs.isPrimary(file, of: digest) else {
                boundBlobs.withLock { _ = $0.remove(digest) }
                return nil
            }
            upload.isBound = true
            return file
        }
    }

    /// Makes a bound file private, because a program that opened it for writing may change it through a mapping.
    public func prepareForMapping(_ node: OpenNode) throws(LibraryError) {
        do throws(BlobStoreError) {
            try node.upload.withLock { upload throws(BlobStoreError) in
                guard upload.isBound, upload.staged == nil else { return }
                try makeBoundFilePrivate(&upload, of: node)
            }
        } catch {
            throw LibraryError(error)
        }
    }

    func makeBoundFilePrivate(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(BlobStoreError) {
        let (file, digest, size) = node.shown.withLock { ($0.file, $0.digest, $0.size) }
        guard let file, let digest else { return }
        let staged = try blobs.stage(copyOf: file, size: size)
        // The copy is durable before it is the blob, and it is the blob, durably, before the bound file changes.
        try staged.synchronize()
        let bound = try sharedBlobs.withLock { _ throws(BlobStoreError) in
            // It has been found damaged, and healed: what is bound is not the blob any more, nor anybody's.
            guard blobs.isPrimary(file, of: digest) else { throw .corrupt(digest) }
            return try blobs.exchange(staged, with: digest)
        }
        boundBlobs.withLock { _ = $0.remove(digest) }
        upload.staged = bound
        node.shown.withLock { $0.file = bound.file }
    }

    /// Looks whether a bound file was changed through a mapping: by reading it, because a page that is mapped for writing changes
    /// without a new time of modification.
    func noticeMappedChanges(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        guard upload.isBound, !upload.isDirty, let staged = upload.staged else { return }
        let (digest, size) = node.shown.withLock { ($0.digest, $0.size) }
        do throws(BlobStoreError) {
            guard size > 0, try Digest(reading: staged.file, size: size) != digest else { return }
            upload.isDirty = true
            upload.digest.disturb()
            node.shown.withLock {
                $0.modified = .now
                $0.written = .now
            }
        } catch {
            throw LibraryError(error)
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
        guard isShared, let digest else { return try blobs.stage(copyOf: file, size: size) }
        return try withBlob(digest, size: whole) { blob throws(BlobStoreError) in
            try blobs.stage(copyOf: blob, size: size)
        }
    }
}
