import AssetModel
import Catalog
@testable import LibraryRules
import TestSupport
import Testing

@testable import AssetLibrary

/// The order of eviction, with a clock that the test sets.
struct ReclaimTests {
    private static let policies: [(key: PolicyKey, value: String)] = [(.versions, "1000,P365D,PT0S")]

    private func withClock(
        _ name: String = #function,
        policies: [(key: PolicyKey, value: String)] = policies,
        _ body: (AssetLibrary, TestClock) throws -> Void
    ) throws {
        let clock = TestClock()
        try withLibrary(name, policies: policies, time: { clock.now }) { library, _ in try body(library, clock) }
    }

    /// Replaces the content of a file with `kilobytes` of a repeated text.
    private func put(
        _ name: String,
        _ kilobytes: Int,
        by uid: UInt32,
        _ text: String,
        in library: AssetLibrary
    ) throws {
        let user = Uploader(uid: uid, gid: uid)
        let text = String(String(repeating: text, count: kilobytes * 1024).prefix(kilobytes * 1024))
        let node: OpenNode
        if let known = try library.read({ try $0.node(named: try EntryName(name), in: .folders) }) {
            node = try library.open(known.id, forWriting: true, isTruncating: true, by: user)
        } else {
            node = try library.makeFile(try EntryName(name), in: .folders, mode: 0o644, by: user).1
        }
        try library.put(text, in: node)
        try library.flush(node)
        library.close(node, wasWriting: true)
    }

    private func trash(_ name: String, _ kilobytes: Int, by uid: UInt32, in library: AssetLibrary) throws {
        try put(name, kilobytes, by: uid, name, in: library)
        _ = try library.remove(try EntryName(name), in: .folders)
    }

    private func names(in library: AssetLibrary) throws -> [String] {
        try library.read { try $0.trashed(after: AssetID(rawValue: 0), limit: 100) }
            .map { String(decoding: $0.name, as: UTF8.self) }
    }

    @Test func `room is taken from the user who has the most in the trash, down to what the next one has`() throws {
        try withClock { library, clock in
            for n in 1...3 { try trash("alice\(n)", 10, by: 5001, in: library) }
            for n in 1...2 { try trash("carol\(n)", 10, by: 5003, in: library) }
            for n in 1...8 { try trash("bob\(n)", 10, by: 5002, in: library) }
            clock.advance(hours: 1)
            #expect(try library.reclaim(50 << 10, waits: true).bytes == 50 << 10)
            let left = ["alice1", "alice2", "alice3", "carol1", "carol2", "bob6", "bob7", "bob8"]
            #expect(try names(in: library) == left)
            // The next space comes from all users with equal totals, the oldest blobs first.
            #expect(try library.reclaim(20 << 10, waits: true).count == 2)
            #expect(try names(in: library) == ["alice2", "alice3", "carol1", "carol2", "bob7", "bob8"])
            #expect(try library.reclaim(1 << 30, waits: true).count == 6)
            #expect(try names(in: library) == [])
        }
    }

    @Test func `a user far beyond the others loses former contents before the others lose their trash`() throws {
        try withClock { library, clock in
            try trash("alice", 10, by: 5001, in: library)
            for n in 1...6 { try put("bob", 10, by: 5002, "\(n)", in: library) }
            clock.advance(hours: 1)
            #expect(try library.reclaim(40 << 10, waits: true).count == 4)
            #expect(try names(in: library) == ["alice"])
            let bob = try #require(try library.read { try $0.node(named: EntryName("bob"), in: .folders) })
            // The first version is evicted last.
            #expect(try library.versions(of: bob.id).map(\.number) == [6, 1])
        }
    }

    @Test func `a content that another user has replaced is of the one who uploaded it`() throws {
        try withClock { library, clock in
            try trash("alice1", 10, by: 5001, in: library)
            try put("alice2", 10, by: 5001, "first", in: library)
            for n in 1...6 { try put("alice2", 10, by: 5002, "\(n)", in: library) }
            clock.advance(hours: 1)
            #expect(try library.reclaim(20 << 10, waits: true).count == 2)
            #expect(try names(in: library) == ["alice1"])
            let file = try #require(try library.read { try $0.node(named: EntryName("alice2"), in: .folders) })
            #expect(try library.versions(of: file.id).map(\.number) == [7, 6, 5, 4, 1])
        }
    }

    @Test func `what was removed a moment ago stays, and counts`() throws {
        try withClock { library, clock in
            for n in 1...2 { try trash("alice\(n)", 10, by: 5001, in: library) }
            try trash("bob1", 10, by: 5002, in: library)
            clock.advance(hours: 1)
            for n in 2...3 { try trash("bob\(n)", 10, by: 5002, in: library) }
            #expect(try library.reclaim(10 << 10, waits: true).count == 1)
            #expect(try names(in: library) == ["alice1", "alice2", "bob2", "bob3"])
            // Alice loses nothing while bob uses more, because bob's blobs can be evicted in a moment.
            try trash("bob4", 10, by: 5002, in: library)
            #expect(try library.reclaim(1 << 30, waits: true).isHeldUp)
            #expect(try names(in: library) == ["alice1", "alice2", "bob2", "bob3", "bob4"])
            #expect(try library.reclaim(1 << 30, waits: false).count == 2)
            #expect(try names(in: library) == ["bob2", "bob3", "bob4"])
        }
    }

    @Test func `contents that several have make no room before the last of them, and do not stand in the way`() throws {
        try withClock { library, clock in
            try trash("alice", 10, by: 5001, in: library)
            for n in 1...120 {
                try put("bob\(n)", 20, by: 5002, "same", in: library)
                _ = try library.remove(try EntryName("bob\(n)"), in: .folders)
            }
            clock.advance(hours: 1)
            #expect(try library.reclaim(20 << 10, waits: true).bytes == 20 << 10)
            #expect(try names(in: library).contains("alice"))
        }
    }

    @Test func `what a name shows, and what its folder keeps, does not go and counts for nobody`() throws {
        try withClock(policies: keepingAll) { library, clock in
            for n in 1...4 { try put("bob", 10, by: 5002, "\(n)", in: library) }
            for n in 1...2 { try trash("alice\(n)", 10, by: 5001, in: library) }
            try trash("bob1", 10, by: 5002, in: library)
            clock.advance(hours: 1)
            #expect(try library.reclaim(10 << 10, waits: true).count == 1)
            #expect(try names(in: library) == ["alice2", "bob1"])
            #expect(try library.reclaim(1 << 30, waits: true).count == 2)
            let bob = try #require(try library.read { try $0.node(named: EntryName("bob"), in: .folders) })
            #expect(try library.versions(of: bob.id).count == 4)
        }
    }
}
