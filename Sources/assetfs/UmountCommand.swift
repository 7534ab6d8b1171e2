import ArgumentParser
import Foundation

struct UmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "umount",
        abstract: "Ends a mount, and returns when everything is on stable storage and the library is free."
    )

    @Argument(help: "Where the library is mounted.")
    var mountpoint: String

    func run() throws {
        let mountpoint = MountPoint.resolved(mountpoint)
        let ended = FuseConnection.endDead(mountpoint: Array(mountpoint.utf8))
        guard let mount = MountPoint.mounts(on: mountpoint).last, mount.type == "fuse.assetfs" else {
            if ended > 0 { return }
            throw ExitStatus.notMounted.because("No assetfs is mounted on \(mountpoint).")
        }
        guard try mount.unmountQuietly() || mount.unmount() else {
            throw ExitStatus.failed.because(
                "\(mountpoint) is still in use; end the programs that work in it (“fuser -vm \(mountpoint)” names them)."
            )
        }
        waitForLibrary(mount.source)
    }

    /// The daemon holds the library's lock until all is written.
    private func waitForLibrary(_ path: String) {
        let lock = unsafe open("\(path)/lock", O_RDONLY | O_CLOEXEC)
        guard lock >= 0 else { return }
        defer { _ = close(lock) }
        while flock(lock, LOCK_SH) != 0, errno == EINTR {}
    }
}
