import ArgumentParser
import CLinux
import Foundation
import SystemPackage

/// A file or folder that is held by a descriptor (O_PATH): the checked file is the used one, wherever its
/// path leads meanwhile.
///
/// Root's commands go through folders that users make. From a mount, or from the destination folder of
/// copies, each name is opened relative to a descriptor: no symbolic link is followed, nothing above or on
/// another filesystem is reached, and no fifo or device is opened.
final class Held {
    let descriptor: Int32
    /// The path, for messages.
    let path: FilePath
    /// The result of fstat(2) at the open.
    let status: stat

    private static let flags = O_CLOEXEC | O_NOFOLLOW | 0x200000 /* O_PATH */

    /// Takes a descriptor; nil where there is none, with the reason in errno.
    private init?(_ descriptor: Int32, _ path: FilePath) {
        var status = stat()
        guard descriptor >= 0, unsafe fstat(descriptor, &status) == 0 else {
            if descriptor >= 0 { _ = close(descriptor) }
            return nil
        }
        (self.descriptor, self.path, self.status) = (descriptor, path, status)
    }

    deinit { _ = close(descriptor) }

    /// Opens a folder by a path that the caller has typed, whose links are followed; nil where there is none.
    static func folder(_ path: FilePath) -> Held? {
        Held(path.open(O_DIRECTORY | 0x200000 /* O_PATH */), path)
    }

    /// Opens a folder by such a path, and makes it and the missing ones above.
    static func made(_ path: FilePath) -> Held? {
        if let found = folder(path) { return found }
        let parent = path.removingLastComponent()
        guard errno == ENOENT, parent != path, let above = parent.isEmpty ? folder(".") : made(parent) else {
            return nil
        }
        let isMade = unsafe mkdirat(above.descriptor, path.name.terminated, 0o777) == 0
        guard isMade || errno == EEXIST else { return nil }
        return above.find([path.name]).map { Held(fcntl($0.descriptor, F_DUPFD_CLOEXEC, 0), path) } ?? nil
    }

    /// Opens the mount at a path, or the only assetfs mount where no path is given.
    static func mount(_ mountpoint: FilePath?) throws -> Held {
        let path = try MountPoint.only(mountpoint)
        guard let held = folder(path) else { throw ExitStatus.failed.because("\(path): \(systemReason).") }
        return held
    }

    /// Opens a path below this folder; nil, with the reason in errno, where there is nothing or a link is on
    /// the way.
    ///
    /// A link as the last name is opened itself.
    func find(_ names: [[UInt8]]) -> Held? {
        let path = names.isEmpty ? path : path.appending(name: Array(names.joined(separator: [0x2F])))
        guard !names.isEmpty else { return Held(fcntl(descriptor, F_DUPFD_CLOEXEC, 0), path) }
        guard names.allSatisfy(Self.isName) else {
            errno = EINVAL
            return nil
        }
        let text = Array(names.joined(separator: [0x2F])).terminated
        let result = unsafe linux_open_beneath(descriptor, text, UInt64(Self.flags))
        // For kernels before 5.6, sandboxes that do not know the call, and paths of more than PATH_MAX.
        if result < 0, [ENOSYS, EPERM, ENAMETOOLONG].contains(errno) { return Held(walk(names), path) }
        return Held(result, path)
    }

    private static func isName(_ name: [UInt8]) -> Bool {
        !name.isEmpty && name != [0x2E] && name != [0x2E, 0x2E] && !name.contains(0)
    }

    /// Opens a path below this folder, one name at a time.
    private func walk(_ names: [[UInt8]]) -> Int32 {
        var current = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        for name in names where current >= 0 {
            let next = step(from: current, to: name)
            let reason = errno
            _ = close(current)
            (current, errno) = (next, reason)
        }
        return current
    }

    /// Opens a name in a folder below this one: a descriptor, or -1.
    private func step(from folder: Int32, to name: [UInt8]) -> Int32 {
        guard Self.isName(name) else {
            errno = EINVAL
            return -1
        }
        let next = unsafe linux_open_beneath(folder, name.terminated, UInt64(Self.flags))
        if next >= 0 || ![ENOSYS, EPERM].contains(errno) { return next }
        let other = unsafe openat(folder, name.terminated, Self.flags)
        var found = stat()
        let isThere = unsafe other >= 0 && fstat(other, &found) == 0
        if other < 0 || isThere && found.st_dev == status.st_dev { return other }
        _ = close(other)
        errno = EXDEV
        return -1
    }

