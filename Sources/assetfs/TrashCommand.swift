import ArgumentParser
import AssetModel
import CLinux
import Foundation

struct TrashCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trash",
        abstract: "Shows what was removed and can be taken back, with the paths that it had.",
        discussion:
            "Each is a file in the mount's trash/: read it there, move it out to take it back, or remove it for good."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: String?
    @Flag(help: "Print JSON, one object on a line: user.asset.info of each file, and its name in the trash.")
    var json = false

    func run() throws {
        let trash = Trash(mount: try MountPoint.only(mountpoint))
        for name in try trash.names() {
            // What somebody takes back meanwhile is not there.
            guard let text = try? ExtendedAttribute.read("user.asset.info", of: "\(trash.folder)/\(name)"),
                var info = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            else { continue }
            if json {
                info["trash_name"] = name
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
                    + (info["path"] as? String ?? name)
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
    var mount: String?

    func run() throws {
        var failed = false
        for item in items {
            do {
                print(try restore(item))
            } catch is ExitCode {
                failed = true
            }
        }
        if failed { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// - Returns: the path that the file has now.
    private func restore(_ item: String) throws -> String {
        let (trash, name) = try find(item)
        let source = "\(trash.folder)/\(name)"
        guard let path = try ExtendedAttribute.read("user.asset.path", of: source) else {
            throw ExitStatus.failed.because("\(source) is nothing that was removed.")
        }
        var status = stat()
        guard unsafe lstat(source, &status) == 0 else { throw ExitStatus.failed.because("\(source) does not exist.") }
        // The name as it is, also where it is not text.
        let base = String(name.drop { $0 != "-" }.dropFirst())
        // A path that begins with a slash is one in the mount; what was in a collection alone comes back to folders/.
        let isResource = path.hasPrefix("/resources/")
        let root = trash.mount + (isResource ? "" : "/folders")
        let folder = path.hasPrefix("/collections/") ? root : try makeFolders(path, in: root, for: status)
        for number in 0..<100_000 {
            let target = "\(folder)/\(number == 0 ? base : Self.numbered(base, number))"
            if unsafe renameat2(AT_FDCWD, source, AT_FDCWD, target, 1 /* RENAME_NOREPLACE */) == 0 { return target }
            guard errno == EEXIST else {
                throw ExitStatus.failed.because(
                    "\(source) could not be moved to \(target): \(unsafe String(cString: strerror(errno)))."
                )
            }
        }
        throw ExitStatus.failed.because("\(path) is taken, and so are 100,000 names with numbers.")
    }

    private func find(_ item: String) throws -> (Trash, String) {
        if !item.contains("/"), Int(item) != nil {
            let trash = Trash(mount: try MountPoint.only(mount))
            guard let name = try trash.names().first(where: { $0.hasPrefix(item + "-") }) else {
                throw ExitStatus.failed.because(
                    "There is no asset \(item) in \(trash.folder); `assetfs trash` shows what is."
                )
            }
            return (trash, name)
        }
        let path = MountPoint.resolved(item)
        let folder = (path as NSString).deletingLastPathComponent
        guard (folder as NSString).lastPathComponent == "trash", MountPoint.isOurs(path) else {
            throw ExitStatus.failed.because("\(item) is not in the trash/ of a mount.")
        }
        return (Trash(folder: folder), (path as NSString).lastPathComponent)
    }

    /// The folder of a path, made as far as it is missing.
    private func makeFolders(_ path: String, in root: String, for status: stat) throws -> String {
        var folder = root
        for part in path.split(separator: "/").dropLast() {
            folder += "/\(part)"
            if unsafe mkdir(folder, 0o700) == 0 {
                unsafe _ = lchown(folder, status.st_uid, status.st_gid)
            } else if errno != EEXIST, !FileManager.default.fileExists(atPath: folder) {
                throw ExitStatus.failed.because(
                    "\(folder) could not be made: \(unsafe String(cString: strerror(errno)))."
                )
            }
        }
        return folder
    }

    /// A name with a number, before its extension.
    static func numbered(_ name: String, _ number: Int) -> String {
        guard let entry = try? EntryName(Array(name.utf8)) else { return "\(name)-\(number)" }
        return entry.numbered(number).description
    }
}

/// The `trash/` of a mount.
struct Trash {
    let folder: String
    var mount: String { (folder as NSString).deletingLastPathComponent }

    init(folder: String) { self.folder = folder }

    init(mount: String) { folder = mount + "/trash" }

    /// Names, in the order of the assets' numbers.
    func names() throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
                .sorted { $0.localizedStandardCompare($1) == .orderedAscending }
        } catch {
            throw ExitStatus.failed.because("\(folder) cannot be read; a mount with view=folders hides it.")
        }
    }
}
