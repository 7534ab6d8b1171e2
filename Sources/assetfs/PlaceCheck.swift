import Foundation
import SystemPackage

/// Refuses places for a mount in which the library, or a store, would lie below the mount itself.
///
/// The daemon would wait for its own answer. Folders are compared by device and inode, because symbolic links
/// and bind mounts give one folder many paths.
enum PlaceCheck {
    /// The identity of a folder by stat(2).
    private struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) { (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino)) }
    }

    /// Checks a library, which need not exist yet.
    static func check(library: FilePath, on mountpoint: FilePath) throws {
        try check(library, "library", on: mountpoint)
        try refuseUnlessOurs(library, "library")
    }

    /// Checks a store.
    static func check(store: FilePath, of library: FilePath, on mountpoint: FilePath) throws {
        try check(store, "store", on: mountpoint)
        try refuseUnlessOurs(store, "store")
        if isInside(store, library) || isInside(library, store) {
            throw ExitStatus.mountRefused.because(
                "The store \(store) and the library \(library) are in one another; a store is a folder of its own, on another disk."
            )
        }
    }

    private static func check(_ place: FilePath, _ what: String, on mountpoint: FilePath) throws {
        if isInside(place, mountpoint) {
            throw ExitStatus.mountRefused.because(
                "The \(what) \(place) is in the mountpoint \(mountpoint), and would be hidden by the mount; choose a mountpoint beside it."
            )
        }
        if isInside(mountpoint, place) {
            throw ExitStatus.mountRefused.because(
                "The mountpoint \(mountpoint) is in the \(what) \(place), which is assetfs's alone; choose a mountpoint beside it."
            )
        }
        if let mount = mount(of: place) {
            throw ExitStatus.mountRefused.because(
                "The \(what) \(place) is in the assetfs mount \(mount.path); choose a folder on a disk."
            )
        }
    }

    /// Refuses a path, as it was typed, that leads through a folder where another user could redirect it.
    static func refuseLinks(to place: FilePath, _ what: String) throws {
        try refuseUnlessOurs(place.isAbsolute ? place : MountPoint.resolved(".").pushing(place), what)
    }

    private static func refuseUnlessOurs(_ place: FilePath, _ what: String) throws {
        guard let reason = ForeignFolder.reason(above: place) else { return }
        throw ExitStatus.mountRefused.because("The \(what) \(place) \(reason)")
    }

    /// Returns whether a path is that of a folder, or leads through it.
    private static func isInside(_ path: FilePath, _ folder: FilePath) -> Bool {
        // The folder need not exist yet.
        guard let wanted = folder.status().map(Identity.init) else { return path.starts(with: folder) }
        return ancestors(path).contains { $0.status().map(Identity.init) == wanted }
    }

    /// Returns the assetfs mount that a path is in, by the device of the lowest existing folder above it.
    private static func mount(of path: FilePath) -> MountPoint? {
        var lowest: stat?
        for folder in ancestors(path) where lowest == nil { lowest = folder.status() }
        guard let status = lowest else { return nil }
        let device = UInt64(status.st_dev)
        // The encoding of the kernel's new_encode_dev(), which mountinfo splits.
        let (major, minor) = ((device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xFFF00))
        return MountPoint.ours.first { $0.device == "\(major):\(minor)" }
    }

    /// Returns a path and all above it, the path first.
    private static func ancestors(_ path: FilePath) -> [FilePath] {
        var result = [path]
        while let last = result.last, last.length > 1, last.removingLastComponent() != last {
            result.append(last.removingLastComponent())
        }
        return result
    }
}
