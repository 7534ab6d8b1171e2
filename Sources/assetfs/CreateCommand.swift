import ArgumentParser
import CLinux
import Foundation

struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Makes an asset that has no file yet, and prints its directory.",
        discussion:
            "Copy a file into the directory: that is the asset's then. `mkdir MNT/resources/ID` does the same with an id of your own."
    )

    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: String?

    func run() throws {
        let mount = try MountPoint.only(mountpoint)
        guard let text = try ExtendedAttribute.read("user.asset.info", of: mount + "/folders"),
            let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let next = info["next_id"] as? Int
        else {
            throw ExitStatus.failed.because(
                "\(mount) is no assetfs mount, or one with view=folders, which hides resources/."
            )
        }
        for id in next..<next + 1000 {
            let path = "\(mount)/resources/\(id)"
            if unsafe mkdir(path, 0o777) == 0 { return print(path) }
            // Somebody was faster.
            guard [EEXIST, EPERM].contains(errno) else {
                throw ExitStatus.failed.because(
                    "\(path) could not be made: \(unsafe String(cString: strerror(errno)))."
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
    var paths: [String]

    func run() throws {
        guard
            let mount = MountPoint.all().filter({ $0.type == "fuse.assetfs" }).map(\.path)
                .first(where: { MountPoint.resolved(paths[0]).hasPrefix($0 + "/folders/") })
        else { throw ExitStatus.failed.because("\(paths[0]) is not below the folders/ of an assetfs mount.") }
        let collection = "\(mount)/collections/new-\(UUID().uuidString)"
        guard unsafe mkdir(collection, 0o777) == 0 else { throw failure(collection) }
        do {
            for path in paths { try link(path, into: collection) }
            let folder = unsafe open(collection, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { throw failure(collection) }
            defer { close(folder) }
            guard fchmod(folder, 0o555) == 0 else { throw failure("\(paths.count) files") }
            var id = [UInt8](repeating: 0, count: 256)
            let count = unsafe fgetxattr(folder, "user.asset.id", &id, id.count)
            guard count > 0 else { throw failure(collection) }
            print("\(mount)/collections/\(String(decoding: id.prefix(count), as: UTF8.self))")
        } catch {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: collection)) ?? [] {
                unsafe _ = unlink("\(collection)/\(name)")
            }
            unsafe _ = rmdir(collection)
            throw error
        }
    }

    /// Links a file under its own name, or the next free one.
    private func link(_ path: String, into folder: String) throws {
        let name = (path as NSString).lastPathComponent
        for number in 0..<1001 {
            let target = "\(folder)/\(number == 0 ? name : RestoreCommand.numbered(name, number))"
            if unsafe linkat(AT_FDCWD, path, AT_FDCWD, target, 0) == 0 { return }
            guard errno == EEXIST else { throw failure(path) }
        }
        throw failure(path)
    }

    private func failure(_ what: String) -> ExitCode {
        let reason = errno == EXDEV ? "it is in another mount" : unsafe String(cString: strerror(errno))
        return ExitStatus.failed.because("No group was made: \(what): \(reason).")
    }
}
