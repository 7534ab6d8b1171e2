import Foundation
import SystemPackage

/// The users of a mount, as /proc lists them; the mount itself, which may not answer, is not accessed.
struct MountUsers {
    private let mount: MountPoint

    init(of mount: MountPoint) { self.mount = mount }

    /// The number of users that are named.
    private static let limit = 10

    /// A sentence that names the programs that work in a mount, and the mounts below it; nil where none is
    /// found.
    var inUse: String? {
        let below = MountPoint.all().filter { $0.parent == mount.id }.map { "a mount on \($0.path)" }
        let programs = Self.processes().filter(isUsing).map(Self.describe)
        let all = below + programs
        guard !all.isEmpty else { return nil }
        return all.prefix(Self.limit).joined(separator: ", ") + (all.count > Self.limit ? " and others" : "")
    }

    /// The mounts and programs that keep the filesystem alive after it was unmounted; empty where there are
    /// none.
    var holders: [String] {
        var result = MountPoint.all().filter(isSame).map {
            "it is mounted on \($0.path), too (“umount \($0.path)” ends that)"
        }
        let own = FilePath("/proc/self/ns/mnt").linkTarget()
        var seen: Set<[UInt8]?> = [own]
        for process in Self.processes() {
            // One process of each namespace is enough.
            guard let namespace = FilePath("/proc/\(process)/ns/mnt").linkTarget(), seen.insert(namespace).inserted,
                let copy = MountPoint.all(of: "\(process)").first(where: isSame)
            else { continue }
            result.append("\(Self.describe(process)) has it on \(copy.path) in a mount namespace of its own")
        }
        if result.isEmpty, let programs = inUse { result.append("it is in use by \(programs)") }
        return Array(result.prefix(Self.limit))
    }

    /// Returns whether a mount is one of the same library: the number of a device alone is reused as soon as
    /// its filesystem is gone.
    private func isSame(_ other: MountPoint) -> Bool {
        other.device == mount.device && other.type == mount.type && other.source == mount.source
    }

    /// Returns whether a process has a file open or mapped in the mount, or its current or root directory.
    private func isUsing(_ process: Int32) -> Bool {
        let folder = FilePath("/proc/\(process)")
        for name in ["cwd", "root"] {
            if let target = folder.appending(name).linkTarget(), FilePath(bytes: target).starts(with: mount.path) {
                return true
            }
        }
        let mark = Array("mnt_id:\t\(mount.id)\n".utf8)
        for number in folder.appending("fdinfo").entries() ?? [] {
            if let text = folder.appending("fdinfo").appending(name: number).contents(), text.contains(mark) {
                return true
            }
        }
        // Device numbers are hexadecimal here, and decimal in mountinfo.
        let device = mount.device.split(separator: ":").compactMap { Int($0) }
        guard device.count == 2, let maps = folder.appending("maps").contents() else { return false }
        func hexadecimal(_ number: Int) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
        return maps.contains(Array(" \(hexadecimal(device[0])):\(hexadecimal(device[1])) ".utf8))
    }

    private static func processes() -> [Int32] {
        (FilePath("/proc").entries() ?? []).compactMap { Int32(String(decoding: $0, as: UTF8.self)) }.sorted()
    }

    private static func describe(_ process: Int32) -> String {
        if process == getpid() { return "this very command, which was given an open file of it" }
        let name = FilePath("/proc/\(process)/comm").contents() ?? []
        return "\(String(decoding: name.prefix { $0 != 0x0A }, as: UTF8.self)) (\(process))"
    }
}
