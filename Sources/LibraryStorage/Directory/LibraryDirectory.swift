public import AssetModel
internal import BlobStore
public import Catalog
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The parts of a library, and the check that a folder is one: `FORMAT`, `lock`, `catalog.sqlite`, `blobs/`,
/// `staging/`.
///
/// Holds the library's lock until its last reference is released.
public final class LibraryDirectory: Sendable {
    /// The line in FORMAT of a library that this assetfs can open.
    public static let format = "assetfs library 1"

    /// The path of the folder.
    public let path: String
    /// The path of the catalog's database.
    public var catalogPath: String { "\(path)/catalog.sqlite" }
    /// The path of the search index.
    public var searchPath: String { "\(path)/search.sqlite" }
    /// The descriptor of the folder: its path may come to lead elsewhere.
    public let folder: Int32
    private let lock: Int32
    /// Whether this open has created the library.
    public let isNew: Bool
    /// The number of this boot of the machine; nil where the kernel gives none.
    private let boot: String?
    /// Whether the machine may have lost its power since the library was last open, so that bytes that were
    /// not synced may be missing on the disk.
    public let hasPowerFailed: Bool
    /// The times since which a blob without a row must have been made, and named, to be proven part of no
    /// acknowledged upload; nil where no such proof exists.
    public let unacknowledged: (made: Timestamp, named: Timestamp)?
    /// Whether the last process was killed, and `unacknowledged` proves nothing about it: a kill between a
    /// checkpoint and its record leaves no proof.
    public let isUnproven: Bool
    /// The content of the lock's file.
    private struct Record {
        var state: LockState
        var session: CatalogSession?
        /// Whether the session is that of this process.
        var isPresent = false
    }
    private let record: RankedMutex<Record>
    /// Whether there was no catalog, so that `abandon` may delete the catalog that is there.
    private let hadNoCatalog: Bool
    /// The folder's former mode, where other users could enter the folder.
    public let formerMode: UInt32?
    /// The number of files and folders in it that other users could open.
    public let closedCount: Int

    /// Opens a library's folder and locks it; makes the folder when it is missing, and the library when the
    /// folder is empty.
    public init(path: String) throws(OpenLibraryError) {
        self.path = path
        let wasMade = unsafe mkdir(path, 0o700) == 0
        let made = Errno(rawValue: errno)
        guard wasMade || made == .fileExists else { throw Self.refused(path, made) }
        let contents = try Self.contents(path)
        let format = contents.contains("FORMAT") ? try Self.read("\(path)/FORMAT") : nil
        if format == Self.format, !Self.hasCatalog(path) { throw .catalogMissing(path: path) }
        if let format, format != Self.format { throw .unknownFormat(path: path, found: String(format.prefix(40))) }
        // A folder that has only names of a library's parts is a library whose creation was interrupted.
        guard
            format != nil
                || contents.isSubset(of: [
                    "lock", "catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "catalog.sqlite-journal",
                    "search.sqlite", "search.sqlite-wal", "search.sqlite-shm", "search.sqlite-journal", "blobs",
                    "staging", "assetfs.log", "lost+found",
                ])
        else { throw .notALibrary(path: path) }
        isNew = format == nil
        hadNoCatalog = !contents.contains("catalog.sqlite")
        do throws(PrivateFolder.Exposed) {
            formerMode = try PrivateFolder.close(path)
        } catch {
            if wasMade { unsafe _ = rmdir(path) }
            throw .exposed(path: path, reason: error.description)
        }

        do throws(OpenLibraryError) {
            lock = try Self.ownLock(of: path)
        } catch {
            if wasMade { unsafe _ = rmdir(path) }
            throw error
        }
        boot = Self.line(of: "/proc/sys/kernel/random/boot_id")
        var former = [UInt8](repeating: 0, count: LockState.size)
        let count = unsafe pread(lock, &former, former.count, 0)
        former.removeLast(former.count - max(0, count))
        hasPowerFailed = boot == nil || LockState.boot(in: former) != boot
        // After a loss of power the disk may lack a commit that it has acknowledged.
        let last = hasPowerFailed || LockState(former) == .ended ? nil : CatalogSession(in: former)
        var status = stat()
        let written = LockState.written(in: former)
        unacknowledged =
            unsafe fstat(lock, &status) == 0
            ? written.flatMap { last?.unacknowledged(at: "\(path)/catalog.sqlite", lock: status, written: $0) } : nil
        isUnproven = unacknowledged == nil && !hasPowerFailed && LockState(former)?.process != nil
        // If this process is killed before it has examined the blobs, the next mount does so.
        record = RankedMutex(.leaf, Record(state: .running(getpid()), session: unacknowledged == nil ? nil : last))
        folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0, Self.isFile(lock, in: folder) else {
            if folder >= 0 { _ = close(folder) }
            _ = close(lock)
            throw .notAccessible(path: path, reason: "another folder has taken its place meanwhile")
        }
        closedCount = PrivateFolder.closeContents(of: path, all: formerMode != nil)
        // SQLite gives the files beside a database the mode of the database, which it creates as the umask
        // permits.
        for name in [catalogPath, searchPath] {
            let file = unsafe open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if file >= 0 { _ = close(file) }
        }
        note(.running(getpid()))
    }

