#if DEBUG || ASSETFS_FUZZ
@testable import AssetModel
@testable import Catalog
import GRDB

/// An index of texts against which the words of a query are run.
private let index: GRDB.DatabaseQueue? = {
    let queue = try? GRDB.DatabaseQueue()
    let columns = SearchQuery.Column.allCases.map(\.rawValue).joined(separator: ", ")
    try? queue?.write { try $0.execute(sql: "CREATE VIRTUAL TABLE words USING fts5(\(columns))") }
    return queue
}()

extension FuzzTarget {
    static let queries = FuzzTarget(
        "queries",
        words: [
            "OR", "AND", "NOT ", "-", "(", ")", "\"", "*", "type:image", "ext:", "size:>1M", "date:2024-05..2025",
            "near:48,16,10km",
            "sha256:", "duplicate:yes", "access:hidden", "in:a/b", "..", "<=", ">", "name:", "id:9223372036854775807",
            "duration:>1e308", "\u{301}", "%2F", "/", "after:", "rank:-1..", "\"\u{301} OR title : \"",
        ]
    ) { input in
        guard !input.contains(0), let text = text(input) else { return }
        let name = SearchQuery.name(of: text)
        try demand(!name.utf8.contains(0x2F), "the name “\(name)” has a slash in it")
        try demand(Array(SearchQuery.text(ofName: name).utf8) == input, "the name “\(name)” is another query")
        let query: SearchQuery
        do throws(SearchQuery.Invalid) { query = try SearchQuery(text) } catch {
            try checkSentence(error.reason)
            return
        }
        for case .number(let number, let from, let to) in query.leaves {
            guard case .integer(let low)? = from, case .integer(let high)? = to, number == .id else { continue }
            try demand(low <= high || text.contains(".."), "a range of \(number) ends before it begins")
        }
        for case .number(_, .integer(.min)?, let to) in query.leaves where text.contains(">") && to == nil {
            try demand(
                text.contains("-") || text.contains("after:"),
                "nothing is greater than the greatest number, and all is found"
            )
        }
        try demand(!query.assuming(isDuplicate: true).asksForDuplicates, "duplicates are still asked for")
        var statement = SearchStatement(SearchScope(uid: 1000, now: Timestamp(rawValue: 0)))
        let sql = statement.select(query.condition)
        try demand(sql.utf8.count { $0 == 0x3F } == statement.values.count, "values and places for them: \(sql)")
        // The value of a type or file extension is not matched against the index.
        for (before, value) in zip(sql.split(separator: "?"), statement.values) where before.hasSuffix("MATCH ") {
            guard case .text(let words) = value else { continue }
            _ = try index?.read {
                try Int.fetchAll($0, sql: "SELECT rowid FROM words WHERE words MATCH ?", arguments: [words])
            }
        }
    }

    static let policies = FuzzTarget(
        "policies",
        words: PolicyKey.general.map { $0.rawValue + "\n" } + [
            "field.caption\n", "field.meta.x\n", "one:A|B|C", "many:A|B", "text:10", "integer:1..9", "number:0.5..",
            "none", "true",
            "all", "20,P30D,PT0S", "P1Y", "5M", "*.bak Thumbs.db", "image/* .pdf", "hubspot", "REJECT", "SUBTREE",
        ]
    ) { input in
        let (first, second) = halves(input)
        guard let name = text(first), let value = text(second), let key = PolicyKey(rawValue: name) else { return }
        try demand(key.rawValue == name, "the key is called \(key.rawValue)")
        var policy = Policy()
        do throws(Policy.Objection) { try policy.apply(key, value) } catch {
            try checkSentence(error.reason)
            return
        }
        var again = Policy()
        try again.apply(key, value)
        let spared = policy.sparing(as: again)
        try demand(spared.versions == policy.versions.joined(with: again.versions), "versions are spared otherwise")
        if let file = try? EntryName("IMG_0001.jpg") {
            for pattern in policy.forbiddenNames + policy.temporaryNames + policy.junkNames {
                _ = pattern.matches(file)
            }
            _ = policy.forbiddenTypes.contains(extensionOf: file) || policy.forbiddenTypes.contains(type: "image/jpeg")
            _ = policy.allowedTypes?.contains(extensionOf: file)
        }
        if case .field(let field) = key, let type = policy.fieldTypes[field] {
            _ = type.objection(to: Array("A".utf8))
            _ = type.description
        }
    }

