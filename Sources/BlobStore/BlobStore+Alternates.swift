public import AssetModel
internal import CLinux
public import Glibc
internal import Synchronization
internal import SystemPackage

// Alternate stores: further folders, on other disks, that may hold blobs. Uploads are written to the
// library's own folder; a blob for another store is copied there, read back, and only then removed here. The
// place where the file is found decides, even against a record.

/// A folder for blobs besides the library's own.
struct Alternate: Sendable {
    let id: Int64
    /// The store's name.
    let name: String
    let path: String
    /// The identifier in the store's own file.
    let identifier: String
    /// The open folder; nil while it is absent.
    var folder: StoreFolder?
    /// The store's own file, locked.
    var marker: OpenFile?
}

/// The reason why a folder is not the expected store, as a sentence.
public struct AlternateProblem: Error, CustomStringConvertible, Sendable {
    /// The fault, the folder, and the remedy.
    public let description: String
}

extension BlobStore {
    /// The file that identifies a store and its library.
    private static let marker = "STORE"

    /// Whether there are any alternate stores, present or absent.
    public var hasAlternates: Bool { alternates.withLock { !$0.isEmpty } }

    /// Attaches a folder as an alternate store, or tries again to.
    ///
    /// `identifier` must be the one in the folder's own file; with `isNew` an empty folder becomes the store.
    /// A store belongs to the library that created it, which is recognized by the inode of its folder
    /// `blobs/`, and not to a copy of that library, unless `isTaken` is set.
    /// - Returns: the folder's former mode, if other users could enter it.
    /// - Throws: the reason why the folder is not that store; blobs that are only in the store are missing
    ///   until it is attached.
    @discardableResult
    public func attach(
        _ id: Int64,
        named name: String,
        at path: String,
        identifier: String,
        isNew: Bool,
        isTaken: Bool = false
    ) throws(AlternateProblem) -> UInt32? {
        var alternate = Alternate(id: id, name: name, path: path, identifier: identifier)
        func note() {
            alternates.withLock { stores in
                stores.removeAll { $0.id == id }
                stores.append(alternate)
                stores.sort { $0.id < $1.id }
            }
        }
        note()
        do {
            let mode = try open(&alternate, isNew: isNew, isTaken: isTaken)
            note()
            return mode
        } catch let error as AlternateProblem {
            throw error
        } catch {
            throw alternate.problem("cannot be used: \(error)")
        }
    }

    /// Closes the folder of a store to other users, as the library's own is.
    private static func close(_ alternate: Alternate) throws -> UInt32? {
        do {
            return try PrivateFolder.close(alternate.path)
        } catch {
            throw alternate.problem("\(error)")
        }
    }

    private func open(_ alternate: inout Alternate, isNew: Bool, isTaken: Bool) throws -> UInt32? {
        let path = alternate.path
        var mode: UInt32?
        let text = "assetfs store \(alternate.identifier)\nlibrary \(try ownFolder())\n"
        var marker = Self.marker(at: path)
        let makes = marker == nil
        if makes {
            guard Errno(rawValue: errno) == .noSuchFileOrDirectory, Self.isEmpty(path) else {
                throw alternate.problem("is not there, or cannot be read; is its disk mounted?")
            }
            guard isNew else { throw alternate.problem("is empty; is its disk mounted?") }
            mode = try Self.close(alternate)
            try Self.make(text, at: path)
            marker = Self.marker(at: path)
        }
        guard let marker else { throw alternate.problem("cannot be read.") }
        let found = try Self.text(of: marker)
        // A crash during creation leaves an empty file.
        guard found.isEmpty && isNew || found.split(separator: "\n").first == text.split(separator: "\n").first else {
            throw alternate.problem("belongs to another library; name another folder.")
        }
        guard flock(marker.descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            throw alternate.problem("is in use by another process.")
        }
        if found != text {
            guard isTaken || found.isEmpty else {
                throw alternate.problem(
                    "belongs to the library that this one is a copy of; if this one has taken its place, mount it with -o store=\(alternate.name):\(path) once."
                )
            }
            try Self.write(text, to: marker)
        }
        do {
            mode = try Self.close(alternate) ?? mode
            _ = PrivateFolder.closeContents(of: path, all: mode != nil)
            let folder = try StoreFolder(at: path)
            _ = try folder.clearStaging()
            (alternate.folder, alternate.marker) = (folder, marker)
            return mode
        } catch {
            if makes { unsafe _ = unlink("\(path)/\(Self.marker)") }
            throw error
        }
    }

