public import AssetModel

/// What a query means at the moment, and to whom.
public struct SearchScope: Sendable {
    /// The folders that a path means: that one and all below it.
    public var folders: [String: [NodeID]] = [:]
    /// The contents that there are of those that are asked for.
    public var blobs: [Digest: BlobID] = [:]
    /// Who asks; root sees what is hidden, others what is theirs.
    public var uid: UInt32
    /// By which lives are counted.
    public var now: Timestamp

    /// Describes who asks, and when.
    public init(uid: UInt32, now: Timestamp) {
        self.uid = uid
        self.now = now
    }
}

/// A query in SQL.
///
/// Whatever somebody has typed is bound, and never a part of it.
struct SearchStatement {
    private let scope: SearchScope
    private(set) var values: [SQLValue] = []

    init(_ scope: SearchScope) { self.scope = scope }

    /// What a word counts for in each text, in the order of `SearchQuery.Column`.
    private static let weights = "10, 8, 6, 6, 5, 2, 2, 2, 1"

    /// Returns the whole statement: the best matches first, and of equal ones the newest upload.
    ///
    /// How well a row matches is told from that row alone, so that the order says nothing of rows that the reader may not read.
    mutating func select(_ condition: SearchQuery.Condition) -> String {
        var parts: [SearchQuery.Condition]
        if case .all(let some) = condition { parts = some } else { parts = [condition] }
        let texts = parts.filter(\.isText)
        parts.removeAll(where: \.isText)
        var conditions: [String] = []
        if !texts.isEmpty {
            conditions.append("words MATCH ?")
            values.append(.text(Self.match(.all(texts))))
        }
        for part in parts { conditions.append(expression(part)) }
        conditions.append("(d.expires IS NULL OR d.expires > ?)")
        values.append(scope.now.value)
        // What others may not read at all need not be looked at one by one.
        if scope.uid != 0 {
            conditions.append("(d.owner = ? OR d.shared <> 0)")
            values.append(.integer(Int64(scope.uid)))
        }
        // What is hidden is found by who asks for that, and may know of it.
        let asksForHidden = condition.isAskingForHidden
        if !asksForHidden { conditions.append("d.access NOT BETWEEN 4 AND 7") }
        if asksForHidden, scope.uid != 0 {
            conditions.append("(d.access NOT BETWEEN 4 AND 7 OR d.owner = ?)")
            values.append(.integer(Int64(scope.uid)))
        }
        let tables = texts.isEmpty ? "document d" : "words w CROSS JOIN document d ON d.asset = w.rowid"
        let best = texts.isEmpty ? "" : "relevance(w.words, \(Self.weights)) DESC, "
        let order = "\(best)d.uploaded DESC, d.asset DESC"
        return "SELECT d.asset FROM \(tables) WHERE \(conditions.joined(separator: " AND ")) ORDER BY \(order)"
    }

    private mutating func expression(_ condition: SearchQuery.Condition) -> String {
        if condition.isText {
            values.append(.text(Self.match(condition)))
            return "d.asset IN (SELECT rowid FROM words WHERE words MATCH ?)"
        }
        switch condition {
        case .all(let parts): return joined(parts, " AND ")
        case .any(let parts): return joined(parts, " OR ")
        case .not(let part): return "NOT \(expression(part))"
        case .number(let number, let from, let to): return range(number, from, to)
        case .kind(let kind): return equal("d.kind", .text(kind.rawValue))
        case .mediaType(let type):
            values += [.text(type), .text(type)]
            return "(d.type IS NOT NULL AND (d.type = ? OR substr(d.type, instr(d.type, '/') + 1) = ?))"
        case .fileExtension(let text): return equal("d.extension", .text(text))
        case .access(let some): return list("d.access", some.map(\.rawValue))
        case .duplicate(let isDuplicate):
            // Others than root learn of their own files alone.
            let others = scope.uid == 0 ? "" : " AND o.owner = ?"
            if scope.uid != 0 { values.append(.integer(Int64(scope.uid))) }
            return
                "\(isDuplicate ? "" : "NOT ")EXISTS (SELECT 1 FROM document o WHERE o.blob = d.blob AND o.asset <> d.asset\(others))"
        case .folder(let path):
            let folders = scope.folders[path] ?? []
            values.append(.text("[\(folders.map(\.description).joined(separator: ","))]"))
            return "d.asset IN (SELECT asset FROM place WHERE folder IN (SELECT value FROM json_each(?)))"
        case .near(let position, let metres): return near(position, metres)
        case .digest(let digest): return equal("d.blob", SQLValue(scope.blobs[digest]?.rawValue ?? -1))
        case .text: return "0"
        }
    }

