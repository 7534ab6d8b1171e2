import AssetLibrary
import AssetModel
import BlobStore
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import TestSupport
import Testing

private let captionName = Array("user.asset.caption".utf8)

extension AssetLibrary {
    fileprivate func move(
        _ name: String,
        _ newName: String,
        _ collision: Collision = .replace,
        by uid: UInt32 = 7
    ) throws {
        let uploader = Uploader(uid: uid, gid: 8)
        _ = try move(
            try EntryName(name),
            in: .folders,
            to: try EntryName(newName),
            in: .folders,
            collision,
            by: uploader
        )
    }

    fileprivate func find(_ name: String) throws -> NodeRecord? {
        try read { try $0.node(named: try EntryName(name), in: .folders) }
    }

    fileprivate func describe(_ name: String, _ text: String) throws {
        try setExtendedAttribute(captionName, of: try #require(try find(name)).id, to: Array(text.utf8))
    }

    fileprivate func caption(of name: String) throws -> String? {
        let id = try #require(try find(name)).id
        do throws(LibraryError) {
            return String(decoding: try extendedAttribute(captionName, of: id), as: UTF8.self)
        } catch .noSuchAttribute {
            return nil
        }
    }

    /// Returns whether an asset is outside the trash, or nil if the asset does not exist.
    fileprivate func isLive(_ id: AssetID?) throws -> Bool? {
        try id.flatMap { id in try read { try $0.asset(id) }.map { $0.trashed == nil } }
    }
}

struct IdentityTests {
    @Test func `a temporary name waits: no asset, no receipt, until it is renamed to a final one`() throws {
        try withLibrary { library, _ in
            let waiting = try library.upload(".photo.jpg.x1Y2z3", "bytes")
            #expect(waiting.asset == nil)
            #expect(waiting.blob != nil)
            #expect(try library.outcomes() == [])
            try library.move(".photo.jpg.x1Y2z3", "photo.jpg", by: 9)
            let photo = try #require(try library.find("photo.jpg"))
            #expect(photo.id == waiting.id)
            #expect(photo.asset != nil)
            #expect(try library.outcomes() == ["created"])
            #expect(try library.computed("original_filename", of: photo.id) == "photo.jpg")
            #expect(try library.versions(of: photo.id).map(\.uid) == [9])
        }
    }

    @Test func `a temporary file that is removed leaves nothing in the trash`() throws {
        try withLibrary { library, _ in
            _ = try library.upload("x.part", "bytes")
            _ = try library.remove(try EntryName("x.part"), in: .folders)
            #expect(try library.isLive(AssetID(rawValue: 1)) == nil)
        }
    }

    @Test func `junk is stored and never an asset`() throws {
        try withLibrary { library, _ in
            #expect(try library.upload(".DS_Store", "finder").asset == nil)
            try library.move(".DS_Store", "._x")
            #expect(try library.find("._x")?.size == 6)
            #expect(try library.outcomes() == [])
            // The file becomes an asset only with a final name.
            try library.move("._x", "x")
            #expect(try library.outcomes() == ["created"])
        }
    }

    @Test func `what is in a folder for partial files waits, and in a trash folder is junk`() throws {
        try withLibrary { library, _ in
            for (folder, count) in [(".~tmp~", 0), (".Trash-1000", 0), ("photos", 1)] {
                let record = NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)
                let parent = try library.make(try EntryName(folder), in: .folders, record)
                let inner = try library.make(try EntryName("inner"), in: parent.id, record)
                let (_, node) = try library.makeFile(
                    try EntryName("a"),
                    in: inner.id,
                    mode: 0o644,
                    by: Uploader(uid: 7, gid: 8)
                )
                library.close(node, wasWriting: true)
                #expect(try library.outcomes().count == count, "\(folder)")
            }
            try library.move("photos", ".Trash-7")
            let trash = try #require(try library.find(".Trash-7"))
            let (_, node) = try library.makeFile(
                try EntryName("b"),
                in: trash.id,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            library.close(node, wasWriting: true)
            #expect(try library.outcomes().count == 1)
        }
    }