    /// Returns the inode of `blobs/`, which distinguishes a library from a copy of it.
    private func ownFolder() throws -> UInt64 {
        var status = stat()
        guard let folder = folder(0), unsafe fstat(folder.blobs, &status) == 0 else {
            throw BlobStoreError(Errno(rawValue: errno), during: "fstat of blobs")
        }
        return UInt64(status.st_ino)
    }

    private static func marker(at path: String) -> OpenFile? {
        let number = unsafe Glibc.open("\(path)/\(marker)", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        return number < 0 ? nil : OpenFile(number)
    }

    private static func text(of marker: OpenFile) throws -> String {
        var bytes = [UInt8](repeating: 0, count: 200)
        let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe marker.read(into: $0, at: 0) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    private static func write(_ text: String, to marker: OpenFile) throws {
        try unsafe Array(text.utf8).withUnsafeBytes { try unsafe marker.write($0, at: 0) }
        try checked("ftruncate") { ftruncate(marker.descriptor.rawValue, text.utf8.count) }
        try marker.synchronize(.store)
    }

    private static func isEmpty(_ path: String) -> Bool {
        guard let folder = unsafe opendir(path) else { return false }
        defer { unsafe _ = closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            // mkfs.ext4 creates the last one.
            if ![".", "..", "lost+found"].contains(name) { return false }
        }
        return true
    }

    private static func make(_ text: String, at path: String) throws {
        let file = OpenFile(
            try checked("create \(path)/\(marker)") {
                unsafe Glibc.open("\(path)/\(marker)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
        )
        try write(text, to: file)
        try OpenFile(checked("open \(path)") { unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
            .synchronize(.store)
    }

    /// Detaches stores that are gone: a disk may have vanished, and its open files only return errors.
    /// - Returns: the names of the detached stores.
    public func detachVanished() -> [String] {
        let attached = alternates.withLock { $0.filter { $0.folder != nil } }
        let gone = attached.filter { !$0.isThere }
        guard !gone.isEmpty else { return [] }
        alternates.withLock { stores in
            // A store that was attached again meanwhile is left alone.
            for index in stores.indices where gone.contains(where: { $0.folder === stores[index].folder }) {
                (stores[index].folder, stores[index].marker) = (nil, nil)
            }
        }
        return gone.map(\.name)
    }

    /// The numbers of the absent alternate stores.
    public var absentStores: [Int64] { alternates.withLock { $0.filter { $0.folder == nil }.map(\.id) } }

    /// Returns whether a store is present; 0 is the library's own folder.
    public func isAttached(_ id: Int64) -> Bool { folder(id) != nil }

    /// Returns whether a store has a blob's file.
    public func holds(_ digest: Digest, in id: Int64) -> Bool { folder(id)?.size(of: digest) != nil }

    /// Returns the free and total space of a store's disk; nil if the store is absent.
    public func statistics(of id: Int64) throws(BlobStoreError) -> statvfs? {
        guard let folder = folder(id) else { return nil }
        var result = statvfs()
        try checked("fstatvfs") { unsafe fstatvfs(folder.blobs, &result) }
        return result
    }

    /// Returns the error for a blob that is in no present store.
    func missing(_ digest: Digest) -> BlobStoreError {
        let absent = alternates.withLock { $0.filter { $0.folder == nil } }
        return absent.isEmpty
            ? .missing(digest) : .absent(digest, absent.map { "“\($0.name)” (\($0.path))" }.joined(separator: ", "))
    }

    /// The free and total space of all present alternate stores, by number; nil for a disk that cannot tell.
    public var storeStatistics: [Int64: statvfs?] {
        var result: [Int64: statvfs?] = [:]
        for id in alternates.withLock({ $0.filter { $0.folder != nil }.map(\.id) }) {
            result.updateValue((try? statistics(of: id)) ?? nil, forKey: id)
        }
        return result
    }

    // MARK: Migration

    /// A blob's complete copy on the disk of a store, not yet under the blob's name; or the blob that is
    /// there already.
    public struct Copy: Sendable {
        fileprivate let digest: Digest
        fileprivate let store: Int64
        /// The copy's name in `staging/`; nil if the blob is there already.
        fileprivate let staged: String?
    }

    /// Copies a blob to a store, and verifies the bytes on its disk.
    ///
    /// - Throws: `.io(.interrupted)` when `isCancelled` returns true; `.corrupt` if `source` does not have,
    ///   or keep, the blob's bytes.
    public func stage(
        _ source: OpenFile,
        as digest: Digest,
        size: Int64,
        in id: Int64,
        isCancelled: () -> Bool
    ) throws(BlobStoreError) -> Copy {
        guard let target = folder(id) else { throw .io(.noSuchFileOrDirectory, during: "the store is not there") }
        // A file that a crash has left is used only after it was read and verified.
        if let present = try? target.open(digest), (try? present.synchronize(.copied)) != nil,
            (try? isWhole(present, digest, size, isCancelled)) == true
        {
            try target.synchronize(digest, .placed)
            return Copy(digest: digest, store: id, staged: nil)
        }
        let name = "\(digest)"
        unsafe _ = unlinkat(target.staging, name, 0)
        let file = OpenFile(
            try checked("create staging/\(name)") {
                unsafe openat(target.staging, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
        )
        do throws(BlobStoreError) {
            try file.copyBytes(of: source, size: size, isCancelled: isCancelled)
            try file.synchronize(.copied)
            guard try isWhole(file, digest, size, isCancelled) else { throw .corrupt(digest) }
            KillPoint.copyMade.reach()
        } catch {
            unsafe _ = unlinkat(target.staging, name, 0)
            throw error
        }
        return Copy(digest: digest, store: id, staged: name)
    }

    private func isWhole(
        _ file: OpenFile,
        _ digest: Digest,
        _ size: Int64,
        _ isCancelled: () -> Bool
    ) throws(BlobStoreError) -> Bool {
        guard try file.measure().size == size else { return false }
        return try Digest(readingFromDisk: file, size: size, isCancelled: isCancelled) == digest
    }

    /// Gives a copy the blob's name; durable when it returns.
    public func place(_ copy: Copy) throws(BlobStoreError) {
        guard let target = folder(copy.store) else { throw missing(copy.digest) }
        if let staged = copy.staged {
            let path = Self.path(of: copy.digest)
            try checked("rename to blobs/\(path)") {
                unsafe renameat(target.staging, staged, target.blobs, path)
            }
        }
        try target.synchronize(copy.digest, .placed)
        KillPoint.copyPlaced.reach()
    }

    /// Deletes a copy that is no longer needed.
    public func drop(_ copy: Copy) {
        guard let staged = copy.staged, let target = folder(copy.store) else { return }
        unsafe _ = unlinkat(target.staging, staged, 0)
    }

    /// Deletes a blob from one store.
    public func remove(_ digest: Digest, from id: Int64) throws(BlobStoreError) { try folder(id)?.remove(digest) }

    /// Returns the stores that have a blob's file.
    public func holders(of digest: Digest) -> [Int64] {
        ([0] + alternates.withLock { $0.map(\.id) }).filter { holds(digest, in: $0) }
    }
}

extension Alternate {
    fileprivate func problem(_ reason: String) -> AlternateProblem {
        AlternateProblem(description: "The store “\(name)” (\(path)) \(reason)")
    }

    /// Whether the open folder is the one at the path.
    fileprivate var isThere: Bool {
        var (present, open) = (stat(), stat())
        guard let folder, unsafe stat("\(path)/blobs", &present) == 0, unsafe fstat(folder.blobs, &open) == 0 else {
            return false
        }
        guard present.st_dev == open.st_dev, present.st_ino == open.st_ino, let marker else { return false }
        // Read from the disk: the page cache still has the open file of a disk that is gone.
        marker.forgetCachedPages()
        var byte: UInt8 = 0
        return unsafe withUnsafeMutableBytes(of: &byte) { (try? unsafe marker.read(into: $0, at: 0)) == 1 }
    }
}
