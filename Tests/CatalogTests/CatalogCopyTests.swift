import AssetModel
import Catalog
import Foundation
import TestSupport
import Testing

/// Copies of a catalog that changes during the copy.
struct CatalogCopyTests {
    private func file(_ number: Int) -> NodeRecord {
        NodeRecord(mode: 0o100644, uid: UInt32(number), gid: 2, now: Timestamp(rawValue: 1))
    }

    @Test func `a copy is the catalog as it was committed before the last step`() throws {
        try withScratch { folder in
            let catalog = try Catalog(path: folder + "/c") {}
            var nodes: [NodeID] = []
            try catalog.write { records in
                for number in 0..<20_000 { nodes.append(try records.insert(file(number)).id) }
                try records.insertMissingRoots()
            }
            try catalog.commit {}
            let copy = try CatalogCopy(to: folder + "/copy", stepTime: .zero)
            var steps = 0
            while !copy.isComplete {
                // The pages at both ends: of the part that is already copied, and of the rest.
                try catalog.write { records in
                    try records.setAccessTime(of: nodes[steps], to: Timestamp(rawValue: 100))
                    try records.setAccessTime(of: nodes[nodes.count - 1 - steps], to: Timestamp(rawValue: 100))
                    _ = try records.insert(file(1))
                }
                steps += 1
                try catalog.commit(advancing: copy) {}
                try copy.check()
            }
            catalog.end(copy)
            try copy.makeDurable()
            let count = try catalog.read { try $0.nodeCount() }
            try catalog.write { _ = try $0.insert(file(2)) }
            try catalog.commit {}
            try catalog.close()
            #expect(steps > 10)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["c", "copy"])
            let closed = try ClosedCatalog(path: folder + "/copy")
            #expect(try closed.read { try $0.integrity(isThorough: true) }.isEmpty)
            #expect(try closed.read { try $0.nodeCount() } == count)
            for index in 0..<steps {
                #expect(try closed.read { try $0.node(nodes[index])?.accessed.rawValue } == 100)
                #expect(try closed.read { try $0.node(nodes[nodes.count - 1 - index])?.accessed.rawValue } == 100)
            }
            try closed.close()
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["c", "copy"])
        }
    }

    @Test func `a copy without room fails alone`() throws {
        try withScratch { folder in
            try run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder).check()
            defer { _ = try? run("umount", "-l", folder) }
            try withScratch { other in
                let catalog = try Catalog(path: other + "/c") {}
                try catalog.write { records in for number in 0..<20_000 { _ = try records.insert(file(number)) } }
                try catalog.commit {}
                let copy = try CatalogCopy(to: folder + "/copy")
                #expect(throws: CatalogError.self) {
                    while !copy.isComplete {
                        try catalog.write { _ = try $0.insert(file(1)) }
                        try catalog.commit(advancing: copy) {}
                        try copy.check()
                    }
                }
                catalog.end(copy)
                try catalog.write { _ = try $0.insert(file(3)) }
                try catalog.commit {}
                #expect(!catalog.hasChanges)
                try catalog.close()
            }
        }
    }
}
