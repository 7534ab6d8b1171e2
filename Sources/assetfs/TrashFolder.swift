import Foundation
import SystemPackage

/// The `trash/` of a mount, with names as bytes: they need not be UTF-8.
struct Trash {
    let folder: FilePath
    var mount: FilePath { folder.removingLastComponent() }

    init(folder: FilePath) { self.folder = folder }

    init(mount: FilePath) { folder = mount.appending("trash") }

    /// Names, in the order of the assets' numbers.
    func names() throws -> [[UInt8]] {
        guard let names = folder.entries() else {
            throw ExitStatus.failed.because("\(folder) cannot be read; a mount with view=folders hides it.")
        }
        func number(_ name: [UInt8]) -> Int {
            Int(String(decoding: name.prefix { $0 != UInt8(ascii: "-") }, as: UTF8.self)) ?? .max
        }
        return names.map { (number($0), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
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
