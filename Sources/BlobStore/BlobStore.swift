public import AssetModel
internal import CLinux
public import Glibc
internal import Synchronization
internal import SystemPackage

/// Immutable bytes on disk, named by their digest: `blobs/ab/<62 hex digits>`, beside `staging/` for what is being written.
///
/// ## Concurrency
/// All methods may be called at once from any thread. `pending`, `retired` and `damaged` are never held across a system call.
public final class BlobStore: Sendable {
    private let blobs: Int32
    private let staging: Int32
    private let pending = Mutex<[Digest]>([])
    private let retired = Mutex<[String]>([])
    private let damaged = Mutex<Set<Digest>>([])
    private let stagedCount = Atomic<UInt64>(0)
    private let stagedPrefix = String(Timestamp.now.rawValue, radix: 36)

    /// Opens the store in an existing folder, and makes what it lacks.
    public init(at path: String) throws(BlobStoreError) {
        blobs = try Self.folder("\(path)/blobs")
        staging = try Self.folder("\(path)/staging")
        for number in 0..<256 where unsafe faccessat(blobs, Self.folderName(UInt8(number)), F_OK, 0) != 0 {
            try checked("mkdir in \(path)/blobs") { unsafe mkdirat(blobs, Self.folderName(UInt8(number)), 0o700) }
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

    private static func folderName(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// Removes the folders that `init` made, as far as they are empty.
    public static func removeEmptyFolders(at path: String) {
        for number in 0..<256 { unsafe _ = rmdir("\(path)/blobs/\(folderName(UInt8(number)))") }
        for name in ["blobs", "staging"] { unsafe _ = rmdir("\(path)/\(name)") }
    }

    /// A blob's path below `blobs/`.
    public static func path(of digest: Digest) -> String {
        let name = digest.description
        return name.prefix(2) + "/" + name.dropFirst(2)
    }

    // MARK: Staging

    /// An empty file to write to.
    public func stage() throws(BlobStoreError) -> StagedFile {
        let name = "\(stagedPrefix)-\(stagedCount.wrappingAdd(1, ordering: .relaxed).newValue)"
        let number = try checked("create in staging") {
            unsafe openat(staging, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        }
        return StagedFile(file: OpenFile(number), name: name, store: self)
    }

    /// A private file that begins as a copy of the first `size` bytes of another.
    public func stage(copyOf file: OpenFile, size: Int64) throws(BlobStoreError) -> StagedFile {
        let staged = try stage()
        try staged.file.copyBytes(of: file, size: size)
        return staged
    }

    /// Opens a file that an earlier session left in `staging/`.
    /// - Returns: nil where there is none.
    public func staged(named name: String) throws(BlobStoreError) -> StagedFile? {
        let number = unsafe openat(staging, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else {
            let number = Errno(rawValue: errno)
            if number == .noSuchFileOrDirectory { return nil }
            throw BlobStoreError(number, during: "open staging/\(name)")
        }
        return StagedFile(file: OpenFile(number), name: name, store: self)
    }

    /// Removes all that is in `staging/`, but what is to be kept.
    /// - Returns: how many files.
    public func clearStaging(except kept: Set<String> = []) throws(BlobStoreError) -> Int {
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
            try checked("unlink staging/\(name)") { unsafe unlinkat(staging, name, 0) }
            count += 1
        }
        return count
    }

    // MARK: Blobs

    /// Notes whether a blob's file is known not to have the blob's bytes: then it is as if it were not there.
    public func mark(_ digest: Digest, isDamaged: Bool) {
        damaged.withLock { _ = isDamaged ? $0.insert(digest).inserted : $0.remove(digest) != nil }
    }

    /// Whether a blob's file is known not to have the blob's bytes.
    public func isMarked(_ digest: Digest) -> Bool { damaged.withLock { !$0.isEmpty && $0.contains(digest) } }

    /// Whether a blob's file is there with its size: what must hold before anything is deduplicated against it.
    public func contains(_ digest: Digest, size: Int64) -> Bool {
        var status = stat()
        return unsafe !isMarked(digest) && fstatat(blobs, Self.path(of: digest), &status, AT_SYMLINK_NOFOLLOW) == 0
            && status.st_size == Int(size)
    }

    /// Opens a blob for reading; also one that is known to be damaged where that is asked for.
    public func open(_ digest: Digest, size: Int64, evenIfDamaged: Bool = false) throws(BlobStoreError) -> OpenFile {
        if !evenIfDamaged, isMarked(digest) { throw .corrupt(digest) }
        let path = Self.path(of: digest)
        let number = unsafe openat(blobs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else {
            let number = Errno(rawValue: errno)
            throw number == .noSuchFileOrDirectory
                ? .missing(digest) : BlobStoreError(number, during: "open blobs/\(path)")
        }
        let file = OpenFile(number)
        let found = try file.measure().size
        guard found == size else { throw .damaged(digest, expected: size, found: found) }
        return file
    }

    /// Makes a staged file the blob `digest`.
    ///
    /// Durable only after `makeDurable`.
    ///
    /// A file that is already there stays when it has the same bytes, and is replaced when it does not: a crash or a damaged
    /// disk left it so, and the new bytes heal it.
    /// `isKnown` says whether the catalog names the blob, so that a file of its size is trusted unread.
    /// - Returns: whether the staged file became the blob; if not, it is superfluous.
    /// - Throws: `.noSpace`, or `.io` with what the disk reported.
    public func adopt(
        _ staged: StagedFile,
        as digest: Digest,
        size: Int64,
        isKnown: () -> Bool
    ) throws(BlobStoreError) -> Bool {
        let path = Self.path(of: digest)
        let mustKeepName = staged.mustKeepName
        let result =
            unsafe mustKeepName
            ? linkat(staging, staged.name, blobs, path, 0)
            : renameat2(staging, staged.name, blobs, path, 1 /* RENAME_NOREPLACE */)
        if result != 0 {
            let number = Errno(rawValue: errno)
            guard number == .fileExists else { throw BlobStoreError(number, during: "naming blobs/\(path)") }
            if contains(digest, size: size) {
                if isKnown() { return false }
                if try Digest(reading: try open(digest, size: size), size: size) == digest {
                    notePending(digest)
                    return false
                }
            }
            if mustKeepName {
                try checked("unlink blobs/\(path)") { unsafe unlinkat(blobs, path, 0) }
                try checked("link blobs/\(path)") { unsafe linkat(staging, staged.name, blobs, path, 0) }
            } else {
                try checked("rename to blobs/\(path)") { unsafe renameat(staging, staged.name, blobs, path) }
            }
        }
        if !mustKeepName { staged.abandonName() }
        mark(digest, isDamaged: false)
        notePending(digest)
        return true
    }

    /// Swaps a staged copy of a blob with the blob's own file: the copy is the blob then, and the former file is
    /// staged, under the copy's name.
    ///
    /// Durable when it returns.
    public func exchange(_ copy: StagedFile, with digest: Digest) throws(BlobStoreError) -> StagedFile {
        let path = Self.path(of: digest)
        try checked("exchange with blobs/\(path)") {
            unsafe renameat2(staging, copy.name, blobs, path, 2 /* RENAME_EXCHANGE */)
        }
        copy.abandonName()
        guard let bound = try staged(named: copy.name) else { throw .missing(digest) }
        try synchronize(digest)
        try synchronizeStaging()
        return bound
    }

    /// Removes a blob's file, if it is there.
    ///
    /// The rows that named it must be durably gone.
    public func remove(_ digest: Digest) throws(BlobStoreError) {
        let path = Self.path(of: digest)
        guard unsafe unlinkat(blobs, path, 0) != 0 else { return }
        let number = Errno(rawValue: errno)
        if number != .noSuchFileOrDirectory { throw BlobStoreError(number, during: "unlink blobs/\(path)") }
    }

    private func notePending(_ digest: Digest) { pending.withLock { $0.append(digest) } }

    // MARK: Durability

    /// How many blobs are worth a sync of the whole filesystem rather than one fsync each.
    private static let fewBlobs = 16

    /// Writes out what has been adopted so far when that is much, so that `makeDurable` soon after finds little to do.
    public func beginMakingDurable() throws(BlobStoreError) {
        let batch = pending.withLock { pending in
            guard pending.count > Self.fewBlobs else { return [Digest]() }
            defer { pending = [] }
            return pending
        }
        guard !batch.isEmpty else { return }
        do throws(BlobStoreError) {
            try checked("syncfs") { syncfs(blobs) }
        } catch {
            pending.withLock { $0 = batch + $0 }
            throw error
        }
    }

    /// Puts every adopted blob, bytes and name, on stable storage.
    public func makeDurable() throws(BlobStoreError) {
        let batch = pending.withLock { $0 }
        if batch.count > Self.fewBlobs {
            try checked("syncfs") { syncfs(blobs) }
        } else {
            for digest in Set(batch) { try synchronize(digest) }
        }
        pending.withLock { $0.removeFirst(batch.count) }
    }

    private func synchronize(_ digest: Digest) throws(BlobStoreError) {
        let path = Self.path(of: digest)
        for (name, flags) in [(path, O_RDONLY), (String(path.prefix(2)), O_RDONLY | O_DIRECTORY)] {
            let file = OpenFile(try checked("open blobs/\(name)") { unsafe openat(blobs, name, flags | O_CLOEXEC) })
            try file.synchronize()
        }
    }

    func synchronizeStaging() throws(BlobStoreError) { try checked("fsync of staging") { fsync(staging) } }

    func removeStaged(_ name: String) {
        // A leftover costs space until the next mount clears it, and nobody is here to hear of it.
        unsafe _ = unlinkat(staging, name, 0)
    }

    func retire(_ name: String) { retired.withLock { $0.append(name) } }

    /// Runs `commit`, and then removes the staged names that were to stay until a commit.
    public func removingRetiredNames(after commit: () throws -> Void) rethrows {
        let names = retired.withLock { $0 }
        try commit()
        for name in names { removeStaged(name) }
        retired.withLock { $0.removeFirst(names.count) }
    }

    /// Free and total space of the disk below.
    public func statistics() throws(BlobStoreError) -> statvfs {
        var result = statvfs()
        try checked("fstatvfs") { unsafe fstatvfs(blobs, &result) }
        return result
    }
}
