import AssetLibrary
import AssetModel
import BlobStore
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import Logging
import TestSupport
import Testing

struct UploadTests {
    @Test func `an upload makes an asset with one version`() throws {
        try withLibrary { library, _ in
            let record = try library.upload("a.txt", "hello")
            #expect(record.size == 5)
            #expect(try library.computed("sha256", of: record.id)?.prefix(8) == "2cf24dba")
            #expect(try library.versions(of: record.id).map(\.size) == [5])
            #expect(try library.outcomes() == ["created"])
        }
    }

    @Test func `other content is a new version of the same asset, equal content is none`() throws {
        try withLibrary { library, _ in
            let first = try library.upload("a.txt", "one")
            for text in ["two!", "two!"] {
                let node = try library.open(first.id, forWriting: true, by: Uploader(uid: 7))
                try library.truncate(node, to: 0, isOpening: true)
                try library.put(text, in: node)
                try library.flush(node)
                library.close(node, wasWriting: true)
            }
            #expect(try library.read { try $0.node(first.id)?.asset } == first.asset)
            #expect(try library.versions(of: first.id).map(\.size) == [4, 3])
            #expect(try library.outcomes() == ["created", "replaced", "unchanged"])
        }
    }

    @Test func `one open for writing is one version, however many descriptors are closed`() throws {
        try withLibrary { library, _ in
            let (record, node) = try library.makeFile(try EntryName("log"), in: .folders, mode: 0o644, by: Uploader())
            try library.flush(node)
            #expect(try library.versions(of: record.id).isEmpty)
            for (index, text) in ["a", "bc", "def"].enumerated() {
                try library.put(text, at: [0, 1, 3][index] as Int64, in: node)
                try library.flush(node)
            }
            library.close(node, wasWriting: true)
            #expect(try library.versions(of: record.id).map(\.size) == [6])
            #expect(try library.computed("sha256", of: record.id)?.prefix(8) == "bef57ec7")
        }
    }

    @Test func `a blob never changes when its file does`() throws {
        try withLibrary { library, path in
            let one = try library.upload("one", "same content")
            let two = try library.upload("two", "same content")
            let node = try library.open(one.id, forWriting: true, by: Uploader())
            try library.put("SAME", in: node)
            library.close(node, wasWriting: true)
            let reader = try library.open(two.id, forWriting: false, by: Uploader())
            let file = try #require(reader.content.file)
            #expect(try Digest(reading: file, size: 12).description == library.computed("sha256", of: two.id))
            library.close(reader, wasWriting: false)
            #expect(try library.computed("sha256", of: one.id) != library.computed("sha256", of: two.id))
        }
    }

    @Test func `an empty file is an asset without a blob`() throws {
        try withLibrary { library, _ in
            let (record, node) = try library.makeFile(try EntryName("empty"), in: .folders, mode: 0o644, by: Uploader())
            library.close(node, wasWriting: true)
            let found = try #require(try library.read { try $0.node(record.id) })
            #expect(found.asset != nil)
            #expect(found.blob == nil)
            #expect(try library.outcomes() == ["created"])
        }
    }

    @Test func `a file removed while it is written leaves neither blob nor receipt`() throws {
        try withLibrary { library, _ in
            let (_, node) = try library.makeFile(try EntryName("gone"), in: .folders, mode: 0o644, by: Uploader())
            try library.put("bytes", in: node)
            _ = try library.remove(try EntryName("gone"), in: .folders)
            try library.put("more", at: 5, in: node)
            try library.flush(node)
            #expect(node.content.size == 9)
            library.close(node, wasWriting: true)
            #expect(try library.read { try $0.blobs(after: BlobID(rawValue: 0), limit: 10) }.isEmpty)
            #expect(try library.outcomes().isEmpty)
        }
    }