    private mutating func joined(_ parts: [SearchQuery.Condition], _ separator: String) -> String {
        "(\(parts.map { expression($0) }.joined(separator: separator)))"
    }

    private mutating func equal(_ column: String, _ value: SQLValue) -> String {
        values.append(value)
        return "(\(column) IS NOT NULL AND \(column) = ?)"
    }

    /// Numbers of ours, which nobody has typed.
    private func list(_ column: String, _ numbers: [Int64]) -> String {
        "\(column) IN (\(numbers.map(String.init).joined(separator: ",")))"
    }

    private mutating func range(
        _ number: SearchQuery.Number,
        _ from: SearchQuery.Value?,
        _ to: SearchQuery.Value?
    ) -> String {
        let column: String
        switch number {
        case .id: column = "d.asset"
        case .user: column = "d.uploader"
        default: column = "d.\(number.rawValue)"
        }
        // What has no such number is in no range, and so outside of all.
        var parts = ["\(column) IS NOT NULL"]
        for (bound, sign) in [(from, ">="), (to, "<=")] {
            guard let bound else { continue }
            parts.append("\(column) \(sign) ?")
            switch bound {
            case .integer(let value): values.append(.integer(value))
            case .real(let value): values.append(.real(value))
            }
        }
        return "(\(parts.joined(separator: " AND ")))"
    }

    /// The great circle's distance on a ball of the earth's mean radius.
    private mutating func near(_ position: Position, _ metres: Double) -> String {
        let radius = 6_371_008.8
        let degrees = metres / radius * 180 / .pi
        values += [.real(position.latitude - degrees), .real(position.latitude + degrees)]
        values += [
            .real(position.latitude), .real(position.latitude), .real(position.longitude), .real(metres / (2 * radius)),
        ]
        let half = "radians(d.latitude - ?) / 2", side = "cos(radians(?)) * cos(radians(d.latitude))"
        return """
            (d.latitude IS NOT NULL AND d.latitude >= ? AND d.latitude <= ? AND asin(min(1, sqrt(
            pow(sin(\(half)), 2) + \(side) * pow(sin(radians(d.longitude - ?) / 2), 2)))) <= ?)
            """
    }

    // MARK: Words

    /// Words in FTS5's own language, each in quotation marks: nothing in them is its syntax.
    private static func match(_ condition: SearchQuery.Condition) -> String {
        switch condition {
        case .all(let parts): "(\(parts.map(match).joined(separator: " AND ")))"
        case .any(let parts): "(\(parts.map(match).joined(separator: " OR ")))"
        case .text(let text, let column, let isPrefix):
            "\(column.map { "{\($0.rawValue)} : " } ?? "")\(quoted(text))\(isPrefix ? " *" : "")"
        default: ""
        }
    }

    /// Returns a text in quotation marks, with those in it doubled: scalars, because a mark behind one makes one character of both.
    private static func quoted(_ text: String) -> String {
        let parts = text.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false)
        return "\"" + parts.map { String($0) }.joined(separator: "\"\"") + "\""
    }
}

extension SearchQuery.Condition {
    fileprivate var isAskingForHidden: Bool {
        switch self {
        case .all(let parts), .any(let parts): parts.contains(where: \.isAskingForHidden)
        case .access(let some): some.allSatisfy(\.isHidden)
        default: false
        }
    }
}
