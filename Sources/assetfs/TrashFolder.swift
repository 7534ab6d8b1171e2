import CLinux
import Foundation

/// The `trash/` of a mount, with names as bytes: they need not be UTF-8.
struct Trash {
    let folder: String
    var mount: String { (folder as NSString).deletingLastPathComponent }

    init(folder: String) { self.folder = folder }

    init(mount: String) { folder = mount + "/trash" }

    /// Names, in the order of the assets' numbers, in which the mount lists them.
    func names() throws -> [[UInt8]] {
        guard let stream = unsafe opendir(folder) else {
            throw ExitStatus.failed.because("\(folder) cannot be read; a mount with view=folders hides it.")
        }
        defer { unsafe _ = closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        return names
    }

    /// The path of one of its names.
    func path(of name: [UInt8]) -> [UInt8] { Array(folder.utf8) + [0x2F] + name }

    /// An extended attribute's value as it is; nil where there is none, and where the file is gone.
    func attribute(_ attribute: String, of name: [UInt8]) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe lgetxattr(path(of: name).terminated, attribute, &buffer, buffer.count)
        return count < 0 ? nil : Array(buffer.prefix(count))
    }
}

extension [UInt8] {
    /// What a C function takes as a path or name.
    var terminated: [CChar] { map { CChar(bitPattern: $0) } + [0] }

    /// What a terminal can show of a name or path.
    var shown: String {
        String(
            String.UnicodeScalarView(
                String(decoding: self, as: UTF8.self).unicodeScalars.map {
                    $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "\u{FFFD}" : $0
                }
            )
        )
    }
}
