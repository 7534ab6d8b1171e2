public import AssetModel

/// The user and the state of the library for which a query is evaluated.
public struct SearchScope: Sendable {
    /// The folders that a path in the query stands for: the folder itself and all below it.
    public var folders: [String: [NodeID]] = [:]
    /// The blobs of those digests in the query that the library has.
    public var blobs: [Digest: BlobID] = [:]
    /// The searching user; root finds hidden assets of all users, other users only their own.
    public var uid: UInt32
    /// The time at which expiry is evaluated.
    public var now: Timestamp

    /// Creates a scope without folders and blobs.
    public init(uid: UInt32, now: Timestamp) {
        self.uid = uid
        self.now = now
    }
}

/// A query in SQL.
///
/// User input is always bound, and never a part of the SQL text.
struct SearchStatement {
    private let scope: SearchScope
    private(set) var values: [SQLValue] = []

    init(_ scope: SearchScope) { self.scope = scope }

    /// The weight of a word in each text, in the order of `SearchQuery.Column`.
    private static let weights = "10, 8, 6, 6, 5, 2, 2, 2, 1"

    /// Returns the whole statement: the best matches first, and of equal ones the newest upload.
    ///
    /// The relevance of a row is computed from that row alone, so that the order reveals nothing about rows
    /// that the user may not read.
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
        // Rows that the user may not read at all need not be checked one by one.
        if scope.uid != 0 {
            conditions.append("(d.owner = ? OR d.shared <> 0)")
            values.append(.integer(Int64(scope.uid)))
        }
        // Hidden assets are found only by a query that asks for them, and only for users that may see them.
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
            // Users other than root see duplicates among their own files alone.
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

    /// Returns a condition on internal numbers, which are not user input.
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
        // A row without the number is in no range, and so outside of all.
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

    /// Returns a condition on the great-circle distance, on a sphere with the earth's mean radius.
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

    /// Returns words in FTS5's query language, each in quotation marks, so that none is read as syntax.
    private static func match(_ condition: SearchQuery.Condition) -> String {
        switch condition {
        case .all(let parts): "(\(parts.map(match).joined(separator: " AND ")))"
        case .any(let parts): "(\(parts.map(match).joined(separator: " OR ")))"
        case .text(let text, let column, let isPrefix):
            "\(column.map { "{\($0.rawValue)} : " } ?? "")\(quoted(text))\(isPrefix ? " *" : "")"
        default: ""
        }
    }

    /// Returns a text in quotation marks, with those in it doubled, by scalars, because a mark after a
    /// quotation mark forms one character with it.
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
