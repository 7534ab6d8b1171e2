import Logging

/// How many lines of a log one user's requests may cause in a minute: a program that is refused again and again fills no disk and hides
/// no other's lines.
///
/// Failures of ours have a share beside that of refusals.
struct LogShares {
    private struct Key: Hashable {
        let uid: String
        let isError: Bool
    }

    private static let limit = 100
    /// The part of a line's metadata that says whose request has caused it.
    private static let key = "uid"

    private var minute: Int64 = 0
    private var counts: [Key: Int] = [:]

    /// Takes a place for a line in a minute.
    /// - Returns: false where the user has had all of that minute.
    mutating func take(for metadata: Logger.Metadata?, at level: Logger.Level) -> Bool {
        guard let uid = metadata?[Self.key] else { return true }
        let count = counts[Key(uid: "\(uid)", isError: level >= .error), default: 0] + 1
        counts[Key(uid: "\(uid)", isError: level >= .error)] = count
        return count <= Self.limit
    }

    /// Begins anew where another minute has begun.
    /// - Returns: sentences on what was left out until then, each to be said once.
    mutating func begin(minute now: Int64) -> [String] {
        guard now != minute else { return [] }
        minute = now
        defer { counts = [:] }
        return counts.filter { $0.value > Self.limit }.sorted { $0.key.uid < $1.key.uid }.map { key, count in
            "\(count - Self.limit) lines on \(key.isError ? "failures" : "refusals") of user \(key.uid)'s requests were left out."
        }
    }
}
