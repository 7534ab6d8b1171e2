import ArgumentParser
import AssetLibrary
import Foundation
internal import LibraryStorage
import SystemPackage

struct UmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "umount",
        abstract: "Ends a mount, and returns when everything is on stable storage and the library is free.",
        discussion: """
            Ends with status 1, and nothing is changed, where programs work in the mount; they are named. Ends with \
            status 1 also where something could not be made durable; the next mount tries that again. After five seconds \
            it says for what it waits.
            """
    )

    @Argument(help: "Where the library is mounted.")
    var mountpoint: FilePath
    @Option(help: "Give up waiting after so many seconds, with status 12; the mount goes on ending by itself.")
    var timeout: Double?
    @Flag(help: "Take the mount away although programs work in it, and end it as SIGTERM does.")
    var lazy = false

    func validate() throws {
        if let timeout, !(timeout >= 0) {
            throw ValidationError("--timeout cannot be \(timeout): it is a number of seconds.")
        }
    }

    func run() throws {
        let mountpoint = try MountPoint.resolved(mountpoint)
        let ended = FuseConnection.endDead(mountpoint: mountpoint.bytes)
        guard let mount = MountPoint.mounts(on: mountpoint).last, mount.isOurs else {
            if ended > 0 { return }
            throw ExitStatus.notMounted.because("No assetfs is mounted on \(mountpoint).")
        }
        // The command's own working directory in the mount must not keep it in use.
        unsafe _ = chdir("/")
        let lock = LibraryLock(of: mount.source)
        let daemon = lock.state?.process.flatMap { lock.isHeld(by: $0) ? $0 : nil }
        // The daemon is identified before the unmount: afterwards the mount's users cannot be found.
        switch mount.unmountPatiently(isLazy: lazy || mount.isDead) {
        case .done: break
        case .inUse:
            let users = MountUsers(of: mount).inUse ?? "programs that only root can see"
            throw ExitStatus.failed.because(
                "\(mountpoint) is in use by \(users). End them, or take it away from them with “assetfs umount --lazy \(mountpoint)”."
            )
        case .refused(let reason):
            throw ExitStatus.failed.because("\(mountpoint) could not be unmounted: \(reason).")
        }
        if lazy, let daemon { kill(daemon, SIGTERM) }
        try wait(for: lock, of: daemon, mount)
    }

    /// Waits for the end of the daemon, which holds the library's lock until all is written.
    private func wait(for lock: LibraryLock, of daemon: Int32?, _ mount: MountPoint) throws {
        guard let descriptor = lock.open() else { return }
        defer { close(descriptor) }
        let begin = ContinuousClock.now
        var (pause, nextNote): (UInt32, Duration) = (2000, .seconds(5))
        while flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            let waited = begin.duration(to: .now)
            if let daemon, let next = lock.state?.process, next != daemon {
                // Another mount of the library has begun already.
                return
            }
            if let timeout, waited >= .seconds(timeout) {
                throw ExitStatus.gaveUp.because(
                    "Gave up waiting for the end of the mount on \(mount.path), which is gone, after \(timeout) seconds: \(reason(mount, daemon))."
                )
            }
            if waited >= nextNote {
                Output.note("Waiting for the end of the mount on \(mount.path): \(reason(mount, daemon)).")
                nextNote += .seconds(60)
            }
            usleep(pause)
            pause = min(pause * 2, 100_000)
        }
        switch lock.state {
        case .failed(let sentence):
            throw ExitStatus.failed.because("\(mount.path) is unmounted, and its end failed: \(sentence)")
        case .running(let process)? where process == daemon, .ending(let process)? where process == daemon:
            throw ExitStatus.failed.because(
                "\(mount.path) is unmounted, and its daemon (process \(process)) died before everything was durable; the next mount recovers what is there."
            )
        default: break
        }
    }

    private func reason(_ mount: MountPoint, _ daemon: Int32?) -> String {
        let holders = MountUsers(of: mount).holders
        if !holders.isEmpty {
            let process = daemon.map(String.init) ?? "PID"
            return holders.joined(separator: "; ") + "; “kill \(process)” ends the daemon all the same"
        }
        let process = daemon.map { " (process \($0))" } ?? ""
        return "the daemon\(process) finishes uploads and makes everything durable"
    }
}
