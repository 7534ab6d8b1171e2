/// A search query: words, and filters such as `type:image` or `size:>1M`; docs/SEMANTICS.md has the language.
public struct SearchQuery: Sendable, Equatable {
    /// A condition on an asset.
    public indirect enum Condition: Sendable, Equatable {
        /// All of these conditions hold.
        case all([Condition])
        /// One of these conditions holds.
        case any([Condition])
        /// This condition does not hold.
        case not(Condition)
        /// The words follow each other in a text, or in one column. With `isPrefix` the last word may be the
        /// beginning of one.
        case text(String, in: Column?, isPrefix: Bool)
        /// The number is in a range, both ends included; nil for an open end.
        case number(Number, from: Value?, to: Value?)
        /// The file is of a kind.
        case kind(MediaKind)
        /// The MIME type, or the part after its slash, is this.
        case mediaType(String)
        /// The name ends with this extension.
        case fileExtension(String)
        /// The access level is one of these.
        case access(Set<Access>)
        /// Another asset has the same content, or none has.
        case duplicate(Bool)
        /// The file is in a folder, or in one below it: the path below `folders/`.
        case folder(String)
        /// The position is at most a number of metres from another.
        case near(Position, metres: Double)
        /// The file has this SHA-256.
        case digest(Digest)
    }

    /// Texts that can be searched separately.
    public enum Column: String, CaseIterable, Sendable {
        case name, title, caption, keywords, people, description, camera, credit, other
    }

    /// Numbers that can be compared.
    public enum Number: String, CaseIterable, Sendable {
        case size, width, height, duration, pages, rank, date, uploaded, id, user
    }

    /// The value of a comparison: whole numbers, moments in nanoseconds, seconds.
    public enum Value: Sendable, Equatable {
        /// A whole number.
        case integer(Int64)
        /// A number of seconds.
        case real(Double)
    }

    /// The reason why a text is not a query.
    public struct Invalid: Error, Equatable, Sendable {
        /// The message, in one sentence.
        public let reason: String
    }

    /// The condition on an asset.
    public let condition: Condition

    /// Reads a query.
    public init(_ text: String) throws(Invalid) {
        var parser = SearchParser(text)
        condition = try parser.parse()
    }

    private init(_ condition: Condition) { self.condition = condition }

    /// All conditions that do not consist of others.
    public var leaves: [Condition] { condition.leaves }

    /// Whether the query asks for duplicates.
    public var asksForDuplicates: Bool {
        leaves.contains { if case .duplicate = $0 { true } else { false } }
    }

    /// Returns the query for an asset that has duplicates, or that has none.
    public func assuming(isDuplicate: Bool) -> SearchQuery {
        SearchQuery(condition.assuming(isDuplicate: isDuplicate))
    }

    // MARK: As a name

    /// Returns a query as the name of a directory, which cannot contain `/`: `%2F`, and `%25` for `%`.
    public static func name(of text: String) -> String {
        // Scalars, because a mark after a slash forms one character with it.
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "%": result += "%25".unicodeScalars
            case "/": result += "%2F".unicodeScalars
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// Returns the query that a directory's name stands for.
    public static func text(ofName name: String) -> String {
        var result = String.UnicodeScalarView()
        var rest = name.unicodeScalars[...]
        while let scalar = rest.first {
            switch String(rest.prefix(3)) {
            case "%2F", "%2f": result.append("/")
            case "%25": result.append("%")
            default:
                result.append(scalar)
                rest = rest.dropFirst()
                continue
            }
            rest = rest.dropFirst(3)
        }
        return String(result)
    }
}

extension SearchQuery.Condition {
    fileprivate var leaves: [SearchQuery.Condition] {
        switch self {
        case .all(let parts), .any(let parts): parts.flatMap(\.leaves)
        case .not(let part): part.leaves
        default: [self]
        }
    }

    fileprivate func assuming(isDuplicate: Bool) -> SearchQuery.Condition {
        switch self {
        case .all(let parts): .all(parts.map { $0.assuming(isDuplicate: isDuplicate) })
        case .any(let parts): .any(parts.map { $0.assuming(isDuplicate: isDuplicate) })
        case .not(let part): .not(part.assuming(isDuplicate: isDuplicate))
        // Every asset has a number.
        case .duplicate(isDuplicate): .number(.id, from: nil, to: nil)
        case .duplicate: .not(.number(.id, from: nil, to: nil))
        default: self
        }
    }

    /// Whether it consists of words alone, none of them negated.
    public var isText: Bool {
        switch self {
        case .text: true
        case .all(let parts), .any(let parts): parts.allSatisfy(\.isText)
        default: false
        }
    }
}

/// The kinds of files, in users' terms.
public enum MediaKind: String, CaseIterable, Sendable {
    case image, video, audio, document, text, archive, font, model, other

    /// Returns the kind of a MIME type.
    public init(mediaType type: String) {
        let parts = type.split(separator: "/", maxSplits: 1).map(String.init)
        let (main, sub) = (parts.first ?? "", parts.count > 1 ? parts[1] : "")
        switch main {
        case "image", "video", "audio", "text", "font", "model": self = MediaKind(rawValue: main) ?? .other
        default:
            if Self.documents.contains(where: { sub.contains($0) }) {
                self = .document
            } else if Self.archives.contains(where: { sub.contains($0) }) {
                self = .archive
            } else if ["json", "xml", "javascript", "x-shellscript", "x-ndjson"].contains(sub) || sub.hasSuffix("+xml")
            {
                self = .text
            } else {
                self = .other
            }
        }
    }

    private static let documents = [
        "pdf", "msword", "officedocument", "opendocument", "ms-excel", "ms-powerpoint", "ms-office", "rtf", "epub",
        "postscript", "cdfv2", "iwork", "visio",
    ]
    private static let archives = [
        "zip", "x-tar", "gzip", "x-xz", "x-bzip", "x-7z", "x-rar", "vnd.rar", "zstd", "x-cpio",
    ]
}

extension CapturedTime {
    /// The time span of the value: a year, a month, a day, a second, or less; in UTC if the zone is not
    /// known.
    public var interval: (start: Timestamp, end: Timestamp) {
        func timestamp(_ seconds: Int64, _ nanoseconds: Int64 = 0) -> Timestamp {
            Timestamp(rawValue: Int64(clamping: Int128(seconds) * 1_000_000_000 + Int128(nanoseconds)))
        }
        let zone = Int64(offset ?? 0) * 60
        if let wall = wallSeconds {
            let length = fraction.isEmpty ? 0 : Int64(fraction + String(repeating: "0", count: 9 - fraction.count)) ?? 0
            return (
                timestamp(wall - zone, length), timestamp(wall - zone, fraction.isEmpty ? 1_000_000_000 : length + 1)
            )
        }
        var (first, next) = (
            CivilDate(year: Int64(date[0]), month: 1, day: 1), CivilDate(year: Int64(date[0]), month: 1, day: 1)
        )
        if date.count > 1 { (first.month, next.month) = (Int64(date[1]), Int64(date[1])) }
        if date.count > 2 { (first.day, next.day) = (Int64(date[2]), Int64(date[2])) }
        switch date.count {
        case 1: next.year += 1
        case 2: (next.year, next.month) = next.month == 12 ? (next.year + 1, 1) : (next.year, next.month + 1)
        default: break
        }
        let end = next.daysSince1970 + (date.count == 3 ? 1 : 0)
        return (timestamp(first.daysSince1970 * 86_400), timestamp(end * 86_400))
    }
}
