import ArgumentParser
import AssetFilesystem
import AssetLibrary
import AssetModel
import CLinux
import FUSE
import Foundation
internal import LibraryStorage
import Logging
import SystemPackage

struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Shows a library as a filesystem; makes the library if there is none."
    )

    @Argument(help: "The folder that holds everything: catalog, blobs and staged files.")
    var library: FilePath
    @Argument(help: "An existing directory.")
    var mountpoint: FilePath
    @Flag(name: .shortAndLong, help: "Stay in the foreground, and log to the terminal.")
    var foreground = false
    @Option(
        name: .shortAndLong,
        help: """
            Comma-separated options: view=folders (the mount shows folders/ alone), nopassthrough, export (open_by_handle_at(2) and NFS servers), policy.KEY=VALUE (what holds where \
            no folder says otherwise; “assetfs policy --help” lists the keys), clamd=SOCKET, fetch (URLs may be fetched from public addresses; fetch=10.0.0.0/8 from that network too, fetch=private from all), \
            fetch_time=SECONDS, on_event=COMMAND (told of each event, as JSON on \
            its standard input), store=NAME:FOLDER (a folder on another disk that contents can be moved to; the library remembers it), scrub=PERIOD (how often all contents are compared with their SHA-256: P30D, or off), and those of mount(8) and fuse(8), such as ro, noexec, noatime, allow_other; the man page lists them.
            """
    )
    var options: [String] = []
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Log for debugging: \(DebugCategory.choices), separated by commas; --debug alone means all.",
            valueName: "categories"
        )
    )
    var debug: [String] = []

    /// Returns arguments in which each `--debug` of this command has a value, which ArgumentParser requires.
    static func completed(_ arguments: [String]) -> [String] {
        guard arguments.first == configuration.commandName else { return arguments }
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        return arguments[..<end].map { $0 == "--debug" ? "--debug=all" : $0 } + arguments[end...]
    }

    func run() throws {
        var options: MountOptions
        do throws(MountOptions.Invalid) {
            options = try MountOptions(self.options)
            for categories in debug { options.debug.formUnion(try MountOptions.categories(categories)) }
        } catch {
            let sentence = Sentence(error.sentence)
            throw error.isRefusal ? ExitStatus.mountRefused.because(sentence) : ValidationError(sentence)
        }
        try ProcessLimits.prepare()
        let mountpoint = try MountPoint.resolved(mountpoint)
        try PlaceCheck.refuseLinks(to: library, "library")
        let path = try MountPoint.resolved(library)
        FuseConnection.endDead(mountpoint: mountpoint.bytes, library: path.bytes)
        FuseConnection.awaitEnd(of: path.bytes)
        if let mode = options.system.mountpointMode, mountpoint.status() == nil {
            try PlaceCheck.check(library: path, on: mountpoint)
            guard mountpoint.makeFolders(mode) else {
                throw ExitStatus.noMountpoint.because("The mountpoint \(mountpoint) cannot be made: \(systemReason).")
            }
        }
        try checkMountpoint(mountpoint)
        guard FilePath("/dev/fuse").status() != nil else {
            throw ExitStatus.noFuse.because("/dev/fuse is missing; load the kernel's module with “modprobe fuse”.")
        }
        try PlaceCheck.check(library: path, on: mountpoint)
        for store in options.stores { try PlaceCheck.check(store: FilePath(store.path), of: path, on: mountpoint) }
        guard foreground || Daemon.isBackground else {
            let end = Daemon.start()
            // A daemon that died in between may have left a mount that does not answer.
            if end != .success { _ = Self.clearDeadMounts(on: mountpoint) }
            throw end
        }
        try serve(path, on: mountpoint, options)
    }

    /// Unmounts the mounts of killed daemons on a mountpoint, so that mounting again needs no manual step.
    /// - Returns: why one could not be unmounted.
    private static func clearDeadMounts(on mountpoint: FilePath) -> String? {
        while let mount = MountPoint.mounts(on: mountpoint).last, mount.isOurs, mount.isDead {
            // Programs that still use it get only errors, and can keep no data of it.
            switch mount.unmount(isLazy: true) {
            case .done: break
            case .inUse: return "it is in use"
            case .refused(let reason): return reason
            }
        }
        return nil
    }

    private func checkMountpoint(_ mountpoint: FilePath) throws {
        if let reason = Self.clearDeadMounts(on: mountpoint) {
            throw ExitStatus.alreadyMounted.because(
                "\(mountpoint) has a mount on it whose process is gone, and that cannot be ended: \(reason); “umount -l \(mountpoint)” as root ends it."
            )
        }
        if let mount = MountPoint.mounts(on: mountpoint).last, mount.type.hasPrefix("fuse") {
            throw ExitStatus.alreadyMounted.because(
                "\(mountpoint) has \(mount.source) mounted on it already; “assetfs umount \(mountpoint)” ends that."
            )
        }
        guard mountpoint.isFolder else {
            throw ExitStatus.noMountpoint.because(
                "The mountpoint \(mountpoint) does not exist or is not a directory; “mkdir -p \(mountpoint)” makes it."
            )
        }
    }

    private func open(_ place: LibraryPlace, _ options: MountOptions, _ log: Logger) throws -> AssetLibrary {
        var former = FormerMount(of: place.path)
        while true {
            do throws(OpenLibraryError) {
                return try AssetLibrary(
                    at: place.text,
                    log: log,
                    policies: options.policies,
                    scanner: options.scanner,
                    onEvent: options.eventCommand,
                    fetching: options.fetching,
                    stores: options.stores,
                    scrubbing: options.scrubbing
                )
            } catch {
                // A mount right after umount(8), which does not wait for the daemon.
                if case .inUse = error, former.wait() { continue }
                place.abandon()
                var sentence = place.sentence(error)
                if case .inUse = error, let process = former.process {
                    sentence +=
                        " Process \(process) has it; “kill \(process)” ends that, also where its mount is in another namespace."
                }
                throw ExitStatus(error).because(Sentence(sentence))
            }
        }
    }

    private func serve(_ path: FilePath, on mountpoint: FilePath, _ options: MountOptions) throws {
        // Files of the library are for its owner alone; the user's event command gets the user's umask.
        let umask = Foundation.umask(0o077)
        var options = options
        options.eventCommand = options.eventCommand.map { "umask \(String(umask, radix: 8))\n\($0)" }
        // This precedes the start of any thread: only the session takes the signals that end the mount.
        Daemon.blockSignals()
        let file = LogFile(debug: options.debug, isForeground: foreground)
        let log = file.logger
        let place = try LibraryPlace(path)
        let library = try open(place, options, log)
        var failure: String?
        do {
            let session: Session
            do {
                for store in library.storePaths {
                    try PlaceCheck.check(store: FilePath(store), of: path, on: mountpoint)
                }
                session = try mount(library, path, on: mountpoint, options, log)
            } catch {
                try library.abandon()
                place.abandon()
                throw error
            }
            // Requests on views do not count, because programs poll them for the library's state.
            Session.countRequests(on: AssetFilesystem.catalogNodes)
            library.activity.observe { Session.requests }
            let folder = library.folder
            let readiness = Readiness(of: mountpoint) {
                if !foreground {
                    Daemon.leaveTerminal(errorsTo: file.move(toLibrary: folder))
                }
                log.notice("Mounted \(path) on \(mountpoint).")
                Daemon.reportReady()
            }
            // This runs while the session still exists: the library's notifications to the kernel go through
            // it.
            session.run {
                library.noteEnding()
                library.stopObserving()
            }
            session.unmount()
            failure = readiness.failure()
        }
        do throws(LibraryError) {
            try library.close()
        } catch {
            log.error("The end of the mount on \(mountpoint) failed: \(error)")
            throw ExitStatus.failed.because("\(path) was not closed as it should: \(error)")
        }
        if let failure {
            let reason = Session.lastMessage ?? failure
            throw ExitStatus.mountRefused.because("\(mountpoint) was mounted and did not answer: \(reason).")
        }
        log.notice("Unmounted \(mountpoint).")
        file.finish()
    }

    private func mount(
        _ library: AssetLibrary,
        _ path: FilePath,
        on mountpoint: FilePath,
        _ options: MountOptions,
        _ log: Logger
    ) throws -> Session {
        let session: Session
        let system = options.system
        do {
            let errors = CapturedErrors()
            defer { errors.end() }
            do throws(SessionError) {
                session = try Session(
                    filesystem: AssetFilesystem(
                        library,
                        rootView: options.rootView,
                        mountpoint: mountpoint.bytes,
                        accessTimes: system.accessTimes,
                        isSynchronous: system.isSynchronous
                    ),
                    mountpoint: mountpoint,
                    source: path,
                    options: ["default_permissions", "subtype=assetfs"] + system.forFUSE(),
                    usesPassthrough: options.usesPassthrough,
                    exportsHandles: options.exportsHandles,
                    limits: RequestLimits(maximumRead: system.maximumRead, maximumReadahead: system.maximumReadahead),
                    log: log,
                    observer: RequestLog.observer(log)
                )
            } catch {
                let reason = errors.end() ?? error.description
                throw ExitStatus.mountRefused.because("\(mountpoint) could not be mounted: \(reason).")
            }
        }
        do throws(MountOptions.Invalid) {
            try system.apply(to: mountpoint)
        } catch {
            throw ExitStatus.mountRefused.because(Sentence(error.sentence))
        }
        return session
    }
}

