public import AssetModel
internal import CLinux
public import Glibc
internal import Synchronization
internal import SystemPackage

/// Immutable bytes on disk, named by their digest: `blobs/ab/<62 hex digits>`, beside `staging/` for what is being written.
///
/// ## Concurrency
/// All methods may be called at once from any thread. `pending`, `retired`, `damaged`, `healed`, `suspects` and `alternates` are never held across a
/// system call.
public final class BlobStore: Sendable {
    let primary: StoreFolder
    private var blobs: Int32 { primary.blobs }
    var blobsFolder: Int32 { primary.blobs }
    private var staging: Int32 { primary.staging }
    /// Further folders that blobs may be in: `BlobStore+Alternates.swift`.
    let alternates = Mutex<[Alternate]>([])
    private let pending = Mutex<[Digest]>([])
    /// Blobs whose last sync failed: `BlobStore+Suspects.swift`.
    let suspects = Mutex<Set<Digest>>([])
    private let retired = Mutex<[String]>([])
    private let damaged = Mutex<Set<Digest>>([])
    /// Blobs whose damaged file another has taken the place of: who has that open still has it.
    private let healed = Mutex<Set<Digest>>([])
    /// Whether the disk lets files share their bytes, once that has been asked; 0 before, 1 for no, 2 for yes.
    private let sharing = Atomic(0)
    private let stagedCount = Atomic<UInt64>(0)
    private let stagedPrefix = String(Timestamp.now.rawValue, radix: 36)

    /// Opens the store in an existing folder, and makes what it lacks.
    public init(at path: String) throws(BlobStoreError) {
        primary = try StoreFolder(at: path)
        ignoreLeaseSignals()
    }

    /// Removes the folders that `init` made, as far as they are empty.
    public static func removeEmptyFolders(at path: String) {
        for number in 0..<256 { unsafe _ = rmdir("\(path)/blobs/\(StoreFolder.name(UInt8(number)))") }
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
        KillPoint.stagedMade.reach()
        return StagedFile(file: OpenFile(number), name: name, store: self)
    }

    /// A private file that begins as a copy of the first `size` bytes of another.
    /// - Throws: `.io(.interrupted)` when `isCancelled` says so.
    public func stage(
        copyOf file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) -> StagedFile {
        let staged = try stage()
        try staged.file.copyBytes(of: file, size: size, isCancelled: isCancelled)
        return staged
    }

    /// Whether a copy takes no room, because files of the disk can share their bytes: FICLONE, ioctl_ficlonerange(2).
    public var sharesExtents: Bool {
        if sharing.load(ordering: .relaxed) == 0 {
            let shares: Bool
            do throws(BlobStoreError) {
                let (one, other) = (try stage(), try stage())
                try one.allocate(mode: 0, offset: 0, length: 4096)
                shares = linux_clone(other.file.descriptor.rawValue, one.file.descriptor.rawValue) == 0
            } catch {
                // It is asked again.
                return false
            }
            sharing.store(shares ? 2 : 1, ordering: .relaxed)
        }
        return sharing.load(ordering: .relaxed) == 2
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
        try primary.clearStaging(except: kept)
    }

    // MARK: Blobs

    /// Notes whether a blob's file is known not to have the blob's bytes: then it is as if it were not there.
    public func mark(_ digest: Digest, isDamaged: Bool) {
        damaged.withLock { _ = isDamaged ? $0.insert(digest).inserted : $0.remove(digest) != nil }
    }

    /// Whether a blob's file is known not to have the blob's bytes.
    public func isMarked(_ digest: Digest) -> Bool { damaged.withLock { !$0.isEmpty && $0.contains(digest) } }

    /// Whether a blob had a damaged file since the store was opened, which somebody may still have open.
    public func wasHealed(_ digest: Digest) -> Bool { healed.withLock { !$0.isEmpty && $0.contains(digest) } }

    /// Where blobs are looked for that are not in the store's own folder.
    private var otherFolders: [StoreFolder] { alternates.withLock { $0.isEmpty ? [] : $0.compactMap(\.folder) } }

    /// The store's own folder, and all others that are there.
    var allFolders: [StoreFolder] { [primary] + otherFolders }

    /// Whether a blob's file is there with its size: what must hold before anything is deduplicated against it.
    public func contains(_ digest: Digest, size: Int64) -> Bool {
        if isMarked(digest) { return false }
        return primary.size(of: digest) == size || otherFolders.contains { $0.size(of: digest) == size }
    }

    /// Opens a blob for reading, wherever it is; also one that is known to be damaged where that is asked for.
    public func open(_ digest: Digest, size: Int64, evenIfDamaged: Bool = false) throws(BlobStoreError) -> OpenFile {
        // The own folder once more, because it may have been moved there meanwhile.
        for _ in 0..<2 {
            if let own = try openOwn(digest, size: size, evenIfDamaged: evenIfDamaged) { return own }
            if !hasAlternates { break }
            if let other = try openElsewhere(digest, size: size) { return other }
        }
        let found = primary.size(of: digest) ?? otherFolders.lazy.compactMap { $0.size(of: digest) }.first
        throw found.map { .damaged(digest, expected: size, found: $0) } ?? missing(digest)
    }

