@testable import Catalog
import Foundation
import GRDB
import TestSupport
import Testing

/// A new catalog is made at once with the tables to which all migrations lead.
struct SchemaTests {
    /// Returns the statements that make a database's tables, indexes, triggers and rows.
    private func dump(_ queue: GRDB.DatabaseQueue) throws -> String {
        try queue.read { database in
            let made = try String.fetchAll(
                database,
                sql: "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            )
            let tables = try String.fetchAll(
                database,
                sql: "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
            )
            let rows = try tables.flatMap { table in
                let columns = try String.fetchAll(database, sql: "SELECT name FROM pragma_table_info('\(table)')")
                let values = columns.map { "quote(\($0))" }.joined(separator: " || ', ' || ")
                let row = "'INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (' || \(values) || ')'"
                return try String.fetchAll(database, sql: "SELECT \(row) FROM \(table) ORDER BY 1")
            }
            return (made + rows).map { $0.trimmingCharacters(in: .whitespacesAndNewlines) + ";\n" }.joined()
        }
    }

    /// The source file, which this test writes anew where `ASSETFS_WRITE_SCHEMA` is set.
    private var source: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources/Catalog/Schema+Present.swift")
    }

    @Test func `the present tables are those to which all migrations lead`() throws {
        let queue = try GRDB.DatabaseQueue()
        try Schema.migrator.migrate(queue)
        let wanted = try dump(queue)
        if ProcessInfo.processInfo.environment["ASSETFS_WRITE_SCHEMA"] != nil {
            let lines = wanted.split(separator: "\n", omittingEmptySubsequences: false)
                .map { $0.isEmpty ? "" : "        \($0)" }
            let text = try String(contentsOf: source, encoding: .utf8)
            let ends = text.components(separatedBy: "\"\"\"")
            try #require(ends.count == 3)
            try "\(ends[0])\"\"\"\n\(lines.joined(separator: "\n"))        \"\"\"\(ends[2])"
                .write(to: source, atomically: true, encoding: .utf8)
        }
        // Where a statement differs, `ASSETFS_WRITE_SCHEMA=1 scripts/run-tests SchemaTests` writes the file
        // anew.
        let (present, made) = (Schema.present.split(separator: "\n"), wanted.split(separator: "\n"))
        for (one, other) in zip(present, made) where one != other { #expect(one == other) }
        #expect(present.count == made.count)
    }

    @Test func `a new catalog has them, and no migration is left`() throws {
        try withScratch { scratch in
            try Catalog(path: scratch + "/catalog.sqlite") {}.close()
            let queue = try GRDB.DatabaseQueue(path: scratch + "/catalog.sqlite")
            #expect(try dump(queue).split(separator: "\n") == Schema.present.split(separator: "\n"))
            #expect(try queue.read { try Schema.migrator.hasCompletedMigrations($0) })
        }
    }

    @Test func `an interrupted catalog of fewer migrations gets the others`() throws {
        try withScratch { scratch in
            let path = scratch + "/catalog.sqlite"
            let queue = try GRDB.DatabaseQueue(path: path)
            try Schema.migrator.migrate(queue, upTo: "5 lives")
            try queue.close()
            try Catalog(path: path) {}.close()
            let migrated = try GRDB.DatabaseQueue(path: path)
            #expect(try dump(migrated).split(separator: "\n") == Schema.present.split(separator: "\n"))
        }
    }
}
