import AssetModel
import Foundation
import Logging
import Synchronization

/// Where log lines go: to the terminal, and for a background mount from its readiness on to `assetfs.log` in the library, which
/// then gets what was said before as well.
final class LogFile: Sendable {
    private struct State {
        var descriptor: Int32 = 2
        var earlyLines: [UInt8] = []
        var hasMoved = false
    }
    private let state = Mutex(State())

    /// A logger that writes here.
    var logger: Logger { Logger(label: "assetfs") { _ in Handler(file: self) } }

    /// Writes a line at once, so that lines of several threads do not mix; there is nowhere to report that it failed.
    func write(_ line: [UInt8]) {
        state.withLock { state in
            unsafe _ = Glibc.write(state.descriptor, line, line.count)
            if !state.hasMoved { state.earlyLines += line }
        }
    }

    /// Goes on in a file.
    func move(to descriptor: Int32) {
        state.withLock { state in
            unsafe _ = Glibc.write(descriptor, state.earlyLines, state.earlyLines.count)
            state = State(descriptor: descriptor, hasMoved: true)
        }
    }

    /// Opens the library's log, and begins a new one when it has grown beyond 8 MiB; the former is kept as `assetfs.log.1`.
    static func open(in library: String) -> Int32 {
        let path = "\(library)/assetfs.log"
        var status = stat()
        if unsafe lstat(path, &status) == 0, status.st_size > 8 << 20 { unsafe _ = rename(path, path + ".1") }
        return unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
}

private struct Handler: LogHandler {
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.notice
    let file: LogFile

    init(file: LogFile) { self.file = file }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // One line is one message, whatever names and values are in it.
        file.write(Array("\(Timestamp.now) \(event.level): \(Shown.sentence("\(event.message)"))\n".utf8))
    }
}
