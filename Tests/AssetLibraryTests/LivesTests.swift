import AssetModel
import BlobStore
import Catalog
@testable import LibraryRules
@testable import LibraryStorage
import Synchronization
import TestSupport
import Testing

@testable import AssetLibrary

/// A clock whose time is set by a test.
final class TestClock: Sendable {
    private let time = Mutex(Timestamp.now)

    var now: Timestamp { time.withLock { $0 } }

    func advance(hours: Int64) { time.withLock { $0 = $0.advanced(bySeconds: hours * 3600) } }
}

/// Expiry, trash and the pruning of versions, with a clock that the test sets.
struct LivesTests {
    private func withClock(
        _ name: String = #function,
        policies: [(key: PolicyKey, value: String)] = keepingAll,
        _ body: (AssetLibrary, TestClock) throws -> Void
    ) throws {
        let clock = TestClock()
        try withLibrary(name, policies: policies, time: { clock.now }) { library, _ in try body(library, clock) }
    }

    // MARK: Expiry

    @Test func `a life ends at its time, and not before`() throws {
        try withClock { library, clock in
            let file = try library.upload("a", "x")
            try library.set("ttl", "P1D", of: file.id)
            #expect(try library.value("ttl", of: file.id) == "P1D")
            let end = try #require(try library.value("expires", of: file.id).flatMap { Timestamp($0) })
            #expect(abs(end.rawValue - clock.now.advanced(bySeconds: 86_400).rawValue) < 1_000_000_000)
            clock.advance(hours: 23)
            library.sweepNow()
            #expect(try library.names() == ["a"])
            clock.advance(hours: 2)
            library.sweepNow()
            #expect(try library.names() == [])
            // An expired asset is deleted for good, and not moved to the trash.
            #expect(try library.read { try $0.counts() }.trashed == 0)
            #expect(try library.read { try $0.counts() }.assets == 0)
        }
    }