    deinit {
        _ = close(folder)
        _ = close(lock)
    }

    /// Takes the lock of a library; then its files that are changed in place have no other hard links.
    private static func ownLock(of path: String) throws(OpenLibraryError) -> Int32 {
        let lock = try takenLock(of: path)
        do throws(RepairFailure) {
            try OwnFiles.separate(OwnFiles.databases, in: path)
            guard try OwnFiles.separate(["lock"], in: path) else { return lock }
        } catch {
            _ = close(lock)
            throw .failed(
                path: path,
                reason: "a copy of it has the same files by hard links, and it cannot have its own. \(error)"
            )
        }
        // Another process can take the new lock first, and finds all files separate.
        _ = close(lock)
        return try takenLock(of: path)
    }

    private static func takenLock(of path: String) throws(OpenLibraryError) -> Int32 {
        let lock = unsafe open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw refused(path, Errno(rawValue: errno)) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            _ = close(lock)
            throw .inUse(path: path)
        }
        return lock
    }

    /// Returns whether a file is the lock of a folder.
    private static func isFile(_ lock: Int32, in folder: Int32) -> Bool {
        var (wanted, found) = (stat(), stat())
        return unsafe fstat(lock, &wanted) == 0 && fstatat(folder, "lock", &found, AT_SYMLINK_NOFOLLOW) == 0
            && wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino
    }

    /// The time at which the library was made; the present, where that is unknown.
    ///
    /// A time in the future comes from a wrong clock, and counts as the first of all times: a task that
    /// counts from it is due at once.
    public var made: Timestamp {
        var status = stat()
        guard unsafe stat("\(path)/FORMAT", &status) == 0 else { return .now }
        let made = Timestamp(seconds: status.st_mtim.tv_sec, nanoseconds: 0)
        return made <= .now ? made : Timestamp(rawValue: 0)
    }

    /// The clock of file timestamps; the system clock is ahead of it by up to a tick.
    private static var fileTime: Timestamp {
        var tick = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &tick)
        return Timestamp(seconds: tick.tv_sec, nanoseconds: tick.tv_nsec)
    }

    /// Records the state of this process in the lock's file; a failure is ignored, because the record is a
    /// hint.
    public func note(_ state: LockState) { record.withLock { store(state, &$0) } }

    private func store(_ state: LockState, _ record: inout Record) {
        record.state = state
        // On a busy machine the write may come so late that its time would count as a program's.
        for _ in 0..<3 {
            let written = Self.fileTime
            let bytes = state.bytes(boot: boot, session: record.session, written: written)
            unsafe _ = pwrite(lock, bytes, bytes.count, 0)
            if Self.fileTime < written.advanced(by: CatalogSession.delay) { return }
        }
    }

    /// Records that all blobs without a row from the last session have been examined, and that the present
    /// session may make others.
    public func beginSession(_ commit: CommitMark?) {
        record.withLock { record in
            let session = CatalogSession(of: catalogPath, began: Self.fileTime, commit: commit)
            (record.session, record.isPresent) = (session, session != nil)
            store(.running(getpid()), &record)
        }
    }

    /// Records the catalog's last transaction if it has changed; before `beginSession` the last session's
    /// stays recorded.
    public func note(_ commit: CommitMark?) {
        record.withLock { record in
            guard record.isPresent, record.session?.commit != commit else { return }
            record.session?.note(commit, at: catalogPath)
            store(record.state, &record)
        }
    }

    /// Records that the library is complete; called when catalog and blobs are there.
    public func finish() throws(OpenLibraryError) {
        guard isNew else { return }
        let text = Array((Self.format + "\n").utf8)
        let temporary = "\(path)/staging/FORMAT"
        let number = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { _ = close(number) }
        guard number >= 0, unsafe write(number, text, text.count) == text.count,
            Sync.format.run({ fsync(number) }) == 0
        else { throw Self.refused(path, Errno(rawValue: errno)) }
        KillPoint.formatWritten.reach()
        guard unsafe rename(temporary, "\(path)/FORMAT") == 0
        else { throw Self.refused(path, Errno(rawValue: errno)) }
        KillPoint.formatNamed.reach()
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { _ = close(folder) }
        guard Sync.format.run({ fsync(folder) }) == 0 else { throw Self.refused(path, Errno(rawValue: errno)) }
    }

    /// Deletes a library whose creation failed, unless it existed before.
    public func abandon() {
        guard isNew, hadNoCatalog else { return }
        for name in [
            "FORMAT", "assetfs.log", "search.sqlite-wal", "search.sqlite-shm", "search.sqlite-journal", "search.sqlite",
            "catalog.sqlite-wal", "catalog.sqlite-shm", "catalog.sqlite-journal", "catalog.sqlite", "lock",
        ] {
            unsafe _ = unlink("\(path)/\(name)")
        }
        BlobStore.removeEmptyFolders(at: path)
        if unsafe rmdir(path) != 0, let formerMode { unsafe _ = chmod(path, formerMode) }
    }

    private static func refused(_ path: String, _ errno: Errno) -> OpenLibraryError {
        errno == .noSpace || errno == .diskQuotaExceeded
            ? .noSpace(path: path) : .notAccessible(path: path, reason: "\(errno)")
    }

    /// Returns the first line of a folder's FORMAT; nil where there is no such file.
    public static func formatFile(of path: String) throws(OpenLibraryError) -> String? {
        try contents(path).contains("FORMAT") ? read("\(path)/FORMAT") : nil
    }

    /// Returns whether there is a catalog: a catalog that is missing from a library is never made anew,
    /// because that would lose all names.
    private static func hasCatalog(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat("\(path)/catalog.sqlite", &status) == 0 && status.st_size > 0
    }

    private static func contents(_ path: String) throws(OpenLibraryError) -> Set<String> {
        guard let folder = unsafe opendir(path) else { throw refused(path, Errno(rawValue: errno)) }
        defer { unsafe _ = closedir(folder) }
        var result: Set<String> = []
        while let entry = unsafe readdir(folder) {
            result.insert(
                unsafe withUnsafeBytes(of: entry.pointee.d_name) {
                    unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
            )
        }
        return result.subtracting([".", ".."])
    }

    private static func line(of path: String) -> String? {
        let text = try? read(path)
        return text?.isEmpty == false ? text : nil
    }

    private static func read(_ path: String) throws(OpenLibraryError) -> String {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard number >= 0 else { throw refused(path, Errno(rawValue: errno)) }
        defer { _ = close(number) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe Glibc.read(number, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