    /// Opens folders below this one, and makes the missing ones; calls `made` with each new folder.
    func openFolders(_ names: [[UInt8]], mode: mode_t, made: (Held) -> Void = { _ in }) throws -> Held {
        var folder = try open([])
        for (index, name) in names.enumerated() {
            var isMade = false
            var next = step(from: folder.descriptor, to: name)
            if next < 0 {
                isMade = unsafe mkdirat(folder.descriptor, name.terminated, mode) == 0
                // EEXIST and all other errors show in whether there is a folder now.
                next = step(from: folder.descriptor, to: name)
            }
            // A path is as long as the folder is deep: building one for each level of each file would cost
            // too much.
            let isNamed = index == names.count - 1 || isMade
            guard let held = Held(next, isNamed ? path.appending(below: Array(names[...index])) : path), held.isFolder
            else {
                let reason = systemReason
                let path = path.appending(below: Array(names[...index]))
                throw ExitStatus.failed.because(
                    folder.status(of: name).map {
                        "\(path) could not be opened: it is \(Self.kind(of: $0)), and no folder."
                    } ?? "\(path) could not be made or opened: \(reason)."
                )
            }
            if isMade { made(held) }
            folder = held
        }
        return folder
    }

    /// Opens a path below this folder.
    func open(_ names: [[UInt8]]) throws -> Held {
        guard let held = find(names) else { throw Self.failure(path.appending(below: names)) }
        return held
    }

    /// The folders/ of this mount; the mount itself where it shows nothing else.
    var folders: Held { get throws { try find([Array("folders".utf8)]) ?? open([]) } }

    /// Opens a path below this folder, given as text.
    func open(_ path: String) throws -> Held { try open(FilePath(path).names) }

    /// Prints the failure of the last call for a path in a mount.
    static func failure(_ path: FilePath) -> ExitCode {
        switch errno {
        case ENOENT: ExitStatus.failed.because("\(path) does not exist.")
        case ELOOP, ENOTDIR:
            ExitStatus.failed.because(
                "\(path) leads through a symbolic link, or something else that is no folder; links in a mount are not followed, name the file itself."
            )
        case EXDEV: ExitStatus.failed.because("\(path) leads out of the mount.")
        default: ExitStatus.failed.because("\(path): \(systemReason).")
        }
    }

    // MARK: Kind

    private var type: mode_t { status.st_mode & S_IFMT }
    var isFolder: Bool { type == S_IFDIR }
    var isFile: Bool { type == S_IFREG }
    var isLink: Bool { type == S_IFLNK }

    /// The kind of the file, for messages.
    var kind: String { Self.kind(of: status) }

    static func kind(of status: stat) -> String {
        switch status.st_mode & S_IFMT {
        case S_IFREG: "a file"
        case S_IFDIR: "a folder"
        case S_IFLNK: "a symbolic link"
        case S_IFIFO: "a fifo"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }

    /// Returns whether this is the file or folder that stat(2) has described.
    func isSame(_ other: stat) -> Bool { status.st_dev == other.st_dev && status.st_ino == other.st_ino }

    // MARK: Contents

    /// A path by which calls that take only paths reach this very file, to be followed.
    var link: String { "/proc/self/fd/\(descriptor)" }

    /// Opens a file or folder for reading: a descriptor, or -1.
    ///
    /// Files of another kind are never opened.
    func reopen() -> Int32 {
        guard isFile || isFolder else {
            errno = EINVAL
            return -1
        }
        return unsafe Foundation.open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    }

    /// Returns the names in the folder, in the order of their bytes; nil, with the reason in errno, where it
    /// cannot be read.
    func entries() -> [[UInt8]]? {
        let descriptor = reopen()
        guard descriptor >= 0 else { return nil }
        guard let folder = unsafe fdopendir(descriptor) else {
            _ = close(descriptor)
            return nil
        }
        return unsafe FilePath.entries(of: folder)
    }

    /// Returns the status of a name in the folder; nil where there is none.
    func status(of name: [UInt8]) -> stat? {
        var status = stat()
        let result = unsafe fstatat(descriptor, name.terminated, &status, AT_SYMLINK_NOFOLLOW)
        return result == 0 ? status : nil
    }

    /// Reads all bytes of a file.
    func contents() -> [UInt8]? {
        let file = isFile ? reopen() : -1
        guard file >= 0 else { return nil }
        defer { _ = close(file) }
        return FilePath.contents(of: file)
    }

    /// Returns the target of a symbolic link.
    func linkTarget() -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = unsafe readlinkat(descriptor, "", &buffer, buffer.count)
        return count > 0 ? buffer.prefix(count).map { UInt8(bitPattern: $0) } : nil
    }
}

extension FilePath {
    /// Returns a path below this folder.
    func appending(below names: [[UInt8]]) -> FilePath {
        names.isEmpty ? self : appending(name: Array(names.joined(separator: [0x2F])))
    }
}