    @Test func `a name whose time has come is free before the sweeper has come to it`() throws {
        try withClock { library, clock in
            for name in ["a", "b", "c"] { try library.set("ttl", "P1D", of: try library.upload(name, name).id) }
            _ = try library.upload("d", "d")
            library.sweeper.stop()
            clock.advance(hours: 25)
            #expect(throws: LibraryError.self) { try library.remove(try EntryName("a"), in: .folders) }
            let made = try library.upload("a", "new")
            #expect(try library.value("expires", of: made.id) == nil)
            #expect(try library.versions(of: made.id).count == 1)
            _ = try library.move(
                EntryName("d"),
                in: .folders,
                to: EntryName("b"),
                in: .folders,
                .refuse,
                by: Uploader()
            )
            #expect(throws: LibraryError.self) {
                try library.move(
                    EntryName("c"),
                    in: .folders,
                    to: EntryName("e"),
                    in: .folders,
                    .replace,
                    by: Uploader()
                )
            }
            library.sweepNow()
            #expect(try library.names().sorted() == ["a", "b"])
        }
    }

    @Test func `a folder is empty when all in it has come to its time`() throws {
        try withClock { library, clock in
            let folder = try library.make(
                EntryName("f"),
                in: .folders,
                NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)
            )
            let (record, node) = try library.makeFile(EntryName("a"), in: folder.id, mode: 0o644, by: Uploader())
            try library.put("x", in: node)
            library.close(node, wasWriting: true)
            try library.set("ttl", "P1D", of: record.id)
            library.sweeper.stop()
            #expect(throws: LibraryError.self) { try library.removeFolder(EntryName("f"), in: .folders) }
            clock.advance(hours: 25)
            #expect(try library.removeFolder(EntryName("f"), in: .folders).id == folder.id)
        }
    }

    @Test func `setting the clock back brings nothing back`() throws {
        try withClock { library, clock in
            let file = try library.upload("a", "x")
            try library.set("ttl", "P1D", of: file.id)
            library.sweeper.stop()
            clock.advance(hours: 25)
            #expect(library.lifeTime >= clock.now)
            clock.advance(hours: -48)
            #expect(throws: LibraryError.self) { try library.remove(EntryName("a"), in: .folders) }
            // A lifetime that is set now begins now.
            let next = try library.upload("b", "y")
            try library.set("ttl", "P1D", of: next.id)
            #expect(!(try #require(try library.read { try $0.node(next.id) })).isExpired(at: library.lifeTime))
            library.sweepNow()
            #expect(try library.names() == ["b"])
        }
    }

    @Test func `what came to its time while nothing was mounted is gone at the next opening`() throws {
        try withScratch { path in
            let clock = TestClock()
            do {
                let first = try AssetLibrary(at: path + "/l", log: quiet, time: { clock.now })
                try first.set("ttl", "P1D", of: try first.upload("a", "x").id)
                _ = try first.upload("b", "y")
                try first.close()
            }
            clock.advance(hours: 25)
            let second = try AssetLibrary(at: path + "/l", log: quiet, time: { clock.now })
            #expect(try second.names() == ["b"])
            try second.close()
            try checkLibrary(path + "/l")
        }
    }

    @Test func `what is open when its time comes can be read on`() throws {
        try withClock { library, clock in
            let file = try library.upload("a", "still here")
            try library.set("ttl", "P1D", of: file.id)
            let node = try library.open(file.id, forWriting: false, by: Uploader())
            clock.advance(hours: 25)
            library.sweepNow()
            #expect(try library.names() == [])
            #expect(try node.text() == "still here")
            library.close(node, wasWriting: false)
        }
    }

    @Test(
        arguments: [
            ("ttl", "P0D", true), ("ttl", "P53W", true), ("ttl", "P1Y1D", true), ("ttl", "3 months", false),
            ("expires", "2001-01-01T00:00:00Z", true), ("expires", "tomorrow", false), ("access", "SECRET", false),
            ("access_level", "4", false),
        ]
    )
    func `bad values are refused, in words`(name: String, value: String, isRange: Bool) throws {
        try withClock { library, _ in
            let file = try library.upload("a", "x")
            do {
                try library.set(name, value, of: file.id)
                Issue.record("\(name) was set to \(value)")
            } catch LibraryError.outOfRange(let sentence) {
                #expect(isRange)
                #expect(sentence.contains(value))
            } catch LibraryError.invalid(let sentence) {
                #expect(!isRange)
                #expect(sentence.contains(value))
            }
            #expect(try library.value(name, of: file.id) == nil)
        }
    }

    @Test func `storing undoes what was temporary, and nothing else`() throws {
        try withClock(policies: [(.store, "0"), (.ttl, "P3M")]) { library, clock in
            let file = try library.upload("a", "x")
            #expect(try library.value("stored", of: file.id) == "0")
            let temporary = try #require(try library.value("expires", of: file.id))
            try library.set("stored", "1", of: file.id)
            let kept = try #require(try library.value("expires", of: file.id))
            #expect(kept > temporary)
            #expect(kept.prefix(10) == Period("P3M")?.added(to: clock.now).description.prefix(10))
            // A deadline that a user sets wins.
            let other = try library.upload("b", "y")
            try library.set("ttl", "P1M", of: other.id)
            #expect(try library.value("stored", of: other.id) == "1")
            try library.removeExtendedAttribute(Array("user.asset.expires".utf8), of: other.id)
            #expect(try library.value("expires", of: other.id) == nil)
            #expect(try library.value("ttl", of: other.id) == nil)
        }
    }

    @Test func `a copy gets the end that it was given before it was an asset, and not its folder's`() throws {
        try withClock(policies: [(.ttl, "P1D")]) { library, _ in
            let (record, node) = try library.makeFile(EntryName(".a.Xy12Zq"), in: .folders, mode: 0o644, by: Uploader())
            try library.put("x", in: node)
            library.close(node, wasWriting: true)
            try library.set("expires", "2199-01-01T00:00:00Z", of: record.id)
            #expect(try library.listed(of: record.id).contains("user.asset.expires"))
            _ = try library.move(
                EntryName(".a.Xy12Zq"),
                in: .folders,
                to: EntryName("a"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            #expect(try library.value("expires", of: record.id) == "2199-01-01T00:00:00.000000000Z")
            #expect(try library.listed(of: record.id).filter { $0 == "user.asset.expires" }.count == 1)
        }
    }

    @Test func `a replacement keeps the end and the access of what it replaces`() throws {
        try withClock { library, _ in
            let file = try library.upload("a", "old")
            try library.set("expires", "2199-01-01", of: file.id)
            try library.set("access", "PRIVATE", of: file.id)
            let next = try library.upload("b", "new")
            _ = try library.move(
                EntryName("b"),
                in: .folders,
                to: EntryName("a"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            #expect(try library.value("expires", of: next.id) == "2199-01-01T00:00:00.000000000Z")
            #expect(try library.value("access", of: next.id) == "PRIVATE")
            #expect(try library.read { try $0.node(next.id)?.effectiveMode } == 0o100600)
        }
    }

    // MARK: Access

    @Test func `a folder's access is for new files, and what somebody says wins over it`() throws {
        try withClock { library, _ in
            let said = try library.upload("said", "1")
            try library.set("access", "PUBLIC_NOT_INDEXABLE", of: said.id)
            let folder = Array("user.policy.access".utf8)
            try library.setExtendedAttribute(folder, of: .folders, to: Array("PRIVATE".utf8))
            let new = try library.upload("new", "2")
            #expect(try library.value("access", of: new.id) == "PRIVATE")
            #expect(try library.value("access_level", of: new.id) == "3")
            // Saves as editors do: a new file takes the name.
            let edited = try library.upload(".said.Xy12Zq", "3")
            #expect(try library.read { try $0.node(edited.id)?.effectiveMode } == 0o100600)
            _ = try library.move(
                EntryName(".said.Xy12Zq"),
                in: .folders,
                to: EntryName("said"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            #expect(try library.value("access", of: edited.id) == "PUBLIC_NOT_INDEXABLE")
            #expect(try library.read { try $0.node(edited.id)?.effectiveMode } == 0o100644)
        }
    }

    @Test func `only the owner and root say who may see a file`() throws {
        try withClock { library, _ in
            let file = try library.upload("a", "x")
            let name = Array("user.asset.access".utf8)
            #expect(throws: LibraryError.self) {
                try library.setExtendedAttribute(name, of: file.id, to: Array("3".utf8), by: Uploader(uid: 8, gid: 8))
            }
            try library.setExtendedAttribute(name, of: file.id, to: Array("3".utf8), by: Uploader(uid: 7, gid: 8))
            #expect(try library.value("access", of: file.id) == "PRIVATE")
            #expect(try library.listed(of: file.id) == ["user.asset.access"])
            #expect(throws: LibraryError.self) {
                try library.removeExtendedAttribute(name, of: file.id, by: Uploader(uid: 8, gid: 8))
            }
            try library.removeExtendedAttribute(name, of: file.id, by: Uploader(uid: 7, gid: 8))
            #expect(try library.value("access", of: file.id) == nil)
        }
    }

    // MARK: Trash

    @Test func `what is removed comes back with all that it was, and goes when its time is over`() throws {
        try withClock { library, clock in
            let file = try library.upload("a", "one")
            _ = try library.replace(file.id, "two")
            try library.set("caption", "words", of: file.id)
            _ = try library.remove(EntryName("a"), in: .folders)
            try library.forget([file.id])
            let found = try #require(try library.trash().first)
            #expect(String(decoding: found.name, as: UTF8.self) == "\(found.record.asset)-a")
            let restored = try library.restore(found.record.asset, as: EntryName("b"), in: .folders, by: Uploader())
            #expect(restored.id == file.id)
            #expect(try library.value("caption", of: file.id) == "words")
            #expect(try library.versions(of: file.id).count == 2)
            #expect(try library.read { try $0.node(file.id)?.modified } == found.node.modified)
            // Another file may take the former name.
            #expect(try library.value("id", of: library.upload("a", "other").id) != "\(found.record.asset)")
            _ = try library.remove(EntryName("b"), in: .folders)
            clock.advance(hours: 23)
            library.sweepNow()
            #expect(try library.trash().count == 1)
            clock.advance(hours: 2)
            library.sweepNow()
            #expect(try library.trash().isEmpty)
            #expect(try library.read { try $0.node(file.id) } == nil)
        }
    }

    @Test func `what was there before a file that got no content is what comes back`() throws {
        try withClock { library, _ in
            let asset = try #require(try library.upload("a", "one").asset)
            _ = try library.remove(EntryName("a"), in: .folders)
            let (record, node) = try library.makeFile(
                EntryName("a"),
                in: .folders,
                mode: 0o640,
                by: Uploader(uid: 7, gid: 8)
            )
            _ = try library.remove(EntryName("a"), in: .folders)
            library.close(node, wasWriting: true)
            try library.forget([record.id])
            let back = try library.restore(asset, as: EntryName("b"), in: .folders, by: Uploader())
            #expect(back.size == 3)
            #expect(back.mode == 0o100640)
            let open = try library.open(back.id, forWriting: false, by: Uploader())
            #expect(try open.text() == "one")
            library.close(open, wasWriting: false)
        }
    }

    @Test func `a file that is to go takes its end along to the name that it replaces`() throws {
        try withClock { library, _ in
            _ = try library.upload("a", "old")
            let next = try library.upload("b", "new")
            try library.set("expires", "2199-01-01", of: next.id)
            _ = try library.move(
                EntryName("b"),
                in: .folders,
                to: EntryName("a"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            #expect(try library.value("expires", of: next.id) == "2199-01-01T00:00:00.000000000Z")
        }
    }

    @Test func `a file that was purged while it was open is an asset anew when it is written`() throws {
        try withClock { library, clock in
            let file = try library.upload("a", "one")
            let open = try library.open(file.id, forWriting: false, by: Uploader())
            _ = try library.remove(EntryName("a"), in: .folders)
            clock.advance(hours: 25)
            library.sweepNow()
            #expect(try library.read { try $0.node(file.id) }?.asset == nil)
            #expect(try open.text() == "one")
            library.close(open, wasWriting: false)
        }
    }

    @Test func `a sweep that finds nothing due changes nothing`() throws {
        try withClock { library, _ in
            // An empty file, so that no metadata extraction is queued.
            _ = try library.upload("a", "")
            _ = try library.remove(EntryName("a"), in: .folders)
            library.sweeper.stop()
            try library.commit()
            #expect(try #require(library.sweepNow()) <= .seconds(1))
            #expect(!library.catalog.hasChanges)
        }
    }

    @Test func `where a folder wants no trash, a program that saves still finds its asset`() throws {
        try withClock(policies: [(.trash, "none")]) { library, clock in
            let id = try library.value("id", of: library.upload("a", "one").id)
            _ = try library.remove(EntryName("a"), in: .folders)
            library.sweepNow()
            #expect(try library.trash().isEmpty)
            #expect(try library.value("id", of: library.upload("a", "two").id) == id)
            _ = try library.remove(EntryName("a"), in: .folders)
            clock.advance(hours: 1)
            library.sweepNow()
            #expect(try library.read { try $0.counts() }.trashed == 0)
        }
    }

    @Test func `others see nothing of what is not theirs, and a name that is taken stays`() throws {
        try withClock { library, _ in
            let file = try library.upload("a", "one")
            _ = try library.remove(EntryName("a"), in: .folders)
            let all = { (uid: UInt32) in
                try library.trashedAssets(for: Uploader(uid: uid, gid: 0)) { false }?.count
            }
            #expect(try [0, 7, 8].map(all) == [1, 1, 0])
            let asset = try #require(file.asset)
            _ = try library.upload("b", "two")
            #expect(throws: LibraryError.self) {
                try library.restore(asset, as: EntryName("b"), in: .folders, by: Uploader())
            }
            #expect(throws: LibraryError.self) { try library.open(file.id, forWriting: true, by: Uploader()) }
            let purged = try library.purge(asset)
            #expect(purged?.id == file.id)
            #expect(throws: LibraryError.self) { try library.purge(asset) }
        }
    }

    // MARK: Former versions

    @Test func `former contents are kept by number, by age, and when they stood for long enough`() throws {
        try withClock(policies: [(.versions, "2,P2D,PT0S")]) { library, clock in
            let file = try library.upload("a", "0")
            let md5 = try library.value("md5_at_upload", of: file.id)
            for number in 1...4 { _ = try library.replace(file.id, "\(number)") }
            #expect(try library.versions(of: file.id).map(\.number) == [5, 4, 3, 1])
            #expect(try library.value("md5_at_upload", of: file.id) == md5)
            clock.advance(hours: 47)
            library.sweepNow()
            #expect(try library.versions(of: file.id).map(\.number) == [5, 4, 3, 1])
            clock.advance(hours: 2)
            library.sweepNow()
            // The first version stays at any age.
            #expect(try library.versions(of: file.id).map(\.number) == [5, 1])
        }
        try withClock(policies: []) { library, _ in
            let file = try library.upload("a", "0")
            _ = try library.replace(file.id, "1")
            #expect(try library.versions(of: file.id).map(\.number) == [2, 1])
            _ = try library.replace(file.id, "2")
            #expect(try library.versions(of: file.id).map(\.number) == [3, 1])
        }
    }

    @Test func `contents that nobody uses are removed, and others are not`() throws {
        try withClock(policies: [(.versions, "0,PT0S,PT0S"), (.trash, "P1D")]) { library, clock in
            let file = try library.upload("a", "old")
            _ = try library.upload("b", "old")
            let only = try library.upload("c", "only")
            _ = try library.replace(file.id, "new")
            #expect(try library.read { try $0.blobs(after: BlobID(rawValue: 0), limit: 10) }.count == 3)
            _ = try library.replace(only.id, "other")
            _ = try library.remove(EntryName("b"), in: .folders)
            #expect(try library.read { try $0.reclaimableBytes() } == 7)
            // The blob is too young to be collected.
            library.sweepNow()
            #expect(try library.read { try $0.blobs(after: BlobID(rawValue: 0), limit: 10) }.count == 4)
            // A request above any possible size fails.
            #expect(!library.makeRoom(1 << 56))
            #expect(library.makeRoom(0))
            let left = try library.read { try $0.blobs(after: BlobID(rawValue: 0), limit: 10) }
            #expect(left.map(\.size).sorted() == [3, 3, 5])
            clock.advance(hours: 25)
            library.sweepNow()
            #expect(library.makeRoom(0))
            #expect(try library.read { try $0.blobs(after: BlobID(rawValue: 0), limit: 10) }.count == 2)
            #expect(try library.read { try $0.reclaimableBytes() } == 0)
            // Equal content is uploaded again.
            let again = try library.upload("d", "old")
            let node = try library.open(again.id, forWriting: false, by: Uploader())
            #expect(try node.text() == "old")
            library.close(node, wasWriting: false)
        }
    }
}

extension AssetLibrary {
    fileprivate func set(_ name: String, _ value: String, of id: NodeID) throws {
        try setExtendedAttribute(Array("user.asset.\(name)".utf8), of: id, to: Array(value.utf8))
    }

    fileprivate func value(_ name: String, of id: NodeID) throws -> String? {
        do throws(LibraryError) {
            return String(decoding: try extendedAttribute(Array("user.asset.\(name)".utf8), of: id), as: UTF8.self)
        } catch .noSuchAttribute {
            return nil
        }
    }

    fileprivate func listed(of id: NodeID) throws -> [String] {
        try extendedAttributeNames(of: id).map { String(decoding: $0, as: UTF8.self) }
    }

    fileprivate func names() throws -> [String] {
        try read { try $0.entries(of: .folders, after: 0, limit: 100) }.map { String(decoding: $0.name, as: UTF8.self) }
    }

    /// Replaces the content of a file.
    fileprivate func replace(_ id: NodeID, _ text: String) throws {
        let node = try open(id, forWriting: true, by: Uploader(uid: 7))
        try truncate(node, to: 0, isOpening: true)
        try put(text, in: node)
        try flush(node)
        close(node, wasWriting: true)
    }
}

extension OpenNode {
    /// Returns the content as text.
    fileprivate func text() throws -> String {
        let (file, size) = content
        guard let file else { return "" }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