    static let patterns = FuzzTarget(
        "patterns",
        words: ["*", "?", "[a-z]", "[!x]", "[[:alpha:]]", "*a", "\\", "*.bak", "image/*", ",", "[", "]", "*?*"]
    ) { input in
        let (first, second) = halves(input)
        guard let list = text(first) else { return }
        let name = second.isEmpty ? nil : try? EntryName(second)
        if let patterns = try? NamePattern.list(list), let name {
            for pattern in patterns { _ = pattern.matches(name) }
        }
        guard let types = try? TypeList(list) else { return }
        try demand(!types.isEmpty, "a list of types is empty")
        if let name { _ = types.contains(extensionOf: name) }
        _ = types.contains(type: String(decoding: second, as: UTF8.self))
    }

    static let periods = FuzzTarget(
        "periods",
        words: ["P", "T", "1Y", "6M", "2W", "3D", "12H", "30M", "9S", "999999Y", "K", "M", "IB", "20,", "all", "none"]
    ) { input in
        guard let text = text(input) else { return }
        if let period = Period(text) {
            for raw in [.min, .min + 1, -1, 0, 1_700_000_000_000_000_000, .max - 1, .max] as [Int64] {
                let start = Timestamp(rawValue: raw)
                try demand(period.added(to: start) >= start, "\(text) leads from \(raw) back")
            }
            let (near, far) = (Timestamp(rawValue: 0), Timestamp(rawValue: .max / 2))
            try demand(
                period.added(to: near) <= period.added(to: far),
                "\(text) leads from an earlier moment to a later one"
            )
            let (low, none) = (
                Timestamp(rawValue: .min), period.added(to: Timestamp(rawValue: 0)) == Timestamp(rawValue: 0)
            )
            try demand(!none || period.added(to: low) == low, "\(text) is nothing, and moves the first moment")
            _ = period.endOfLife(from: near)
        }
        if let count = ByteCount(text) {
            try demand(count.bytes >= 0, "\(text) is a negative number of bytes")
            try demand(ByteCount(String(count.bytes))?.bytes == count.bytes, "\(count.bytes) is read otherwise")
        }
        if let versions = try? VersionRetention(text) {
            try demand(versions.joined(with: versions) == versions, "joined with itself \(text) is another")
            try demand(versions.count ?? 0 >= 0, "a negative number of versions")
        }
    }

    static let times = FuzzTarget(
        "times",
        words: [
            "2024-05-17", "T14:03:09", "Z", "+02:00", "-14:59", ".123456789", "2024:12:24 23:48:46",
            "1677-09-21T00:12:43.145224193Z",
            "2262-04-11T23:47:16.854775807Z", "90s", "1h", "2d", "P3M", "9999", "1000", "-02-29",
        ]
    ) { input in
        // A number of nanoseconds, as in the catalog.
        if input.count >= 8 {
            let time = Timestamp(rawValue: input.prefix(8).reduce(0) { $0 << 8 | Int64($1) })
            try demand(Timestamp(time.description) == time, "\(time) is read as another moment")
        }
        guard let text = text(input) else { return }
        if let time = CapturedTime(text) {
            try demand(CapturedTime(time.description) == time, "\(time) is read as another time")
            let (start, end) = time.interval
            try demand(start <= end, "\(time) ends before it begins")
        }
        let now = Timestamp(rawValue: 1_700_000_000_000_000_000)
        for time in [Timestamp(text), Timestamp(end: text, from: now), now.moved(by: text, isBefore: true)] {
            guard let time else { continue }
            try demand(Timestamp(time.description) == time, "\(time) is read as another moment")
        }
        if let time = now.moved(by: text) { try demand(time >= now, "\(text) leads back") }
    }
}

/// Checks that a reason is a part of a sentence on one line, without control characters of terminals, and of
/// bounded length.
func checkSentence(_ reason: String) throws {
    try demand(
        Shown.sentence(reason) == reason,
        "a sentence has characters that a terminal obeys: \(Shown.sentence(reason))"
    )
    try demand(!reason.isEmpty && reason.utf8.count < 8000, "a sentence has \(reason.utf8.count) bytes")
}
#endif
