internal import AssetModel
internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

// Blobs whose sync has failed. The kernel reports only once that it could not write a page, and then treats
// the page as clean, so that a later successful sync proves nothing: such a blob is verified, and all its
// bytes are written again before its next sync.
extension BlobStore {
    /// Records blobs whose sync has failed.
    func suspect(_ digests: [Digest]) { suspects.withLock { $0.formUnion(digests) } }

    /// Returns those of some blobs whose last sync failed.
    func suspects(among digests: [Digest]) -> [Digest] {
        suspects.withLock { $0.isEmpty ? [] : digests.filter($0.contains) }
    }

    /// Puts a blob whose sync has failed on stable storage.
    /// - Returns: whether it still has its bytes; if not, it is marked as corrupt.
    func rewrite(_ digest: Digest) throws(BlobStoreError) -> Bool {
        let path = Self.path(of: digest)
        let number = unsafe openat(blobsFolder, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        var isWhole = false
        if number >= 0 {
            let file = OpenFile(number)
            let size = try file.measure().size
            isWhole = try Digest(reading: file, size: size) == digest
            if isWhole {
                try file.rewriteData(size: size)
                try file.synchronize(.rewritten)
                // The name is synced as well.
                try synchronizeName(of: digest)
            }
        } else if errno != ENOENT {
            throw BlobStoreError(Errno(rawValue: errno), during: "open blobs/\(path)")
        }
        if !isWhole { mark(digest, isDamaged: true) }
        suspects.withLock { _ = $0.remove(digest) }
        return isWhole
    }
}

extension OpenFile {
    /// Writes the file's data over itself, so that the kernel treats each of its pages as dirty.
    func rewriteData(size: Int64) throws(BlobStoreError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var position: Int64 = 0
        while position < size, let start = try seek(position, whence: 3 /* SEEK_DATA */), start < size {
            let stop = min(try seek(start, whence: 4 /* SEEK_HOLE */) ?? size, size)
            position = start
            while position < stop {
                let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(stop - position, 1 << 20))])
                let count = try unsafe read(into: part, at: position)
                guard count > 0 else { return }
                try unsafe write(UnsafeRawBufferPointer(rebasing: part[..<count]), at: position)
                position += Int64(count)
            }
        }
    }
}
