import ArgumentParser
import CLinux
import Foundation
import SystemPackage

/// A mount of this process, as /proc/self/mountinfo lists it.
struct MountPoint {
    let id: Int
    /// The mount below this one.
    let parent: Int
    /// The filesystem's device, such as `0:53`: equal for all mounts of one filesystem, in all namespaces.
    let device: String
    /// The names that lead from the root to the mount.
    let names: [[UInt8]]
    let type: String
    private let sourceBytes: [UInt8]

    var path: FilePath { Self.absolute(names) }
    var source: FilePath { FilePath(bytes: sourceBytes) }

    /// Returns the mounts on `path`, the uppermost last.
    static func mounts(on path: FilePath) -> [MountPoint] {
        let names = path.names
        return all().filter { $0.names == names }
    }

    /// Returns all mounts that a process sees.
    static func all(of process: String = "self") -> [MountPoint] {
        FilePath("/proc/\(process)/mountinfo").contents().map(all) ?? []
    }

    /// Parses a table of mounts: proc(5), /proc/PID/mountinfo.
    static func all(in table: [UInt8]) -> [MountPoint] {
        table.split(separator: 0x0A).compactMap { line in
            let parts = line.split(separator: 0x20).map(Array.init)
            guard let dash = parts.firstIndex(of: [0x2D]), dash + 2 < parts.count, parts.count > 4,
                let id = Int(String(decoding: parts[0], as: UTF8.self)),
                let parent = Int(String(decoding: parts[1], as: UTF8.self))
            else { return nil }
            return MountPoint(
                id: id,
                parent: parent,
                device: String(decoding: parts[2], as: UTF8.self),
                names: unescaped(parts[4]).split(separator: 0x2F).map(Array.init),
                type: String(decoding: parts[dash + 1], as: UTF8.self),
                sourceBytes: unescaped(parts[dash + 2])
            )
        }
    }

    /// All assetfs mounts.
    static var ours: [MountPoint] { all().filter(\.isOurs) }

    var isOurs: Bool { type == "fuse.assetfs" }

    /// Returns the named mount, or the only assetfs mount where none is named.
    static func only(_ mountpoint: FilePath?) throws -> FilePath {
        if let mountpoint { return try resolved(mountpoint) }
        let mounts = ours
        guard let only = mounts.first else { throw ExitStatus.notMounted.because("No assetfs is mounted.") }
        guard mounts.count == 1 else {
            throw ValidationError(
                "Say which mount is meant: \(mounts.map(\.path.shown).joined(separator: ", "))." as Sentence
            )
        }
        return only.path
    }

    /// Whether the daemon of the mount has ended, as after kill -9.
    var isDead: Bool {
        // Of all requests the kernel never answers this one from its caches.
        var statistics = statvfs()
        return unsafe path.withC { unsafe statvfs($0, &statistics) } != 0 && [ENOTCONN, ECONNABORTED].contains(errno)
    }

    /// The outcome of unmounting.
    enum Outcome: Equatable {
        case done
        case inUse
        /// The reason of a refusal.
        case refused(String)
    }

    /// Unmounts: root by umount2(2), other users by the helper that lets them end their own mounts.
    ///
    /// With `isLazy` open files stay usable in the mount, which then has no path.
    func unmount(isLazy: Bool = false) -> Outcome {
        if geteuid() == 0 {
            let flags = Int32(LINUX_NOFOLLOW | (isLazy ? LINUX_DETACH : 0))
            if unsafe path.withC({ unsafe umount2($0, flags) }) == 0 { return .done }
            return errno == EBUSY ? .inUse : .refused(systemReason)
        }
        let helper = HelperProcess.run(["fusermount3", "-u"] + (isLazy ? ["-z"] : []) + ["--"], path)
        if helper.status == 0 { return .done }
        return helper.errors.contains("busy") ? .inUse : .refused(helper.reason)
    }

    /// Returns an absolute path without symbolic links and without `.` and `..`.
    ///
    /// The only system call on the way is readlink(2), which a mount that no longer answers does not hold up:
    /// a mountpoint is no link.
    ///
    /// Below a place that `isForeign`, which gets its names, links are not followed.
    static func resolved(_ path: FilePath, isForeign: ([[UInt8]]) -> Bool = { _ in false }) throws -> FilePath {
        var result: [[UInt8]] = []
        if !path.isAbsolute {
            guard let folder = unsafe getcwd(nil, 0) else {
                throw ExitStatus.failed.because(
                    "\(path) is below the current directory, which does not exist any more; say an absolute path."
                )
            }
            defer { unsafe free(folder) }
            result = unsafe FilePath(platformString: UnsafePointer(folder)).names
        }
        var rest = Array(path.names.reversed())
        var links = 0
        while let name = rest.popLast() {
            if name == [0x2E] { continue }
            if name == [0x2E, 0x2E] {
                _ = result.popLast()
                continue
            }
            // > ELOOP … more than 40 — path_resolution(7)
            if links < 40, !isForeign(result), let target = absolute(result + [name]).linkTarget() {
                links += 1
                if target.first == 0x2F { result = [] }
                rest += FilePath(bytes: target).names.reversed()
            } else {
                result.append(name)
            }
        }
        return absolute(result)
    }

    private static func absolute(_ names: [[UInt8]]) -> FilePath {
        FilePath(bytes: [0x2F] + names.joined(separator: [0x2F]))
    }

    /// Decodes the escapes of mountinfo.
    ///
    /// > space, tab, newline and backslash are written as \040, \011, \012 and \134 — proc(5)
    private static func unescaped(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == 0x5C, digits.count == 3, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8) {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}

/// A helper program with the privilege for one task.
enum HelperProcess {
    /// The outcome of a helper.
    struct Result {
        let status: Int32
        let errors: String

        /// The last line of its errors, without its name.
        var reason: String {
            let line = errors.split(separator: "\n").last.map(String.init) ?? "it ended with status \(status)"
            return line.components(separatedBy: ": ").dropFirst().joined(separator: ": ").isEmpty
                ? line : line.components(separatedBy: ": ").dropFirst().joined(separator: ": ")
        }
    }

    /// Runs a program from PATH, or where PATH is not set from the usual directories, on a path.
    static func run(_ arguments: [String], _ path: FilePath) -> Result {
        let errors = unsafe memfd_create("errors", 1 /* MFD_CLOEXEC */)
        defer { _ = close(errors) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        var strings = unsafe arguments.map { unsafe strdup($0) }
        unsafe strings.append(path.withC { unsafe strdup($0) })
        defer { unsafe strings.forEach { unsafe free($0) } }
        var child = pid_t()
        let failure = unsafe posix_spawnp(&child, arguments[0], &actions, nil, strings + [nil], linux_environment())
        guard failure == 0 else {
            return Result(status: 127, errors: "\(arguments[0]): \(unsafe String(cString: strerror(failure)))")
        }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        let text = FilePath("/proc/self/fd/\(errors)").contents() ?? []
        return Result(
            status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F,
            errors: String(decoding: text, as: UTF8.self)
        )
    }
}
