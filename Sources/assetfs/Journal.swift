import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// The options for reading a journal in a mount's `uploads/`, which grows line by line.
struct Journal: ParsableArguments {
    @Argument(help: "Where the library is mounted; need not be said when there is one mount.")
    var mountpoint: FilePath?
    @Option(help: "Only what was in the last while: 90s, 15m, 1h, 2d.")
    var since: String?
    @Flag(help: "Go on with those that come.")
    var follow = false
    @Flag(help: "Print them as they are: JSON, one on a line.")
    var json = false
    @OptionGroup var names: NameOptions

    /// Passes the entries that `isMeant` to `text`, from the given time on, and prints its results; goes on
    /// with new lines where that is wanted.
    func print(
        _ name: String,
        where isMeant: ([String: Any]) -> Bool,
        _ text: ([String: Any]) -> String
    ) throws {
        let mount = try Held.mount(mountpoint)
        let names = ["uploads", name].map { Array($0.utf8) }
        let path = mount.path.appending(below: names)
        let file = mount.find(names).map { $0.isFile ? $0.reopen() : -1 } ?? -1
        guard file >= 0 else {
            throw ExitStatus.failed.because(
                "\(path) cannot be read (\(systemReason)); a mount with view=folders hides it."
            )
        }
        defer { close(file) }
        var reader = LineReader(file)
        if let since { try reader.seek(to: Self.beginning(since)) }
        while true {
            while let line = reader.next() {
                guard let entry = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                    isMeant(entry)
                else { continue }
                // Each line is written at once, also into a pipe.
                if json { Output.printJSON(line) } else { self.names.print(text(entry)) }
            }
            guard follow else { return }
            usleep(300_000)
        }
    }

    /// Returns the time that lies a period ago, in the format of the lines.
    private static func beginning(_ text: String) throws -> String {
        guard let start = Timestamp.now.moved(by: text, isBefore: true) else {
            throw ValidationError("“\(text)” is no length of time; write 90s, 15m, 1h, 2d or 1w.")
        }
        return start.description
    }

    /// Returns the time of an entry, for users.
    static func time(of entry: [String: Any]) -> String {
        (entry["at"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ").padded(to: 21)
    }
}

/// Reads lines of a file that grows.
struct LineReader {
    private let file: Int32
    private var position: off_t = 0
    private var buffer: [UInt8] = []
    private var start = 0

    init(_ file: Int32) { self.file = file }

    /// Returns the next complete line; nil at the end.
    mutating func next() -> String? {
        while true {
            if let end = buffer[start...].firstIndex(of: 0x0A) {
                defer { start = end + 1 }
                return String(decoding: buffer[start..<end], as: UTF8.self)
            }
            buffer.removeFirst(start)
            start = 0
            let part = read(1 << 16, at: position)
            guard !part.isEmpty else { return nil }
            buffer += part
            position += off_t(part.count)
        }
    }

    /// Finds the first line that is not older than a time, by bisection.
    mutating func seek(to time: String) throws {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return }
        var (low, high): (off_t, off_t) = (0, status.st_size)
        while high - low > 4096 {
            let middle = (low + high) / 2
            if let line = line(behind: middle), line < time { low = middle } else { high = middle }
        }
        position = low
        // A position within a line is moved to the next line.
        if low > 0 { _ = next() }
        while true {
            let (before, kept, left) = (position, buffer, start)
            guard let line = next() else { return }
            if Self.time(of: line) >= time {
                (position, buffer, start) = (before, kept, left)
                return
            }
        }
    }

    private func line(behind offset: off_t) -> String? {
        let part = read(16_384, at: offset)
        guard let end = part.firstIndex(of: 0x0A), end + 1 < part.count else { return nil }
        return Self.time(of: String(decoding: part[(end + 1)...], as: UTF8.self))
    }

    /// Returns the time with which each line begins: `{"at":"2026-…`.
    static func time(of line: String) -> String { String(line.dropFirst(7).prefix(30)) }

    private func read(_ count: Int, at offset: off_t) -> [UInt8] {
        var part = [UInt8](repeating: 0, count: count)
        let done = unsafe pread(file, &part, count, offset)
        return Array(part.prefix(max(0, done)))
    }
}