/// The messages of fusermount3 on stderr while it mounts, which are not shown as they are.
///
/// fusermount3 inherits none of the caller's files: if it stayed, a reader of such a pipe would wait for its
/// end.
private final class CapturedErrors {
    private var former = [Int32](0...2).map { fcntl($0, F_DUPFD_CLOEXEC, 3) }
    private let file = unsafe memfd_create("errors", 1 /* MFD_CLOEXEC */)

    init() {
        guard file >= 0, former.allSatisfy({ $0 >= 0 }) else {
            former = []
            return
        }
        let null = unsafe Foundation.open("/dev/null", O_RDWR | O_CLOEXEC)
        for (descriptor, other) in [(0, null), (1, null), (2, file)] where other >= 0 {
            _ = dup2(other, Int32(descriptor))
        }
        if null >= 0 { _ = close(null) }
    }

    /// Restores stderr, and passes on the messages of other programs.
    /// - Returns: the last line of fusermount3.
    @discardableResult
    func end() -> String? {
        guard !former.isEmpty else { return nil }
        for (descriptor, other) in former.enumerated() {
            _ = dup2(other, Int32(descriptor))
            _ = close(other)
        }
        former = []
        let lines = (FilePath("/proc/self/fd/\(file)").contents() ?? []).split(separator: 0x0A).map {
            String(decoding: $0, as: UTF8.self)
        }
        _ = close(file)
        let prefix = "fusermount3: "
        for line in lines where !line.hasPrefix(prefix) {
            Output.write(STDERR_FILENO, Array((Shown.sentence(line) + "\n").utf8))
        }
        return lines.last { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
}
