internal import Glibc
internal import SystemPackage

/// The reason why a library was not mended, as a sentence.
public struct RepairFailure: Error, CustomStringConvertible, Sendable {
    /// The fault, and the remedy.
    public let description: String
    /// Whether a file that was to be copied could not be read.
    public let isOfSource: Bool

    /// Makes a failure with its sentence.
    public init(description: String, isOfSource: Bool = false) {
        (self.description, self.isOfSource) = (description, isOfSource)
    }
}

/// Operations on the files of a library's folder.
public enum LibraryFiles {
    /// Copies a file to a new one, and syncs the copy.
    public static func copy(_ source: String, to target: String) throws(RepairFailure) {
        func failure(isOfSource: Bool = false) -> RepairFailure {
            let reason = Errno(rawValue: errno)
            return RepairFailure(
                description: "\(source) cannot be copied to \(target): \(reason).",
                isOfSource: isOfSource
            )
        }
        let input = unsafe open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard input >= 0 else { throw failure(isOfSource: true) }
        defer { _ = close(input) }
        let output = unsafe open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw failure() }
        defer { _ = close(output) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe read(input, &buffer, buffer.count)
            if count == 0 { break }
            guard count > 0, unsafe write(output, buffer, count) == count else {
                let error = failure(isOfSource: count < 0)
                unsafe _ = unlink(target)
                throw error
            }
        }
        guard fsync(output) == 0 else { throw failure() }
    }

    /// Returns the sorted names in a folder; none where it cannot be read.
    public static func names(in path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe _ = closedir(folder) }
        var result: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { result.append(name) }
        }
        return result.sorted()
    }
}