    @Test func `a file that loses its name during the verdict goes on working, and its blob stays what it is`() throws {
        try withLibrary { library, _ in
            let (record, node) = try library.makeFile(try EntryName("f"), in: .folders, mode: 0o644, by: Uploader())
            try library.put("same content", in: node)
            // Changes the catalog directly, so that the commit learns of it only from the records, as in a
            // race.
            try library.catalog.write { records in
                try records.deleteEntry(try EntryName("f"), in: .folders)
                try records.addLinks(-1, to: record.id, at: .now)
            }
            try library.flush(node)
            let other = try library.upload("other", "same content")
            try library.put("SAME", in: node)
            let expected = try library.upload("expected", "SAME content")
            let found = try Digest(reading: try #require(node.content.file), size: 12)
            #expect(try library.computed("sha256", of: expected.id) == found.description)
            let reader = try library.open(other.id, forWriting: false, by: Uploader())
            let kept = try Digest(reading: try #require(reader.content.file), size: 12)
            #expect(try library.computed("sha256", of: other.id) == kept.description)
            library.close(reader, wasWriting: false)
            library.close(node, wasWriting: true)
        }
    }

    @Test func `a time that was set stays until the next write`() throws {
        try withLibrary { library, _ in
            let (record, node) = try library.makeFile(try EntryName("t"), in: .folders, mode: 0o644, by: Uploader())
            try library.put("x", in: node)
            var changes = AssetLibrary.AttributeChanges()
            changes.modified = Timestamp(rawValue: 123)
            _ = try library.setAttributes(of: record.id, changes)
            try library.flush(node)
            #expect(try library.read { try $0.node(record.id)?.modified.rawValue } == 123)
            try library.put("y", at: 1, in: node)
            try library.flush(node)
            #expect(try #require(try library.read { try $0.node(record.id) }).modified.rawValue > 123)
            library.close(node, wasWriting: true)
        }
    }

    @Test func `the last name's end sends the asset to the trash`() throws {
        try withLibrary { library, _ in
            let record = try library.upload("a", "x")
            let asset = try #require(record.asset)
            _ = try library.link(record.id, as: try EntryName("b"), in: .folders, by: Uploader())
            _ = try library.remove(try EntryName("a"), in: .folders)
            #expect(try library.read { try $0.asset(asset)?.trashed } == nil)
            _ = try library.remove(try EntryName("b"), in: .folders)
            #expect(try library.read { try $0.asset(asset)?.trashed } != nil)
            #expect(try library.read { try $0.versions(of: asset).count } == 1)
        }
    }
}

struct BindingTests {
    @Test func `a bound file becomes private before its first change, and the blob stays`() throws {
        try withLibrary { library, path in
            let record = try library.upload("a", "0123456789")
            let reader = try library.open(record.id, forWriting: false, by: Uploader())
            let bound = try #require(library.bind(reader))
            let writer = try library.open(record.id, forWriting: true, by: Uploader())
            try library.put("X", in: writer)
            // A reader that was bound before the change sees the change: it has the same file on the disk.
            #expect(
                try Digest(reading: bound, size: 10) == Digest(reading: try #require(writer.content.file), size: 10)
            )
            library.close(writer, wasWriting: true)
            library.close(reader, wasWriting: false)
            #expect(try library.versions(of: record.id).count == 2)
        }
    }

    @Test func `only one node is bound to a blob`() throws {
        try withLibrary { library, _ in
            let (a, b) = (try library.upload("a", "same"), try library.upload("b", "same"))
            let first = try library.open(a.id, forWriting: false, by: Uploader())
            let second = try library.open(b.id, forWriting: false, by: Uploader())
            #expect(library.bind(first) == nil)
            library.close(second, wasWriting: false)
            #expect(library.bind(first) != nil)
            let third = try library.open(b.id, forWriting: false, by: Uploader())
            #expect(library.bind(third) == nil)
            let writer = try library.open(a.id, forWriting: true, by: Uploader())
            try library.put("XX", in: writer)
            #expect(try library.readShared(third, at: 0, count: 100) == Array("same".utf8))
            for node in [first, third] { library.close(node, wasWriting: false) }
            library.close(writer, wasWriting: true)
            let again = try library.open(b.id, forWriting: false, by: Uploader())
            #expect(library.bind(again) != nil)
            library.close(again, wasWriting: false)
        }
    }
}

struct TreeTests {
    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "done"
        } catch let error as LibraryError {
            return "\(error)"
        } catch {
            return "\(error)"
        }
    }

