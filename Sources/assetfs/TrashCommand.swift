import ArgumentParser
import AssetModel
import CLinux
import Foundation
import SystemPackage

struct TrashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trash",
        abstract: "Shows what was removed and can be taken back, with the paths that it had.",
        discussion:
            "Each is a file in the mount's trash/: read it there, move it out to take it back, or remove it for good."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Flag(help: "Print JSON, one object on a line: user.asset.info of each file, and its name in the trash.")
    var json = false

    func run() throws {
        let trash = Trash(mount: try MountPoint.only(mountpoint))
        for name in try trash.names() {
            // What somebody takes back meanwhile is not there.
            guard let text = try? ExtendedAttribute.read("user.asset.info", of: trash.folder.appending(name: name)),
                var info = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            else { continue }
            if json {
                info["trash_name"] = String(decoding: name, as: UTF8.self)
                let data = try JSONSerialization.data(
                    withJSONObject: info,
                    options: [.sortedKeys, .withoutEscapingSlashes]
                )
                print(String(decoding: data, as: UTF8.self))
                continue
            }
            let removed = (info["trashed"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ")
            let size = ByteCountFormatter.string(fromByteCount: Int64(info["size"] as? Int ?? 0), countStyle: .binary)
            print(
                "\(info["id"] ?? "")".padded(to: 9) + removed.padded(to: 21) + size.padded(to: 12)
                    + (info["path"] as? String ?? String(decoding: name, as: UTF8.self))
            )
        }
    }
}

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Takes removed files back to where they were.",
        discussion: """
            A name that is taken meanwhile stays, and the file that comes back gets the next free number: photo-1.jpg. A folder that \
            is gone is made anew, for the file's owner alone. All of the asset comes back: fields, former contents, times.
            """
    )

    @Argument(help: "Files in a mount's trash/, or their ids as `assetfs trash` shows them.")
    var items: [String]
    @Option(help: "Where the library is mounted, for ids; need not be said when there is one mount.")
    var mount: FilePath?

    func run() throws {
        var failed = false
        for item in items {
            do {
                Output.print(try restore(item))
            } catch is ExitCode {
                failed = true
            }
        }
        if failed { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// - Returns: the path that the file has now.
    private func restore(_ item: String) throws -> FilePath {
        let (trash, name) = try find(item)
        let source = trash.folder.appending(name: name)
        guard let path = try ExtendedAttribute.bytes("user.asset.path", of: source) else {
            throw ExitStatus.failed.because("\(source) is nothing that was removed.")
        }
        guard let status = source.status(followsLink: false) else {
            throw ExitStatus.failed.because("\(source) does not exist.")
        }
        // The name as it is, also where it is not text.
        let base = Array(name.drop { $0 != UInt8(ascii: "-") }.dropFirst())
        // A path that begins with a slash is one in the mount; what was in a collection alone comes back to folders/.
        let isResource = path.starts(with: "/resources/".utf8)
        let root = isResource ? trash.mount : trash.mount.appending("folders")
        let folder = path.starts(with: "/collections/".utf8) ? root : try makeFolders(path, in: root, for: status)
        for number in 0..<100_000 {
            let target = folder.appending(name: number == 0 ? base : Self.numbered(base, number))
            let result = unsafe source.withC { from in
                unsafe target.withC { unsafe renameat2(AT_FDCWD, from, AT_FDCWD, $0, 1 /* RENAME_NOREPLACE */) }
            }
            if result == 0 { return target }
            guard errno == EEXIST else {
                throw ExitStatus.failed.because(
                    "\(source) could not be moved to \(target): \(systemReason)."
                )
            }
        }
        throw ExitStatus.failed.because(
            "\(String(decoding: path, as: UTF8.self)) is taken, and so are 100,000 names with numbers."
        )
    }

    private func find(_ item: String) throws -> (Trash, [UInt8]) {
        if !item.contains("/"), Int(item) != nil {
            let trash = Trash(mount: try MountPoint.only(mount))
            guard let name = try trash.names().first(where: { $0.starts(with: Array("\(item)-".utf8)) }) else {
                throw ExitStatus.failed.because(
                    "There is no asset \(item) in \(trash.folder); `assetfs trash` shows what is."
                )
            }
            return (trash, name)
        }
        let path = try MountPoint.resolved(FilePath(bytes: RawArguments.bytes(item)))
        let folder = path.removingLastComponent()
        guard folder.name == Array("trash".utf8), try MountPoint.isOurs(path) else {
            throw ExitStatus.failed.because("\(path) is not in the trash/ of a mount.")
        }
        return (Trash(folder: folder), path.name)
    }

    /// The folder of a path, made as far as it is missing.
    private func makeFolders(_ path: [UInt8], in root: FilePath, for status: stat) throws -> FilePath {
        var folder = root
        for part in path.split(separator: 0x2F).dropLast() {
            folder = folder.appending(name: Array(part))
            if folder.makeFolder(0o700) {
                unsafe _ = folder.withC { unsafe lchown($0, status.st_uid, status.st_gid) }
            } else if errno != EEXIST, folder.status() == nil {
                throw ExitStatus.failed.because("\(folder) could not be made: \(systemReason).")
            }
        }
        return folder
    }

    /// A name with a number, before its extension.
    static func numbered(_ name: [UInt8], _ number: Int) -> [UInt8] {
        guard let entry = try? EntryName(name) else { return name + Array("-\(number)".utf8) }
        return entry.numbered(number).bytes
    }
}

/// The `trash/` of a mount.
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
