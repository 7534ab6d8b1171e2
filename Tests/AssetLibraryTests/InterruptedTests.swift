import AssetLibrary
import AssetModel
import BlobStore
import Catalog
import Foundation
@testable import LibraryRules
@testable import LibraryStorage
import TestSupport
import Testing

/// Uploads that a crash or the end of a mount interrupts before their commit: the next mount commits them by
/// the rules of their folder.
struct InterruptedTests {
    /// One interrupted upload, and its expected result after the next mount.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// Pairs of a `user.policy.KEY` and its value.
        var policies: [(key: String, value: String)] = []
        var name = "b"
        var text = "other"
        /// The user ID of the writer; the file “a” is owned by user 7.
        var writer: UInt32 = 77
        /// Whether the file has a former content, “former”, of another user.
        var isThere = false
        /// The expected names and contents after the next mount.
        let found: [String: String]
        let outcomes: [String]
        /// Further operations of the writer on the open file.
        var act: @Sendable (AssetLibrary, OpenNode) throws -> Void = { _, _ in }
    }

    static let cases: [Case] = [
        Case(
            testDescription: "nothing is refused, and the former content is a version",
            isThere: true,
            found: ["a": "first", "b": "other"],
            outcomes: ["created", "created", "replaced"]
        ),
        Case(
            testDescription: "a duplicate",
            policies: [("duplicates", "REJECT")],
            text: "first",
            found: ["a": "first"],
            outcomes: ["created", "rejected"]
        ),
        Case(
            testDescription: "a duplicate over another content",
            policies: [("duplicates", "REJECT")],
            text: "first",
            isThere: true,
            found: ["a": "first", "b": "former"],
            outcomes: ["created", "created", "rejected"]
        ),
        Case(
            testDescription: "a duplicate that shows the asset that is there",
            policies: [("duplicates", "RETURN_EXISTING")],
            text: "first",
            writer: 7,
            found: ["a": "first", "b": "first"],
            outcomes: ["created", "existing"]
        ),
        Case(
            testDescription: "a duplicate of another owner's asset",
            policies: [("duplicates", "RETURN_EXISTING")],
            text: "first",
            found: ["a": "first", "b": "first"],
            outcomes: ["created", "created"]
        ),
        Case(
            testDescription: "a type that is found by looking into the file",
            policies: [("forbidden_types", "text/plain")],
            found: ["a": "first"],
            outcomes: ["created", "rejected"]
        ),
        Case(
            testDescription: "a type that is not among those allowed",
            policies: [("allowed_types", "image/*")],
            found: ["a": "first"],
            outcomes: ["created", "rejected"]
        ),
        Case(
            testDescription: "a name that was forbidden meanwhile",
            found: ["a": "first"],
            outcomes: ["created", "rejected"],
            act: { library, _ in try Self.say("forbidden_names", "b*", of: library) }
        ),
        Case(
            testDescription: "more bytes than a file may have",
            policies: [("max_size", "10")],
            found: ["a": "first"],
            outcomes: ["created", "rejected"],
            act: { library, node in
                #expect(throws: LibraryError.self) { try library.put("ten bytes more", at: 5, in: node) }
            }
        ),
        Case(
            testDescription: "a folder that was filled meanwhile",
            policies: [("quota", "12")],
            found: ["a": "first", "c": "filled"],
            outcomes: ["created", "created", "rejected"],
            act: { library, _ in _ = try library.upload("c", "filled") }
        ),
        Case(
            testDescription: "a file that is not stored",
            policies: [("store", "0")],
            found: ["a": "first", "b": "other"],
            outcomes: ["created", "created"]
        ),
        Case(
            testDescription: "a temporary name has no verdict",
            policies: [("duplicates", "REJECT")],
            name: "b.part",
            text: "first",
            found: ["a": "first", "b.part": "first"],
            outcomes: ["created"]
        ),
    ]

    private static func say(_ key: String, _ value: String, of library: AssetLibrary) throws {
        let name = Array("user.policy.\(key)".utf8)
        try library.setExtendedAttribute(name, of: .folders, to: Array(value.utf8))
    }

    private func contents(of library: AssetLibrary) throws -> [String: String] {
        let entries = try library.read { try $0.entries(of: .folders, after: 0, limit: 100) }
        return try Dictionary(
            uniqueKeysWithValues: entries.map { entry in
                let name = try EntryName(entry.name)
                let record = try #require(try library.read { try $0.node(named: name, in: .folders) })
                let node = try library.open(record.id, forWriting: false, by: Uploader())
                defer { library.close(node, wasWriting: false) }
                let (file, size) = node.content
                var bytes = [UInt8](repeating: 0, count: Int(size))
                let count = try unsafe bytes.withUnsafeMutableBytes { try unsafe file?.read(into: $0, at: 0) ?? 0 }
                #expect(count == Int(size))
                return (name.description, String(decoding: bytes, as: UTF8.self))
            }
        )
    }

    /// Commits interrupted uploads at the next mount; `isCopied` has the bytes come by copy_file_range(2)
    /// where the first file contains them.
    @Test(arguments: cases, [false, true])
    func `the next mount judges as the close would have`(one: Case, isCopied: Bool) throws {
        try withScratch { scratch in
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            let first = try library.upload("a", "first")
            if one.isThere {
                let former = try library.upload(one.name, "former")
                var changes = AssetLibrary.AttributeChanges()
                changes.mode = 0o600
                _ = try library.setAttributes(of: former.id, changes)
            }
            for (key, value) in one.policies { try Self.say(key, value, of: library) }
            let node: OpenNode
            if one.isThere {
                let record = try #require(try library.read { try $0.node(named: EntryName(one.name), in: .folders) })
                node = try library.open(record.id, forWriting: true, by: Uploader(uid: one.writer, gid: 78))
                try library.truncate(node, to: 0, isOpening: true)
                var changes = AssetLibrary.AttributeChanges()
                changes.mode = 0o644
                _ = try library.setAttributes(of: record.id, changes)
            } else {
                (_, node) = try library.makeFile(
                    try EntryName(one.name),
                    in: .folders,
                    mode: 0o644,
                    by: Uploader(uid: one.writer, gid: 78)
                )
            }
            if isCopied, one.text == "first" {
                let reader = try library.open(first.id, forWriting: false, by: Uploader())
                #expect(try library.copy(from: reader, at: 0, to: node, at: 0, count: 99) == 5)
            } else {
                try library.put(one.text, in: node)
            }
            try one.act(library, node)
            try library.synchronize(node)
            try run("cp", "-a", "\(scratch)/library", "\(scratch)/crashed").check()
            try library.close()
            let next = try AssetLibrary(at: "\(scratch)/crashed", log: quiet, policies: keepingAll)
            #expect(try contents(of: next) == one.found)
            #expect(try next.outcomes() == one.outcomes)
            if one.outcomes.last != "created" || one.outcomes.count > 2 {
                let bytes = try next.read { try $0.bytes(of: .receipts, from: 0, count: 1 << 20) }
                let last = String(decoding: bytes, as: UTF8.self).split(separator: "\n").last ?? ""
                #expect(last.contains("\"uid\":\(one.writer)") || one.name != "b")
            }
            if one.isThere {
                let record = try #require(try next.read { try $0.node(named: EntryName(one.name), in: .folders) })
                #expect(record.mode & 0o777 == (one.outcomes.last == "rejected" ? 0o600 : 0o644))
                #expect(try next.versions(of: record.id).count == (one.outcomes.last == "rejected" ? 1 : 2))
            }
            if one.policies.contains(where: { $0.key == "store" }) {
                let record = try #require(try next.read { try $0.node(named: EntryName(one.name), in: .folders) })
                #expect(record.expires != nil)
            }
            try next.close()
            try checkLibrary("\(scratch)/crashed")
        }
    }

    private func awaitOutcomes(_ count: Int, of library: AssetLibrary) throws {
        for _ in 0..<1200 where try library.outcomes().count < count { Thread.sleep(forTimeInterval: 0.05) }
    }

    private func names(in library: AssetLibrary) throws -> [String] {
        let entries = try library.read { try $0.entries(of: .folders, after: 0, limit: 100) }
        return entries.map { String(decoding: $0.name, as: UTF8.self) }.sorted()
    }

    /// A size above the limit of bytes that the end of a mount reads.
    private static let long: Int64 = (2 << 30) + (64 << 20)

    @Test(arguments: [false, true])
    func `an upload that the end of a mount leaves is judged by the next mount`(isNumbered: Bool) throws {
        try withScratch { scratch in
            let path = "\(scratch)/library"
            try opened(path) { library in
                let first = try library.upload("a", "first")
                let node: OpenNode
                if isNumbered {
                    try Self.say("overwrite", "false", of: library)
                    let (folder, name) = try #require(try library.keptNames(of: first, isTruncating: true).first)
                    let beside = try library.divert(first, under: name, in: folder, by: Uploader(uid: 77, gid: 78))
                    node = try library.open(beside.id, forWriting: true, by: Uploader(uid: 77, gid: 78))
                    library.letGo(beside.id)
                } else {
                    try Self.say("forbidden_types", "application/octet-stream", of: library)
                    (_, node) = try library.makeFile(
                        try EntryName("b"),
                        in: .folders,
                        mode: 0o644,
                        by: Uploader(uid: 77, gid: 78)
                    )
                }
                try library.truncate(node, to: Self.long, isOpening: false)
            }
            try opened(path) { library in
                try awaitOutcomes(2, of: library)
                #expect(try library.outcomes() == ["created", isNumbered ? "renamed" : "rejected"])
                #expect(try names(in: library) == (isNumbered ? ["a", "a-1"] : ["a"]))
            }
            try checkLibrary(path)
        }
    }

    /// Opens a library, runs `body`, and closes the library.
    private func opened(_ path: String, _ body: (AssetLibrary) throws -> Void) throws {
        let library = try AssetLibrary(at: path, log: quiet, policies: keepingAll)
        try body(library)
        try library.close()
    }

    @Test func `a writer that is killed while its close waits leaves no name when its upload is refused`() throws {
        try withLibrary { library, _ in
            try Self.say("forbidden_types", "application/octet-stream", of: library)
            let (_, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 77, gid: 78)
            )
            try library.truncate(node, to: 200 << 20, isOpening: false)
            #expect(throws: LibraryError.self) { try library.flush(node) }
            library.close(node, wasWriting: true)
            try awaitOutcomes(1, of: library)
            #expect(try library.outcomes() == ["rejected"])
            #expect(try names(in: library) == [])
        }
    }

    @Test(arguments: [false, true])
    func `a writer that has had its answer is not refused by the next mount`(isAnswered: Bool) throws {
        try withScratch { scratch in
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            let (record, node) = try library.makeFile(
                try EntryName("b"),
                in: .folders,
                mode: 0o644,
                by: Uploader(uid: 77, gid: 78)
            )
            try library.truncate(node, to: 2 << 20, isOpening: false)
            try library.synchronize(node)
            let reader = try library.open(record.id, forWriting: false, by: Uploader())
            if isAnswered {
                try library.flush(node)
                library.close(node, wasWriting: true)
            }
            try library.synchronize(reader)
            try Self.say("forbidden_names", "b*", of: library)
            try library.commit()
            try run("cp", "-a", "\(scratch)/library", "\(scratch)/crashed").check()
            library.close(reader, wasWriting: false)
            if !isAnswered { library.close(node, wasWriting: true) }
            try library.close()
            let next = try AssetLibrary(at: "\(scratch)/crashed", log: quiet, policies: keepingAll)
            #expect(try next.outcomes() == [isAnswered ? "created" : "rejected"])
            #expect(try names(in: next) == (isAnswered ? ["b"] : []))
            try next.close()
            try checkLibrary("\(scratch)/crashed")
        }
    }
}
