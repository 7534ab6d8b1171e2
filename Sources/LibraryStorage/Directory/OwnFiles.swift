internal import Glibc
internal import SystemPackage

/// The files of a library that are changed in place.
///
/// A copy made of hard links (`cp -al`, and backups that link unchanged files) has the same files as the
/// original, so that a change of one library would change the other. The caller holds the library's lock, and
/// no database of it is open.
public enum OwnFiles {
    /// The databases, with the files that SQLite puts beside them.
    public static let databases = ["catalog.sqlite", "search.sqlite"].flatMap { name in
        ["", "-wal", "-shm", "-journal"].map { name + $0 }
    }

    /// Replaces each of some files of a library that also has another hard link by a copy.
    /// - Returns: whether there was such a file.
    /// - Throws: where there is no room for the copy; then the files are unchanged.
    @discardableResult
    public static func separate(_ names: [String], in path: String) throws(RepairFailure) -> Bool {
        let shared = names.filter { name in
            var status = stat()
            return unsafe lstat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
                && status.st_nlink > 1
        }
        if !shared.isEmpty { unsafe _ = mkdir("\(path)/staging", 0o700) }
        for name in shared { try separate("\(path)/\(name)", by: "\(path)/staging/\(name)") }
        if !shared.isEmpty {
            // Without it a power cut could bring the former names back, and with them the shared files.
            let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { _ = close(folder) }
            guard fsync(folder) == 0 else {
                throw RepairFailure(description: "\(path) cannot be made durable: \(Errno(rawValue: errno)).")
            }
        }
        return !shared.isEmpty
    }

    private static func separate(_ path: String, by temporary: String) throws(RepairFailure) {
        // A killed process may have left one.
        unsafe _ = unlink(temporary)
        try LibraryFiles.copy(path, to: temporary)
        var status = stat()
        if unsafe stat(path, &status) == 0 {
            unsafe _ = chown(temporary, status.st_uid, status.st_gid)
            unsafe _ = chmod(temporary, status.st_mode & 0o7777)
        }
        guard unsafe rename(temporary, path) == 0 else {
            let reason = Errno(rawValue: errno)
            unsafe _ = unlink(temporary)
            throw RepairFailure(description: "\(temporary) cannot be renamed: \(reason).")
        }
    }
}
