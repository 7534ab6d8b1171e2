import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// The `trash/` of a mount, with names as bytes: they need not be UTF-8.
struct Trash {
    let mount: Held
    let folder: Held

    init(mount: Held) throws {
        self.mount = mount
        let name = Array("trash".utf8)
        guard let folder = mount.find([name]) else { throw Self.unreadable(mount.path.appending(name: name)) }
        self.folder = folder
    }

    private static func unreadable(_ path: FilePath) -> ExitCode {
        ExitStatus.failed.because("\(path) cannot be read; a mount with view=folders hides it.")
    }

    /// Returns the names, in the order of the assets' numbers.
    func names() throws -> [[UInt8]] {
        guard let names = folder.entries() else { throw Self.unreadable(folder.path) }
        func number(_ name: [UInt8]) -> Int {
            Int(String(decoding: name.prefix { $0 != UInt8(ascii: "-") }, as: UTF8.self)) ?? .max
        }
        return names.map { (number($0), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

extension [UInt8] {
    /// The bytes as a C string, for a path or name.
    var terminated: [CChar] { map { CChar(bitPattern: $0) } + [0] }

    /// The name or path with escapes for the terminal.
    var shown: String { Shown.name(self) }
}
