internal import Glibc
internal import SystemPackage

/// The file `signing.key` of a library: what signed paths are signed with, and nothing else.
///
/// Not in the catalog: a copy of that, as in a backup or for somebody to look at, opens no file of a mount.
struct SigningKeyFile {
    private let library: String
    private var path: String { "\(library)/signing.key" }

    init(in library: String) { self.library = library }

    /// The key; nil where there is no file.
    /// - Throws: `.notPermitted` where the file is not the library's alone, or no key.
    func read() throws(LibraryError) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
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

    /// Puts another key on stable storage in the place of what is there.
    func write(_ key: [UInt8]) throws(LibraryError) {
        let temporary = "\(library)/staging/signing.key"
        unsafe _ = unlink(temporary)
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        defer { if file >= 0 { _ = close(file) } }
        let folder = unsafe open(library, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if folder >= 0 { _ = close(folder) } }
        guard file >= 0, folder >= 0, unsafe Glibc.write(file, key, key.count) == key.count, fsync(file) == 0,
            unsafe rename(temporary, path) == 0, fsync(folder) == 0
        else {
            let reason = Errno(rawValue: errno)
            unsafe _ = unlink(temporary)
            throw .noSpace("The key of signed paths could not be written: \(reason).")
        }
    }
}
