internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Synchronization

// Copies within the library.
extension AssetLibrary {
    /// Copies a part of one file into another, for copy_file_range(2).
    ///
    /// A whole file is copied into an empty one at no cost: both show one blob.
    /// - Returns: the number of bytes copied, which is less than `count` at the end of the source.
    public func copy(
        from source: OpenNode,
        at start: Int64,
        to node: OpenNode,
        at offset: Int64,
        count: Int64
    ) throws(LibraryError) -> Int64 {
        guard start >= 0, offset >= 0, count >= 0 else { throw .invalid("Offset or length is out of range.") }
        let size = source.content.size
        let length = min(count, size - start)
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard length > 0, !overflow else { return 0 }
        if start == 0, offset == 0, length == size, try clone(source, into: node) { return length }
        if !blobs.sharesExtents {
            let blocks = source.content.file.map { (try? $0.measure().blocks) ?? length / 512 + 1 } ?? 0
            try space.take(min(length, blocks * 512))
        }
        try change(node) { (upload, staged) throws(BlobStoreError) in
            upload.digest.disturb()
            try copyBytes(of: source, from: start, to: staged, at: offset, count: length)
            return nil
        } resize: {
            max($0, end)
        }
        return length
    }

    private func copyBytes(
        of source: OpenNode,
        from start: Int64,
        to staged: StagedFile,
        at offset: Int64,
        count: Int64
    ) throws(BlobStoreError) {
        let (file, size, digest, isShared) = source.shown.withLock { ($0.file, $0.size, $0.digest, $0.isShared) }
        if isShared, let digest {
            try contents.withBlob(digest, size: size) { blob throws(BlobStoreError) in
                try staged.copy(of: blob, from: start, to: offset, count: count)
            }
        } else if let file {
            try staged.copy(of: file, from: start, to: offset, count: count)
        }
        // A reflink copies the holes of the blob's file, too; the source may have others of its own.
        guard digest != nil, blobs.sharesExtents, let layout = try ownLayout(of: source.id) else { return }
        let shifted = layout.map { $0.lowerBound - start + offset..<$0.upperBound - start + offset }
        try lay(staged, as: shifted, within: offset..<offset + count)
    }

    /// Makes an empty file show the blob that another file shows.
    /// - Returns: false where that is not possible, and the bytes must be copied.
    private func clone(_ source: OpenNode, into node: OpenNode) throws(LibraryError) -> Bool {
        guard source !== node else { return false }
        let origin = source.upload.withLock { upload -> (digest: Digest, size: Int64)? in
            guard !upload.isDirty, !(upload.isBound && upload.staged != nil) else { return nil }
            return source.shown.withLock { shown in shown.digest.map { ($0, shown.size) } }
        }
        if let origin, blobs.isMarked(origin.digest) { throw .blobs(.corrupt(origin.digest)) }
        guard let (digest, size) = origin, size > 0 else { return false }
        return try node.upload.withLock { upload throws(LibraryError) -> Bool in
            takeUpRefused(&upload, of: node)
            // The catalog has the size at once, so the room that other uploads have left is checked now.
            try setLimit(&upload, of: node.id)
            try checkLimit(size, from: 0, &upload)
            // A file's former content must still exist if its upload is refused.
            let hadNone = upload.isNew || upload.aim != nil
            guard try hadNone ? true : mayAnswerFirst(node.id, upload) else { return false }
            guard node.content.size == 0, !upload.isBound, !node.isUnlinked.load(ordering: .relaxed) else {
                return false
            }
            let state = interrupted(upload, of: node)
            let former = node.shown.withLock { $0 }
            do {
                try showBlob(digest, size: size, in: node)
                guard let blob = node.content.file else { return false }
                let sealed = try Seal(blob: blob, digest, size: size)
                // The catalog has the content at once, because no staged file could bring it back after a
                // crash.
                try catalog.write { records in
                    if try Show(sealed, in: node.id, .now, records) != nil {
                        try records.copyMask(of: source.id, to: node.id)
                        try records.recordStaged(node.id, file: "", modified: nil, state)
                    }
                }
            } catch {
                // No row names these bytes, so fsync(2) would find nothing to make durable.
                node.shown.withLock { $0 = former }
                throw LibraryError(error)
            }
            upload.staged = nil
            upload.isRecorded = false
            upload.isDirty = true
            upload.isOnlyTruncated = false
            upload.digest.disturb()
            node.shown.withLock {
                $0.modified = .now
                $0.written = .now
                $0.isCopied = true
            }
            return true
        }
    }
}
