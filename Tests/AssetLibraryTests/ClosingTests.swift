import AssetLibrary
import AssetModel
import Catalog
import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// Bytes that are written after a file was closed to other users are recovered after a crash only into a file
/// that is still closed.
struct ClosingTests {
    private static let owner = Uploader(uid: 7, gid: 8)

    private static func set(_ library: AssetLibrary, _ id: NodeID, mode: UInt32) throws {
        var changes = AssetLibrary.AttributeChanges()
        changes.mode = mode
        _ = try library.setAttributes(of: id, changes)
    }

    /// A way of closing a file to other users, and a check for it.
    private struct Way: Sendable {
        let close: @Sendable (AssetLibrary, _ folder: NodeID, _ file: NodeID) throws -> Void
        let isClosed: @Sendable (AssetLibrary, _ folder: NodeID, _ file: NodeRecord?) throws -> Bool
    }

    private static let ways: [String: Way] = [
        "mode": Way { library, _, file in
            try set(library, file, mode: 0o600)
        } isClosed: { _, _, file in
            file.map { $0.effectiveMode & 0o777 } == 0o600
        },
        "owner": Way { library, _, file in
            var changes = AssetLibrary.AttributeChanges()
            (changes.uid, changes.gid) = (9, 9)
            _ = try library.setAttributes(of: file, changes)
        } isClosed: { _, _, file in
            file?.uid == 9 && file?.gid == 9
        },
        "access level": Way { library, _, file in
            let name = Array("user.asset.access".utf8)
            try library.setExtendedAttribute(name, of: file, to: Array("PRIVATE".utf8), by: owner)
        } isClosed: { _, _, file in
            file.map { $0.effectiveMode & 0o777 } == 0o600
        },
        "access list": Way { library, _, file in
            // Owner rw, user 9 no rights, group and others r, and the mask that this entry requires.
            func entry(_ tag: UInt8, _ permissions: UInt8, _ id: UInt32) -> [UInt8] {
                [tag, 0, permissions, 0] + (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
            }
            var list: [UInt8] = [2, 0, 0, 0]
            for (tag, permissions) in [(1, 6), (2, 0), (4, 4), (0x10, 4), (0x20, 4)] as [(UInt8, UInt8)] {
                list += entry(tag, permissions, tag == 2 ? 9 : .max)
            }
            try library.setExtendedAttribute(Array("system.posix_acl_access".utf8), of: file, to: list, by: owner)
        } isClosed: { library, _, file in
            file.map { library.hasAccessList($0.id) } ?? false
        },
        "mode of the folder": Way { library, folder, _ in
            try set(library, folder, mode: 0o700)
        } isClosed: { library, folder, _ in
            try library.read { try $0.node(folder)?.mode } == 0o040700
        },
        "move of the folder": Way { library, _, _ in
            let (name, closed) = (
                try EntryName("d"), try library.read { try $0.node(named: EntryName("c"), in: .folders) }
            )
            let target = try #require(closed).id
            _ = try library.move(name, in: .folders, to: name, in: target, .refuse, by: owner)
        } isClosed: { library, _, _ in
            try library.read { try $0.node(named: EntryName("d"), in: .folders) } == nil
        },
        "move": Way { library, folder, _ in
            let (name, closed) = (
                try EntryName("a"), try library.read { try $0.node(named: EntryName("c"), in: .folders) }
            )
            let target = try #require(closed).id
            _ = try library.move(name, in: folder, to: name, in: target, .refuse, by: owner)
        } isClosed: { _, _, file in
            file == nil
        },
        "removal": Way { library, folder, _ in
            _ = try library.remove(try EntryName("a"), in: folder)
        } isClosed: { _, _, file in
            file == nil
        },
    ]

    @Test(arguments: ways.keys.sorted())
    func `a crash shows nobody what was written after a file was closed to them`(_ name: String) throws {
        let way = try #require(Self.ways[name])
        try withScratch("closing-\(name.replacing(" ", with: "-"))") { scratch in
            let library = try AssetLibrary(at: "\(scratch)/library", log: quiet, policies: keepingAll)
            func make(_ name: String, mode: UInt32) throws -> NodeID {
                let folder = NodeRecord(mode: 0o040000 | mode, uid: 7, gid: 8, now: .now)
                return try library.make(try EntryName(name), in: .folders, folder).id
            }
            let folder = try make("d", mode: 0o755)
            _ = try make("c", mode: 0o700)
            let (record, node) = try library.makeFile(try EntryName("a"), in: folder, mode: 0o644, by: Self.owner)
            try library.put("for all to read", in: node)
            // fsync records the staged file in the catalog, so that the next mount finds the bytes.
            try library.synchronize(node)
            try way.close(library, folder, record.id)
            try library.put(" and a secret", at: 15, in: node)
            try run("cp", "-a", "\(scratch)/library", "\(scratch)/crashed").check()
            library.close(node, wasWriting: true)
            try library.close()
            let found = try AssetLibrary(at: "\(scratch)/crashed", log: quiet, policies: keepingAll)
            let file = try found.read { try $0.node(named: EntryName("a"), in: folder) }
            #expect(try way.isClosed(found, folder, file))
            try found.close()
            try checkLibrary("\(scratch)/crashed")
        }
    }
}
