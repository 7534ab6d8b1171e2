import ArgumentParser
import AssetFilesystem
import AssetLibrary
import FUSE
import Foundation
import Logging

struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Shows a library as a filesystem; makes the library if there is none."
    )

    @Argument(help: "The folder that holds everything: catalog, blobs and staged files.")
    var library: String
    @Argument(help: "An existing directory.")
    var mountpoint: String
    @Flag(name: .shortAndLong, help: "Stay in the foreground, and log to the terminal.")
    var foreground = false
    @Option(
        name: .shortAndLong,
        help: """
            Comma-separated options: view=folders (the mount shows folders/ alone), nopassthrough, export (open_by_handle_at(2) and NFS servers), policy.KEY=VALUE (what holds where \
            no folder says otherwise; “assetfs policy --help” lists the keys), clamd=SOCKET, fetch (URLs may be fetched from public addresses; fetch=10.0.0.0/8 from that network too, fetch=private from all), \
            fetch_time=SECONDS, on_event=COMMAND (told of each event, as JSON on \
            its standard input), store=NAME:FOLDER (a folder on another disk that contents can be moved to; the library remembers it), scrub=PERIOD (how often all contents are compared with their SHA-256: P30D, or off), and those of mount(8) and fuse(8), such as ro, noexec, nodev, allow_other.
            """
    )
    var options: [String] = []

    func run() throws {
        let options: MountOptions
        do { options = try MountOptions(self.options) } catch { throw ValidationError(error.sentence) }
        let mountpoint = MountPoint.resolved(mountpoint)
        let path = MountPoint.resolved(library)
        FuseConnection.endDead(mountpoint: Array(mountpoint.utf8), library: Array(path.utf8))
        FuseConnection.awaitEnd(of: Array(path.utf8))
        try checkMountpoint(mountpoint)
        guard FileManager.default.fileExists(atPath: "/dev/fuse") else {
            throw ExitStatus.noFuse.because("/dev/fuse is missing; load the kernel's module with “modprobe fuse”.")
        }
        guard foreground || Daemon.isBackground else { throw Daemon.start() }
        try serve(path, on: mountpoint, options)
    }

    private func checkMountpoint(_ mountpoint: String) throws {
        // What a killed daemon left is cleared, so that mounting again needs nothing by hand.
        while let mount = MountPoint.mounts(on: mountpoint).last, mount.type == "fuse.assetfs", mount.isDead {
            guard try mount.unmount() else { break }
        }
        if let mount = MountPoint.mounts(on: mountpoint).last, mount.type.hasPrefix("fuse") {
            throw ExitStatus.alreadyMounted.because(
                "\(mountpoint) has \(mount.source) mounted on it already; “assetfs umount \(mountpoint)” ends that."
            )
        }
        var isDirectory: ObjCBool = false
        guard unsafe FileManager.default.fileExists(atPath: mountpoint, isDirectory: &isDirectory),
            isDirectory.boolValue
        else {
            throw ExitStatus.noMountpoint.because(
                "The mountpoint \(mountpoint) does not exist or is not a directory; “mkdir -p \(mountpoint)” makes it."
            )
        }
    }

    private func serve(_ path: String, on mountpoint: String, _ options: MountOptions) throws {
        // Each file that is open in the mount is one of ours.
        var files = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 {
            files.rlim_cur = files.rlim_max
            _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        }
        // Before any thread begins: the session alone takes the signals that end the mount.
        Daemon.blockSignals()
        let library: AssetLibrary
        let file = LogFile()
        let log = file.logger
        do throws(OpenLibraryError) {
            library = try AssetLibrary(
                at: path,
                log: log,
                policies: options.policies,
                scanner: options.scanner,
                onEvent: options.eventCommand,
                fetching: options.fetching,
                stores: options.stores,
                scrubbing: options.scrubbing
            )
        } catch {
            throw ExitStatus(error).because(error.description)
        }
        do {
            let session: Session
            do throws(SessionError) {
                session = try Session(
                    filesystem: AssetFilesystem(
                        library,
                        rootView: options.rootView,
                        mountpoint: Array(mountpoint.utf8)
                    ),
                    mountpoint: mountpoint,
                    options: ["default_permissions", "subtype=assetfs", "fsname=\(Self.escaped(path))"]
                        + options.others,
                    usesPassthrough: options.usesPassthrough,
                    exportsHandles: options.exportsHandles,
                    log: log
                )
            } catch {
                try library.abandon()
                throw ExitStatus.mountRefused.because("\(mountpoint) could not be mounted: \(error)")
            }
            if !foreground {
                let descriptor = LogFile.open(in: path)
                if descriptor >= 0 { file.move(to: descriptor) }
                Daemon.leaveTerminal(errorsTo: descriptor)
            }
            log.notice("Mounted \(path) on \(mountpoint).")
            Daemon.reportReady()
            // While the session is still there: what the library tells the kernel goes through it.
            session.run { library.stopObserving() }
        }
        try library.close()
        log.notice("Unmounted \(mountpoint).")
    }

    /// libfuse takes a comma in a value when a backslash stands before it.
    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: ",", with: "\\,")
    }
}
