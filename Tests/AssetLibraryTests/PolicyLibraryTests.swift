import AssetLibrary
import AssetModel
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import TestSupport
import Testing

struct PolicyLibraryTests {
    private func say(_ key: String, _ value: String, on folder: NodeID = .folders, of library: AssetLibrary) throws {
        try library.setExtendedAttribute(Array("user.policy.\(key)".utf8), of: folder, to: Array(value.utf8))
    }

    private func over(_ id: NodeID, _ text: String, in library: AssetLibrary) throws {
        let node = try openBeside(id, in: library)
        try library.truncate(node, to: 0, isOpening: true)
        try library.put(text, in: node)
        try library.flush(node)
        library.close(node, wasWriting: true)
    }

    /// Returns the node that answers an open for writing: a new one, because the name is preserved.
    private func openBeside(_ id: NodeID, in library: AssetLibrary) throws -> OpenNode {
        let record = try #require(try library.read { try $0.node(id) })
        guard let (folder, name) = try library.keptNames(of: record, isTruncating: true).first else {
            return try library.open(id, forWriting: true, by: Uploader(uid: 7))
        }
        let beside = try library.divert(record, under: name, in: folder, by: Uploader(uid: 7, gid: 8))
        defer { library.letGo(beside.id) }
        return try library.open(beside.id, forWriting: true, by: Uploader(uid: 7))
    }

    private func names(in library: AssetLibrary) throws -> Set<String> {
        Set(
            try library.read { try $0.entries(of: .folders, after: 0, limit: 10_000) }.map {
                String(decoding: $0.name, as: UTF8.self)
            }
        )
    }

    @Test func `each newcomer gets the smallest free number, also when names become free`() throws {
        try withLibrary(saving: .zero) { library, _ in
            try say("overwrite", "false", of: library)
            let first = try library.upload("a.txt", "0")
            for number in 1...300 { try over(first.id, "\(number)", in: library) }
            #expect(try names(in: library).count == 301)
            var free: Set<Int> = []
            var next = 301
            var chosen = SystemRandomNumberGenerator()
            for step in 0..<600 {
                if step % 3 == 0 || free.isEmpty {
                    let number = Int.random(in: 1..<next, using: &chosen)
                    if !free.contains(number) {
                        _ = try library.remove(try EntryName("a-\(number).txt"), in: .folders)
                        free.insert(number)
                    }
                }
                let expected = free.min() ?? next
                try over(first.id, "step \(step)", in: library)
                #expect(try library.read { try $0.node(named: EntryName("a-\(expected).txt"), in: .folders) } != nil)
                if free.remove(expected) == nil { next += 1 }
            }
        }
    }

