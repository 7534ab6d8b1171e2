import Logging

/// Limits the log lines that one user's requests may cause in a minute, so that a program with repeated
/// refusals neither fills the disk nor hides other users' lines.
///
/// Errors of assetfs itself are counted apart from refusals.
struct LogShares {
    private struct Key: Hashable {
        let uid: String
        let isError: Bool
    }

    private static let limit = 100
    /// The key of a line's metadata that names the user of the request.
    private static let key = "uid"

    private var minute: Int64 = 0
    private var counts: [Key: Int] = [:]

    /// Counts a line in the present minute; debug lines, which the operator has asked for, do not count.
    /// - Returns: false where the user has reached the limit.
    mutating func take(for metadata: Logger.Metadata?, at level: Logger.Level) -> Bool {
        guard level > .debug, let uid = metadata?[Self.key] else { return true }
        let count = counts[Key(uid: "\(uid)", isError: level >= .error), default: 0] + 1
        counts[Key(uid: "\(uid)", isError: level >= .error)] = count
        return count <= Self.limit
    }

    /// Resets the counts when another minute has begun.
    /// - Returns: sentences on the lines that were left out until then, each to be logged once.
    mutating func begin(minute now: Int64) -> [String] {
        guard now != minute else { return [] }
        minute = now
        defer { counts = [:] }
        return counts.filter { $0.value > Self.limit }.sorted { $0.key.uid < $1.key.uid }.map { key, count in
            "\(count - Self.limit) lines on \(key.isError ? "failures" : "refusals") of user \(key.uid)'s requests were left out."
        }
    }
}
