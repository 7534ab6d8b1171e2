import AssetModel
import Catalog
import Foundation
import Synchronization
import TestSupport
import Testing

struct CatalogTests {
    private func pragma(_ name: String, _ path: String) throws -> String {
        try run("sqlite3", path, "PRAGMA \(name)").check().output.trimmingCharacters(in: .newlines)
    }

    private func file(_ now: Int64 = 1) -> NodeRecord {
        NodeRecord(mode: 0o100644, uid: 1, gid: 2, now: Timestamp(rawValue: now))
    }

    @Test func `what is committed survives, what is not does not`() throws {
        try withScratch { folder in
            let path = folder + "/catalog.sqlite"
            let first = try Catalog(path: path) {}
            let kept = try first.write { try $0.insert(file()) }
            try first.commit {}
            let lost = try first.write { try $0.insert(file()) }
            #expect(try first.read { try $0.node(lost.id) } != nil)
            try first.close()
            let second = try Catalog(path: path) {}
            #expect(try second.read { try $0.node(kept.id)?.uid } == 1)
            #expect(try second.read { try $0.node(lost.id) } == nil)
            try second.close()
        }
    }

    @Test func `the connection that commits waits for the disk`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            // 2 is FULL: a commit is on stable storage when it returns.
            #expect(try catalog.read { try $0.synchronousMode() } == 2)
            try catalog.close()
            #expect(try pragma("journal_mode", folder + "/c") == "wal")
        }
    }

    @Test func `nothing is committed when the preparation fails`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            let node = try catalog.write { try $0.insert(file()) }
            #expect(throws: CancellationError.self) { try catalog.commit { throw CancellationError() } }
            #expect(catalog.hasChanges)
            #expect(try catalog.read { try $0.node(node.id) } != nil)
            try catalog.commit {}
            #expect(!catalog.hasChanges)
            try catalog.close()
        }
    }

    @Test func `a refusal before the first change changes nothing`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            #expect(throws: CancellationError.self) { try catalog.write { _ in throw CancellationError() } }
            _ = try catalog.write { try $0.insert(file()) }
            try catalog.close()
        }
    }

    @Test func `a failure behind a change rolls back to the last commit and stops the catalog`() throws {
        try withScratch { folder in
            let path = folder + "/c"
            let catalog = try Catalog(path: path) {}
            let kept = try catalog.write { try $0.insert(file()) }
            try catalog.commit {}
            #expect(throws: CatalogError.self) {
                try catalog.write { records in
                    _ = try records.insert(file())
                    throw CancellationError()
                }
            }
            #expect(throws: CatalogError.self) { try catalog.read { try $0.node(kept.id) } }
            try catalog.close()
            let again = try Catalog(path: path) {}
            #expect(try again.read { try $0.nodeCount() } == 1)
            try again.close()
        }
    }

    @Test func `says once that there is something to commit`() throws {
        try withScratch { folder in
            let calls = Counter()
            let catalog = try Catalog(path: folder + "/c") { calls.add() }
            for _ in 0..<3 { _ = try catalog.write { try $0.insert(file()) } }
            #expect(calls.value == 1)
            try catalog.commit {}
            _ = try catalog.write { try $0.insert(file()) }
            #expect(calls.value == 2)
            try catalog.close()
        }
    }

    @Test func `numbers are never given twice`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            let first = try catalog.write { try $0.insert(file()) }
            #expect(first.id.rawValue >= NodeID.firstInCatalog)
            try catalog.write { records in
                try records.addLinks(-1, to: first.id, at: Timestamp(rawValue: 2))
                try records.deleteUnlinkedNode(first.id)
            }
            #expect(try catalog.write { try $0.insert(file()) }.id.rawValue > first.id.rawValue)
            try catalog.close()
        }
    }

    @Test func `a node keeps every attribute to the nanosecond`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            var node = file(1_234_567_890_123_456_789)
            node.device = UInt64.max
            node = try catalog.write { try $0.insert(node) }
            node.modified = Timestamp(rawValue: -1)
            node.size = 1 << 60
            node.uid = UInt32.max
            try catalog.write { records in
                try records.updateAttributes(of: node)
                try records.updateContent(of: node)
            }
            let read = try #require(try catalog.read { try $0.node(node.id) })
            #expect(read.modified.rawValue == -1)
            #expect(read.born.rawValue == 1_234_567_890_123_456_789)
            #expect(read.device == UInt64.max)
            #expect(read.size == 1 << 60)
            #expect(read.uid == UInt32.max)
            try catalog.close()
        }
    }

    @Test func `receipts are read by byte offset`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            let lines = (0..<50).map { Array("line \($0) \(String(repeating: "x", count: $0))\n".utf8) }
            try catalog.write { records in for line in lines { try records.append(line, to: .receipts) } }
            let whole = Array(lines.joined())
            try catalog.read { records in
                #expect(try records.size(of: .receipts) == whole.count)
                for (offset, count) in [
                    (0, whole.count), (0, 7), (3, 20), (100, 1), (whole.count - 1, 10), (whole.count, 5),
                ] {
                    let part = try records.bytes(of: .receipts, from: Int64(offset), count: count)
                    #expect(part == Array(whole.dropFirst(offset).prefix(count)))
                }
            }
            try catalog.close()
        }
    }

    @Test func `entries are listed behind a cookie while others come and go`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            try catalog.write { records in
                for number in 0..<10 {
                    let node = try records.insert(file())
                    try records.insertEntry(try EntryName("f\(number)"), in: .folders, node: node.id)
                }
            }
            func names(_ entries: [EntryRecord]) -> [String] {
                entries.map { String(decoding: $0.name, as: UTF8.self) }
            }
            let all = names(try catalog.read { try $0.entries(of: .folders, after: 0, limit: 100) })
            #expect(all.sorted() == (0..<10).map { "f\($0)" })
            let first = try catalog.read { try $0.entries(of: .folders, after: 0, limit: 5) }
            #expect(names(first) == Array(all.prefix(5)))
            // Of the listed names and of the unlisted ones, one is removed, one is removed and added again,
            // and one is replaced.
            try catalog.write { records in
                func name(_ index: Int) throws -> EntryName { try EntryName(all[index]) }
                for index in [0, 9] { try records.deleteEntry(name(index), in: .folders) }
                for index in [1, 8] {
                    try records.deleteEntry(name(index), in: .folders)
                    try records.insertEntry(name(index), in: .folders, node: try records.insert(file()).id)
                }
                for index in [2, 7] {
                    let other = try EntryName("new")
                    try records.insertEntry(other, in: .folders, node: try records.insert(file()).id)
                    try records.deleteEntry(name(index), in: .folders)
                    try records.moveEntry(other, in: .folders, to: name(index), in: .folders)
                }
            }
            let cookie = try #require(first.last?.cookie)
            let rest = try catalog.read { try $0.entries(of: .folders, after: cookie, limit: 100) }
            #expect(names(rest) == Array(all[5..<9]))
            try catalog.close()
        }
    }

    @Test func `names that would have one place in a listing get two`() throws {
        try withScratch { folder in
            let name = try EntryName("f")
            let before = try Catalog(path: folder + "/c") {}
            try before.write { records in
                try records.insertEntry(try EntryName("g"), in: .folders, node: try records.insert(file()).id)
            }
            try before.commit {}
            try before.close()
            // Simulates a collision of hashes: another name already has the `place` of this one.
            try run(
                "python3",
                "-c",
                "import sqlite3; c = sqlite3.connect('\(folder)/c'); c.execute('UPDATE entry SET place = \(name.listingPlace)'); c.commit()"
            ).check()
            let catalog = try Catalog(path: folder + "/c") {}
            try catalog.write { records in
                try records.insertEntry(name, in: .folders, node: try records.insert(file()).id)
                try records.insertEntry(try EntryName("h"), in: .folders, node: try records.insert(file()).id)
                try records.deleteEntry(name, in: .folders)
                try records.moveEntry(try EntryName("h"), in: .folders, to: name, in: .folders)
            }
            let found = try catalog.read { try $0.entries(of: .folders, after: name.listingPlace - 1, limit: 2) }
            #expect(found.map(\.cookie) == [name.listingPlace, name.listingPlace + 1])
            try catalog.close()
        }
    }

    @Test func `what older libraries have by a desktop's name is kept under that`() throws {
        try withScratch { folder in
            let before = try Catalog(path: folder + "/c") {}
            let asset = AssetID(rawValue: 7)
            try before.write { records in
                try records.setField(.keywords, of: asset, to: "ä, b", as: "user.xdg.tags")
                try records.setField(.caption, of: asset, to: "c")
            }
            try before.commit {}
            try before.close()
            // The state after all migrations before this one.
            let program = """
                import sqlite3; c = sqlite3.connect("\(folder)/c"); c.execute("DROP TABLE desktop_value")
                for table in ("extended_attribute", "policy", "field"):
                    for trigger in ("charged", "released"): c.execute(f"DROP TRIGGER {table}_{trigger}")
                    c.execute(f"ALTER TABLE {table} DROP COLUMN uid")
                c.execute("DROP TABLE attribute_share"); c.execute("INSERT INTO asset (id, created, uid, original_name) VALUES (7, 0, 5001, x'')")
                c.execute("DELETE FROM grdb_migrations WHERE identifier IN ('16 desktop names', '18 attribute shares')"); c.commit()
                """
            try run("python3", "-c", program).check()
            let catalog = try Catalog(path: folder + "/c") {}
            let values = try catalog.read { try $0.desktopValues(of: asset) }
            #expect(values.map(\.name) == ["user.xdg.tags"] && values.map(\.isFieldValue) == [true])
            #expect(values.map(\.value) == [Array("ä, b".utf8)])
            #expect(try catalog.read { try $0.desktopName(of: .keywords, of: asset) } == "user.xdg.tags")
            // Two fields, one of them set by a desktop's name: both count for the owner.
            let bytes = Int64("keywordsä, b".utf8.count + "captionc".utf8.count + "user.xdg.tagsä, b".utf8.count)
            let overhead = 3 * Records.attributeOverhead
            #expect(try catalog.read { try $0.attributeBytes(of: 5001) } == bytes + overhead)
            try catalog.write { try $0.deleteAsset(asset) }
            #expect(try catalog.read { try $0.desktopNames(of: asset) } == [])
            #expect(try catalog.read { try $0.attributeBytes(of: 5001) } == 0)
            try catalog.close()
        }
    }
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.add(1, ordering: .relaxed) }
}
