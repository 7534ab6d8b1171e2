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
        guard let table = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8) else { return [] }
        return table.split(separator: "\n").compactMap { line in
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
        // Without a question to the mountpoint itself: it may be a mount that no longer answers.
        var names: [Substring] = []
        for name in absolute.split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        guard let last = names.popLast() else { return "/" }
        let parent = URL(fileURLWithPath: "/" + names.joined(separator: "/"), isDirectory: true)
            .resolvingSymlinksInPath()
        return parent.appendingPathComponent(String(last), isDirectory: false).path
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
