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
            let path = trash.folder.appending(name: name)
            guard let text = try? ExtendedAttribute.bytes("user.asset.info", of: path),
                var info = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
            else { continue }
            if json {
                let shown = String(decoding: name, as: UTF8.self)
                info["trash_name"] = shown
                if !shown.utf8.elementsEqual(name) {
                    info["trash_name_hex"] = name.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                }
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
                    + ((try? ExtendedAttribute.bytes("user.asset.path", of: path)) ?? name).shown
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
    private func restore(_ item: String) throws -> [UInt8] {
        let (trash, name) = try find(item)
        let source = trash.folder.appending(name: name)
        guard let path = try ExtendedAttribute.bytes("user.asset.path", of: source),
            let last = path.split(separator: 0x2F).last
        else { throw ExitStatus.failed.because("\(source) is nothing that was removed.") }
        guard let status = source.status(followsLink: false) else {
            throw ExitStatus.failed.because("\(source) does not exist.")
        }
        // The name in the trash may be cut; this is the one that the file had.
        let base = Array(last)
        // A path that begins with a slash is one in the mount; a file of a collection alone comes back to folders/.
        let isResource = path.starts(with: "/resources/".utf8)
        let root = isResource ? trash.mount : trash.mount.appending("folders")
        let isInCollection = path.starts(with: "/collections/".utf8)
        let parts = isInCollection ? [] : path.split(separator: 0x2F).dropLast().map { Array($0) }
        let (folder, shown) = try openFolders(parts, in: root, for: status)
        defer { _ = close(folder) }
        for number in 0..<100_000 {
            let target = number == 0 ? base : Self.numbered(base, number)
            let path = shown + [0x2F] + target
            let result = unsafe source.withC { from in
                unsafe renameat2(AT_FDCWD, from, folder, target.terminated, 1 /* RENAME_NOREPLACE */)
            }
            if result == 0 { return path }
            guard errno == EEXIST else {
                throw ExitStatus.failed.because("\(source) could not be moved to \(path.shown): \(systemReason).")
            }
        }
        throw ExitStatus.failed.because("\(path.shown) is taken, and so are 100,000 names with numbers.")
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

    /// Opens a folder of the mount, made as far as it is missing, by descriptors and through no symbolic link.
    private func openFolders(
        _ parts: [[UInt8]],
        in root: FilePath,
        for status: stat
    ) throws -> (descriptor: Int32, path: [UInt8]) {
        func failure(_ path: [UInt8]) -> ExitCode {
            ExitStatus.failed.because("\(path.shown) could not be made or opened: \(systemReason).")
        }
        var path = root.bytes
        var folder = root.open(O_RDONLY | O_DIRECTORY)
        guard folder >= 0 else { throw failure(path) }
        for part in parts {
            path += [0x2F] + part
            let above = folder
            defer { _ = close(above) }
            let isMade = unsafe mkdirat(above, part.terminated, 0o700) == 0
            // EEXIST and all else shows in whether there is a folder now.
            let next = unsafe openat(above, part.terminated, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard next >= 0 else { throw failure(path) }
            if isMade { _ = fchown(next, status.st_uid, status.st_gid) }
            folder = next
        }
        return (folder, path)
    }

    /// A name with a number, before its extension.
    static func numbered(_ name: [UInt8], _ number: Int) -> [UInt8] {
        (try? EntryName(name))?.numbered(number).bytes ?? name + Array("-\(number)".utf8)
    }
}
