import AssetLibrary
import AssetModel
import Catalog
import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// Recovery at the next mount after a crash, from a copy of the library's folder at that moment.
struct RecoveryTests {
    private func withCrash(
        of body: (AssetLibrary) throws -> Void,
        then check: (AssetLibrary) throws -> Void,
        isPowerCut: Bool = false,
        _ name: String = #function
    ) throws {
        try withScratch(name) { scratch in
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            try body(library)
            // Waits for the commit that the background thread makes after half a second.
            for _ in 0..<1200 where library.catalog.hasChanges { Thread.sleep(forTimeInterval: 0.05) }
            try run("cp", "-a", "\(scratch)/library", "\(scratch)/crashed").check()
            try library.close()
            if isPowerCut { try run("sed", "-i", "s/^boot .*/boot another/", "\(scratch)/crashed/lock").check() }
            let found = try AssetLibrary(at: "\(scratch)/crashed", log: quiet, policies: keepingAll)
            try check(found)
            try found.close()
            try checkLibrary("\(scratch)/crashed")
        }
    }

    private func find(_ name: String, _ library: AssetLibrary) throws -> NodeRecord {
        try #require(try library.read { try $0.node(named: try EntryName(name), in: .folders) })
    }

    @Test func `a copy that was not closed is its asset's content`() throws {
        try withCrash { library in
            let source = try library.upload("a", "the same bytes")
            _ = try library.upload("c", "former")
            let reader = try library.open(source.id, forWriting: false, by: Uploader())
            let (_, new) = try library.makeFile(try EntryName("b"), in: .folders, mode: 0o644, by: Uploader())
            let old = try library.open(try find("c", library).id, forWriting: true, by: Uploader())
            try library.truncate(old, to: 0, isOpening: true)
            for node in [new, old] { #expect(try library.copy(from: reader, at: 0, to: node, at: 0, count: 99) == 14) }
        } then: { library in
            let (b, c) = (try find("b", library), try find("c", library))
            #expect(b.asset != nil)
            #expect(try library.versions(of: b.id).map(\.size) == [14])
            #expect(try library.versions(of: c.id).map(\.size) == [14, 6])
        }
    }

    @Test(arguments: [false, true])
    func `an interrupted upload has what was synced after a power cut, and all after a kill`(isPowerCut: Bool) throws {
        try withCrash(
            of: { library in
                for name in ["one", "cut"] {
                    let (_, node) = try library.makeFile(
                        try EntryName(name),
                        in: .folders,
                        mode: 0o644,
                        by: Uploader()
                    )
                    try library.put("0123456789", in: node)
                    try library.synchronize(node)
                    if name == "cut" {
                        try library.truncate(node, to: 4)
                        try library.put("xy", at: 4, in: node)
                        try library.synchronize(node)
                    }
                    try library.put(" and more", at: name == "cut" ? 6 : 10, in: node)
                }
            },
            then: { library in
                let (one, cut) = (try find("one", library).size, try find("cut", library).size)
                #expect(one == (isPowerCut ? 10 : 19))
                #expect(cut == (isPowerCut ? 6 : 15))
            },
            isPowerCut: isPowerCut
        )
    }

    @Test func `what is written after a copy survives`() throws {
        try withCrash { library in
            let source = try library.upload("a", "the same bytes")
            let reader = try library.open(source.id, forWriting: false, by: Uploader())
            let (_, node) = try library.makeFile(try EntryName("b"), in: .folders, mode: 0o644, by: Uploader())
            #expect(try library.copy(from: reader, at: 0, to: node, at: 0, count: 99) == 14)
            try library.commit()
            try library.put(" and more", at: 14, in: node)
            Thread.sleep(forTimeInterval: 1.5)
        } then: { library in
            let size = try find("b", library).size
            #expect(size == 23)
        }
    }

    @Test func `a time that was set after the last write stays, and one before it does not`() throws {
        var changes = AssetLibrary.AttributeChanges()
        changes.modified = Timestamp(rawValue: 7)
        try withCrash { library in
            for name in ["set", "written"] {
                let (record, node) = try library.makeFile(
                    try EntryName(name),
                    in: .folders,
                    mode: 0o644,
                    by: Uploader()
                )
                try library.put("one", in: node)
                try library.synchronize(node)
                Thread.sleep(forTimeInterval: 0.02)
                _ = try library.setAttributes(of: record.id, changes)
                Thread.sleep(forTimeInterval: 0.02)
                if name == "written" { try library.put("two", at: 3, in: node) }
                try library.synchronize(node)
            }
        } then: { library in
            let (set, written) = (try find("set", library), try find("written", library))
            #expect(set.modified == changes.modified)
            #expect(written.modified != changes.modified)
            #expect(written.size == 6)
        }
    }

    @Test func `a file that took a name over before it had a content`() throws {
        try withCrash { library in
            let former = try library.upload("a", "one")
            _ = try library.remove(try EntryName("a"), in: .folders)
            let (record, _) = try library.makeFile(try EntryName("a"), in: .folders, mode: 0o644, by: Uploader())
            #expect(try library.read { try $0.node(record.id)?.asset } == former.asset)
        } then: { library in
            let sizes = try library.versions(of: try find("a", library).id).map(\.size)
            #expect(sizes == [0, 3])
        }
    }

    @Test func `new content has no old time, though its mode was changed since`() throws {
        var old = AssetLibrary.AttributeChanges()
        old.modified = Timestamp(rawValue: 7)
        var mode = AssetLibrary.AttributeChanges()
        mode.mode = 0o600
        try withCrash { library in
            let record = try library.upload("a", "old")
            _ = try library.setAttributes(of: record.id, old)
            let node = try library.open(record.id, forWriting: true, by: Uploader())
            try library.put("new", in: node)
            Thread.sleep(forTimeInterval: 0.02)
            _ = try library.setAttributes(of: record.id, mode)
            Thread.sleep(forTimeInterval: 1.2)
        } then: { library in
            let found = try find("a", library)
            #expect(found.modified != old.modified)
            #expect(found.mode & 0o777 == 0o600)
        }
    }

    @Test func `a new file without a byte is an asset`() throws {
        try withCrash { library in
            _ = try library.makeFile(try EntryName("a"), in: .folders, mode: 0o644, by: Uploader())
        } then: { library in
            let found = try find("a", library)
            #expect(found.asset != nil)
        }
    }

    @Test func `an upload that cannot be finished keeps its bytes, and nobody from theirs`() throws {
        try withScratch { scratch in
            // A folder in the place of the blob of “one” and a newline: simulates a disk that refuses the
            // blob.
            let blob = "2c/8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            _ = try library.upload("other", "other")
            let (_, node) = try library.makeFile(try EntryName("a"), in: .folders, mode: 0o644, by: Uploader())
            try library.put("one\n", in: node)
            try library.synchronize(node)
            try run("cp", "-a", "\(scratch)/library", "\(scratch)/crashed").check()
            try library.close()
            try run("mkdir", "\(scratch)/crashed/blobs/\(blob)").check()
            for isMended in [false, false, true] {
                if isMended { try run("rmdir", "\(scratch)/crashed/blobs/\(blob)").check() }
                let opened = try AssetLibrary(at: "\(scratch)/crashed", log: quiet, policies: keepingAll)
                let (a, other) = (try find("a", opened), try find("other", opened))
                #expect(other.size == 5)
                #expect(a.size == (isMended ? 4 : 0))
                try opened.close()
            }
            try checkLibrary("\(scratch)/crashed")
        }
    }

    @Test func `a file whose verdict fails can be removed`() throws {
        try withScratch { scratch in
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            let (_, node) = try library.makeFile(try EntryName("a"), in: .folders, mode: 0o644, by: Uploader())
            let half = [UInt8](repeating: 0x41, count: 1 << 20)
            for offset in [1 << 20, 0] as [Int64] {
                try unsafe half.withUnsafeBytes { try unsafe library.write($0, at: offset, to: node) }
            }
            let digest = try shell("head -c 2M /dev/zero | tr '\\0' A | sha256sum").check().output
            try run("mkdir", "\(scratch)/library/blobs/\(digest.prefix(2))/\(digest.dropFirst(2).prefix(62))").check()
            library.close(node, wasWriting: true)
            _ = try library.remove(try EntryName("a"), in: .folders)
            let found = try library.read { try $0.node(named: try EntryName("a"), in: .folders) }
            #expect(found == nil)
            try library.close()
        }
    }

    @Test func `a deep tree does not exhaust the stack`() throws {
        try withLibrary { library, _ in
            // The state of a library that was filled before paths had a limit.
            let parent = try library.catalog.write { records in
                try (0..<20_000).reduce(NodeID.folders) { parent, _ in
                    let folder = try records.insert(NodeRecord(mode: 0o040755, uid: 0, gid: 0, now: .now))
                    try records.insertEntry(try EntryName("d"), in: parent, node: folder.id)
                    try records.addLinks(1, to: parent, at: .now)
                    return folder.id
                }
            }
            let (_, node) = try library.makeFile(try EntryName("f"), in: parent, mode: 0o644, by: Uploader())
            library.close(node, wasWriting: true)
            #expect(try library.outcomes() == ["created"])
        }
    }
}
