import ArgumentParser
import Foundation
import SystemPackage

/// A path that the caller has typed, split where an assetfs mount begins.
///
/// Links on the way to the mount are followed, since the caller chose them. In the mount users make links,
/// and those are not followed.
struct MountPath {
    /// The mount, held open.
    let mount: Held
    /// The names below it.
    let names: [[UInt8]]
    /// The path as it was typed, for messages.
    let typed: FilePath

    /// Finds the mount that a path is in.
    init(_ path: FilePath) throws {
        guard let found = try Self(finding: path) else {
            throw ExitStatus.failed.because("\(path) is not below an assetfs mount.")
        }
        self = found
    }

    /// Finds the mount that a path is in; nil where that is no assetfs mount.
    init?(finding path: FilePath) throws {
        let mounts = MountPoint.all()
        let ours = mounts.filter(\.isOurs).map(\.names)
        let resolved = try MountPoint.resolved(path) { names in ours.contains { names.starts(with: $0) } }.names
        // Of two mounts on one path the later one lies above.
        let mount = mounts.filter { resolved.starts(with: $0.names) }.reversed().max { $0.names.count < $1.names.count }
        guard let mount, mount.isOurs, let held = Held.folder(mount.path) else { return nil }
        self.mount = held
        names = Array(resolved.dropFirst(mount.names.count))
        typed = path
    }

    /// Returns whether the path is in a view of the mount, or is that view itself.
    func isBelow(_ folder: String) -> Bool { names.first == Array(folder.utf8) }

    /// Opens the file or folder at the path.
    func open() throws -> Held {
        guard let held = mount.find(names) else { throw Held.failure(typed) }
        guard held.isLink, let target = Self.found(held) else { return held }
        return try mount.open(target)
    }

    /// Opens the file at the path; fails for another kind.
    func openFile() throws -> Held {
        let held = try open()
        guard held.isFile else { throw ExitStatus.failed.because("\(typed) is \(held.kind), and no file.") }
        return held
    }

    /// Opens the folder that the path is in.
    func openParent() throws -> Held {
        guard let held = mount.find(names.dropLast()) else { throw Held.failure(typed) }
        return held
    }

    /// Returns the target of a link in search/, which the mount itself has made; nil for a link that a user
    /// has made.
    static func found(_ link: Held) -> [[UInt8]]? {
        // Files and links that users make have small numbers, which count up from one.
        guard link.status.st_ino >> 56 > 0, let target = link.linkTarget() else { return nil }
        return FilePath(bytes: target).names.drop { $0 == [0x2E, 0x2E] }.map { $0 }
    }
}
