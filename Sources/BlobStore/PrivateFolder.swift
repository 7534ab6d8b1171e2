internal import Glibc

/// A folder that only one user can enter: a library's, or a store's.
///
/// The rights to files in a mount are the catalog's; a user that could open the files below it would bypass
/// all of them.
public enum PrivateFolder {
    /// The reason why a folder cannot be closed: the end of a sentence that begins with the folder.
    public struct Exposed: Error, CustomStringConvertible, Sendable {
        /// The fault, and the remedy.
        public let description: String
    }

    /// Closes a folder to other users; only its owner can do so permanently.
    /// - Returns: the former mode, if other users could enter it.
    public static func close(_ path: String) throws(Exposed) -> UInt32? {
        let folder = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        var status = stat()
        // An error of open(2) is reported by the caller that opens the files in the folder.
        guard folder >= 0 else { return nil }
        defer { _ = Glibc.close(folder) }
        guard unsafe fstat(folder, &status) == 0 else { return nil }
        let mode = status.st_mode & 0o7777
        guard status.st_uid == geteuid() else {
            throw Exposed(
                description:
                    "belongs to user \(status.st_uid), with mode \(text(mode)), and user \(geteuid()) mounts it: its owner could read all that is in it. “chown -R \(geteuid())” makes it the mounter's."
            )
        }
        guard mode & 0o077 != 0 else { return nil }
        _ = fchmod(folder, 0o700)
        guard unsafe fstat(folder, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw Exposed(
                description:
                    "is on a filesystem that has no modes: mode \(text(mode)) stays, user \(status.st_uid) owns it, and others could read all that is in it. Mount that disk with umask=077, or choose another."
            )
        }
        return mode
    }

    /// Closes the files and folders in a closed folder to other users.
    ///
    /// Blobs are checked only if another file was open, or `all` is set: other users cannot reach them in a
    /// closed folder.
    /// - Returns: the number of files and folders that were open.
    public static func closeContents(of path: String, all: Bool) -> Int {
        let folder = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return 0 }
        let names = ["blobs", "staging", "snapshots"]
        var count = closeEntries(of: folder) { names.contains($0) ? 1 : 0 }
        if all || count > 0 { count += closeEntries(of: folder) { names.contains($0) ? 2 : 0 } }
        _ = Glibc.close(folder)
        return count
    }

    /// Returns a mode as octal digits.
    public static func text(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    }

    /// Closes the files in a folder, and in its subfolders down to the number of levels that `depth` returns
    /// for their names.
    private static func closeEntries(of folder: Int32, _ depth: (String) -> Int) -> Int {
        // A descriptor of its own, because the position is shared, and fdopendir(3) takes ownership.
        let list = unsafe openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard list >= 0, let directory = unsafe fdopendir(list) else {
            if list >= 0 { _ = Glibc.close(list) }
            return 0
        }
        defer { unsafe _ = closedir(directory) }
        var count = 0
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
            guard name != [0x2E], name != [0x2E, 0x2E] else { continue }
            let path = name.map { CChar(bitPattern: $0) } + [0]
            var status = stat()
            guard unsafe fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            let type = status.st_mode & S_IFMT
            guard type == S_IFREG || type == S_IFDIR else { continue }
            if status.st_mode & 0o077 != 0, unsafe fchmodat(folder, path, status.st_mode & 0o700, 0) == 0 { count += 1 }
            let levels = type == S_IFDIR ? depth(String(decoding: name, as: UTF8.self)) : 0
            guard levels > 0 else { continue }
            let next = unsafe openat(folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else { continue }
            count += closeEntries(of: next) { _ in levels - 1 }
            _ = Glibc.close(next)
        }
        return count
    }
}
