import AssetModel
import Catalog
@testable import LibraryRules
@testable import LibraryStorage
import TestSupport
import Testing

@testable import AssetLibrary

/// Changes that are undone, because the disk could not be read or has no room: memory does not have them.
struct UndoneChangeTests {
    private static let quota = Array("user.policy.quota".utf8)

    private func makeFolder(_ name: String, in parent: NodeID, of library: AssetLibrary) throws -> NodeID {
        try library.make(try EntryName(name), in: parent, NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)).id
    }

    /// Makes a library with many folders, in each of which another one has an attribute.
    private func makeFolders(_ path: String) throws {
        let library = try AssetLibrary(at: path, log: quiet, policies: keepingAll)
        for number in 0..<600 {
            let name = "\(number)" + String(repeating: "n", count: 200)
            let folder = try makeFolder(name, in: .folders, of: library)
            let inner = try makeFolder("inner", in: folder, of: library)
            try library.setExtendedAttribute(Array("user.note".utf8), of: inner, to: [1, 2, 3])
        }
        try library.close()
    }

    @Test func `a first quota that finds the disk unreadable leaves no trace in memory`() throws {
        try withScratch { path in
            try makeFolders(path + "/library")
            let library = try AssetLibrary(at: path + "/library", log: quiet, policies: keepingAll)
            // The pages with the policies are in memory then, and those with the folders are not.
            let other = Array("user.policy.versions".utf8)
            try library.setExtendedAttribute(other, of: .folders, to: Array("all".utf8))
            try library.removeExtendedAttribute(other, of: .folders)
            try withoutReads(of: path + "/library/catalog.sqlite") {
                #expect(throws: LibraryError.self) {
                    try library.setExtendedAttribute(Self.quota, of: .folders, to: Array("5M".utf8))
                }
            }
            #expect(try library.policy("quota", of: .folders, for: Uploader()) == nil)
            #expect(!library.usage.isTracking)
            #expect(library.rulebook.isPlain)
            for number in 0..<70 { _ = try makeFolder("after\(number)", in: .folders, of: library) }
            // The second attempt counts everything.
            try library.setExtendedAttribute(Self.quota, of: .folders, to: Array("5M".utf8))
            #expect(library.usage.isTracking)
            let held = try library.read { try library.usage.of(.folders, $0, library.rulebook).total }
            #expect(held == 600 * 12)
            try library.close()
            try checkLibrary(path + "/library")
        }
    }

    @Test func `a quota that could not be kept on a full disk is kept when there is room`() throws {
        try withLibrary { library, _ in
            for number in 1...4 {
                let name = "a\(number)"
                _ = try library.upload(name, String(repeating: "\(number)", count: 4000))
                _ = try library.remove(try EntryName(name), in: .folders)
            }
            try library.setExtendedAttribute(Self.quota, of: .folders, to: Array("10K".utf8))
            try library.commit()
            _ = try library.read { try library.usage.of(.folders, $0, library.rulebook) }
            library.catalog.refuseChanges(isFull: true)
            // It succeeds only where a commit of the background has come in between.
            try? library.keepAllQuotas()
            try library.catalog.commit {}
            try library.keepAllQuotas()
            #expect(try library.trash().count == 2)
        }
    }

    @Test func `a file shows nothing of a copy that the catalog has refused`() throws {
        try withLibrary { library, _ in
            let source = try library.upload("a", "bytes")
            let reader = try library.open(source.id, forWriting: false, by: Uploader())
            let (record, node) = try library.makeFile(try EntryName("b"), in: .folders, mode: 0o644, by: Uploader())
            try library.commit()
            library.catalog.refuseChanges(isFull: true)
            #expect(throws: LibraryError.self) { try library.copy(from: reader, at: 0, to: node, at: 0, count: 5) }
            #expect(node.content.size == 0)
            try library.catalog.commit {}
            try library.synchronize(node)
            #expect(try library.read { try $0.node(record.id)?.size } == Int64(node.content.size))
            #expect(try library.copy(from: reader, at: 0, to: node, at: 0, count: 5) == 5)
            library.close(node, wasWriting: true)
            library.close(reader, wasWriting: false)
        }
    }

    @Test func `an access list that is none keeps no refused upload from giving back the file's mode`() throws {
        try withLibrary { library, _ in
            let file = try library.upload("a", "before")
            try library.setExtendedAttribute(Array("user.policy.max_size".utf8), of: .folders, to: Array("10".utf8))
            let node = try library.open(file.id, forWriting: true, by: Uploader(uid: 7, gid: 8))
            try library.put("short", in: node)
            var changes = AssetLibrary.AttributeChanges()
            changes.mode = 0o666
            _ = try library.setAttributes(of: file.id, changes, by: 7)
            #expect(throws: LibraryError.self) {
                try library.setExtendedAttribute(Array("system.posix_acl_access".utf8), of: file.id, to: [1])
            }
            #expect(throws: LibraryError.self) { try library.put("longer than ten bytes", in: node) }
            #expect(throws: LibraryError.self) { try library.flush(node) }
            library.close(node, wasWriting: true)
            #expect(try library.read { try $0.node(file.id)?.mode } == 0o100644)
        }
    }
}
