public import AssetModel
internal import CLinux
public import Glibc
internal import Synchronization
internal import SystemPackage

// Alternate stores: further folders, on other disks, that blobs may be in. Uploads come to the store's own folder; what is to be in
// another is copied there, read back, and only then removed here. Where the file is found decides, whatever anybody has recorded.

/// A folder that blobs may be in besides the store's own.
struct Alternate: Sendable {
    let id: Int64
    /// What people call it.
    let name: String
    let path: String
    /// Nil while it is not there.
    var folder: StoreFolder?
}

/// Why a folder is not the store that it is said to be: a sentence.
public struct AlternateProblem: Error, CustomStringConvertible, Sendable {
    /// What is wrong, with which folder, and what to do.
    public let description: String
}

extension BlobStore {
    /// The file that says whose store a folder is.
    private static let marker = "STORE"

    /// Whether there are any, here or not.
    public var hasAlternates: Bool { alternates.withLock { !$0.isEmpty } }

    /// Takes a folder for an alternate store, or tries again to.
    ///
    /// `identifier` is what the folder's own file says that it is; with `isNew` an empty folder is made the store.
    /// - Throws: why it is not that store; blobs that are nowhere else are missing until it is.
    public func attach(
        _ id: Int64,
        named name: String,
        at path: String,
        identifier: String,
        isNew: Bool
    ) throws(AlternateProblem) {
        alternates.withLock { stores in
            stores.removeAll { $0.id == id }
            stores.append(Alternate(id: id, name: name, path: path))
            stores.sort { $0.id < $1.id }
        }
        let folder = try Self.open(path, named: name, identifier, isNew: isNew)
        alternates.withLock { stores in
            guard let index = stores.firstIndex(where: { $0.id == id }) else { return }
            stores[index].folder = folder
        }
    }

    private static func open(
        _ path: String,
        named name: String,
        _ identifier: String,
        isNew: Bool
    ) throws(AlternateProblem) -> StoreFolder {
        func problem(_ reason: String) -> AlternateProblem {
            AlternateProblem(description: "The store “\(name)” (\(path)) \(reason)")
        }
        let text = "assetfs store \(identifier)\n"
        let number = unsafe Glibc.open("\(path)/\(marker)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        do {
            if number >= 0 {
                let file = OpenFile(number)
                var bytes = [UInt8](repeating: 0, count: 200)
                let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }
                guard String(decoding: bytes.prefix(count), as: UTF8.self) == text else {
                    throw problem("belongs to another library; name another folder.")
                }
            } else {
                guard Errno(rawValue: errno) == .noSuchFileOrDirectory, isEmpty(path) else {
                    throw problem("is not there, or cannot be read; is its disk mounted?")
                }
                guard isNew else { throw problem("is empty; is its disk mounted?") }
                try make(text, at: path)
            }
            let folder = try StoreFolder(at: path)
            _ = try folder.clearStaging()
            return folder
        } catch let error as AlternateProblem {
            throw error
        } catch {
            throw problem("cannot be used: \(error)")
        }
    }

    private static func isEmpty(_ path: String) -> Bool {
        guard let folder = unsafe opendir(path) else { return false }
        defer { unsafe _ = closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            // ext4 makes the last one.
            if ![".", "..", "lost+found", "blobs", "staging"].contains(name) { return false }
        }
        return true
    }

    private static func make(_ text: String, at path: String) throws {
        let file = OpenFile(
            try checked("create \(path)/\(marker)") {
                unsafe Glibc.open("\(path)/\(marker)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
        )
        try unsafe Array(text.utf8).withUnsafeBytes { try unsafe file.write($0, at: 0) }
        try file.synchronize()
        try OpenFile(checked("open \(path)") { unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
            .synchronize()
    }

    /// Alternate stores that are not there, by their numbers.
    public var absentStores: [Int64] { alternates.withLock { $0.filter { $0.folder == nil }.map(\.id) } }

    /// Whether a store is there; 0 is the store's own folder.
    public func isAttached(_ id: Int64) -> Bool { folder(id) != nil }

    /// Whether a store has a blob's file.
    public func holds(_ digest: Digest, in id: Int64) -> Bool { folder(id)?.size(of: digest) != nil }

    /// Whether another store has a blob's file.
    public func isElsewhere(_ digest: Digest, than id: Int64) -> Bool {
        ([0] + alternates.withLock { $0.map(\.id) }).contains { $0 != id && holds(digest, in: $0) }
    }

    /// Free and total space of a store's disk; nil where it is not there.
    public func statistics(of id: Int64) -> statvfs? {
        var result = statvfs()
        guard let folder = folder(id), unsafe fstatvfs(folder.blobs, &result) == 0 else { return nil }
        return result
    }

    /// What is said of a blob that is nowhere.
    func missing(_ digest: Digest) -> BlobStoreError {
        let absent = alternates.withLock { $0.filter { $0.folder == nil } }
        return absent.isEmpty
            ? .missing(digest) : .absent(digest, absent.map { "“\($0.name)” (\($0.path))" }.joined(separator: ", "))
    }

    // MARK: Moving

    /// Copies a blob to a store, and makes sure that what is there now, on its disk, are the blob's bytes.
    ///
    /// Durable when it returns. The blob is where it was, too.
    /// - Throws: `.io(.interrupted)` when `isCancelled` says so; `.corrupt` when `source` does not have, or keep, the blob's bytes.
    public func copy(
        _ source: OpenFile,
        as digest: Digest,
        size: Int64,
        to id: Int64,
        isCancelled: () -> Bool
    ) throws(BlobStoreError) {
        guard let target = folder(id) else { throw .io(.noSuchFileOrDirectory, during: "the store is not there") }
        if target.size(of: digest) == size, let present = try target.open(digest) {
            // What a crash has left is believed when it has been read.
            try present.synchronize()
            if try isWhole(present, digest, size, isCancelled) { return try target.synchronize(digest) }
        }
        let name = "\(digest)"
        unsafe _ = unlinkat(target.staging, name, 0)
        let copy = OpenFile(
            try checked("create staging/\(name)") {
                unsafe openat(target.staging, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
        )
        do throws(BlobStoreError) {
            try copy.copyBytes(of: source, size: size, isCancelled: isCancelled)
            try copy.synchronize()
            guard try isWhole(copy, digest, size, isCancelled) else { throw .corrupt(digest) }
            try checked("rename to blobs/\(Self.path(of: digest))") {
                unsafe renameat(target.staging, name, target.blobs, Self.path(of: digest))
            }
            try target.synchronize(digest)
        } catch {
            unsafe _ = unlinkat(target.staging, name, 0)
            throw error
        }
    }

    private func isWhole(
        _ file: OpenFile,
        _ digest: Digest,
        _ size: Int64,
        _ isCancelled: () -> Bool
    ) throws(BlobStoreError) -> Bool {
        file.forgetCachedPages()
        defer { file.forgetCachedPages() }
        return try Digest(reading: file, size: size, isCancelled: isCancelled) == digest
    }

    /// Removes a blob from all stores but one, which must have it.
    public func remove(_ digest: Digest, exceptFrom id: Int64) throws(BlobStoreError) {
        guard folder(id)?.size(of: digest) != nil else { throw missing(digest) }
        let others = [0] + alternates.withLock { $0.map(\.id) }
        for other in others where other != id { try folder(other)?.remove(digest) }
    }

    /// Removes a blob from one store.
    public func remove(_ digest: Digest, from id: Int64) throws(BlobStoreError) { try folder(id)?.remove(digest) }
}
