import AssetModel
import Catalog
import TestSupport
import Testing

struct RemovedFolderTests {
    private let now = Timestamp(rawValue: 1)

    private func folder(_ mode: UInt32) -> NodeRecord { NodeRecord(mode: 0o040000 | mode, uid: 1, gid: 2, now: now) }

    /// Moves an asset to the trash, from a folder.
    private func trash(_ asset: AssetID, in folder: NodeID, _ records: Records) throws {
        let later = Timestamp(rawValue: 1 << 60)
        try records.trash(asset, nil, parent: folder, name: EntryName("f"), path: [0x66], at: now, until: later)
    }

    private func remove(_ folder: NodeID, in parent: NodeID, _ records: Records) throws {
        try records.recordRemoval(of: folder, in: parent)
        try records.countTrash(of: folder, for: parent)
    }

    private func makeAsset(_ records: Records) throws -> AssetID {
        try records.insertAsset(uid: 1, name: EntryName("f"), like: folder(0), at: now)
    }

    @Test func `a removed folder is known until the last asset from it has left the trash`() throws {
        try withScratch { path in
            let catalog = try Catalog(path: path + "/c") {}
            try catalog.write { records in
                let outer = try records.insert(folder(0o2750)).id
                let inner = try records.insert(folder(0o700)).id
                let empty = try records.insert(folder(0o755)).id
                let list = Array("system.posix_acl_access".utf8)
                try records.setExtendedAttribute(list, of: outer, to: [1, 2, 3])
                try records.setPolicy(.maxSize, of: outer, to: "5M")
                let (first, second, third) = (try makeAsset(records), try makeAsset(records), try makeAsset(records))
                try trash(first, in: inner, records)
                try trash(second, in: outer, records)
                try trash(third, in: outer, records)
                for (folder, parent) in [(empty, outer), (inner, outer), (outer, .folders)] {
                    try remove(folder, in: parent, records)
                }
                #expect(try records.removedFolder(empty) == nil)
                let known = try #require(try records.removedFolder(outer))
                #expect((known.mode, known.uid, known.gid) == (0o042750, 1, 2))
                #expect(known.accessList == [1, 2, 3] && known.defaultList == nil && known.parent == .folders)
                #expect(known.policies == #"{"max_size":"5M"}"#)
                #expect(try records.removedFolder(inner)?.parent == outer)
                // An asset that is committed after its folder was removed keeps both folders on record, as
                // the others do.
                let late = try makeAsset(records)
                try trash(late, in: inner, records)
                try records.restore(first)
                #expect(try records.removedFolder(inner) != nil)
                try records.deleteAsset(late)
                #expect(try records.removedFolder(inner) == nil)
                // One is purged, and one is removed again from another folder.
                #expect(try records.removedFolder(outer) != nil)
                try records.deleteAsset(second)
                #expect(try records.removedFolder(outer) != nil)
                try trash(third, in: .folders, records)
                #expect(try records.removedFolder(outer) == nil)
            }
            try catalog.close()
        }
    }

    @Test func `what was removed before the catalog knew of folders is no folder's`() throws {
        try withScratch { path in
            let before = try Catalog(path: path + "/c") {}
            let (asset, outer, inner) = try before.write { records in
                let outer = try records.insert(folder(0o750)).id
                let inner = try records.insert(folder(0o700)).id
                let asset = try makeAsset(records)
                try trash(asset, in: inner, records)
                try remove(inner, in: outer, records)
                return (asset, outer, inner)
            }
            try before.commit {}
            try before.close()
            // The state after all migrations before this one.
            let program = """
                import sqlite3; c = sqlite3.connect("\(path)/c"); [c.execute(f"DROP TRIGGER removed_folder_{name}") for name in ("left", "purged", "entered", "copied")]
                c.execute("DROP TABLE removed_folder")
                c.execute("DELETE FROM grdb_migrations WHERE identifier = '19 removed folders'"); c.commit()
                """
            try run("python3", "-c", program).check()
            let catalog = try Catalog(path: path + "/c") {}
            try catalog.write { records in
                // The asset does not lead to this folder, so no event would delete its record.
                try remove(outer, in: .folders, records)
                #expect(try records.removedFolder(outer) == nil && records.removedFolder(inner) == nil)
                let other = try records.insert(folder(0o711)).id
                try trash(asset, in: other, records)
                try remove(other, in: .folders, records)
                #expect(try records.removedFolder(other)?.mode == 0o040711)
                try records.restore(asset)
                #expect(try records.removedFolder(other) == nil)
            }
            try catalog.close()
        }
    }
}