    @Test func `moves follow rename(2)`() throws {
        try withLibrary { library, _ in
            let folder = NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)
            let outer = try library.make(try EntryName("outer"), in: .folders, folder)
            let inner = try library.make(try EntryName("inner"), in: outer.id, folder)
            _ = try library.upload("file", "x")
            func move(
                _ a: String,
                _ from: NodeID,
                _ b: String,
                _ to: NodeID,
                _ c: AssetLibrary.Collision = .replace
            ) -> String {
                refusal {
                    _ = try library.move(try EntryName(a), in: from, to: try EntryName(b), in: to, c, by: Uploader())
                }
            }
            #expect(move("outer", .folders, "x", inner.id) == "\(LibraryError.intoItself)")
            #expect(move("file", .folders, "outer", .folders) == "\(LibraryError.isAFolder)")
            #expect(move("outer", .folders, "file", .folders).hasPrefix("A part of the path"))
            #expect(move("none", .folders, "y", .folders).hasPrefix("There is no such"))
            #expect(move("file", .folders, "inner", outer.id, .refuse).contains("taken"))
            #expect(move("file", .folders, "new", outer.id, .refuse) == "done")
            #expect(move("new", outer.id, "inner", outer.id, .exchange) == "done")
            #expect(try library.read { try $0.node(named: try EntryName("new"), in: outer.id)?.id } == inner.id)
            let root = try #require(try library.read { try $0.node(.folders) })
            #expect(root.links == 3)
            #expect(move("new", outer.id, "top", .folders) == "done")
            #expect(try library.read { try $0.node(.folders)?.links } == 4)
            #expect(try library.read { try $0.node(outer.id)?.links } == 2)
            #expect(
                refusal { _ = try library.removeFolder(try EntryName("outer"), in: .folders) }.contains("not empty")
            )
        }
    }

    @Test func `a file in a set-group-id folder has the folder's group`() throws {
        try withLibrary { library, _ in
            let folder = try library.make(
                try EntryName("d"),
                in: .folders,
                NodeRecord(mode: 0o042775, uid: 0, gid: 42, now: .now)
            )
            let (file, node) = try library.makeFile(
                try EntryName("f"),
                in: folder.id,
                mode: 0o644,
                by: Uploader(uid: 1, gid: 1)
            )
            library.close(node, wasWriting: true)
            #expect(file.gid == 42)
            let sub = try library.make(
                try EntryName("s"),
                in: folder.id,
                NodeRecord(mode: 0o040755, uid: 1, gid: 1, now: .now)
            )
            #expect(sub.mode & 0o7777 == 0o2755)
        }
    }

    @Test func `chown takes the set-id bits`() throws {
        try withLibrary { library, _ in
            let record = try library.upload("f", "x")
            var changes = AssetLibrary.AttributeChanges()
            changes.mode = 0o6755
            _ = try library.setAttributes(of: record.id, changes)
            changes = AssetLibrary.AttributeChanges()
            changes.uid = 5
            #expect(try library.setAttributes(of: record.id, changes).mode & 0o7777 == 0o755)
        }
    }

    @Test func `extended attributes keep every byte and follow CREATE and REPLACE`() throws {
        try withLibrary { library, _ in
            let id = try library.upload("f", "x").id
            let (name, value) = (Array("user.x".utf8), (0...255).map(UInt8.init))
            #expect(
                refusal { try library.setExtendedAttribute(name, of: id, to: value, .present) }.contains("no extended")
            )
            try library.setExtendedAttribute(name, of: id, to: value, .absent)
            #expect(refusal { try library.setExtendedAttribute(name, of: id, to: [], .absent) }.contains("already"))
            #expect(try library.read { try $0.extendedAttribute(name, of: id) } == value)
            try library.setExtendedAttribute(name, of: id, to: [])
            #expect(try library.read { try $0.extendedAttribute(name, of: id) } == [])
            #expect(
                refusal {
                    try library.setExtendedAttribute(name, of: id, to: [UInt8](repeating: 0, count: 65_537))
                }.contains("65537")
            )
            try library.removeExtendedAttribute(name, of: id)
            #expect(refusal { try library.removeExtendedAttribute(name, of: id) }.contains("no extended"))
        }
    }
}

struct OpeningTests {
    /// Runs `body` with a file of an asset that is being written to and was synced meanwhile, in a library at
    /// `one`.
    private func withRecordedUpload(
        _ name: String = #function,
        _ body: (AssetLibrary, NodeRecord, OpenNode, String) throws -> Void
    ) throws {
        try withScratch(name) { path in
            let library = try AssetLibrary(at: path + "/one", log: quiet, policies: keepingAll)
            let record = try library.upload("f", "before")
            let node = try library.open(record.id, forWriting: true, by: Uploader())
            try library.put("after!", in: node)
            try library.synchronize(node)
            try body(library, record, node, path)
        }
    }

