import Foundation
import SystemPackage

// Paths are bytes: FileManager and URL support only text. After a failed call errno has the reason.
extension FilePath {
    /// Makes a path of bytes, which must have no NUL.
    init(bytes: some Sequence<UInt8>) {
        unsafe self.init(platformString: bytes.map { CChar(bitPattern: $0) } + [0])
    }

    /// The bytes of the path.
    var bytes: [UInt8] {
        let count = length
        return unsafe withPlatformString {
            unsafe UnsafeBufferPointer(start: $0, count: count).map { UInt8(bitPattern: $0) }
        }
    }

    /// The names that lead from the root to this path.
    var names: [[UInt8]] { bytes.split(separator: 0x2F).map(Array.init) }

    /// The last name; empty for the root.
    var name: [UInt8] { names.last ?? [] }

    /// Returns the path of a name in this folder.
    func appending(name: [UInt8]) -> FilePath { FilePath(bytes: bytes + [0x2F] + name) }

    /// Calls `body` with the path as a C string.
    func withC<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        unsafe try withPlatformString(body)
    }

    /// Calls stat(2), or lstat(2); nil where it fails.
    func status(followsLink: Bool = true) -> stat? {
        var status = Foundation.stat()
        let flags = followsLink ? 0 : AT_SYMLINK_NOFOLLOW
        let result = unsafe withC { unsafe fstatat(AT_FDCWD, $0, &status, flags) }
        return result == 0 ? status : nil
    }

    /// Whether the path is that of a folder, or leads to one.
    var isFolder: Bool { status().map { $0.st_mode & S_IFMT == S_IFDIR } ?? false }

    /// Calls open(2): a descriptor, or -1.
    func open(_ flags: Int32, mode: mode_t = 0) -> Int32 {
        unsafe withC { unsafe Foundation.open($0, flags | O_CLOEXEC, mode) }
    }

    /// Calls mkdir(2).
    func makeFolder(_ mode: mode_t) -> Bool { unsafe withC { unsafe mkdir($0, mode) } == 0 }

    /// Makes the folder and all missing folders above it.
    func makeFolders(_ mode: mode_t = 0o777) -> Bool {
        if isFolder { return true }
        let parent = removingLastComponent()
        guard parent == self || parent.isEmpty || parent.makeFolders(mode) else { return false }
        return makeFolder(mode) || errno == EEXIST && isFolder
    }

    /// Returns the target of a symbolic link; nil for another file.
    func linkTarget() -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let size = buffer.count
        let count = unsafe withC { unsafe readlink($0, &buffer, size) }
        return count > 0 ? buffer.prefix(count).map { UInt8(bitPattern: $0) } : nil
    }

    /// Returns the names in a folder, in the order of their bytes; nil where it cannot be read.
    func entries() -> [[UInt8]]? {
        guard let folder = unsafe withC({ unsafe opendir($0) }) else { return nil }
        return unsafe Self.entries(of: folder)
    }

    /// Returns the names in an open directory, in the order of their bytes, and closes it; nil where not all
    /// of them can be read.
    static func entries(of folder: OpaquePointer) -> [[UInt8]]? {
        var result: [[UInt8]] = []
        errno = 0
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
            if name != [0x2E], name != [0x2E, 0x2E] { result.append(name) }
            errno = 0
        }
        let reason = errno
        unsafe _ = closedir(folder)
        errno = reason
        guard reason == 0 else { return nil }
        return result.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Reads all bytes of a file to its end: a file of a view may have more, or fewer, than stat(2) has
    /// reported before.
    func contents() -> [UInt8]? {
        let file = open(O_RDONLY)
        guard file >= 0 else { return nil }
        defer { _ = close(file) }
        return Self.contents(of: file)
    }

    /// Reads all bytes of an open file.
    static func contents(of file: Int32) -> [UInt8]? {
        var (result, part): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 65_536))
        while true {
            let count = unsafe read(file, &part, part.count)
            if count == 0 { return result }
            if count > 0 { result += part.prefix(count) } else if errno != EINTR { return nil }
        }
    }
}

/// The description of errno after a failed call.
var systemReason: String { unsafe String(cString: strerror(errno)) }
