import AssetModel
import Foundation
import Logging
import Synchronization

/// Writes log lines to a descriptor: the terminal with `-f`, else `assetfs.log` in the library.
struct LogFile: LogHandler {
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.notice
    private let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let line = Array("\(Timestamp.now) \(event.level): \(event.message)\n".utf8)
        // One write, so that lines of several threads do not mix; there is nowhere to report that it failed.
        unsafe _ = write(descriptor, line, line.count)
    }

    /// Opens the library's log, and begins a new one when it has grown beyond 8 MiB; the former is kept as `assetfs.log.1`.
    static func open(in library: String) -> Int32 {
        let path = "\(library)/assetfs.log"
        var status = stat()
        if unsafe lstat(path, &status) == 0, status.st_size > 8 << 20 { unsafe _ = rename(path, path + ".1") }
        return unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
}