    /// Opens a blob in the store's own folder; nil where it is not there with its size.
    public func openOwn(
        _ digest: Digest,
        size: Int64,
        evenIfDamaged: Bool = false
    ) throws(BlobStoreError) -> OpenFile? {
        if !evenIfDamaged, isMarked(digest) { throw .corrupt(digest) }
        guard let file = try primary.open(digest), try file.measure().size == size else { return nil }
        return file
    }

    /// Opens for writing, too, the file that has a blob's name in the store's own folder, if it is the file that is open already.
    ///
    /// Nothing may write to it before it has lost that name by `exchange`.
    /// - Returns: nil where another file has the name.
    public func openForBinding(_ digest: Digest, as file: OpenFile) throws(BlobStoreError) -> OpenFile? {
        let number = unsafe openat(blobs, Self.path(of: digest), O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0 else { return nil }
        let bound = OpenFile(number)
        return try bound.isSame(as: file) ? bound : nil
    }

    /// Opens a blob that is in another folder; nil where there is none with its size.
    public func openElsewhere(_ digest: Digest, size: Int64) throws(BlobStoreError) -> OpenFile? {
        let folders = otherFolders
        // All once more, because it may have been moved meanwhile to where it was looked for first.
        var problem: BlobStoreError?
        for folder in folders + folders {
            do throws(BlobStoreError) {
                if let file = try folder.open(digest), try file.measure().size == size { return file }
            } catch {
                // Another may have it.
                problem = error
            }
        }
        if let problem { throw problem }
        return nil
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

    /// Swaps a staged copy of a blob with the blob's own file: the copy is the blob then, and the former file, which is open for
    /// writing as `file`, is staged under the copy's name.
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
            // The copy's bytes are there already; what is new are the two names.
            try synchronizeName(of: digest)
            try synchronizeStaging()
        } catch {
            // Where it cannot be undone the copy stays the blob, with the same bytes.
            if unsafe renameat2(staging, copy.name, blobs, path, 2 /* RENAME_EXCHANGE */) != 0 { copy.abandonName() }
            throw error
        }
        copy.abandonName()
        return StagedFile(file: file, name: copy.name, store: self)
    }

    /// Removes a blob's file, wherever it is.
    ///
    /// The rows that named it must be durably gone.
    public func remove(_ digest: Digest) throws(BlobStoreError) {
        try primary.remove(digest)
        for folder in otherFolders { try folder.remove(digest) }
    }

    /// Whether an open file is the one that has a blob's name in the store's own folder.
    public func isPrimary(_ file: OpenFile, of digest: Digest) -> Bool {
        var (named, open) = (stat(), stat())
        return unsafe fstatat(blobs, Self.path(of: digest), &named, AT_SYMLINK_NOFOLLOW) == 0
            && fstat(file.descriptor.rawValue, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino
    }

    func synchronizeName(of digest: Digest) throws(BlobStoreError) { try primary.synchronizeName(of: digest) }

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
            try checked("syncfs") { Sync.blobsEarly.run { syncfs(blobs) } }
        } catch {
            pending.withLock { $0 = batch + $0 }
            suspect(batch)
            throw error
        }
    }

    /// Puts every adopted blob, bytes and name, on stable storage.
    /// - Returns: those that the disk has lost after a sync of them had failed.
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
        // What is in another folder was durable before it left this one.
        if primary.size(of: digest) == nil, otherFolders.contains(where: { $0.size(of: digest) != nil }) { return }
        try primary.synchronize(digest, sync)
    }

    /// The folder with the number 0, or an alternate one that is there.
    func folder(_ id: Int64) -> StoreFolder? {
        id == 0 ? primary : alternates.withLock { $0.first { $0.id == id }?.folder }
    }

    func synchronizeStaging() throws(BlobStoreError) {
        try checked("fsync of staging") { Sync.stagedName.run { fsync(staging) } }
    }

    func removeStaged(_ name: String) {
        // A leftover costs space until the next mount clears it, and nobody is here to hear of it.
        unsafe _ = unlinkat(staging, name, 0)
    }

    func retire(_ name: String) { retired.withLock { $0.append(name) } }

    /// The staged names that stay until the next commit.
    public var retiredNames: Set<String> { retired.withLock { Set($0) } }

    /// Runs `commit`, and then removes the staged names that were to stay until a commit.
    public func removingRetiredNames(after commit: () throws -> Void) rethrows {
        let names = retired.withLock { $0 }
        try commit()
        for name in names {
            removeStaged(name)
            KillPoint.stagedRetired.reach()
        }
        retired.withLock { $0.removeFirst(names.count) }
    }

    /// Free and total space of the disk below.
    public func statistics() throws(BlobStoreError) -> statvfs {
        var result = statvfs()
        try checked("fstatvfs") { unsafe fstatvfs(blobs, &result) }
        return result
    }
}