    @Test func `the newcomer takes the asset over, and what was set on it wins`() throws {
        try withLibrary { library, _ in
            let former = try library.upload("a.jpg", "one")
            try library.describe("a.jpg", "old")
            let title = Array("user.asset.title".utf8)
            try library.setExtendedAttribute(title, of: former.id, to: Array("kept".utf8))
            let newcomer = try library.upload("a.jpg.tmp", "two!")
            try library.describe("a.jpg.tmp", "new")
            #expect(try library.caption(of: "a.jpg.tmp") == "new")
            try library.move("a.jpg.tmp", "a.jpg")
            let node = try #require(try library.find("a.jpg"))
            #expect(node.id == newcomer.id)
            #expect(node.asset == former.asset)
            #expect(try library.caption(of: "a.jpg") == "new")
            #expect(try library.extendedAttribute(title, of: node.id) == Array("kept".utf8))
            #expect(try library.versions(of: node.id).map(\.size) == [4, 3])
            #expect(try library.outcomes() == ["created", "replaced"])
        }
    }

    @Test func `an asset with a history of its own goes to the trash when it replaces another`() throws {
        try withLibrary(saving: .zero) { library, _ in
            let (a, b) = (try library.upload("a", "one"), try library.upload("b", "two"))
            let node = try library.open(b.id, forWriting: true, by: Uploader())
            try library.put("three", in: node)
            library.close(node, wasWriting: true)
            try library.move("b", "a")
            #expect(try library.find("a")?.asset == a.asset)
            #expect(try library.isLive(b.asset) == false)
            #expect(try library.versions(of: b.id).map(\.size) == [5, 3])
        }
    }

    @Test func `a name that was given up keeps its asset for a moment`() throws {
        try withLibrary { library, _ in
            let former = try library.upload("a", "one")
            try library.describe("a", "mine")
            _ = try library.remove(try EntryName("a"), in: .folders)
            #expect(try library.isLive(former.asset) == false)
            let new = try library.upload("a", "two!")
            #expect(new.asset == former.asset)
            #expect(new.id != former.id)
            #expect(try library.isLive(former.asset) == true)
            #expect(try library.caption(of: "a") == "mine")
            #expect(try library.versions(of: new.id).map(\.size) == [4, 3])
        }
    }

    @Test func `after that moment the name is free`() throws {
        try withLibrary(saving: .zero) { library, _ in
            let former = try library.upload("a", "one")
            _ = try library.remove(try EntryName("a"), in: .folders)
            #expect(try library.upload("a", "two").asset != former.asset)
            #expect(try library.isLive(former.asset) == false)
        }
    }

    @Test(arguments: ["a.jpg.bak", "a.jpg~", "a.bak", ".bak.0.a.jpg", "00AA11BB.tmp"])
    func `what was moved aside becomes an asset of its own, or none`(backup: String) throws {
        try withLibrary { library, _ in
            let former = try library.upload("a.jpg", "one")
            try library.describe("a.jpg", "mine")
            try library.move("a.jpg", backup)
            #expect(try library.find(backup)?.asset == former.asset)
            #expect(try library.upload("a.jpg", "two").asset == former.asset)
            let aside = try #require(try library.find(backup))
            #expect(aside.id == former.id)
            #expect(aside.asset != former.asset)
            #expect((aside.asset == nil) == (backup.hasSuffix("~") || backup.hasSuffix(".tmp")))
            #expect(try library.caption(of: backup) == "mine")
            // After the move back, the file has the asset of that name again.
            try library.move(backup, "a.jpg")
            #expect(try library.find("a.jpg")?.asset == former.asset)
            #expect(try library.versions(of: former.id).map(\.size) == [3, 3, 3])
        }
    }

