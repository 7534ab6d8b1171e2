import CLinux
import Foundation

/// A connection between the kernel and an assetfs daemon, as /sys/fs/fuse/connections lists it by the minor
/// number of its device.
///
/// The connection ends when the last descriptor of /dev/fuse is closed. A killed daemon that waits in the
/// kernel never closes its own, and its clients wait for ever; then the connection must be aborted —
/// Documentation/filesystems/fuse, “Aborting a filesystem connection”.
struct FuseConnection {
    /// The mountpoint's path, as mountinfo writes it.
    private let path: [UInt8]
    private let library: [UInt8]
    private let number: String

    private static let folder = "/sys/fs/fuse/connections"
    /// SIGKILL in the masks of /proc/PID/status.
    private static let killed = UInt64(1) << 8

    /// Aborts and unmounts the connections that a killed daemon which does not end has left on a mountpoint,
    /// or of a library.
    ///
    /// A killed daemon that ends within three seconds needs no abort, and one that has not been killed is
    /// left alone.
    /// - Returns: the number of aborted connections.
    @discardableResult
    static func endDead(mountpoint: [UInt8]? = nil, library: [UInt8]? = nil) -> Int {
        var count = 0
        for connection in all() where connection.path == mountpoint || connection.library == library {
            guard let daemon = daemon(of: connection.library), isKilled(daemon) else { continue }
            guard !ends(daemon, within: 3) else { continue }
            connection.abort()
            _ = ends(daemon, within: 10)
            connection.detach()
            count += 1
        }
        return count
    }

    private static func all() -> [FuseConnection] {
        MountPoint.all().filter { $0.type == "fuse.assetfs" }.compactMap { mount in
            guard let minor = mount.device.split(separator: ":").last else { return nil }
            return FuseConnection(path: mount.path.bytes, library: mount.source.bytes, number: String(minor))
        }
    }

    /// Waits for the end of a daemon that was killed and still holds its library.
    static func awaitEnd(of library: [UInt8]) {
        if let daemon = daemon(of: library), isKilled(daemon) { _ = ends(daemon, within: 5) }
    }

    /// Returns the process that holds a library's lock.
    private static func daemon(of library: [UInt8]) -> Int32? {
        var status = stat()
        guard unsafe stat((library + Array("/lock\0".utf8)).map { CChar(bitPattern: $0) }, &status) == 0 else {
            return nil
        }
        // > 1: FLOCK  ADVISORY  WRITE 1385 fe:01:1234 0 EOF — proc(5)
        for line in contents(of: "/proc/locks").split(separator: 0x0A) {
            let fields = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard fields.count > 5, fields[1] == "FLOCK", let process = Int32(fields[4]), process > 0,
                fields[5].split(separator: ":").last.flatMap({ UInt64($0) }) == UInt64(status.st_ino),
                field("Name", of: process) == "assetfs" || isKilled(process)
            else { continue }
            return process
        }
        return nil
    }

    private static func isKilled(_ process: Int32) -> Bool {
        if field("State", of: process)?.hasPrefix("Z") ?? false { return true }
        // > flags … the ninth field, with PF_EXITING, 4, while files are closed — proc(5)
        let fields = String(decoding: contents(of: "/proc/\(process)/stat"), as: UTF8.self).split(separator: ")").last
        if let flags = fields?.split(separator: " ").dropFirst(6).first.flatMap({ UInt64($0) }), flags & 4 != 0 {
            return true
        }
        return ["SigPnd", "ShdPnd"].contains { key in
            field(key, of: process).flatMap { UInt64($0, radix: 16) }.map { $0 & killed != 0 } ?? false
        }
    }

    private static func ends(_ process: Int32, within seconds: Int) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            // A zombie whose threads have all ended only waits for its parent.
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
            if threads.allSatisfy({ field("State", of: process, thread: $0)?.hasPrefix("Z") ?? true }) { return true }
            guard .now < end else { return false }
            usleep(20_000)
        }
    }

    /// Aborts the connection and unmounts it; root mounts the control filesystem where it is missing, and its
    /// files are writable for the mount's owner.
    private func abort() {
        let file = "\(Self.folder)/\(number)/abort"
        if unsafe access(file, F_OK) != 0 { _ = unsafe mount("none", Self.folder, "fusectl", 0, nil) }
        let descriptor = unsafe open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        unsafe _ = write(descriptor, "1", 1)
        _ = close(descriptor)
    }

    private func detach() {
        let path = (path + [0]).map { CChar(bitPattern: $0) }
        if geteuid() == 0 {
            _ = unsafe umount2(path, 2 /* MNT_DETACH */ | 8 /* UMOUNT_NOFOLLOW */)
        } else if let text = String(bytes: self.path, encoding: .utf8) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["fusermount3", "-u", "-z", "--", text]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return }
            process.waitUntilExit()
        }
    }

    /// Returns a value from /proc/PID/status, or from that of one of the process' threads.
    private static func field(_ key: String, of process: Int32, thread: String? = nil) -> String? {
        let path = "/proc/\(process)" + (thread.map { "/task/\($0)" } ?? "") + "/status"
        let text = String(decoding: contents(of: path), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
        return line.map { $0.dropFirst(key.count + 1).trimmingCharacters(in: .whitespaces) }
    }

    private static func contents(of path: String) -> [UInt8] {
        (try? Data(contentsOf: URL(fileURLWithPath: path))).map([UInt8].init) ?? []
    }
}

extension MountPoint {
    /// Unmounts; retries for a second while the mount is in use, because the daemon's own agent may have a
    /// folder open for a moment.
    func unmountPatiently(isLazy: Bool) -> Outcome {
        var outcome = unmount(isLazy: isLazy)
        for _ in 0..<20 where outcome == .inUse {
            usleep(50_000)
            outcome = unmount(isLazy: isLazy)
        }
        return outcome
    }
}