    @Test func `a damaged blob is healed by the upload that is refused`() throws {
        try withLibrary { library, path in
            try say("duplicates", "REJECT", of: library)
            let file = try library.upload("a", "content")
            let digest = try #require(try library.versions(of: file.id).first?.digest).description
            let blob = "\(path)/blobs/\(digest.prefix(2))/\(digest.dropFirst(2))"
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: blob)
            try "co".write(toFile: blob, atomically: false, encoding: .utf8)
            #expect(throws: LibraryError.self) { try library.upload("b", "content") }
            #expect(try String(contentsOfFile: blob, encoding: .utf8) == "content")
            #expect(try names(in: library) == ["a"])
        }
    }

    @Test func `former versions, what is in the trash and what has expired are no duplicates`() throws {
        try withLibrary { library, _ in
            let file = try library.upload("a", "one")
            try over(file.id, "two", in: library)
            _ = try library.upload("b", "three")
            _ = try library.remove(try EntryName("b"), in: .folders)
            let temporary = try library.upload("c", "four")
            try library.catalog.write { records in
                let asset = try #require(try records.node(temporary.id)?.asset)
                try records.setDeadline(of: asset, to: Timestamp(rawValue: 1))
            }
            try say("duplicates", "REJECT", of: library)
            try say("scope", "ENTIRE_PORTAL", of: library)
            for (name, text) in [("x", "one"), ("y", "three"), ("z", "four")] { _ = try library.upload(name, text) }
            #expect(throws: LibraryError.self) { try library.upload("w", "two") }
        }
    }

    @Test func `what is temporary goes when its time has come, unless it is stored`() throws {
        try withLibrary { library, _ in
            try say("store", "0", of: library)
            let files = try ["gone", "kept"].map { try library.upload($0, $0) }
            let set: (NodeID, String) throws -> Void = { id, value in
                try library.setExtendedAttribute(Array("user.asset.stored".utf8), of: id, to: Array(value.utf8))
            }
            for file in files {
                #expect(try library.extendedAttribute(Array("user.asset.stored".utf8), of: file.id) == [0x30])
            }
            let expires = String(
                decoding: try library.extendedAttribute(Array("user.asset.expires".utf8), of: files[0].id),
                as: UTF8.self
            )
            #expect(expires > Timestamp.now.advanced(bySeconds: 86_390).description)
            #expect(expires < Timestamp.now.advanced(bySeconds: 86_410).description)
            try set(files[1].id, "1")
            #expect(throws: LibraryError.self) { try set(files[1].id, "2") }
            // Moves the times of the rows back by a day.
            try library.catalog.write { records in
                for file in files {
                    guard let asset = try records.node(file.id)?.asset, try records.asset(asset)?.expires != nil else {
                        continue
                    }
                    try records.setDeadline(of: asset, to: .now)
                }
            }
            for _ in 0..<600 where try names(in: library) != ["kept"] { usleep(100_000) }
            #expect(try names(in: library) == ["kept"])
        }
    }

    @Test func `an upload that a crash interrupted is what its folder says, as its close would be`() throws {
        try withScratch { path in
            let library = try AssetLibrary(at: path + "/library", log: quiet)
            try say("duplicates", "REJECT", of: library)
            _ = try library.upload("a", "same")
            let (_, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.put("same", in: node)
            try library.synchronize(node)
            // The state that kill -9 leaves: a copy, because this process holds the library's lock.
            try run("cp", "-a", path + "/library", path + "/crashed").check()
            #expect(throws: LibraryError.self) { try library.flush(node) }
            library.close(node, wasWriting: true)
            try library.close()
            let again = try AssetLibrary(at: path + "/crashed", log: quiet)
            #expect(try names(in: again) == ["a"])
            try again.close()
            try checkLibrary(path + "/crashed")
            try checkLibrary(path + "/library")
        }
    }

    @Test func `a verdict that waited is not refused when it comes`() throws {
        try withLibrary { library, _ in
            let text = String(repeating: "x", count: 2 << 20)
            _ = try library.upload("a", text)
            let (_, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.put(String(text.dropFirst(1 << 20)), at: 1 << 20, in: node)
            try library.put(String(text.dropFirst(1 << 20)), in: node)
            try library.flush(node)
            library.close(node, wasWriting: true)
            // close(2) has succeeded; a policy that is set afterwards is not retroactive.
            try say("duplicates", "REJECT", of: library)
            #expect(try library.computed("sha256", of: node.id) != nil)
            #expect(try names(in: library) == ["a", "b"])
            // With this policy the close waits for the commit.
            let (_, other) = try library.makeFile(
                try EntryName("c"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.put(String(text.dropFirst(1 << 20)), at: 1 << 20, in: other)
            try library.put(String(text.dropFirst(1 << 20)), in: other)
            #expect(throws: LibraryError.self) { try library.flush(other) }
            library.close(other, wasWriting: true)
            #expect(try names(in: library) == ["a", "b"])
        }
    }

    @Test func `fields that were set on a name wait for its asset, whatever the verdict is`() throws {
        try withLibrary { library, _ in
            try say("overwrite", "false", of: library)
            let file = try library.upload("a", "one")
            let caption = Array("user.asset.caption".utf8)
            try library.setExtendedAttribute(caption, of: file.id, to: Array("first".utf8))
            let node = try openBeside(file.id, in: library)
            #expect(node.id != file.id)
            try library.put("two", in: node)
            try library.setExtendedAttribute(caption, of: node.id, to: Array("second".utf8))
            try library.flush(node)
            library.close(node, wasWriting: true)
            #expect(try library.extendedAttribute(caption, of: file.id) == Array("first".utf8))
            #expect(try library.extendedAttribute(caption, of: node.id) == Array("second".utf8))
        }
    }

    @Test func `an upload that is refused when the library is closed leaves nothing behind`() throws {
        try withLibrary { library, _ in
            try say("duplicates", "REJECT", of: library)
            _ = try library.upload("a", "same")
            let (_, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.put("same", in: node)
            try library.synchronize(node)
        }
    }
}