    @Test func `a file that was given another name keeps its asset when the first is taken again`() throws {
        try withLibrary { library, _ in
            let first = try library.upload("IMG_1.jpg", "one")
            try library.move("IMG_1.jpg", "holiday.jpg")
            #expect(try library.upload("IMG_1.jpg", "two").asset != first.asset)
            #expect(try library.find("holiday.jpg")?.asset == first.asset)
        }
    }

    @Test(arguments: ["film.bak.jpg", ".film.jpg,", "film~2024.jpg", "film.2024.FCBak"])
    func `a name that may be a backup's is one when a complete file takes its place, and else a person's`(
        backup: String
    ) throws {
        for isMoved in [true, false] {
            try withLibrary("may-be") { library, _ in
                let former = try library.upload("film.jpg", "one")
                try library.move("film.jpg", backup)
                if isMoved {
                    _ = try library.upload("film.jpg.part", "two")
                    try library.move("film.jpg.part", "film.jpg")
                } else {
                    _ = try library.upload("film.jpg", "two")
                }
                #expect((try library.find("film.jpg")?.asset == former.asset) == isMoved)
            }
        }
    }

    @Test(arguments: ["IMG_1 Paris.jpg", "IMG_12.jpg", "archive/IMG_1.jpg", "holiday.jpg"])
    func `what a person moves away keeps its asset, whatever comes in its place`(other: String) throws {
        try withLibrary { library, _ in
            let folder = NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)
            let archive = try library.make(try EntryName("archive"), in: .folders, folder)
            let former = try library.upload("IMG_1.jpg", "one")
            try library.describe("IMG_1.jpg", "mine")
            let isInArchive = other.hasPrefix("archive/")
            let name = try EntryName(isInArchive ? "IMG_1.jpg" : other)
            _ = try library.move(
                try EntryName("IMG_1.jpg"),
                in: .folders,
                to: name,
                in: isInArchive ? archive.id : .folders,
                .replace,
                by: Uploader()
            )
            _ = try library.upload(".IMG_1.jpg.Ab12Cd", "two")
            try library.move(".IMG_1.jpg.Ab12Cd", "IMG_1.jpg")
            #expect(try library.find("IMG_1.jpg")?.asset != former.asset)
            #expect(try library.caption(of: "IMG_1.jpg") == nil)
            #expect(try library.read { try $0.node(former.id)?.asset } == former.asset)
        }
    }

    @Test func `a file with a longer name is replaced by one with a shorter, and keeps its asset`() throws {
        try withLibrary { library, _ in
            let former = try library.upload("IMG.jpg", "one")
            try library.describe("IMG.jpg", "mine")
            _ = try library.upload("IMG", "two")
            try library.move("IMG", "IMG.jpg")
            #expect(try library.find("IMG.jpg")?.asset == former.asset)
            #expect(try library.caption(of: "IMG.jpg") == "mine")
        }
    }

    @Test func `what is moved aside has the fields that it had, not the newcomer's`() throws {
        try withLibrary { library, _ in
            _ = try library.upload("a.jpg", "one")
            try library.describe("a.jpg", "former")
            _ = try library.upload("b.tmp", "two")
            try library.describe("b.tmp", "new")
            try library.move("a.jpg", "a.jpg.bak")
            try library.move("b.tmp", "a.jpg")
            #expect(try library.caption(of: "a.jpg") == "new")
            #expect(try library.caption(of: "a.jpg.bak") == "former")
        }
    }

