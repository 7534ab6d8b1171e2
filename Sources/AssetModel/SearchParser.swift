/// A parser of queries: all words and filters side by side must match, one of the two sides of `OR` must, the
/// term after `-` must not, and brackets group terms.
struct SearchParser {
    private var rest: Substring
    private var terms = 0
    private var depth = 0
    private static let termLimit = 100
    private static let depthLimit = 50

    init(_ text: String) { rest = text[...] }

    mutating func parse() throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        let condition = try parseAlternatives()
        if !rest.isEmpty { throw SearchQuery.Invalid(reason: "There is a “)” with no “(” before it.") }
        return condition
    }

    private mutating func parseAlternatives() throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        var alternatives = [try parseAll()]
        while takeWord("OR") { alternatives.append(try parseAll()) }
        return alternatives.count == 1 ? alternatives[0] : .any(alternatives)
    }

    private mutating func parseAll() throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        var parts: [SearchQuery.Condition] = []
        while true {
            skipSpaces()
            if rest.isEmpty || rest.first == ")" || nextWord == "OR" { break }
            // `AND` is redundant, but accepted because users write it.
            if takeWord("AND") { continue }
            parts.append(try parseOne())
            terms += 1
            if terms > Self.termLimit {
                throw SearchQuery.Invalid(reason: "A query has at most \(Self.termLimit) terms.")
            }
        }
        guard let first = parts.first else {
            throw SearchQuery.Invalid(reason: "Nothing is looked for: say a word, or a filter such as type:image.")
        }
        return parts.count == 1 ? first : .all(parts)
    }

    private mutating func parseOne() throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else {
            throw SearchQuery.Invalid(reason: "The brackets of the query are more than \(Self.depthLimit) deep.")
        }
        if rest.first == "-" {
            rest = rest.dropFirst()
            guard let next = rest.first, !next.isWhitespace else {
                throw SearchQuery.Invalid(reason: "After “-” comes what is not wanted, without a space.")
            }
            return .not(try parseOne())
        }
        if takeWord("NOT") {
            skipSpaces()
            guard !rest.isEmpty else { throw SearchQuery.Invalid(reason: "After “NOT” comes what is not wanted.") }
            return .not(try parseOne())
        }
        if rest.first == "(" {
            rest = rest.dropFirst()
            let inner = try parseAlternatives()
            guard rest.first == ")" else { throw SearchQuery.Invalid(reason: "There is a “(” with no “)” behind it.") }
            rest = rest.dropFirst()
            return inner
        }
        if rest.first == "\"" { return try text(try takeValue()) }
        let key = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        if key.first?.isLetter == true, rest.dropFirst(key.count).first == ":" {
            rest = rest.dropFirst(key.count + 1)
            return try filter(key.lowercased(), try takeValue())
        }
        return try text(try takeValue())
    }

    // MARK: Words

    private mutating func skipSpaces() { rest = rest.drop { $0.isWhitespace } }

    private var nextWord: Substring { rest.prefix { !$0.isWhitespace && $0 != "(" && $0 != ")" } }

    private mutating func takeWord(_ word: String) -> Bool {
        skipSpaces()
        guard nextWord == word else { return false }
        rest = rest.dropFirst(word.count)
        return true
    }

    /// Reads a word, or a text in quotation marks.
    private mutating func takeValue() throws(SearchQuery.Invalid) -> (text: String, isQuoted: Bool, isPrefix: Bool) {
        guard rest.first == "\"" else {
            var word = nextWord
            rest = rest.dropFirst(word.count)
            let isPrefix = word.last == "*"
            if isPrefix { word = word.dropLast() }
            return (String(word), false, isPrefix)
        }
        let inner = rest.dropFirst()
        guard let end = inner.firstIndex(of: "\"") else {
            throw SearchQuery.Invalid(reason: "There is a quotation mark with no other behind it.")
        }
        rest = inner[inner.index(after: end)...]
        let isPrefix = rest.first == "*"
        if isPrefix { rest = rest.dropFirst() }
        return (String(inner[..<end]), true, isPrefix)
    }

    private func text(
        _ value: (text: String, isQuoted: Bool, isPrefix: Bool),
        in column: SearchQuery.Column? = nil
    ) throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        guard
            value.text.unicodeScalars.contains(where: { $0.properties.isAlphabetic || $0.properties.numericType != nil }
            )
        else {
            throw SearchQuery.Invalid(reason: "“\(Shown.value(value.text))” has no letter or digit to look for.")
        }
        return .text(value.text, in: column, isPrefix: value.isPrefix)
    }

    // MARK: Filters

    private static let columns: [String: SearchQuery.Column] = [
        "name": .name, "filename": .name, "title": .title, "caption": .caption, "keyword": .keywords,
        "keywords": .keywords,
        "tag": .keywords, "people": .people, "person": .people, "description": .description, "camera": .camera,
        "credit": .credit, "photographer": .credit, "copyright": .credit,
    ]

    /// All filters, for a message.
    static let names =
        "type, ext, size, width, height, duration, pages, rank, date, after, before, uploaded, access, duplicate, in, near, id, user, "
        + "sha256, name, title, caption, keywords, people, description, camera, credit"

    private func filter(
        _ key: String,
        _ value: (text: String, isQuoted: Bool, isPrefix: Bool)
    ) throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        let text = value.text
        guard !text.isEmpty else {
            throw SearchQuery.Invalid(reason: "After “\(Shown.value(key)):” comes a value, without a space.")
        }
        if let column = Self.columns[key] { return try self.text(value, in: column) }
        switch key {
        case "type", "kind":
            if let kind = MediaKind(rawValue: text.lowercased()) { return .kind(kind) }
            guard text.contains(where: \.isLetter) else {
                throw Self.wrong(
                    key,
                    text,
                    "it is \(MediaKind.allCases.map(\.rawValue).joined(separator: ", ")), or a MIME type such as image/png or png"
                )
            }
            return .mediaType(text.lowercased())
        case "ext", "extension":
            return .fileExtension((text.first == "." ? String(text.dropFirst()) : text).lowercased())
        case "after": return .number(.date, from: .integer(try date(key, text).start.rawValue), to: nil)
        case "before": return .number(.date, from: nil, to: .integer(Self.last(before: try date(key, text).start)))
        case "date": return try dates(.date, key, text)
        case "uploaded": return try dates(.uploaded, key, text)
        case "access": return .access(try access(text))
        case "duplicate", "duplicates":
            guard
                let isDuplicate = ["yes": true, "1": true, "true": true, "no": false, "0": false, "false": false][
                    text.lowercased()
                ]
            else { throw Self.wrong(key, text, "it is yes or no") }
            return .duplicate(isDuplicate)
        case "in", "folder": return .folder(text)
        case "near": return try near(text)
        case "sha256":
            guard let digest = [UInt8](hexadecimal: text.lowercased()).flatMap({ Digest($0) }) else {
                throw Self.wrong(key, text, "it is 64 hexadecimal digits")
            }
            return .digest(digest)
        default:
            guard let number = SearchQuery.Number(rawValue: key) else {
                throw SearchQuery.Invalid(
                    reason:
                        "There is no filter “\(Shown.value(key))”; there are \(Self.names). Text with a colon stands in quotation marks."
                )
            }
            return try numbers(number, key, text)
        }
    }

    private static func wrong(_ key: String, _ text: String, _ reason: String) -> SearchQuery.Invalid {
        SearchQuery.Invalid(reason: "\(key): cannot be “\(Shown.value(text))”: \(reason).")
    }

    private func date(_ key: String, _ text: String) throws(SearchQuery.Invalid) -> (start: Timestamp, end: Timestamp) {
        guard let time = CapturedTime(text) else {
            throw Self.wrong(key, text, "it is a date such as 2024, 2024-05, 2024-05-17 or 2024-05-17T14:03:09Z")
        }
        return time.interval
    }

    /// Returns the last moment before another; the first moment has none before it.
    private static func last(before time: Timestamp) -> Int64 {
        time.rawValue == .min ? .min : time.rawValue - 1
    }

    private func dates(
        _ number: SearchQuery.Number,
        _ key: String,
        _ text: String
    ) throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        let (low, high) = try Self.bounds(text)
        let (from, to) = (
            try low.map { bound throws(SearchQuery.Invalid) in (try date(key, bound.text), bound.isIncluded) },
            try high.map { bound throws(SearchQuery.Invalid) in (try date(key, bound.text), bound.isIncluded) }
        )
        return .number(
            number,
            from: from.map { .integer(($1 ? $0.start : $0.end).rawValue) },
            to: to.map { .integer(Self.last(before: $1 ? $0.end : $0.start)) }
        )
    }

    private func numbers(
        _ number: SearchQuery.Number,
        _ key: String,
        _ text: String
    ) throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        let (low, high) = try Self.bounds(text)
        func value(_ bound: Bound?, _ step: Int64) throws(SearchQuery.Invalid) -> SearchQuery.Value? {
            guard let bound else { return nil }
            if number == .duration {
                guard let seconds = Double(bound.text), seconds.isFinite, seconds >= 0 else {
                    throw Self.wrong(key, text, "it is a number of seconds, such as >90, <=3.5 or 10..20")
                }
                if bound.isIncluded { return .real(seconds) }
                return .real(step > 0 ? seconds.nextUp : seconds.nextDown)
            }
            let parsed = number == .size ? ByteCount(bound.text)?.bytes : Int64(bound.text)
            guard let parsed else {
                throw Self.wrong(
                    key,
                    text,
                    number == .size
                        ? "it is a number of bytes, such as >1M, <=500K or 1M..5M"
                        : "it is a whole number, such as >4000, <=100 or 10..20"
                )
            }
            guard !bound.isIncluded else { return .integer(parsed) }
            let (next, isBeyond) = parsed.addingReportingOverflow(step)
            // No number is beyond the last one.
            return isBeyond ? .real(step > 0 ? .infinity : -.infinity) : .integer(next)
        }
        return .number(number, from: try value(low, 1), to: try value(high, -1))
    }

    private struct Bound {
        let text: String
        let isIncluded: Bool
    }

    /// Reads `>x`, `>=x`, `<x`, `<=x`, `x..y`, `x..`, `..y`, or `x` alone.
    private static func bounds(_ text: String) throws(SearchQuery.Invalid) -> (low: Bound?, high: Bound?) {
        for (sign, isLow, isIncluded) in [
            (">=", true, true), ("<=", false, true), (">", true, false), ("<", false, false),
        ]
        where text.hasPrefix(sign) {
            let bound = Bound(text: String(text.dropFirst(sign.count)), isIncluded: isIncluded)
            return isLow ? (bound, nil) : (nil, bound)
        }
        guard let dots = text.firstRange(of: "..") else {
            let bound = Bound(text: text.hasPrefix("=") ? String(text.dropFirst()) : text, isIncluded: true)
            return (bound, bound)
        }
        let (low, high) = (String(text[..<dots.lowerBound]), String(text[dots.upperBound...]))
        guard !low.isEmpty || !high.isEmpty else {
            throw SearchQuery.Invalid(reason: "“..” stands between two ends, of which one may be missing.")
        }
        return (
            low.isEmpty ? nil : Bound(text: low, isIncluded: true),
            high.isEmpty ? nil : Bound(text: high, isIncluded: true)
        )
    }

    private func access(_ text: String) throws(SearchQuery.Invalid) -> Set<Access> {
        if let exact = Access(text) { return [exact] }
        switch text.lowercased() {
        case "public": return [.publicIndexable, .publicNotIndexable, .hiddenIndexable, .hiddenNotIndexable]
        case "private": return [.private, .hiddenPrivate, .sensitive, .hiddenSensitive]
        case "sensitive": return [.sensitive, .hiddenSensitive]
        case "hidden": return Set(Access.allCases.filter(\.isHidden))
        default: throw Self.wrong("access", text, "it is public, private, sensitive, hidden, or \(Access.choices)")
        }
    }

    private func near(_ text: String) throws(SearchQuery.Invalid) -> SearchQuery.Condition {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let example = "it is a latitude, a longitude and a distance, such as 48.2,16.4,10km"
        guard parts.count == 3, let position = Position("\(parts[0]),\(parts[1])") else {
            throw Self.wrong("near", text, example)
        }
        let units: [(String, Double)] = [("km", 1000), ("mi", 1609.344), ("m", 1)]
        for (unit, metres) in units where parts[2].hasSuffix(unit) {
            guard let count = Double(parts[2].dropLast(unit.count)), count >= 0, count.isFinite else { break }
            return .near(position, metres: count * metres)
        }
        throw Self.wrong("near", text, example)
    }
}
