// What was said of uploads, and what has happened: texts that grow, which programs read as files.
/// A text that grows.
public enum Journal: String, Sendable {
    /// What became of each upload.
    case receipts = "receipt"
    /// What has happened to assets.
    case events = "event"
}

extension Records {
    /// Appends a line, which must end with a newline.
    public func append(_ line: [UInt8], to journal: Journal) throws {
        let table = journal.rawValue
        try run(
            "INSERT INTO \(table) (end, line) VALUES (coalesce((SELECT max(end) FROM \(table)), 0) + ?, ?)",
            [.integer(Int64(line.count)), .blob(line)]
        )
    }

    /// How many bytes all lines have.
    public func size(of journal: Journal) throws -> Int64 {
        try first("SELECT max(end) FROM \(journal.rawValue)", []) { $0.integer(0) } ?? 0
    }

    /// The lines from a byte offset on, until there are `count` bytes or no more.
    public func bytes(of journal: Journal, from offset: Int64, count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        // Row by row, because nobody knows before how many lines fill `count` bytes.
        let rows = try statement(
            "SELECT end, line FROM \(journal.rawValue) WHERE end > ? ORDER BY end",
            [.integer(offset)]
        )
        defer { rows.end() }
        while result.count < count, let row = try rows.next() {
            let line = row.bytes(1)
            let skipped = result.isEmpty ? offset - (row.integer(0) - Int64(line.count)) : 0
            result += line.dropFirst(Int(max(0, skipped))).prefix(count - result.count)
        }
        return result
    }

    // MARK: Programs that are told

    /// The first event behind an offset, and where the next begins.
    public func event(after offset: Int64) throws -> (line: [UInt8], end: Int64)? {
        try first("SELECT line, end FROM event WHERE end > ? ORDER BY end LIMIT 1", [.integer(offset)]) {
            ($0.bytes(0), $0.integer(1))
        }
    }

    /// Up to where a program has been told of events; nil where none is to be.
    public func toldEvents() throws -> Int64? {
        try first("SELECT told FROM event_hook WHERE id = 1", []) { $0.integer(0) }
    }

    /// Records up to where a program has been told of events; nil for none that is to be.
    public func setToldEvents(_ end: Int64?) throws {
        guard let end else { return try run("DELETE FROM event_hook", []) }
        try run("INSERT OR REPLACE INTO event_hook (id, told) VALUES (1, ?)", [.integer(end)])
    }
}
