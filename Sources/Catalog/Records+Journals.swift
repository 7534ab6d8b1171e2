// Receipts of uploads, and events of assets: texts that only grow, which programs read as files.
/// A text that only grows.
public enum Journal: String, Sendable {
    /// The result of each upload.
    case receipts = "receipt"
    /// The changes of assets.
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

    /// Returns the number of bytes of all lines.
    public func size(of journal: Journal) throws -> Int64 {
        try first("SELECT max(end) FROM \(journal.rawValue)", []) { $0.integer(0) } ?? 0
    }

    /// Returns the lines from a byte offset on, at most `count` bytes.
    public func bytes(of journal: Journal, from offset: Int64, count: Int) throws -> [UInt8] {
        var result: [UInt8] = []
        // Row by row, because the number of lines that fill `count` bytes is not known in advance.
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

    // MARK: Delivery of events to a program

    /// Returns the first event after an offset, and the offset of the next one.
    public func event(after offset: Int64) throws -> (line: [UInt8], end: Int64)? {
        try first("SELECT line, end FROM event WHERE end > ? ORDER BY end LIMIT 1", [.integer(offset)]) {
            ($0.bytes(0), $0.integer(1))
        }
    }

    /// Returns the offset up to which the program has received events; nil if there is no program.
    public func toldEvents() throws -> Int64? {
        try first("SELECT told FROM event_hook WHERE id = 1", []) { $0.integer(0) }
    }

    /// Records the offset up to which the program has received events; nil if there is no program.
    public func setToldEvents(_ end: Int64?) throws {
        guard let end else { return try run("DELETE FROM event_hook", []) }
        try run("INSERT OR REPLACE INTO event_hook (id, told) VALUES (1, ?)", [.integer(end)])
    }
}