    @Test func `files of a folder that is removed and made anew keep their assets`() throws {
        try withLibrary { library, _ in
            let folder = NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now)
            var asset: AssetID?
            for _ in 0..<3 {
                let outer = try library.make(try EntryName("outer"), in: .folders, folder)
                let inner = try library.make(try EntryName("inner"), in: outer.id, folder)
                let (record, node) = try library.makeFile(
                    try EntryName("a"),
                    in: inner.id,
                    mode: 0o644,
                    by: Uploader(uid: 7, gid: 8)
                )
                library.close(node, wasWriting: true)
                let found = try library.read { try $0.node(record.id)?.asset }
                #expect(found != nil)
                #expect(asset == nil || asset == found)
                asset = found
                _ = try library.remove(try EntryName("a"), in: inner.id)
                _ = try library.removeFolder(try EntryName("inner"), in: outer.id)
                _ = try library.removeFolder(try EntryName("outer"), in: .folders)
            }
        }
    }

    @Test func `a file that has long been an asset stays what it is under a name that was given up`() throws {
        try withLibrary(saving: .milliseconds(200)) { library, _ in
            let b = try library.upload("b", "two")
            Thread.sleep(forTimeInterval: 0.3)
            let a = try library.upload("a", "one")
            _ = try library.remove(try EntryName("a"), in: .folders)
            try library.move("b", "a")
            #expect(try library.find("a")?.asset == b.asset)
            #expect(try library.isLive(a.asset) == false)
        }
    }

    @Test func `another name of the replaced file keeps the caption`() throws {
        try withLibrary { library, _ in
            let former = try library.upload("a", "one")
            try library.describe("a", "mine")
            _ = try library.link(former.id, as: try EntryName("snapshot"), in: .folders, by: Uploader())
            _ = try library.upload("a.tmp", "two")
            try library.move("a.tmp", "a")
            #expect(try library.find("a")?.asset == former.asset)
            #expect(try library.find("snapshot")?.id == former.id)
            #expect(try library.find("snapshot")?.asset != former.asset)
            #expect(try library.caption(of: "snapshot") == "mine")
            #expect(try library.versions(of: former.id).map(\.size) == [3])
        }
    }

    @Test func `an upload goes on with the version that its rename made`() throws {
        try withLibrary { library, _ in
            let former = try library.upload("a", "one")
            let name = try EntryName(".goutputstream-XY12AB")
            let (_, node) = try library.makeFile(name, in: .folders, mode: 0o644, by: Uploader(uid: 7, gid: 8))
            try library.put("tw", in: node)
            try library.move(name.description, "a")
            #expect(try library.find("a")?.size == 2)
            try library.put("two!", in: node)
            try library.flush(node)
            library.close(node, wasWriting: true)
            let found = try #require(try library.find("a"))
            #expect(found.asset == former.asset)
            #expect(try library.versions(of: found.id).map(\.size) == [4, 3])
        }
    }

    @Test func `who still writes to what was moved aside does not write to the asset's history`() throws {
        try withLibrary { library, _ in
            let (record, node) = try library.makeFile(
                try EntryName("a"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.put("one", in: node)
            try library.flush(node)
            try library.move("a", "a.bak")
            let new = try library.upload("a", "two!")
            try library.put("longer", in: node)
            library.close(node, wasWriting: true)
            #expect(try library.versions(of: new.id).map(\.size) == [4, 3])
            #expect(try library.versions(of: record.id).map(\.size) == [6, 3])
        }
    }

    @Test func `an exchange swaps assets, but a final name keeps its own against a temporary one`() throws {
        try withLibrary { library, _ in
            let (a, b) = (try library.upload("a", "one"), try library.upload("b", "two!"))
            try library.move("a", "b", .exchange)
            #expect(try library.find("a")?.asset == b.asset)
            try library.describe("a", "mine")
            _ = try library.upload("a.tmp", "three")
            try library.move("a.tmp", "a", .exchange)
            #expect(try library.find("a")?.asset == b.asset)
            #expect(try library.find("a")?.size == 5)
            #expect(try library.caption(of: "a") == "mine")
            #expect(try library.find("a.tmp")?.asset == nil)
            #expect(try library.find("b")?.asset == a.asset)
        }
    }

    @Test func `a copy of a whole file shows the same blob, and is an asset of its own`() throws {
        try withLibrary { library, path in
            let source = try library.upload("a", "the same bytes")
            let reader = try library.open(source.id, forWriting: false, by: Uploader())
            let (record, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            #expect(try library.copy(from: reader, at: 0, to: node, at: 0, count: 1 << 30) == 14)
            // The copy has written nothing and staged nothing.
            #expect(try read(staging: path) == [])
            #expect(try library.read { try $0.node(record.id)?.blob } == source.blob)
            try library.flush(node)
            let copy = try #require(try library.find("b"))
            #expect(copy.asset != nil)
            #expect(copy.asset != source.asset)
            // Later writes to the copy leave the source unchanged.
            try library.put("THE", in: node)
            library.close(node, wasWriting: true)
            library.close(reader, wasWriting: false)
            #expect(try library.find("a")?.blob == source.blob)
            #expect(try library.find("b")?.blob != source.blob)
            #expect(try library.outcomes() == ["created", "created", "replaced"])
        }
    }

    @Test func `a part of a file is copied into another`() throws {
        try withLibrary { library, _ in
            let source = try library.upload("a", "0123456789")
            let reader = try library.open(source.id, forWriting: false, by: Uploader())
            let target = try library.upload("b", "abcdefghij")
            let node = try library.open(target.id, forWriting: true, by: Uploader())
            #expect(try library.copy(from: reader, at: 8, to: node, at: 9, count: 100) == 2)
            #expect(try library.copy(from: reader, at: 10, to: node, at: 0, count: 100) == 0)
            library.close(node, wasWriting: true)
            library.close(reader, wasWriting: false)
            let found = try #require(try library.find("b"))
            #expect(found.size == 11)
            let opened = try library.open(found.id, forWriting: false, by: Uploader())
            let file = try #require(opened.content.file)
            var bytes = [UInt8](repeating: 0, count: 11)
            _ = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: 0) }
            #expect(String(decoding: bytes, as: UTF8.self) == "abcdefghi89")
            library.close(opened, wasWriting: false)
        }
    }

    @Test func `a version that is written back to what it was before is none`() throws {
        try withLibrary { library, _ in
            let record = try library.upload("a", "one")
            let node = try library.open(record.id, forWriting: true, by: Uploader())
            for text in ["two", "one"] {
                try library.put(text, in: node)
                try library.flush(node)
            }
            library.close(node, wasWriting: true)
            #expect(try library.versions(of: record.id).map(\.number) == [1])
            #expect(try library.outcomes() == ["created", "replaced", "unchanged"])
        }
    }

    @Test func `fields are text, and a typo is refused`() throws {
        try withLibrary { library, _ in
            let id = try library.upload("a", "one").id
            func refusal(_ name: String, _ value: [UInt8]) -> String {
                do throws(LibraryError) {
                    try library.setExtendedAttribute(Array(name.utf8), of: id, to: value)
                    return ""
                } catch {
                    return error.description
                }
            }
            #expect(refusal("user.asset.caption", [0xFF]).contains("UTF-8"))
            #expect(refusal("user.asset.caption", [0x41, 0]).contains("NUL"))
            #expect(refusal("user.asset.captoin", [0x41]).contains("user.asset.captoin"))
            #expect(refusal("user.asset.id", [0x39]).contains("user.asset.id"))
            // A copying tool may set each attribute that it has read.
            #expect(refusal("user.asset.id", Array("1".utf8)) == "")
            #expect(refusal("user.asset.caption", Array("Zürich".utf8)) == "")
            #expect(try library.extendedAttributeNames(of: id) == [captionName])
            #expect(try library.computed("info", of: id)?.contains(#""caption":"Zürich""#) == true)
            try library.removeExtendedAttribute(captionName, of: id)
            #expect(try library.extendedAttributeNames(of: id) == [])
        }
    }
}

private func read(staging library: String) throws -> [String] {
    try run("ls", "\(library)/staging").check().output.split(separator: "\n").map(String.init)
}
