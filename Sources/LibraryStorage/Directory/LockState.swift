public import AssetModel

/// The state, in the file `lock` of a library, of the process that holds the library, or held it last.
///
/// The state is written in place, so that a full disk cannot prevent it, and is a hint besides the lock
/// itself: a process that was killed leaves `running`.
public enum LockState: Equatable, Sendable {
    /// A process has the library open.
    case running(Int32)
    /// A process ends: its mount is gone, and it makes all changes durable.
    case ending(Int32)
    /// The last process has ended, and all changes are durable.
    case ended
    /// The last process has ended and could not make all changes durable; the sentence that gives the reason.
    case failed(String)

    /// The size of the file in bytes.
    public static let size = 512

    /// Reads the file's bytes; nil where they contain no state, as in a library of an earlier version.
    public init?(_ bytes: [UInt8]) {
        let line = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = parts.count > 1 ? parts[1] : ""
        switch parts.first {
        case "running", "ending":
            guard let process = Int32(rest) else { return nil }
            self = parts.first == "running" ? .running(process) : .ending(process)
        case "ended": self = .ended
        case "failed:": self = .failed(rest)
        default: return nil
        }
    }

    /// Returns the boot of the machine in which a lock's file was written; nil where the file has none.
    static func boot(in bytes: [UInt8]) -> String? { line("boot", in: bytes) }

    /// Returns the time at which a lock's file was written; nil where the file has none.
    public static func written(in bytes: [UInt8]) -> Timestamp? {
        line("written", in: bytes).flatMap { Int64($0) }.map { Timestamp(rawValue: $0) }
    }

    /// Returns the rest of the line that begins with a keyword, behind the first line, which has the state;
    /// nil where there is none.
    public static func line(_ word: String, in bytes: [UInt8]) -> String? {
        let start = Array("\(word) ".utf8)
        let line = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropFirst().first {
            $0.starts(with: start)
        }
        return line.map { String(decoding: $0.dropFirst(start.count), as: UTF8.self) }
    }

    /// The process that has the library open.
    public var process: Int32? {
        switch self {
        case .running(let process), .ending(let process): process
        case .ended, .failed: nil
        }
    }

    /// Returns the file's bytes: one line with the state, one with the machine's boot, one about the
    /// catalog's files, one with the time, and newlines up to a fixed size.
    func bytes(boot: String?, session: CatalogSession? = nil, written: Timestamp? = nil) -> [UInt8] {
        let lines = [boot.map { "boot \($0)" }, session?.line, written.map { "written \($0.rawValue)" }]
        let second = lines.compactMap { $0 }.flatMap { Array("\n\($0)".utf8) }
        let line =
            switch self {
            case .running(let process): "running \(process)"
            case .ending(let process): "ending \(process)"
            case .ended: "ended"
            case .failed(let sentence): "failed: \(sentence.split(separator: "\n").joined(separator: " "))"
            }
        let text = Array(line.utf8.prefix(Self.size - 1 - second.count)) + second
        return text + [UInt8](repeating: 0x0A, count: Self.size - text.count)
    }
}
