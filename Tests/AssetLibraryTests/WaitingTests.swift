@testable import AssetLibrary
import AssetModel
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import TestSupport
import Testing

/// Deferred commits of large files that are not written in one pass.
struct WaitingTests {
    private func write(_ count: Int, _ byte: UInt8, at offset: Int64, to id: NodeID, _ library: AssetLibrary) throws {
        let node = try library.open(id, forWriting: true, by: Uploader())
        try unsafe [UInt8](repeating: byte, count: count).withUnsafeBytes {
            try unsafe library.write($0, at: offset, to: node)
        }
        try library.flush(node)
        library.close(node, wasWriting: true)
    }

    private func make(_ name: String, in library: AssetLibrary) throws -> NodeID {
        let (record, node) = try library.makeFile(try EntryName(name), in: .folders, mode: 0o644, by: Uploader())
        library.close(node, wasWriting: true)
        return record.id
    }

    @Test func `a program that opens, writes and closes many times makes one version`() throws {
        try withLibrary { library, path in
            let id = try make("restored", in: library)
            for part in [3, 0, 2, 1] as [Int64] { try write(1 << 20, UInt8(part), at: part << 20, to: id, library) }
            #expect(try library.outcomes() == ["created"])
            #expect(library.openState(of: id)?.size == 4 << 20)
            // A request for a computed value gets the correct value.
            let content = (0..<4).flatMap { Array(repeating: UInt8($0), count: 1 << 20) }
            try Data(content).write(to: URL(fileURLWithPath: path + "/../content"))
            let digest = try run("sha256sum", path + "/../content").check().output.prefix(64)
            #expect(try library.computed("sha256", of: id)! == digest)
            #expect(try library.outcomes() == ["created", "replaced"])
            #expect(try library.versions(of: id).map(\.size) == [4 << 20, 0])
        }
    }

    @Test func `a value that a close has promised is there while RELEASE of the file is under way`() throws {
        try withLibrary { library, _ in
            let id = try make("a", in: library)
            try write(2 << 20, 1, at: 1, to: id, library)
            let node = try #require(library.openNode(id))
            let (isHeld, isAsked) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            let holder = Thread {
                node.upload.withLock { _ in
                    isHeld.signal()
                    // Long enough that the request finds the lock held; the request ends the wait.
                    _ = isAsked.wait(timeout: .now() + 0.5)
                }
            }
            holder.start()
            isHeld.wait()
            let digest = try library.computed("sha256", of: id)
            isAsked.signal()
            #expect(digest != nil)
        }
    }

    @Test func `a verdict that waits comes by itself when the file has been quiet`() throws {
        try withLibrary { library, _ in
            let id = try make("a", in: library)
            try write(2 << 20, 1, at: 1, to: id, library)
            #expect(try library.outcomes() == ["created"])
            for _ in 0..<600 where try library.outcomes().count < 2 { Thread.sleep(forTimeInterval: 0.1) }
            #expect(try library.outcomes() == ["created", "replaced"])
            #expect(library.openState(of: id) == nil)
        }
    }

    @Test func `a rename to a final name does not wait`() throws {
        try withLibrary { library, _ in
            let id = try make("x.part", in: library)
            try write(2 << 20, 1, at: 1, to: id, library)
            _ = try library.move(
                try EntryName("x.part"),
                in: .folders,
                to: try EntryName("x"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            #expect(try library.outcomes() == ["created"])
            #expect(try library.versions(of: id).map(\.size) == [2 << 20 + 1])
        }
    }

    @Test func `what waits at the end of the mount is there at the next, and nothing is left in staging`() throws {
        try withScratch { scratch in
            let path = "\(scratch)/library"
            let (one, two) = try opened(path) { library in
                let (one, two) = (try make("one", in: library), try make("two", in: library))
                // The second content equals the first, and so adds no blob.
                for id in [one, two] { try write(2 << 20, 1, at: 0, to: id, library) }
                for id in [one, two] { try write(1, 2, at: 5, to: id, library) }
                try library.commit()
                return (one, two)
            }
            try checkLibrary(path)
            try opened(path) { library in
                let nodes = try library.read { records in try [one, two].map { try records.node($0) } }
                #expect(nodes[0]?.blob == nodes[1]?.blob)
                #expect(nodes[1]?.size == 2 << 20)
            }
        }
    }

    private func opened<Value>(_ path: String, _ body: (AssetLibrary) throws -> Value) throws -> Value {
        let library = try AssetLibrary(at: path, log: quiet, policies: keepingAll)
        let value = try body(library)
        try library.close()
        return value
    }

    @Test func `a file that is removed while its verdict waits is in the trash with what was written`() throws {
        try withLibrary { library, _ in
            let id = try make("a", in: library)
            try write(2 << 20, 1, at: 1, to: id, library)
            _ = try library.remove(try EntryName("a"), in: .folders)
            #expect(try library.outcomes() == ["created", "replaced"])
            let asset = AssetID(rawValue: 1)
            #expect(try library.read { try $0.asset(asset)?.trashed } != nil)
            #expect(try library.read { try $0.versions(of: asset).map(\.size) } == [2 << 20 + 1, 0])
        }
    }

    @Test func `a caption on a file whose verdict waits goes on with the name`() throws {
        try withLibrary { library, _ in
            let name = Array("user.asset.caption".utf8)
            let (record, node) = try library.makeFile(
                try EntryName("film"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try unsafe [UInt8](repeating: 1, count: 2 << 20).withUnsafeBytes {
                try unsafe library.write($0, at: 7, to: node)
            }
            try library.flush(node)
            library.close(node, wasWriting: true)
            try library.setExtendedAttribute(name, of: record.id, to: [0x41])
            let id = try library.computed("id", of: record.id)
            _ = try library.upload("film.tmp", "edited")
            _ = try library.move(
                try EntryName("film.tmp"),
                in: .folders,
                to: try EntryName("film"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            let found = try #require(try library.read { try $0.node(named: try EntryName("film"), in: .folders) })
            #expect(try library.extendedAttribute(name, of: found.id) == [0x41])
            #expect(try library.computed("id", of: found.id) == id)
        }
    }

    @Test func `what was set on a file before its first verdict goes on with the name`() throws {
        try withLibrary { library, _ in
            let name = Array("user.asset.caption".utf8)
            let (record, node) = try library.makeFile(
                try EntryName("a"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 7, gid: 8)
            )
            try library.setExtendedAttribute(name, of: record.id, to: [0x41])
            let other = try library.upload("b", "other")
            _ = try library.move(
                try EntryName("b"),
                in: .folders,
                to: try EntryName("a"),
                in: .folders,
                .replace,
                by: Uploader()
            )
            library.close(node, wasWriting: true)
            #expect(try library.extendedAttribute(name, of: other.id) == [0x41])
        }
    }

    @Test func `a time that is set while a verdict waits stays`() throws {
        try withLibrary { library, _ in
            let id = try make("a", in: library)
            try write(2 << 20, 1, at: 1, to: id, library)
            var changes = AssetLibrary.AttributeChanges()
            changes.modified = Timestamp(rawValue: 7)
            _ = try library.setAttributes(of: id, changes)
            #expect(try library.computed("versions", of: id) == "2")
            #expect(try library.read { try $0.node(id)?.modified } == Timestamp(rawValue: 7))
        }
    }
}
