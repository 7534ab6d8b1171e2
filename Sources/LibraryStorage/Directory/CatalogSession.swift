internal import AssetModel
internal import BlobStore
internal import CLinux
internal import Catalog
internal import Glibc

/// The catalog's files of one session, and the session's begin, as recorded in the file `lock` besides its
/// state.
///
/// Another catalog in their place, such as a restored copy, is another file, has a later time of change, or
/// lacks the last transaction. Where `lock` is a restored copy, too, its times are not those of its last
/// write.
struct CatalogSession: Equatable {
    /// The identity of a file, unique also where its inode number is used again.
    public struct File: Equatable {
        /// The inode number.
        public let inode: UInt64
        /// The time of its creation, in nanoseconds since 1970.
        public let made: Int64
    }

    /// `catalog.sqlite`.
    public let catalog: File
    /// `catalog.sqlite-wal`, which a session creates and its clean end removes.
    public let log: File
    /// The time from which on all blobs in `blobs/` were added by this catalog.
    public let began: Timestamp
    /// The last committed transaction, which the log must have.
    public var commit: CommitMark?
    /// The time of the last change of `catalog.sqlite`'s inode before the commit: a checkpoint comes before
    /// the transaction is noted.
    public var changed: Timestamp

    /// How long the write of a lock's file may take.
    static let delay = Duration.seconds(1)
    /// How long the catalog may have been written to after a blob was added whose row it lacks.
    private static let patience = Duration.seconds(60)

    /// Reads the identity and times of an open catalog's files.
    /// - Returns: nil where they do not exist, or their filesystem does not record when they were created.
    init?(of catalogPath: String, began: Timestamp, commit: CommitMark?) {
        guard let catalog = File(catalogPath), let log = File(catalogPath + "-wal") else { return nil }
        (self.catalog, self.log, self.began, self.commit) = (catalog, log, began, commit)
        changed = Self.change(of: catalogPath) ?? began
    }

    /// Notes a transaction that has been committed.
    public mutating func note(_ commit: CommitMark?, at catalogPath: String) {
        self.commit = commit
        if let changed = Self.change(of: catalogPath) { self.changed = changed }
    }

    private static func change(of path: String) -> Timestamp? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status.changed : nil
    }

    /// Parses the line of a lock's file; nil where there is none.
    init?(in bytes: [UInt8]) {
        guard let line = LockState.line("catalog", in: bytes) else { return nil }
        let words = line.split(separator: " ")
        let numbers = words.prefix(7).compactMap { Int64($0) }
        guard words.count == 8, numbers.count == 7 else { return nil }
        catalog = File(inode: UInt64(bitPattern: numbers[0]), made: numbers[1])
        log = File(inode: UInt64(bitPattern: numbers[2]), made: numbers[3])
        began = Timestamp(rawValue: numbers[4])
        changed = Timestamp(rawValue: numbers[5])
        commit = words.last.flatMap { [UInt8](hexadecimal: String($0)) }.flatMap {
            CommitMark(offset: numbers[6], header: $0)
        }
    }

    /// The line of a lock's file.
    public var line: String {
        let files = [catalog, log].map { "\(Int64(bitPattern: $0.inode)) \($0.made)" }
        let mark = commit.map { "\($0.offset) \($0.header.hexadecimal)" } ?? "-1 -"
        return "catalog \(files[0]) \(files[1]) \(began.rawValue) \(changed.rawValue) \(mark)"
    }

    /// Returns since when a blob without a row must have been added to be provably of no acknowledged upload.
    ///
    /// The proof needs this session's catalog, with its last transaction, as the last one that was written
    /// to.
    /// - Parameters:
    ///   - catalogPath: the path of the catalog.
    ///   - lock: the status of the lock's file from whose bytes this was read.
    ///   - written: when those bytes were written, by their own record.
    /// - Returns: the earliest times at which the blob's file may have been created and have got its name;
    ///   nil where another catalog may have taken the place of this session's.
    public func unacknowledged(
        at catalogPath: String,
        lock: stat,
        written: Timestamp
    ) -> (made: Timestamp, named: Timestamp)? {
        guard File(catalogPath) == catalog, File(catalogPath + "-wal") == log,
            // A copy's times are set by a program, or are those of the copying.
            lock.changed == lock.modified, lock.modified >= written, lock.modified <= written.advanced(by: Self.delay),
            // If the clock was set back, no time proves anything.
            Timestamp.now >= written, hasCommit(catalogPath + "-wal")
        else { return nil }
        var latest = began
        for suffix in ["", "-wal"] {
            var status = stat()
            guard unsafe stat(catalogPath + suffix, &status) == 0 else { return nil }
            if suffix.isEmpty, status.changed != changed { return nil }
            latest = max(latest, status.changed.advanced(by: .zero - Self.patience))
        }
        return (began, latest)
    }

    /// Whether a log has the last transaction.
    private func hasCommit(_ path: String) -> Bool {
        guard let commit else { return false }
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { _ = close(file) }
        var header = [UInt8](repeating: 0, count: commit.header.count)
        return unsafe pread(file, &header, header.count, off_t(commit.offset)) == header.count
            && header == commit.header
    }
}

extension CatalogSession.File {
    /// Reads the identity of a file; nil where there is none, or its filesystem has no times of creation.
    public init?(_ path: String) {
        var (inode, made): (UInt64, Int64) = (0, 0)
        guard unsafe linux_birth(path, &inode, &made) == 0 else { return nil }
        self.init(inode: inode, made: made)
    }
}
