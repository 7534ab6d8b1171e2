internal import AssetModel
internal import BlobStore
internal import Glibc
internal import LibraryStorage
internal import SystemPackage

/// The file `signing.key` of a library: the key of signed paths, and nothing else.
///
/// The key is not in the catalog, so that a copy of the catalog, as in a backup or for inspection, opens no
/// file of a mount.
///
/// The file is opened relative to the library's folder, which stays the same when its path comes to lead
/// elsewhere.
struct SigningKeyFile {
    private static let name = "signing.key"
    private let library: Int32

    /// Uses the open folder of a library.
    init(in library: Int32) { self.library = library }

    /// Reads the key; nil where there is no file.
    /// - Throws: `.notPermitted` where the file is open to other users, or holds no key.
    func read() throws(LibraryError) -> [UInt8]? {
        let file = unsafe openat(library, Self.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        if file < 0, errno == ENOENT { return nil }
        defer { if file >= 0 { _ = close(file) } }
        var status = stat()
        var bytes = [UInt8](repeating: 0, count: 33)
        guard file >= 0, unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_uid == geteuid(), status.st_mode & 0o077 == 0,
            unsafe Glibc.read(file, &bytes, bytes.count) == 32
        else {
            throw .notPermitted(
                "The library's file signing.key is no key, or not the mounter's alone; “assetfs sign --revoke-all” makes another, which ends all signed paths."
            )
        }
        return Array(bytes.prefix(32))
    }

    /// Replaces the key on stable storage.
    func write(_ key: [UInt8]) throws(LibraryError) {
        let temporary = "staging/\(Self.name)"
        unsafe _ = unlinkat(library, temporary, 0)
        let file = unsafe openat(library, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        defer { if file >= 0 { _ = close(file) } }
        errno = 0
        guard file >= 0, unsafe Glibc.write(file, key, key.count) == key.count,
            Sync.key.run({ fsync(file) }) == 0,
            unsafe renameat(library, temporary, library, Self.name) == 0, Self.syncName(in: library) == 0
        else {
            let reason = Errno(rawValue: errno)
            unsafe _ = unlinkat(library, temporary, 0)
            throw LibraryError(reason, during: "writing signing.key")
        }
    }

    private static func syncName(in library: Int32) -> Int32 {
        KillPoint.keyNamed.reach()
        return Sync.key.run { fsync(library) }
    }
}
