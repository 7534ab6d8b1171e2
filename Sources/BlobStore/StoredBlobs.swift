public import AssetModel
internal import Glibc
internal import SystemPackage

/// The blobs of a library and of its alternate stores on the disk, read-only: it creates nothing and locks
/// nothing.
///
/// ## Concurrency
/// All methods may be called at once from any thread.
public final class StoredBlobs: Sendable {
    private let folders: [Int32]
    /// The paths without a folder `blobs`.
    public let absent: [String]

    /// Opens the folders `blobs` at some paths, as far as they exist; the library's own first.
    public init(at paths: [String]) {
        var (folders, absent): ([Int32], [String]) = ([], [])
        for path in paths {
            let folder = unsafe Glibc.open("\(path)/blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if folder >= 0 { folders.append(folder) } else { absent.append(path) }
        }
        (self.folders, self.absent) = (folders, absent)
    }

    deinit { for folder in folders { _ = close(folder) } }

    /// Returns the sizes of a blob's files.
    public func sizes(of digest: Digest) -> [Int64] {
        let path = BlobStore.path(of: digest)
        return folders.compactMap { folder in
            var status = stat()
            let isThere = unsafe fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) == 0
            return isThere && status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : nil
        }
    }

    /// Opens a file of a blob that has its size; nil if there is none.
    public func open(_ digest: Digest, size: Int64) throws(BlobStoreError) -> OpenFile? {
        let path = BlobStore.path(of: digest)
        for folder in folders {
            let number = unsafe openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard number >= 0 else {
                let reason = Errno(rawValue: errno)
                if reason == .noSuchFileOrDirectory { continue }
                throw BlobStoreError(reason, during: "open blobs/\(path)")
            }
            let file = OpenFile(number)
            if try file.measure().size == size { return file }
        }
        return nil
    }

    /// A name in a folder of blobs.
    public enum Name: Sendable {
        /// The name of a blob.
        case blob(Digest)
        /// Any other name, with its path below `blobs/`.
        case foreign(String)
    }

    /// Calls `body` with each name; folders that are not for blobs are not searched.
    public func forEach(_ body: (Name) throws -> Void) rethrows {
        for folder in folders {
            for name in Self.names(in: folder, ".") {
                guard name.count == 2, Self.bytes(name) != nil else {
                    try body(.foreign(name))
                    continue
                }
                for rest in Self.names(in: folder, name) {
                    let digest = Self.bytes(name + rest).flatMap { Digest($0) }
                    try body(digest.map(Name.blob) ?? .foreign("\(name)/\(rest)"))
                }
            }
        }
    }

    /// Returns the bytes of lowercase hexadecimal digits; nil for other text.
    static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array("0123456789abcdef".utf8)
        let values = text.utf8.map { digits.firstIndex(of: $0) }
        guard values.count.isMultiple(of: 2), !values.contains(nil) else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { index in
            UInt8((values[index] ?? 0) << 4 | (values[index + 1] ?? 0))
        }
    }

    /// Returns the names in a folder, sorted; none if it cannot be read.
    static func names(in folder: Int32, _ path: String) -> [String] {
        let number = unsafe openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard number >= 0, let list = unsafe fdopendir(number) else {
            if number >= 0 { _ = close(number) }
            return []
        }
        defer { unsafe _ = closedir(list) }
        var result: [String] = []
        while let entry = unsafe readdir(list) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { result.append(name) }
        }
        return result.sorted()
    }
}
