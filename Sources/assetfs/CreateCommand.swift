import ArgumentParser
import AssetModel
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
    @OptionGroup var names: NameOptions

    func run() throws {
        let mount = try Held.mount(mountpoint)
        guard let folders = mount.find([Array("folders".utf8)]),
            let text = try ExtendedAttribute.read("user.asset.info", of: folders),
            let info = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let next = info["next_id"] as? Int, next < Int.max - 1000
        else {
            throw ExitStatus.failed.because(
                "\(mount.path) is no assetfs mount, or one with view=folders, which hides resources/."
            )
        }
        let resources = try mount.open("resources")
        for id in next..<next + 1000 {
            let path = resources.path.appending("\(id)")
            if unsafe mkdirat(resources.descriptor, "\(id)", 0o777) == 0 {
                return Output.print(path, isRaw: names.isRaw)
            }
            // Another process has taken the number meanwhile.
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
    @OptionGroup var names: NameOptions

    func run() throws {
        let places = try paths.map(MountPath.init)
        guard let mount = places.first?.mount, places[0].isBelow("folders") else {
            throw ExitStatus.failed.because("\(paths[0]) is not below the folders/ of an assetfs mount.")
        }
        let collections = try mount.open("collections")
        let name = Array("new-\(UUID().uuidString)".utf8)
        let made = unsafe mkdirat(collections.descriptor, name.terminated, 0o777) == 0
        guard made, let collection = collections.find([name]), collection.isFolder else {
            throw failure("\(collections.path.appending(name: name))")
        }
        do {
            for place in places { try link(place, into: collection) }
            let folder = collection.reopen()
            guard folder >= 0 else { throw failure("\(collection.path)") }
            defer { close(folder) }
            guard fchmod(folder, 0o555) == 0 else { throw failure("\(paths.count.counted("file"))") }
            var id = [UInt8](repeating: 0, count: 256)
            let count = unsafe fgetxattr(folder, "user.asset.id", &id, id.count)
            guard count > 0 else { throw failure("\(collection.path)") }
            Output.print(collections.path.appending(name: Array(id.prefix(count))), isRaw: names.isRaw)
        } catch {
            for name in collection.entries() ?? [] {
                unsafe _ = unlinkat(collection.descriptor, name.terminated, 0)
            }
            unsafe _ = unlinkat(collections.descriptor, name.terminated, AT_REMOVEDIR)
            throw error
        }
    }

    /// Links a file under its own name, or the next free one.
    private func link(_ place: MountPath, into folder: Held) throws {
        let (source, name) = (try place.openFile(), place.typed.name)
        for number in 0..<1001 {
            let target = number == 0 ? name : RestoreCommand.numbered(name, number)
            // The descriptor's own path leads to this very file.
            let result = unsafe linkat(
                AT_FDCWD,
                source.link,
                folder.descriptor,
                target.terminated,
                0x400 /* AT_SYMLINK_FOLLOW */
            )
            if result == 0 { return }
            guard errno == EEXIST else { throw failure("\(place.typed)") }
        }
        throw failure("\(place.typed)")
    }

    private func failure(_ what: Sentence) -> ExitCode {
        let reason: Sentence = errno == EXDEV ? "it is in another mount" : "\(systemReason)"
        return ExitStatus.failed.because("No group was made: \(what): \(reason).")
    }
}
