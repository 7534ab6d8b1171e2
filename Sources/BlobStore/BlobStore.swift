public import AssetModel
internal import CLinux
public import Glibc
internal import Synchronization
internal import SystemPackage

/// Immutable blobs on disk, named by their digest: `blobs/ab/<62 hex digits>`, beside `staging/` for
/// unfinished files.
///
/// ## Concurrency
/// All methods may be called at once from any thread. `pending`, `retired`, `damaged`, `healed`, `suspects`
/// and `alternates` are never held across a system call.
public final class BlobStore: Sendable {
    let primary: StoreFolder
    private var blobs: Int32 { primary.blobs }
    var blobsFolder: Int32 { primary.blobs }
    private var staging: Int32 { primary.staging }
    /// Further folders for blobs: `BlobStore+Alternates.swift`.
    let alternates = Mutex<[Alternate]>([])
    private let pending = Mutex<[Digest]>([])
    /// Blobs whose last sync failed: `BlobStore+Suspects.swift`.
    let suspects = Mutex<Set<Digest>>([])
    private let retired = Mutex<[String]>([])
    private let damaged = Mutex<Set<Digest>>([])
    /// Blobs whose corrupt file was replaced: a handle may still have that file open.
    private let healed = Mutex<Set<Digest>>([])
    /// Whether files on the disk can share extents: 0 before the first test, 1 for no, 2 for yes.
    private let sharing = Atomic(0)
    private let stagedCount = Atomic<UInt64>(0)
    private let stagedPrefix = String(Timestamp.now.rawValue, radix: 36)

    /// Opens the store in an existing folder, and creates missing subfolders.
    public init(at path: String) throws(BlobStoreError) {
        primary = try StoreFolder(at: path)
        ignoreLeaseSignals()
    }

    /// Removes the folders that `init` created, as far as they are empty.
    public static func removeEmptyFolders(at path: String) {
        for number in 0..<256 { unsafe _ = rmdir("\(path)/blobs/\(StoreFolder.name(UInt8(number)))") }
        for name in ["blobs", "staging"] { unsafe _ = rmdir("\(path)/\(name)") }
    }

    /// Returns a blob's path below `blobs/`.
    public static func path(of digest: Digest) -> String {
        let name = digest.description
        return name.prefix(2) + "/" + name.dropFirst(2)
    }

    // MARK: Staging

