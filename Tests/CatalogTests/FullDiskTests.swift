import AssetModel
import Catalog
import Foundation
import TestSupport
import Testing

struct CatalogFullDiskTests {
    /// Runs `body` with a catalog on a disk of four megabytes; `fill` lets another file take all space that
    /// is left.
    private func withSmallDisk(
        _ name: String = #function,
        _ body: (_ path: String, _ fill: () throws -> Void) throws -> Void
    ) throws {
        try withScratch(name) { folder in
            try run("mount", "-t", "tmpfs", "-o", "size=4M", "none", folder).check()
            defer { _ = try? run("umount", "-l", folder) }
            try body(folder) {
                _ = try run("dd", "if=/dev/zero", "of=\(folder)/other", "bs=4k")
                // A commit may need as little as one page.
                try #require(try run("df", "--output=avail", folder).check().output.hasSuffix(" 0\n"))
            }
        }
    }

    private func insert(_ count: Int64, into catalog: Catalog) throws -> [NodeID] {
        try (0..<count).map { number in
            let file = NodeRecord(mode: 0o100644, uid: 1, gid: 2, now: Timestamp(rawValue: number))
            return try catalog.write { try $0.insert(file).id }
        }
    }

    private func isFull(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch {
            return (error as? CatalogError)?.isNoSpace ?? false
        }
    }

    @Test func `a commit that finds no room loses nothing, and is made up for when there is some`() throws {
        try withSmallDisk { folder, fill in
            let catalog = try Catalog(path: folder + "/c") {}
            let early = try insert(10, into: catalog)
            try catalog.commit {}
            try fill()
            let late = try insert(2000, into: catalog)
            for _ in 0..<3 {
                #expect(isFull { try catalog.commit {} })
                #expect(catalog.hasChanges)
                #expect(try (early + late).allSatisfy { id in try catalog.read { try $0.node(id) != nil } })
                #expect(isFull { _ = try insert(1, into: catalog) })
            }
            try FileManager.default.removeItem(atPath: folder + "/other")
            try catalog.commit {}
            #expect(!catalog.hasChanges)
            let last = try insert(5, into: catalog)
            try catalog.commit {}
            try catalog.close()
            #expect(try run("sqlite3", folder + "/c", "PRAGMA integrity_check").check().output == "ok\n")
            let again = try Catalog(path: folder + "/c") {}
            #expect(try (early + late + last).allSatisfy { id in try again.read { try $0.node(id) != nil } })
            try again.close()
        }
    }

    @Test func `what is on the disk when a commit has found no room is what was committed before`() throws {
        try withSmallDisk { folder, fill in
            let catalog = try Catalog(path: folder + "/c") {}
            let early = try insert(10, into: catalog)
            try catalog.commit {}
            try fill()
            let late = try insert(2000, into: catalog)
            #expect(isFull { try catalog.commit {} })
            // The state after a crash: the files as they are.
            try withScratch { copy in
                for name in ["c", "c-wal"] {
                    try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(copy)/\(name)")
                }
                let again = try Catalog(path: copy + "/c") {}
                #expect(try early.allSatisfy { id in try again.read { try $0.node(id) != nil } })
                #expect(try late.allSatisfy { id in try again.read { try $0.node(id) == nil } })
                try again.close()
            }
            try FileManager.default.removeItem(atPath: folder + "/other")
            try catalog.commit {}
            try catalog.close()
        }
    }

    @Test func `a reserve makes commits on a full disk durable`() throws {
        try withSmallDisk { folder, fill in
            let catalog = try Catalog(path: folder + "/c", reserve: 2 << 20) {}
            #expect(catalog.missingReserve == 0)
            try fill()
            let late = try insert(2000, into: catalog)
            try catalog.commit {}
            try FileManager.default.removeItem(atPath: folder + "/other")
            try catalog.close()
            let again = try Catalog(path: folder + "/c") {}
            #expect(try late.allSatisfy { id in try again.read { try $0.node(id) != nil } })
            try again.close()
        }
    }
}
