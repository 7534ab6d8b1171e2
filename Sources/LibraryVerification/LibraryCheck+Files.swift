internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryStorage

// The check of the library's own files: their access, and the copies of the catalog.
extension LibraryCheck {
    /// Checks that files and folders of a library belong to its owner, and are closed to all other users.
    public mutating func checkFiles(of path: String, isMounted: Bool) {
        var library = stat()
        guard unsafe stat(path, &library) == 0 else { return add("layout", "The library's folder is missing.") }
        for name in ["blobs", "staging"] where !Self.isFolder("\(path)/\(name)") {
            add("layout", "The folder \(name) is missing.")
        }
        check("", "The library", library, of: library, isMounted)
        checkEntries(in: "", of: path, library, isMounted, depth: 0)
        checkKey(of: path)
    }

    private mutating func checkEntries(
        in folder: String,
        of path: String,
        _ library: stat,
        _ isMounted: Bool,
        depth: Int
    ) {
        for name in LibraryFiles.names(in: "\(path)/\(folder)") where !isUnwanted() {
            let relative = folder.isEmpty ? name : "\(folder)/\(name)"
            var status = stat()
            // The one in the root of a disk belongs to the disk.
            guard relative != "lost+found", unsafe lstat("\(path)/\(relative)", &status) == 0,
                [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
            else { continue }
            if relative != "signing.key" { check(relative, relative, status, of: library, isMounted) }
            guard status.st_mode & S_IFMT == S_IFDIR else { continue }
            // Blobs are many, and no other user reaches them except through the folders above.
            let ours = ["blobs", "staging", "snapshots", "leftover"]
            let isOurs = depth == 0 ? ours.contains(name) : isThorough && depth == 1
            if isOurs { checkEntries(in: relative, of: path, library, isMounted, depth: depth + 1) }
        }
    }

    private mutating func check(
        _ name: String,
        _ subject: String,
        _ status: stat,
        of library: stat,
        _ isMounted: Bool
    ) {
        if status.st_mode & 0o077 != 0 {
            add(
                "mode",
                "\(subject) has mode \(PrivateFolder.text(status.st_mode & 0o7777)), and others could read it.",
                advice: isMounted ? "The next mount closes it." : nil
            )
        }
        if status.st_uid != library.st_uid {
            let isMendable = !isMounted && geteuid() == 0
            add(
                "owner",
                path: Array(name.utf8),
                "It belongs to user \(status.st_uid), and the library to user \(library.st_uid).",
                advice: isMendable ? nil : "Unmount the library; root's “assetfs verify --repair” mends it."
            )
        }
    }

    private mutating func checkKey(of path: String) {
        var status = stat()
        guard unsafe lstat("\(path)/signing.key", &status) == 0 else { return }
        guard status.st_mode & 0o077 != 0 || status.st_size != 32 else { return }
        add(
            "signing-key",
            "signing.key has \(status.st_size) bytes and mode \(PrivateFolder.text(status.st_mode & 0o7777)), instead of 32 and 600.",
            advice: status.st_size == 32
                ? nil : "Remove it: the next path that is signed makes another, and all former ones end."
        )
    }

    /// Reports the entries of `staging/` that are not regular files.
    public mutating func addForeign(_ names: [String]) {
        for name in names {
            add("staging", "staging/\(name) is none of the library's files.", advice: "Take it out of there.")
        }
    }

    // MARK: Snapshots

    /// The greatest difference in age between the catalog and the newest snapshot, in seconds: a day's
    /// snapshot is made some minutes after the day has begun.
    private static let snapshotAge = 2 * 24 * 3600

    /// Checks that the copies of the catalog can be read, and notes when the newest is old.
    ///
    /// A check that is not thorough reads the newest alone.
    public mutating func checkSnapshots(of path: String) {
        let folder = SnapshotFolder(of: path)
        let names = folder.names
        for name in isThorough ? names[...] : names.suffix(1) where !isUnwanted() {
            do throws(CatalogError) {
                let copy = try ClosedCatalog(path: "\(folder.path)/\(name)")
                let problems = try copy.read(isUnwanted: isUnwanted) { try $0.integrity(isThorough: false) }
                try copy.close()
                if let problem = problems.first { throw .failed(code: 11, reason: problem) }
            } catch {
                // A copy of an earlier release: `recover` brings it up to date.
                if case .older = error { continue }
                if isUnwanted() { return }
                add(
                    "snapshot",
                    path: Array("snapshots/\(name)".utf8),
                    "This copy of the catalog cannot be read: \(error)"
                )
            }
        }
        var changed = 0
        var status = stat()
        for suffix in ["", "-wal"] where unsafe stat("\(path)/catalog.sqlite\(suffix)", &status) == 0 {
            changed = max(changed, status.st_mtim.tv_sec)
        }
        guard let newest = folder.newest(at: .now),
            changed - Int(newest.rawValue / 1_000_000_000) > Self.snapshotAge
        else {
            return
        }
        note(
            "The newest copy of the catalog is of \(newest.description.prefix(10)), and the catalog has changed since; assetfs.log says why there is none of later."
        )
    }

    /// Returns whether a path leads to something that is no regular file; false where it has been removed
    /// meanwhile.
    public static func isForeign(_ path: String) -> Bool { ![0, S_IFREG].contains(type(of: path)) }

    private static func isFolder(_ path: String) -> Bool { type(of: path) == S_IFDIR }

    private static func type(of path: String) -> UInt32 {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mode & S_IFMT : 0
    }
}
