import ArgumentParser
import CLinux
import Foundation
import SystemPackage

struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Makes an asset that has no file yet, and prints its directory.",
        discussion:
            "Copy a file into the directory: that is the asset's then. `mkdir MNT/resources/ID` does the same with an id of your own."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?

    func run() throws {
        let mount = try MountPoint.only(mountpoint)
        guard let text = try ExtendedAttribute.read("user.asset.info", of: mount.appending("folders")),
            let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let next = info["next_id"] as? Int
        else {
            throw ExitStatus.failed.because(
                "\(mount) is no assetfs mount, or one with view=folders, which hides resources/."
            )
        }
        for id in next..<next + 1000 {
            let path = mount.appending("resources/\(id)")
            if path.makeFolder(0o777) { return Output.print(path) }
            // Somebody was faster.
            guard [EEXIST, EPERM].contains(errno) else {
                throw ExitStatus.failed.because(
                    "\(path) could not be made: \(systemReason)."
                )
            }
        }
        throw ExitStatus.failed.because("No id from \(next) on was free.")
    }
}

struct GroupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Makes a group of files, immutable and in this order, and prints its directory.",
        discussion: """
            As `mkdir`, `ln` and `chmod a-w` in the mount's collections/ do. The group is called by its id, uuid~N, where N is the \
            number of files, 1000 at most.
            """
    )

    @Argument(help: "Files below the folders/ of one mount.")
    var paths: [FilePath]

    func run() throws {
        guard let mount = try MountPoint.ours(with: paths[0], below: ["folders"]) else {
            throw ExitStatus.failed.because("\(paths[0]) is not below the folders/ of an assetfs mount.")
        }
        let collection = mount.appending("collections/new-\(UUID().uuidString)")
        guard collection.makeFolder(0o777) else { throw failure("\(collection)") }
        do {
            for path in paths { try link(path, into: collection) }
            let folder = collection.open(O_RDONLY | O_DIRECTORY)
            guard folder >= 0 else { throw failure("\(collection)") }
            defer { close(folder) }
            guard fchmod(folder, 0o555) == 0 else { throw failure("\(paths.count) files") }
            var id = [UInt8](repeating: 0, count: 256)
            let count = unsafe fgetxattr(folder, "user.asset.id", &id, id.count)
            guard count > 0 else { throw failure("\(collection)") }
            Output.print(mount.appending("collections").appending(name: Array(id.prefix(count))))
        } catch {
            for name in collection.entries() ?? [] {
                unsafe _ = collection.appending(name: name).withC { unsafe unlink($0) }
            }
            unsafe _ = collection.withC { unsafe rmdir($0) }
            throw error
        }
    }

    /// Links a file under its own name, or the next free one.
    private func link(_ path: FilePath, into folder: FilePath) throws {
        for number in 0..<1001 {
            let target = folder.appending(name: number == 0 ? path.name : RestoreCommand.numbered(path.name, number))
            let result = unsafe path.withC { source in
                unsafe target.withC { unsafe linkat(AT_FDCWD, source, AT_FDCWD, $0, 0) }
            }
            if result == 0 { return }
            guard errno == EEXIST else { throw failure("\(path)") }
        }
        throw failure("\(path)")
    }

    private func failure(_ what: String) -> ExitCode {
        let reason = errno == EXDEV ? "it is in another mount" : unsafe String(cString: strerror(errno))
        return ExitStatus.failed.because("No group was made: \(what): \(reason).")
    }
}
