import AssetLibrary
import Foundation
internal import LibraryStorage
internal import LibraryVerification
import SystemPackage

/// The place of a library: a path of bytes, and the text by which the library opens its files.
struct LibraryPlace {
    let path: FilePath
    /// The path, or one in /proc that leads there: SQLite takes only text.
    let text: String
    private let wasMade: Bool

    /// Keeps a folder open whose path is no text, and makes it where it is missing.
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

    /// Takes an existing folder.
    init(existing path: FilePath) throws {
        guard path.isFolder else {
            throw ExitStatus.libraryNotAccessible.because("The library \(path) does not exist, or is no folder.")
        }
        try self.init(path)
    }

    /// Takes the lock of the library, which no mount may have.
    ///
    /// All files that are made in the library from here on belong to its owner, also where root has called.
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
                // A mount may still be ending: umount(8) does not wait for the daemon.
                if case .inUse = error, former.wait() { continue }
                throw ExitStatus(error).because(Sentence(sentence(error)))
            }
        }
    }

    /// Removes a folder that was made for a library which could not be opened.
    func abandon() { if wasMade { unsafe _ = path.withC { unsafe rmdir($0) } } }

    /// Returns an error's sentence with the library's own path.
    func sentence(_ error: OpenLibraryError) -> String {
        error.description.replacingOccurrences(of: text, with: path.description)
    }
}

/// The state of the process that has a library open, from the library's file `lock`.
struct LibraryLock {
    private let library: FilePath

    /// The file: a user that mounts chooses the library's path, so the file may be a link or a fifo.
    private var file: Held? { Held.folder(library)?.find([Array("lock".utf8)]) }

    init(of library: FilePath) { self.library = library }

    /// The state in the file; nil where it has none, or cannot be read.
    var state: LockState? { file?.contents().flatMap(LockState.init) }

    /// Opens the file, so that its lock can be awaited; nil where there is none.
    func open() -> Int32? {
        guard let file, file.isFile else { return nil }
        let descriptor = file.reopen()
        return descriptor >= 0 ? descriptor : nil
    }

    /// Returns whether a process has the library open: it must have this very file open.
    ///
    /// The number in the file alone could be another process's, in another namespace or after a restart of
    /// the machine.
    func isHeld(by process: Int32) -> Bool {
        guard let lock = file?.status, let numbers = FilePath("/proc/\(process)/fd").entries() else { return false }
        return numbers.contains { number in
            guard let status = FilePath("/proc/\(process)/fd").appending(name: number).status() else { return false }
            return status.st_dev == lock.st_dev && status.st_ino == lock.st_ino
        }
    }

    /// The state of a process that has the library open.
    enum Holder {
        /// It serves a mount, or is no assetfs.
        case busy
        /// It has no mount, because it is starting or ending.
        case idle(Int32)
        /// It makes all changes durable.
        case ending(Int32)
        /// The process has ended.
        case gone
    }

    /// The state of the process that has the library open.
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

/// Waits for the end of the library's former mount, and prints after a while the reason of the wait.
struct FormerMount {
    private let lock: LibraryLock
    private let library: FilePath
    private let begin = ContinuousClock.now
    private var hasSpoken = false

    /// The longest wait for a process without a mount, and for one that is ending.
    private static let patience = (idle: Duration.seconds(5), ending: Duration.seconds(120))

    init(of library: FilePath) {
        self.library = library
        lock = LibraryLock(of: library)
    }

    /// The process that has the library open, as far as it is known.
    var process: Int32? { lock.state?.process.flatMap { lock.isHeld(by: $0) ? $0 : nil } }

    /// Waits for a moment where the process that has the library open is about to end.
    /// - Returns: false where it is not, or the longest wait is over.
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