    @Test func `a library is opened by one process at a time`() throws {
        try withLibrary { _, path in
            #expect(throws: OpenLibraryError.self) { try AssetLibrary(at: path, log: quiet) }
        }
    }

    @Test func `a folder with other things stays as it is`() throws {
        try withScratch { path in
            _ = FileManager.default.createFile(atPath: path + "/mine", contents: Data())
            #expect(throws: OpenLibraryError.self) { try AssetLibrary(at: path, log: quiet) }
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(names == ["mine"])
        }
    }

    @Test func `a making that was cut short is taken up again`() throws {
        try withScratch { path in
            try FileManager.default.createDirectory(atPath: path + "/blobs", withIntermediateDirectories: true)
            for name in ["lock", "catalog.sqlite-journal", "search.sqlite-journal"] {
                _ = FileManager.default.createFile(atPath: "\(path)/\(name)", contents: Data())
            }
            try AssetLibrary(at: path, log: quiet).close()
            #expect(FileManager.default.fileExists(atPath: path + "/FORMAT"))
        }
    }

    @Test func `a library without FORMAT keeps its catalog when it cannot be opened`() throws {
        try withScratch { path in
            try AssetLibrary(at: path, log: quiet).close()
            try FileManager.default.removeItem(atPath: path + "/FORMAT")
            try AssetLibrary(at: path, log: quiet).abandon()
            #expect(FileManager.default.fileExists(atPath: path + "/catalog.sqlite"))
        }
    }

    @Test func `an upload that was recorded is finished at the next opening`() throws {
        try withRecordedUpload { first, record, node, path in
            // The state that a power failure would leave now: the files of the disk, without a shutdown.
            try run("cp", "-a", path + "/one", path + "/two").check()
            first.close(node, wasWriting: true)
            try first.close()
            let second = try AssetLibrary(at: path + "/two", log: quiet, policies: keepingAll)
            #expect(try second.versions(of: record.id).count == 2)
            #expect(try second.computed("sha256", of: record.id)?.prefix(8) == "f778dacc")
            try second.close()
            try checkLibrary(path + "/two")
        }
    }

    @Test func `a recorded upload whose file was removed leaves nothing to finish`() throws {
        try withRecordedUpload { first, record, node, path in
            _ = try first.remove(try EntryName("f"), in: .folders)
            try first.commit()
            try run("cp", "-a", path + "/one", path + "/two").check()
            try first.forget([record.id])
            first.close(node, wasWriting: true)
            try first.close()
            #expect(try run("sqlite3", path + "/one/catalog.sqlite", "SELECT count(*) FROM staged").output == "0\n")
            let second = try AssetLibrary(at: path + "/two", log: quiet, policies: keepingAll)
            // The asset is in the trash, with the content before that upload.
            let gone = try second.read { try $0.node(record.id) }
            #expect(gone?.links == 0)
            #expect(gone?.size == 6)
            #expect(try second.read { try $0.trashed(try #require(gone?.asset)) }?.path == "f")
            try second.close()
            try checkLibrary(path + "/two")
        }
    }

    @Test func `room for more than there can be is refused`() throws {
        try withLibrary { library, _ in
            let (_, node) = try library.makeFile(try EntryName("f"), in: .folders, mode: 0o644, by: Uploader())
            // Repeats it, because rejected requests must leave the reserve unchanged.
            for _ in 0..<3 {
                #expect(throws: LibraryError.self) { try library.allocate(node, mode: 0, offset: 0, length: .max) }
                #expect(throws: LibraryError.self) { try library.allocate(node, mode: 0, offset: 0, length: 1 << 50) }
            }
            library.close(node, wasWriting: true)
        }
    }

    @Test func `a verdict behind a recorded upload loses it at no moment`() throws {
        try withRecordedUpload { first, record, node, path in
            try first.flush(node)
            first.close(node, wasWriting: true)
            // The catalog on the disk still has the row in `staged`, and the bytes are already a blob.
            try run("cp", "-a", path + "/one", path + "/two").check()
            try first.close()
            let second = try AssetLibrary(at: path + "/two", log: quiet, policies: keepingAll)
            #expect(try second.computed("sha256", of: record.id)?.prefix(8) == "f778dacc")
            try second.close()
            try checkLibrary(path + "/two")
        }
    }
}