    /// Creates an empty file in `staging/`.
    public func stage() throws(BlobStoreError) -> StagedFile {
        let name = "\(stagedPrefix)-\(stagedCount.wrappingAdd(1, ordering: .relaxed).newValue)"
        let number = try checked("create in staging") {
            unsafe openat(staging, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        }
        KillPoint.stagedMade.reach()
        return StagedFile(file: OpenFile(number), name: name, store: self)
    }

    /// Creates a private file with the first `size` bytes of another one.
    /// - Throws: `.io(.interrupted)` when `isCancelled` returns true.
    public func stage(
        copyOf file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) -> StagedFile {
        let staged = try stage()
        try staged.file.copyBytes(of: file, size: size, isCancelled: isCancelled)
        return staged
    }

    /// Whether a copy takes no space, because files on the disk can share extents: FICLONE,
    /// ioctl_ficlonerange(2).
    public var sharesExtents: Bool {
        if sharing.load(ordering: .relaxed) == 0 {
            let shares: Bool
            do throws(BlobStoreError) {
                let (one, other) = (try stage(), try stage())
                try one.allocate(mode: 0, offset: 0, length: 4096)
                shares = linux_clone(other.file.descriptor.rawValue, one.file.descriptor.rawValue) == 0
            } catch {
                // The next call tests again.
                return false
            }
            sharing.store(shares ? 2 : 1, ordering: .relaxed)
        }
        return sharing.load(ordering: .relaxed) == 2
    }

    /// Opens a file that an earlier session left in `staging/`.
    /// - Returns: nil if it does not exist.
    public func staged(named name: String) throws(BlobStoreError) -> StagedFile? {
        let number = unsafe openat(staging, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else {
            let number = Errno(rawValue: errno)
            if number == .noSuchFileOrDirectory { return nil }
            throw BlobStoreError(number, during: "open staging/\(name)")
        }
        return StagedFile(file: OpenFile(number), name: name, store: self)
    }

    /// Deletes all files in `staging/`, except `kept`.
    /// - Returns: the number of deleted files.
    public func clearStaging(except kept: Set<String> = []) throws(BlobStoreError) -> Int {
        try primary.clearStaging(except: kept)
    }

    // MARK: Blobs

    /// Records whether a blob's file is corrupt; a corrupt one is treated as absent.
    public func mark(_ digest: Digest, isDamaged: Bool) {
        damaged.withLock { _ = isDamaged ? $0.insert(digest).inserted : $0.remove(digest) != nil }
    }

    /// Returns whether a blob's file is known to be corrupt.
    public func isMarked(_ digest: Digest) -> Bool { damaged.withLock { !$0.isEmpty && $0.contains(digest) } }

    /// Returns whether a blob's corrupt file was replaced since the store was opened; a handle may still have
    /// it open.
    public func wasHealed(_ digest: Digest) -> Bool { healed.withLock { !$0.isEmpty && $0.contains(digest) } }

    /// The folders in which blobs are looked for besides the library's own.
    private var otherFolders: [StoreFolder] { alternates.withLock { $0.isEmpty ? [] : $0.compactMap(\.folder) } }

    /// The library's own folder, and all other present ones.
    var allFolders: [StoreFolder] { [primary] + otherFolders }

    /// Returns whether a blob's file exists with its size; this must hold before an upload is deduplicated
    /// against it.
    public func contains(_ digest: Digest, size: Int64) -> Bool {
        if isMarked(digest) { return false }
        return primary.size(of: digest) == size || otherFolders.contains { $0.size(of: digest) == size }
    }

    /// Opens a blob for reading, from any folder; a corrupt one only with `evenIfDamaged`.
    public func open(_ digest: Digest, size: Int64, evenIfDamaged: Bool = false) throws(BlobStoreError) -> OpenFile {
        // The library's own folder is tried twice, because the blob may have been moved there meanwhile.
        for _ in 0..<2 {
            if let own = try openOwn(digest, size: size, evenIfDamaged: evenIfDamaged) { return own }
            if !hasAlternates { break }
            if let other = try openElsewhere(digest, size: size) { return other }
        }
        var found = primary.size(of: digest)
        for folder in otherFolders where found == nil { found = folder.size(of: digest) }
        throw found.map { .damaged(digest, expected: size, found: $0) } ?? missing(digest)
    }

    /// Opens a blob in the library's own folder; nil if it is not there with its size.
    public func openOwn(
        _ digest: Digest,
        size: Int64,
        evenIfDamaged: Bool = false
    ) throws(BlobStoreError) -> OpenFile? {
        if !evenIfDamaged, isMarked(digest) { throw .corrupt(digest) }
        guard let file = try primary.open(digest), try file.measure().size == size else { return nil }
        return file
    }

    /// Opens for reading and writing the file that has a blob's name in the library's own folder, if it is
    /// the same file as `file`.
    ///
    /// The file must not be written to before it has lost that name by `exchange`.
    /// - Returns: nil if another file has the name.
    public func openForBinding(_ digest: Digest, as file: OpenFile) throws(BlobStoreError) -> OpenFile? {
        let number = unsafe openat(blobs, Self.path(of: digest), O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else { return nil }
        let bound = OpenFile(number)
        return try bound.isSame(as: file) ? bound : nil
    }

    /// Opens a blob in another folder; nil if none has it with its size.
    public func openElsewhere(_ digest: Digest, size: Int64) throws(BlobStoreError) -> OpenFile? {
        let folders = otherFolders
        // All folders are tried twice, because the blob may have been moved meanwhile to one that was tried
        // before.
        var problem: BlobStoreError?
        for folder in folders + folders {
            do throws(BlobStoreError) {
                if let file = try folder.open(digest), try file.measure().size == size { return file }
            } catch {
                // Another folder may have it.
                problem = error
            }
        }
        if let problem { throw problem }
        return nil
    }

    /// Names a staged file as the blob `digest`.
    ///
    /// Durable only after `makeDurable`.
    ///
    /// An existing file is kept if it has the same bytes, and replaced if it does not: a crash or a failing
    /// disk has damaged it, and the new bytes repair it. `isKnown` returns whether the catalog names the
    /// blob, so that an existing file of its size is trusted unread.
    /// - Returns: whether the staged file became the blob; if not, it is superfluous.
    /// - Throws: `.noSpace`, or `.io` with the disk's error.
    public func adopt(
        _ staged: StagedFile,
        as digest: Digest,
        size: Int64,
        isKnown: () -> Bool
    ) throws(BlobStoreError) -> Bool {
        let path = Self.path(of: digest)
        let mustKeepName = staged.mustKeepName
        if hasAlternates, contains(digest, size: size), primary.size(of: digest) == nil, isKnown() { return false }
        let result =
            unsafe mustKeepName
            ? linkat(staging, staged.name, blobs, path, 0)
            : renameat2(staging, staged.name, blobs, path, 1 /* RENAME_NOREPLACE */)
        if result != 0 {
            let number = Errno(rawValue: errno)
            guard number == .fileExists else { throw BlobStoreError(number, during: "naming blobs/\(path)") }
            if !isMarked(digest), primary.size(of: digest) == size {
                if isKnown() { return false }
                if let file = try primary.open(digest), try Digest(reading: file, size: size) == digest {
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
        KillPoint.blobNamed.reach()
        if !mustKeepName { staged.abandonName() }
        if staged.isSuspect { suspect([digest]) }
        if isMarked(digest) {
            healed.withLock { _ = $0.insert(digest) }
            mark(digest, isDamaged: false)
        }
        notePending(digest)
        return true
    }

    /// Exchanges a staged copy of a blob with the blob's own file: the copy becomes the blob, and the former
    /// file, open for writing as `file`, is staged under the copy's name.
    ///
    /// Durable when it returns.
    public func exchange(
        _ copy: StagedFile,
        with digest: Digest,
        openAs file: OpenFile
    ) throws(BlobStoreError) -> StagedFile {
        let path = Self.path(of: digest)
        try checked("exchange with blobs/\(path)") {
            unsafe renameat2(staging, copy.name, blobs, path, 2 /* RENAME_EXCHANGE */)
        }
        KillPoint.blobExchanged.reach()
        do throws(BlobStoreError) {
            // The copy's bytes are durable already; only the two names are new.
            try synchronizeName(of: digest)
            try synchronizeStaging()
        } catch {
            // If the exchange cannot be undone, the copy remains the blob, with the same bytes.
            if unsafe renameat2(staging, copy.name, blobs, path, 2 /* RENAME_EXCHANGE */) != 0 { copy.abandonName() }
            throw error
        }
        copy.abandonName()
        return StagedFile(file: file, name: copy.name, store: self)
    }

    /// Deletes a blob's file in all folders.
    ///
    /// The rows that named it must be durably gone.
    public func remove(_ digest: Digest) throws(BlobStoreError) {
        try primary.remove(digest)
        for folder in otherFolders { try folder.remove(digest) }
    }

    /// Returns whether an open file is the one that has a blob's name in the library's own folder.
    public func isPrimary(_ file: OpenFile, of digest: Digest) -> Bool {
        var (named, open) = (stat(), stat())
        return unsafe fstatat(blobs, Self.path(of: digest), &named, AT_SYMLINK_NOFOLLOW) == 0
            && fstat(file.descriptor.rawValue, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino
    }

    func synchronizeName(of digest: Digest) throws(BlobStoreError) { try primary.synchronizeName(of: digest) }

    private func notePending(_ digest: Digest) { pending.withLock { $0.append(digest) } }

    // MARK: Durability

    /// The largest batch that is synced with one fsync per blob; a larger one is synced with syncfs.
    private static let fewBlobs = 16

    /// Syncs the adopted blobs if they are many, so that `makeDurable` soon after finds little to do.
    public func beginMakingDurable() throws(BlobStoreError) {
        let batch = pending.withLock { pending in
            guard pending.count > Self.fewBlobs else { return [Digest]() }
            defer { pending = [] }
            return pending
        }
        guard !batch.isEmpty else { return }
        do throws(BlobStoreError) {
            try checked("syncfs") { Sync.blobsEarly.run { syncfs(blobs) } }
        } catch {
            pending.withLock { $0 = batch + $0 }
            suspect(batch)
            throw error
        }
    }

    /// Puts every adopted blob, bytes and name, on stable storage.
    /// - Returns: the blobs that the disk has lost after a failed sync.
    @discardableResult
    public func makeDurable() throws(BlobStoreError) -> [Digest] {
        let batch = pending.withLock { $0 }
        var lost: [Digest] = []
        for digest in Set(suspects(among: batch)) where try !rewrite(digest) { lost.append(digest) }
        do throws(BlobStoreError) {
            if batch.count > Self.fewBlobs {
                try checked("syncfs") { Sync.blobs.run { syncfs(blobs) } }
            } else {
                for digest in Set(batch) where !lost.contains(digest) { try synchronize(digest, .blob) }
            }
        } catch {
            suspect(batch)
            throw error
        }
        pending.withLock { $0.removeFirst(batch.count) }
        KillPoint.blobsSynced.reach()
        return lost
    }

    private func synchronize(_ digest: Digest, _ sync: Sync) throws(BlobStoreError) {
        // A blob in another folder was durable before it left the library's own.
        if primary.size(of: digest) == nil, otherFolders.contains(where: { $0.size(of: digest) != nil }) { return }
        try primary.synchronize(digest, sync)
    }

    /// Returns the library's own folder for 0, or a present alternate one.
    func folder(_ id: Int64) -> StoreFolder? {
        id == 0 ? primary : alternates.withLock { $0.first { $0.id == id }?.folder }
    }

    func synchronizeStaging() throws(BlobStoreError) {
        try checked("fsync of staging") { Sync.stagedName.run { fsync(staging) } }
    }

    func removeStaged(_ name: String) {
        // An error is ignored: a leftover only takes space until the next mount clears it.
        unsafe _ = unlinkat(staging, name, 0)
    }

    func retire(_ name: String) { retired.withLock { $0.append(name) } }

    /// The staged names that are kept until the next commit.
    public var retiredNames: Set<String> { retired.withLock { Set($0) } }

    /// Runs `commit`, and then removes the staged names that were kept for it.
    public func removingRetiredNames(after commit: () throws -> Void) rethrows {
        let names = retired.withLock { $0 }
        try commit()
        for name in names {
            removeStaged(name)
            KillPoint.stagedRetired.reach()
        }
        retired.withLock { $0.removeFirst(names.count) }
    }

    /// Returns the free and total space of the library's disk.
    public func statistics() throws(BlobStoreError) -> statvfs {
        var result = statvfs()
        try checked("fstatvfs") { unsafe fstatvfs(blobs, &result) }
        return result
    }
}
