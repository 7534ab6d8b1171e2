import ArgumentParser
import AssetModel
import Foundation
import SystemPackage

/// A text that grows, line by line, in a mount's `uploads/`: what is said to read one.
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

    /// Gives `text` the lines that `isMeant`, from a while ago on where that is said, goes on with those that come, and prints what it
    /// makes of them.
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
                // Each line goes out as it comes, also into a pipe.
                if json { Output.printJSON(line) } else { self.names.print(text(entry)) }
            }
            guard follow else { return }
            usleep(300_000)
        }
    }

    /// When a while ago was, as the lines write it.
    private static func beginning(_ text: String) throws -> String {
        guard let start = Timestamp.now.moved(by: text, isBefore: true) else {
            throw ValidationError("“\(text)” is no length of time; write 90s, 15m, 1h, 2d or 1w.")
        }
        return start.description
    }

    /// When something was, for people.
    static func time(of entry: [String: Any]) -> String {
        (entry["at"] as? String ?? "").prefix(19).replacingOccurrences(of: "T", with: " ").padded(to: 21)
    }
}

/// Reads lines of a file that others append to.
struct LineReader {
    private let file: Int32
    private var position: off_t = 0
    private var buffer: [UInt8] = []
    private var start = 0

    init(_ file: Int32) { self.file = file }

    /// The next complete line; nil at the end.
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

    /// Goes to the first line that is not older than a time, in as many steps as halving takes.
    mutating func seek(to time: String) throws {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return }
        var (low, high): (off_t, off_t) = (0, status.st_size)
        while high - low > 4096 {
            let middle = (low + high) / 2
            if let line = line(behind: middle), line < time { low = middle } else { high = middle }
        }
        position = low
        // Not in the middle of a line.
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

    /// The time with which each line begins: `{"at":"2026-…`.
    static func time(of line: String) -> String { String(line.dropFirst(7).prefix(30)) }

    private func read(_ count: Int, at offset: off_t) -> [UInt8] {
        var part = [UInt8](repeating: 0, count: count)
        let done = unsafe pread(file, &part, count, offset)
        return Array(part.prefix(max(0, done)))
    }
}
