import AssetModel
import Catalog
import TestSupport
import Testing

/// A catalog file whose reads fail for a while, during a transaction that already has changes.
struct RedoTests {
    /// The number of files in the catalog at the beginning: more pages than one change reads.
    private static let count: Int64 = 5000

    private func file(_ number: Int64) -> NodeRecord {
        NodeRecord(mode: 0o100644, uid: 1, gid: 2, now: Timestamp(rawValue: number))
    }

    private func isUnread(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch {
            guard case .unread = error as? CatalogError else { return false }
            return true
        }
    }

    /// Creates files and reads all others, in one change; appends the number of each new file to `made`.
    private func changeAndReadAll(
        _ catalog: Catalog,
        inserting count: Int64 = 1,
        made: (NodeID) -> Void = { _ in }
    ) throws {
        try catalog.write { records in
            for number in 0..<count { made(try records.insert(file(number)).id) }
            for number in 1...Self.count { _ = try records.node(NodeID(rawValue: number)) }
        }
    }

    /// Runs `body` with a catalog of files, none of whose pages are in memory.
    private func withCatalog(_ name: String = #function, _ body: (Catalog, _ path: String) throws -> Void) throws {
        try withScratch(name) { folder in
            let path = folder + "/c"
            let first = try Catalog(path: path) {}
            for number in 0..<Self.count { _ = try first.write { try $0.insert(file(number)) } }
            try first.commit {}
            try first.close()
            let catalog = try Catalog(path: path) {}
            try body(catalog, path)
        }
    }

    @Test func `changes of before and after a read that failed are all there, and those of the failed one are not`()
        throws
    {
        try withCatalog { catalog, path in
            let before = try catalog.write { try $0.insert(file(1)).id }
            let changed = NodeID(rawValue: 2000)
            let links = try #require(try catalog.read { try $0.node(changed) }).links
            try catalog.write { try $0.addLinks(1, to: changed, at: Timestamp(rawValue: 7)) }
            var inBetween: NodeID?
            try withoutReads(of: path) {
                #expect(isUnread { try changeAndReadAll(catalog) { inBetween = $0 } })
                // The disk still fails: the changes cannot be repeated yet, and are kept.
                #expect(isUnread { _ = try catalog.read { try $0.node(before) } })
                #expect(isUnread { try catalog.commit {} })
                #expect(catalog.hasChanges)
            }
            #expect(inBetween != nil)
            #expect(try catalog.read { try $0.node(before) } != nil)
            #expect(try catalog.read { try $0.node(changed) }?.links == links + 1, "it is made once, and not twice")
            let after = try catalog.write { try $0.insert(file(3)).id }
            #expect(after == inBetween, "the number of the change that was taken back is given again")
            try catalog.commit {}
            #expect(!catalog.hasChanges)
            try catalog.close()
            #expect(try run("sqlite3", path, "PRAGMA integrity_check").check().output == "ok\n")
            let again = try Catalog(path: path) {}
            #expect(try again.read { try $0.node(after)?.modified.rawValue } == 3)
            try again.close()
            let count = try run("sqlite3", path, "SELECT count(*) FROM node").check().output
            #expect(count == "\(Self.count + 2)\n")
        }
    }

    @Test func `pages that a change has made are forgotten with it, though they cannot be read again for that`() throws
    {
        try withCatalog { catalog, path in
            // SQLite has written page 1 to the log, and reads it from there when it undoes a change of it.
            for number in 0..<500 { _ = try catalog.write { try $0.insert(file(Int64(number))) } }
            try catalog.commit {}
            let before = try (0..<300).map { number in try catalog.write { try $0.insert(file(number)).id } }
            try withoutReads(of: path) {
                #expect(isUnread { try changeAndReadAll(catalog, inserting: 300) })
            }
            #expect(try before.allSatisfy { id in try catalog.read { try $0.node(id) != nil } })
            let after = try (0..<300).map { number in try catalog.write { try $0.insert(file(number)).id } }
            #expect(after.first?.rawValue == before.last.map { $0.rawValue + 1 })
            try catalog.commit {}
            try catalog.close()
            #expect(try run("sqlite3", path, "PRAGMA integrity_check").check().output == "ok\n")
            let count = try run("sqlite3", path, "SELECT count(*) FROM node").check().output
            #expect(count == "\(Self.count + 1100)\n")
        }
    }

    @Test func `what is durable already is not made once more`() throws {
        try withCatalog { catalog, path in
            let durable = try catalog.write { try $0.insert(file(1)).id }
            try catalog.commit {}
            try withoutReads(of: path) {
                #expect(isUnread { try changeAndReadAll(catalog) })
            }
            let next = try catalog.write { try $0.insert(file(3)).id }
            #expect(next.rawValue == durable.rawValue + 1)
            try catalog.commit {}
            try catalog.close()
        }
    }

    @Test func `a refusal takes nothing along when a read fails later`() throws {
        struct Refused: Error {}
        try withCatalog { catalog, path in
            let before = try catalog.write { try $0.insert(file(1)).id }
            #expect(throws: Refused.self) { try catalog.write { _ in throw Refused() } }
            try withoutReads(of: path) {
                #expect(isUnread { try changeAndReadAll(catalog) })
            }
            #expect(try catalog.write { try $0.insert(file(3)).id }.rawValue == before.rawValue + 1)
            try catalog.commit {}
            try catalog.close()
        }
    }

    @Test func `the effects of a change come once, before the next operation, and not where a read has failed`() throws
    {
        try withCatalog { catalog, path in
            var seen: [NodeID] = []
            try withoutReads(of: path) {
                #expect(
                    isUnread {
                        _ = try catalog.write { records in
                            let made = try records.insert(file(1)).id
                            for number in 1...Self.count { _ = try records.node(NodeID(rawValue: number)) }
                            return made
                        } then: {
                            seen.append($0)
                        }
                    }
                )
            }
            #expect(seen.isEmpty)
            let made = try catalog.write {
                try $0.insert(file(1)).id
            } then: {
                seen.append($0)
            }
            #expect(seen == [made])
            try catalog.commit {}
            try catalog.close()
        }
    }

    @Test func `an operation that has changed nothing knows it`() throws {
        try withCatalog { catalog, _ in
            let (before, after) = try catalog.write { records in
                _ = try records.node(NodeID(rawValue: 1))
                let before = records.isUnchanged
                _ = try records.insert(file(1))
                return (before, records.isUnchanged)
            }
            #expect(before && !after)
            #expect(try catalog.read { $0.isUnchanged })
            try catalog.commit {}
            try catalog.close()
        }
    }
}
