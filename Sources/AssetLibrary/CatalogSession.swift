internal import AssetModel
internal import CLinux
internal import Glibc

/// The catalog's files of one session, and when it began: what the file `lock` says of them, besides its state.
///
/// Another catalog at their place, such as a restored copy, is another file or has a later time of change.
struct CatalogSession: Equatable {
    /// A file that no other is, also where its inode's number is given again.
    struct File: Equatable {
        let inode: UInt64
        let made: Int64
    }

    /// `catalog.sqlite`.
    let catalog: File
    /// `catalog.sqlite-wal`, which a session makes and its clean end removes.
    let log: File
    /// From when on all contents in `blobs/` have come by this catalog.
    let began: Timestamp

    /// How long a catalog may have been written to behind the arrival of a content whose row it lacks.
    private static let patience = Duration.seconds(60)

    /// Looks at the files of a catalog that is open.
    /// - Returns: nil where they are not there, or their filesystem does not say when they were made.
    init?(of catalogPath: String, began: Timestamp) {
        guard let catalog = File(catalogPath), let log = File(catalogPath + "-wal") else { return nil }
        (self.catalog, self.log, self.began) = (catalog, log, began)
    }

    /// Reads the line of a lock's file; nil where there is none.
    init?(in bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("catalog ") }) else { return nil }
        let words = line.split(separator: " ").dropFirst().map { Int64($0) }
        guard words.count == 5, !words.contains(nil) else { return nil }
        let numbers = words.compactMap { $0 }
        catalog = File(inode: UInt64(bitPattern: numbers[0]), made: numbers[1])
        log = File(inode: UInt64(bitPattern: numbers[2]), made: numbers[3])
        began = Timestamp(rawValue: numbers[4])
    }

    /// The line of a lock's file.
    var line: String {
        let files = [catalog, log].map { "\(Int64(bitPattern: $0.inode)) \($0.made)" }
        return "catalog \(files[0]) \(files[1]) \(began.rawValue)"
    }

    /// Returns since when a content without a row must have come to be proved one of no acknowledged upload: this session's catalog is
    /// still there, and was the last to be written to.
    /// - Returns: since when the content's file must have been made, and since when it must have got its name; nil where another catalog
    ///   may have taken the place of this session's.
    func unacknowledged(at catalogPath: String) -> (made: Timestamp, named: Timestamp)? {
        guard let present = CatalogSession(of: catalogPath, began: began), present == self else { return nil }
        var latest = began
        for suffix in ["", "-wal"] {
            var status = stat()
            guard unsafe stat(catalogPath + suffix, &status) == 0 else { return nil }
            let changed = Timestamp(seconds: status.st_ctim.tv_sec, nanoseconds: status.st_ctim.tv_nsec)
            latest = max(latest, changed.advanced(by: .zero - Self.patience))
        }
        return (began, latest)
    }
}

extension CatalogSession.File {
    init?(_ path: String) {
        var (inode, made): (UInt64, Int64) = (0, 0)
        guard unsafe linux_birth(path, &inode, &made) == 0 else { return nil }
        self.init(inode: inode, made: made)
    }
}
