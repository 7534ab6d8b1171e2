import ArgumentParser
import AssetModel
import CLinux
import Foundation
import SystemPackage

struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Takes removed files back to where they were.",
        discussion: """
            A name that is taken meanwhile stays, and the file that comes back gets the next free number: photo-1.jpg. A folder that \
            is gone is made anew, with the owner, group, mode, access lists and policies that it had, as far as the caller may give them; \
            where not, it is the caller's, and open to no more users than it was. All of the asset comes back: fields, former contents, times.

            Root takes files back with the rights of their owners, unless all folders on the way are root's alone: where the owner of a \
            file may not write it is not put, and --to says where else. No symbolic link in the mount is followed.
            """
    )

    @Argument(help: "Files in a mount's trash/, or their ids as `assetfs trash` shows them.")
    var items: [String]
    @Option(help: "Where the library is mounted, for ids; need not be said when there is one mount.")
    var mount: FilePath?
    @Option(help: "An existing folder of the mount that the files go to, instead of where they were.")
    var to: FilePath?
    @OptionGroup var names: NameOptions

    func run() throws {
        var failed = false
        let folders = RestoredFolders()
        defer { folders.finish() }
        for item in items {
            do {
                Output.print(try restore(item, folders), isRaw: names.isRaw)
            } catch is ExitCode {
                failed = true
            }
        }
        if failed { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// Restores a file from the trash.
    /// - Returns: the path that the file has now.
    private func restore(_ item: String, _ folders: RestoredFolders) throws -> FilePath {
        let (trash, name) = try find(item)
        let source = trash.folder.path.appending(name: name)
        guard let file = trash.folder.find([name]), file.isFile else {
            throw ExitStatus.failed.because("\(source) does not exist.")
        }
        let path = try ExtendedAttribute.bytes("user.asset.path", of: file)
        // The name in the trash may be cut; this is the name that the file had.
        guard let base = try ExtendedAttribute.bytes("user.asset.filename", of: file) else {
            throw ExitStatus.failed.because("\(source) is nothing that was removed.")
        }
        if let to {
            guard let folder = try? MountPath(to).open(), folder.isFolder else {
                throw ExitStatus.failed.because("\(to) is no folder of an assetfs mount.")
            }
            return try move(name, of: trash, to: folder, as: base)
        }
        guard let path else {
            throw ExitStatus.failed.because(
                "\(source) was in a folder that you may not go to; --to says where it is to go."
            )
        }
        folders.begin(file)
        let former = try FormerFolder.all(of: file)
        let (owner, isRoot) = (file.status.st_uid, geteuid() == 0)
        if isRoot, try isRootsAlone(path, in: trash.mount) {
            let folder = try openFolder(of: path, in: trash.mount) { folder, depth in
                if let former = former[depth] { return folders.add(folder, former, maker: 0) }
                unsafe _ = fchownat(folder.descriptor, "", owner, file.status.st_gid, 0x1000 /* AT_EMPTY_PATH */)
            }
            return try move(name, of: trash, to: folder, as: base)
        }
        var made: [Held] = []
        let target = try OwnerRights.of(file.status) {
            let folder = try openFolder(of: path, in: trash.mount) { folder, depth in
                guard let former = former[depth] else { return made.append(folder) }
                folders.add(folder, former, maker: isRoot ? owner : geteuid())
            }
            return try move(name, of: trash, to: folder, as: base)
        }
        // The file's group, where the owner's own group is not known here.
        for folder in made where isRoot && folder.status.st_gid == OwnerRights.nobody {
            unsafe _ = fchownat(folder.descriptor, "", uid_t.max, file.status.st_gid, 0x1000 /* AT_EMPTY_PATH */)
        }
        return target
    }

    /// Returns whether all existing folders on the way to a file's former place belong to root and are
    /// writable for no other user: then no user can have prepared the way.
    private func isRootsAlone(_ path: [UInt8], in mount: Held) throws -> Bool {
        guard !path.starts(with: "/".utf8) else { return false }
        var folder = try mount.open("folders")
        func isRoots(_ held: Held) -> Bool {
            held.isFolder && held.status.st_uid == 0 && held.status.st_mode & 0o022 == 0
        }
        guard isRoots(folder) else { return false }
        for name in path.split(separator: 0x2F).dropLast() {
            guard let next = folder.find([Array(name)]) else { return true }
            guard isRoots(next) else { return false }
            folder = next
        }
        return true
    }

    /// Opens the former folder of a file, and makes the missing ones; calls `made` with each of these, and
    /// the number of names that lead to it.
    private func openFolder(of path: [UInt8], in mount: Held, made: (Held, Int) -> Void) throws -> Held {
        // A path with a leading slash is relative to the mount; a file that was only in a collection is
        // restored to folders/.
        let root = try path.starts(with: "/resources/".utf8) ? mount : mount.open("folders")
        let isInCollection = path.starts(with: "/collections/".utf8)
        let parts = isInCollection ? [] : path.split(separator: 0x2F).dropLast().map { Array($0) }
        // For the owner alone; the owner may then open the folder to other users.
        return try root.openFolders(parts, mode: 0o700) { made($0, $0.path.names.count - root.path.names.count) }
    }

    /// Gives a file in the trash its name, or the next free one.
    private func move(_ name: [UInt8], of trash: Trash, to folder: Held, as base: [UInt8]) throws -> FilePath {
        for number in 0..<100_000 {
            let target = number == 0 ? base : Self.numbered(base, number)
            let result = unsafe renameat2(
                trash.folder.descriptor,
                name.terminated,
                folder.descriptor,
                target.terminated,
                1 /* RENAME_NOREPLACE */
            )
            let path = folder.path.appending(name: target)
            if result == 0 { return path }
            guard errno == EEXIST else {
                let reason = systemReason
                let hint: Sentence =
                    errno == EACCES && to == nil
                    ? " Its owner may not write there; --to says where else it is to go." : ""
                throw ExitStatus.failed.because(
                    "\(trash.folder.path.appending(name: name)) could not be moved to \(path): \(reason).\(hint)"
                )
            }
        }
        throw ExitStatus.failed.because(
            "\(folder.path.appending(name: base)) is taken, and so are 100,000 names with numbers."
        )
    }

    private func find(_ item: String) throws -> (Trash, [UInt8]) {
        if !item.contains("/"), Int(item) != nil {
            let trash = try Trash(mount: Held.mount(mount))
            guard let name = try trash.names().first(where: { $0.starts(with: Array("\(item)-".utf8)) }) else {
                throw ExitStatus.failed.because(
                    "There is no asset \(item) in \(trash.folder.path); `assetfs trash` shows what is."
                )
            }
            return (trash, name)
        }
        let path = FilePath(bytes: RawArguments.bytes(item))
        guard let place = try MountPath(finding: path), place.isBelow("trash"), place.names.count == 2 else {
            throw ExitStatus.failed.because("\(path) is not in the trash/ of a mount.")
        }
        return (try Trash(mount: place.mount), place.names[1])
    }

    /// Returns a name with a number before its extension.
    static func numbered(_ name: [UInt8], _ number: Int) -> [UInt8] {
        (try? EntryName(name))?.numbered(number).bytes ?? name + Array("-\(number)".utf8)
    }
}

/// The rights of a file's owner, for root's operations on the owner's behalf.
enum OwnerRights {
    /// Runs `body` with the owner's rights to files; where the caller is not root, or the owner is root, with
    /// the caller's own.
    static func of<Value>(_ status: stat, _ body: () throws -> Value) throws -> Value {
        guard geteuid() == 0, status.st_uid != 0 else { return try body() }
        var former = [gid_t](repeating: 0, count: 65_536)
        let count = unsafe getgroups(Int32(former.count), &former)
        let (group, groups) = groups(of: status.st_uid)
        guard count >= 0, unsafe setgroups(groups.count, groups) == 0 else {
            throw ExitStatus.failed.because("The rights of the file's owner could not be taken on: \(systemReason).")
        }
        // This affects the thread alone, and only its access to files: FUSE checks the process itself for
        // access to a mount.
        _ = setfsgid(group)
        _ = setfsuid(status.st_uid)
        defer {
            _ = setfsuid(0)
            _ = setfsgid(getegid())
            _ = unsafe setgroups(Int(count), former)
        }
        // The call itself never reports success; > -1 changes nothing — setfsuid(2)
        guard setfsuid(uid_t.max) == Int32(bitPattern: status.st_uid) else {
            throw ExitStatus.failed.because("The rights of the file's owner could not be taken on.")
        }
        return try body()
    }

    /// The group of users that are unknown to the system.
    static let nobody: gid_t = 65_534

    /// Returns the groups of a user; for a user unknown to the system only group 65534.
    private static func groups(of user: uid_t) -> (gid_t, [gid_t]) {
        guard let entry = unsafe getpwuid(user) else { return (nobody, []) }
        let group = unsafe entry.pointee.pw_gid
        var groups = [gid_t](repeating: 0, count: 65_536)
        var count = Int32(groups.count)
        let result = unsafe getgrouplist(entry.pointee.pw_name, group, &groups, &count)
        return (group, result < 0 ? [] : Array(groups.prefix(Int(count))))
    }
}
