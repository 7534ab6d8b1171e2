import ArgumentParser
import Foundation

/// What /proc/self/mountinfo says of the mounts of this process.
struct MountPoint {
    let path: String
    let type: String
    let source: String

    /// Mounts on `path`, the uppermost last.
    static func mounts(on path: String) -> [MountPoint] { all().filter { $0.path == path } }

    /// All mounts.
    static func all() -> [MountPoint] {
        // The kernel gives out a page at a time, and Foundation takes the first short read for the end.
        guard let file = FileHandle(forReadingAtPath: "/proc/self/mountinfo") else { return [] }
        defer { try? file.close() }
        var bytes = Data()
        while let part = try? file.read(upToCount: 1 << 16), !part.isEmpty { bytes += part }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ").map(String.init)
            guard let dash = parts.firstIndex(of: "-"), dash + 2 < parts.count, parts.count > 4 else { return nil }
            return MountPoint(path: unescaped(parts[4]), type: parts[dash + 1], source: unescaped(parts[dash + 2]))
        }
    }

    /// The mount that is meant, which need not be said where there is only one of ours.
    static func only(_ mountpoint: String?) throws -> String {
        if let mountpoint { return resolved(mountpoint) }
        let mounts = all().filter { $0.type == "fuse.assetfs" }
        guard let only = mounts.first else { throw ExitStatus.notMounted.because("No assetfs is mounted.") }
        guard mounts.count == 1 else {
            throw ValidationError("Say which mount is meant: \(mounts.map(\.path).joined(separator: ", ")).")
        }
        return only.path
    }

    /// Whether a file is below one of our mounts.
    static func isOurs(_ path: String) -> Bool {
        let path = resolved(path)
        let mount = all().filter { path == $0.path || path.hasPrefix($0.path == "/" ? "/" : $0.path + "/") }
            .max { $0.path.utf8.count < $1.path.utf8.count }
        return mount?.type == "fuse.assetfs"
    }

    /// Whether the daemon behind it is gone, as after kill -9.
    var isDead: Bool {
        // Of all that can be asked, this alone the kernel never answers from its caches.
        var statistics = statvfs()
        return unsafe statvfs(path, &statistics) != 0 && errno == ENOTCONN
    }

    /// Unmounts, by umount(8) as root, else by the helper that lets people end their own mounts.
    /// - Returns: false when it is in use.
    func unmount() throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = getuid() == 0 ? ["umount", "-i", "--", path] : ["fusermount3", "-u", "--", path]
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    /// An absolute path without symbolic links, without looking at what is mounted on it.
    static func resolved(_ path: String) -> String {
        let absolute = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        let url = URL(fileURLWithPath: absolute).standardizedFileURL
        // Only the parent is resolved: the mountpoint itself may be a mount that no longer answers.
        let parent = url.deletingLastPathComponent().resolvingSymlinksInPath()
        return url.path == "/" ? "/" : parent.appendingPathComponent(url.lastPathComponent).path
    }

    /// > space, tab, newline and backslash are written as \040, \011, \012 and \134 — proc(5)
    private static func unescaped(_ text: String) -> String {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == 0x5C, digits.count == 3, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8) {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
