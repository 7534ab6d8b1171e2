internal import AssetModel
internal import Glibc
internal import SystemPackage

/// A folder that holds blobs: `blobs/ab/<62 hex digits>`, beside `staging/` for unfinished files.
final class StoreFolder: Sendable {
    let blobs: Int32
    let staging: Int32
    let path: String

    /// Opens the folders in an existing folder, and creates missing ones.
    init(at path: String) throws(BlobStoreError) {
        self.path = path
        blobs = try Self.folder("\(path)/blobs")
        do throws(BlobStoreError) { staging = try Self.folder("\(path)/staging") } catch {
            _ = close(blobs)
            throw error
        }
        for number in 0..<256 where unsafe faccessat(blobs, Self.name(UInt8(number)), F_OK, 0) != 0 {
            try checked("mkdir in \(path)/blobs") { unsafe mkdirat(blobs, Self.name(UInt8(number)), 0o700) }
        }
    }

    deinit {
        _ = close(blobs)
        _ = close(staging)
    }

    private static func folder(_ path: String) throws(BlobStoreError) -> Int32 {
        if unsafe mkdir(path, 0o700) != 0, Errno(rawValue: errno) != .fileExists {
            throw BlobStoreError(Errno(rawValue: errno), during: "mkdir \(path)")
        }
        return try checked("open \(path)") { unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    }

    static func name(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// Returns the size of a blob's file; nil if it does not exist.
    func size(of digest: Digest) -> Int64? {
        var status = stat()
        let isThere = unsafe fstatat(blobs, BlobStore.path(of: digest), &status, AT_SYMLINK_NOFOLLOW) == 0
        return isThere ? Int64(status.st_size) : nil
    }

    /// Opens a blob's file for reading; nil if it does not exist.
    func open(_ digest: Digest) throws(BlobStoreError) -> OpenFile? {
        let path = BlobStore.path(of: digest)
        let number = unsafe openat(blobs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if number >= 0 { return OpenFile(number) }
        let reason = Errno(rawValue: errno)
        if reason == .noSuchFileOrDirectory { return nil }
        throw BlobStoreError(reason, during: "open blobs/\(path)")
    }

    /// Deletes a blob's file, if it exists.
    func remove(_ digest: Digest) throws(BlobStoreError) {
        let path = BlobStore.path(of: digest)
        guard unsafe unlinkat(blobs, path, 0) != 0 else { return }
        let reason = Errno(rawValue: errno)
        if reason != .noSuchFileOrDirectory { throw BlobStoreError(reason, during: "unlink blobs/\(path)") }
    }

    /// Puts a blob's bytes, and its name, on stable storage.
    func synchronize(_ digest: Digest, _ sync: Sync) throws(BlobStoreError) {
        let path = BlobStore.path(of: digest)
        try synchronize(path, O_RDONLY, sync)
        try synchronizeName(of: digest)
    }

    /// Puts a blob's name on stable storage.
    func synchronizeName(of digest: Digest) throws(BlobStoreError) {
        try synchronize(String(BlobStore.path(of: digest).prefix(2)), O_RDONLY | O_DIRECTORY, .blobName)
    }

    private func synchronize(_ name: String, _ flags: Int32, _ sync: Sync) throws(BlobStoreError) {
        let file = OpenFile(try checked("open blobs/\(name)") { unsafe openat(blobs, name, flags | O_CLOEXEC) })
        try file.synchronize(sync)
    }

    /// Deletes all files in `staging/`, except `kept`.
    /// - Returns: the number of deleted files.
    func clearStaging(except kept: Set<String> = []) throws(BlobStoreError) -> Int {
        let number = try checked("open staging") { unsafe openat(staging, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard let folder = unsafe fdopendir(number) else {
            throw BlobStoreError(Errno(rawValue: errno), during: "list staging")
        }
        defer { unsafe _ = closedir(folder) }
        var count = 0
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." || kept.contains(name) { continue }
            // A foreign folder is left alone, and must not prevent a mount.
            if unsafe unlinkat(staging, name, 0) != 0 {
                let reason = Errno(rawValue: errno)
                guard reason == .isDirectory else {
                    throw BlobStoreError(reason, during: "unlink staging/\(name)")
                }
                continue
            }
            count += 1
        }
        return count
    }
}
