import AssetModel
import Foundation
internal import LibraryStorage
import Logging
import SystemPackage
import Synchronization

/// Writes log lines: to the terminal, and for a background mount from its readiness on to `assetfs.log` in
/// the library, which then also gets the earlier lines.
///
/// Debug lines of a background mount never go to the terminal.
/// When the file has grown beyond 8 MiB a new one is begun, and the former is kept as `assetfs.log.1`.
///
/// ## Concurrency
/// `state` is held while a line is written.
final class LogFile: Sendable {
    private struct State {
        var descriptor: Int32 = 2
        /// The library's folder; -1 while the lines go to the terminal.
        var folder: Int32 = -1
        var earlyLines: [UInt8] = []
        var hasMoved = false
        var shares = LogShares()
    }
    private static let name = "assetfs.log"
    private static let limit = 8 << 20
    private let state = Mutex(State())
    /// The categories whose debug lines are written.
    fileprivate let categories: Set<DebugCategory>

    /// Whether the mount is in the foreground, so that all lines go to the terminal and none are kept.
    private let isForeground: Bool

    /// Makes a log that writes debug lines of some categories.
    init(debug categories: Set<DebugCategory>, isForeground: Bool) {
        self.categories = categories
        self.isForeground = isForeground
    }

    /// A logger that writes to this file.
    var logger: Logger { Logger(label: "assetfs") { _ in Handler(file: self) } }

    /// Writes a line with one call, so that lines of several threads do not mix; a failure cannot be reported
    /// anywhere.
    fileprivate func write(_ event: LogEvent, of category: String?) {
        let now = Timestamp.now
        state.withLock { state in
            sayLeftOut(&state, now)
            guard state.shares.take(for: event.metadata, at: event.level) else { return }
            let topic = category.map { "\($0): " } ?? ""
            write("\(now) \(event.level): \(topic)\(Shown.line("\(event.message)"))\n", &state, at: event.level)
        }
    }

    /// Writes the counts of the lines that were left out so far, at the end of the log.
    func finish() {
        state.withLock { state in
            sayLeftOut(&state, .now, isEnd: true)
        }
    }

    private func sayLeftOut(_ state: inout State, _ now: Timestamp, isEnd: Bool = false) {
        let minute = isEnd ? -1 : now.rawValue / 60_000_000_000
        for sentence in state.shares.begin(minute: minute) {
            write("\(now) \(Logger.Level.notice): \(sentence)\n", &state)
        }
    }

    private func write(_ line: String, _ state: inout State, at level: Logger.Level = .notice) {
        Self.rotate(&state)
        let bytes = Array(line.utf8)
        let isEarly = !state.hasMoved && !isForeground
        if isEarly { state.earlyLines += bytes }
        if !isEarly || level > .debug { unsafe _ = Glibc.write(state.descriptor, bytes, bytes.count) }
    }

    /// Redirects the log to the library's file.
    /// - Returns: the descriptor for all lines from now on, also when another file is begun; -1 where there
    ///   is none.
    func move(toLibrary folder: FileDescriptor) -> Int32 {
        state.withLock { state in
            let folder = fcntl(folder.rawValue, F_DUPFD_CLOEXEC, 3)
            let file = Self.openOwn(in: folder)
            guard file >= 0 else {
                if folder >= 0 { _ = close(folder) }
                (state.hasMoved, state.earlyLines) = (true, [])
                return -1
            }
            let early = state.earlyLines
            state = State(descriptor: file, folder: folder, hasMoved: true, shares: state.shares)
            Self.rotate(&state)
            unsafe _ = Glibc.write(file, early, early.count)
            return file
        }
    }

    private static func open(in folder: Int32) -> Int32 {
        unsafe openat(folder, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }

    /// Opens the log; begins a new one where the present file is also that of a copy by hard links.
    private static func openOwn(in folder: Int32) -> Int32 {
        let file = open(in: folder)
        var status = stat()
        guard file >= 0, unsafe fstat(file, &status) == 0, status.st_nlink > 1,
            unsafe renameat(folder, name, folder, name + ".1") == 0
        else { return file }
        _ = close(file)
        return open(in: folder)
    }

    /// Begins a new file when the present one has grown too long, under the same descriptor, and redirects
    /// the runtime's stderr there.
    private static func rotate(_ state: inout State) {
        var status = stat()
        guard state.folder >= 0, unsafe fstat(state.descriptor, &status) == 0, status.st_size > limit,
            unsafe renameat(state.folder, name, state.folder, name + ".1") == 0
        else { return }
        let file = open(in: state.folder)
        // Without a new file the log stays in the former.
        guard file >= 0 else { return unsafe _ = renameat(state.folder, name + ".1", state.folder, name) }
        var errors = stat()
        let hasErrors =
            unsafe fstat(STDERR_FILENO, &errors) == 0 && errors.st_dev == status.st_dev
            && errors.st_ino == status.st_ino
        if hasErrors { _ = dup2(file, STDERR_FILENO) }
        _ = dup2(file, state.descriptor)
        _ = fcntl(state.descriptor, F_SETFD, FD_CLOEXEC)
        _ = close(file)
    }
}

private struct Handler: LogHandler {
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.notice
    let file: LogFile

    init(file: LogFile) { self.file = file }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set {
            metadata[key] = newValue
            // Decided once for each logger, so that a line that is not written costs one comparison.
            if let category, file.categories.contains(where: { $0.rawValue == category }) { logLevel = .debug }
        }
    }

    private var category: String? { metadata[DebugCategory.key].map { "\($0)" } }

    func log(event: LogEvent) { file.write(event, of: category) }
}
