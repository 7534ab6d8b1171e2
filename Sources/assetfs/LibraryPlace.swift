import AssetLibrary
import Foundation
import SystemPackage

/// Where a library is: a path of bytes, and the text by which the library opens its files.
struct LibraryPlace {
    let path: FilePath
    /// The path, or one of /proc that leads there: SQLite is called with text.
    let text: String
    private let wasMade: Bool

    /// Makes the folder where its path is no text and nothing is there yet, and keeps it open.
    init(_ path: FilePath) throws {
        self.path = path
        if let text = String(validating: path.bytes, as: UTF8.self) {
            (self.text, wasMade) = (text, false)
            return
        }
        wasMade = path.makeFolder(0o700)
        let folder = path.open(0x200000 /* O_PATH */ | O_DIRECTORY)
        guard folder >= 0 else {
            let reason = systemReason
            throw ExitStatus.libraryNotAccessible.because(
                "The library \(path) cannot be read and written: \(reason). Check its owner, its mode and the mount below it."
            )
        }
        text = "/proc/self/fd/\(folder)"
    }

    /// Takes a folder that is to be there.
    init(existing path: FilePath) throws {
        guard path.isFolder else {
            throw ExitStatus.libraryNotAccessible.because("The library \(path) does not exist, or is no folder.")
        }
        try self.init(path)
    }

    /// Takes the lock of the library, which no mount may have.
    ///
    /// All that is made in the library from here on is its owner's, also where root has called.
    func open() throws -> ClosedLibrary {
        if geteuid() == 0, let status = path.status(), status.st_uid != 0 {
            guard setegid(status.st_gid) == 0, seteuid(status.st_uid) == 0 else {
                throw ExitStatus.failed.because(
                    "The rights of user \(status.st_uid), who owns the library, cannot be had."
                )
            }
        }
        var former = FormerMount(of: try MountPoint.resolved(path))
        while true {
            do throws(OpenLibraryError) {
                return try ClosedLibrary(at: text)
            } catch {
                // Right after umount(8), which does not wait for the daemon.
                if case .inUse = error, former.wait() { continue }
                throw ExitStatus(error).because(Sentence(sentence(error)))
            }
        }
    }

    /// Takes back a folder that was made for a library which could not be.
    func abandon() { if wasMade { unsafe _ = path.withC { unsafe rmdir($0) } } }

    /// A sentence about the library, with its own path.
    func sentence(_ error: OpenLibraryError) -> String {
        error.description.replacingOccurrences(of: text, with: path.description)
    }
}

/// What is known of the process that has a library open, from the library's file `lock`.
struct LibraryLock {
    private let library: FilePath

    /// The file: of which library a mount is says whoever has mounted, and what lies there may be a link or a fifo.
    private var file: Held? { Held.folder(library)?.find([Array("lock".utf8)]) }

    init(of library: FilePath) { self.library = library }

    /// What the file says; nil where it says nothing, or cannot be read.
    var state: LockState? { file?.contents().flatMap(LockState.init) }

    /// Opens the file, so that its lock can be waited for; nil where there is none.
    func open() -> Int32? {
        guard let file, file.isFile else { return nil }
        let descriptor = file.reopen()
        return descriptor >= 0 ? descriptor : nil
    }

    /// Whether a process has the library open: it has the very file open.
    ///
    /// A number in the file alone could be another process's, in another namespace or after a restart of the machine.
    func isHeld(by process: Int32) -> Bool {
        guard let lock = file?.status, let numbers = FilePath("/proc/\(process)/fd").entries() else { return false }
        return numbers.contains { number in
            guard let status = FilePath("/proc/\(process)/fd").appending(name: number).status() else { return false }
            return status.st_dev == lock.st_dev && status.st_ino == lock.st_ino
        }
    }

    /// How a process that has the library open is.
    enum Holder {
        /// It serves a mount, or is not ours.
        case busy
        /// It has no mount: it ends, or begins.
        case idle(Int32)
        /// It makes everything durable.
        case ending(Int32)
        /// It is gone.
        case gone
    }

    /// Looks at the process that has the library open.
    var holder: Holder {
        switch state {
        case .ending(let process): return kill(process, 0) == 0 || errno == EPERM ? .ending(process) : .gone
        case .running(let process):
            guard kill(process, 0) == 0 || errno == EPERM else { return .gone }
            let serves = MountPoint.all(of: "\(process)").contains { $0.isOurs && $0.source == library }
            return serves ? .busy : .idle(process)
        case .ended, .failed: return .gone
        case nil: return .busy
        }
    }
}

/// Waits, as mount does for the end of the library's former mount, and says after a while for what.
struct FormerMount {
    private let lock: LibraryLock
    private let library: FilePath
    private let begin = ContinuousClock.now
    private var hasSpoken = false

    /// How long a process is waited for that has no mount, and one that says that it ends.
    private static let patience = (idle: Duration.seconds(5), ending: Duration.seconds(120))

    init(of library: FilePath) {
        self.library = library
        lock = LibraryLock(of: library)
    }

    /// The process that has the library open, as far as it is known.
    var process: Int32? { lock.state?.process.flatMap { lock.isHeld(by: $0) ? $0 : nil } }

    /// Waits a moment where the process that has the library open is about to end.
    /// - Returns: false where it is not, or has been waited for long enough.
    mutating func wait() -> Bool {
        let waited = begin.duration(to: .now)
        switch lock.holder {
        case .busy: return false
        case .gone, .idle: guard waited < Self.patience.idle else { return false }
        case .ending(let process):
            guard waited < Self.patience.ending else { return false }
            if waited > .seconds(5), !hasSpoken {
                hasSpoken = true
                Output.note("The former mount of \(library) is still ending (process \(process)); waiting for it.")
            }
        }
        usleep(20_000)
        return true
    }
}
