import AssetModel
import Catalog
import TestSupport
import Testing

/// The recorded rights to read former versions.
struct StandingRecordTests {
    private static let list = AccessControlList(
        [2, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 2, 0, 4, 0, 9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
            + [16, 0, 4, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0]
    )

    private func rights(_ uid: UInt32, _ mode: UInt32, _ list: AccessControlList? = nil) -> FileRights {
        FileRights(uid: uid, gid: uid, mode: mode, list: list)
    }

    @Test func `standings are read as they were written, and what is none is closed`() {
        let closed = Standing.Condition(right: 1, of: rights(7, 0o700))
        let all = [
            Standing(file: rights(7, 0o644), ways: []),
            Standing(file: rights(7, 0o640, Self.list), ways: [[closed], []]),
            Standing(file: rights(8, 0o600), ways: [[closed, .nobody]]),
        ]
        let bytes = all.flatMap(\.bytes)
        #expect(Standing.all(in: bytes) == all)
        for count in 0..<bytes.count {
            let found = Standing.all(in: Array(bytes.prefix(count)))
            let isWhole = found == Array(all.prefix(found.count))
            #expect(isWhole || !found.allSatisfy { $0.allows(9) { _ in true } }, "\(count) bytes")
        }
        #expect(Standing.all(in: []).isEmpty)
    }

    @Test func `a user could read by the file and one of the ways, and its owner by the file alone`() {
        let closed = Standing.Condition(right: 1, of: rights(7, 0o710))
        func allowed(_ standing: Standing, _ user: UInt32) -> [Bool] {
            [standing.allows(user) { $0 == user }, standing.showsName(to: user) { $0 == user }]
        }
        #expect(allowed(Standing(file: rights(7, 0o644), ways: [[]]), 9) == [true, true])
        #expect(allowed(Standing(file: rights(7, 0o640), ways: [[]]), 9) == [false, true])
        #expect(allowed(Standing(file: rights(8, 0o644), ways: [[closed]]), 9) == [false, false])
        #expect(allowed(Standing(file: rights(8, 0o644), ways: [[closed], []]), 9) == [true, false])
        #expect(allowed(Standing(file: rights(8, 0o644), ways: [[], [closed]]), 9) == [true, true])
        for user: UInt32 in [0, 7, 8] {
            #expect(allowed(Standing(file: rights(8, 0o644), ways: [[closed]]), user) == [true, true])
        }
        #expect(allowed(Standing(file: rights(8, 0o644), ways: [[closed, .nobody]]), 7) == [false, false])
    }

    @Test func `what was replaced in a closed folder by an older assetfs is its owner's`() throws {
        try withScratch { folder in
            let before = try Catalog(path: folder + "/c") {}
            let now = Timestamp.now
            let (open, closed) = try before.write { records in
                func asset(_ mode: UInt32) throws -> AssetID {
                    let parent = try records.insert(NodeRecord(mode: 0o040000 | mode, uid: 7, gid: 7, now: now))
                    let file = try records.insert(NodeRecord(mode: 0o100644, uid: 7, gid: 7, now: now))
                    let name = try EntryName(Array("a".utf8))
                    try records.insertEntry(name, in: parent.id, node: file.id)
                    let asset = try records.insertAsset(uid: 7, name: name, like: file, at: now)
                    try records.setAsset(of: file.id, to: asset)
                    for size: Int64 in 1...2 {
                        _ = try records.insertVersion(of: asset, blob: nil, size: size, uid: 7, name: name, at: now)
                    }
                    return asset
                }
                return (try asset(0o755), try asset(0o700))
            }
            try before.commit {}
            try before.close()
            // The state after all migrations before this one: with the rights of user 7's file of mode 0644.
            let program = """
                import sqlite3; c = sqlite3.connect("\(folder)/c")
                c.execute("ALTER TABLE version DROP COLUMN standings"); c.execute("ALTER TABLE staged DROP COLUMN standing")
                c.execute("DROP TRIGGER layout_gone"); c.execute("DROP TABLE layout")
                c.execute("UPDATE version SET rights = x'0700000007000000a4010000' WHERE superseded IS NOT NULL")
                c.execute("DELETE FROM grdb_migrations WHERE identifier = '20 standings'"); c.commit()
                """
            try run("python3", "-c", program).check()
            let catalog = try Catalog(path: folder + "/c") {}
            for (asset, isOpen) in [(open, true), (closed, false)] {
                let former = try catalog.read { try $0.versions(of: asset) }[1]
                func allows(_ user: UInt32) -> Bool { former.standings.allSatisfy { $0.allows(user) { _ in false } } }
                #expect([allows(7), allows(9)] == [true, isOpen])
            }
            try catalog.close()
        }
    }
}
