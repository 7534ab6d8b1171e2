import AssetModel
import FUSE
import Testing

@testable import AssetFilesystem

struct LookupCountsTests {
    private let node = NodeID(rawValue: 70)
    private var forgotten: Forgotten { Forgotten(inode: node.inode, count: 1) }

    @Test func `a node that is looked up again does not go with the FORGET of its former reference`() {
        let counts = LookupCounts()
        counts.add(node)
        let first = counts.subtract([forgotten])
        #expect(first.unknown == [node] && first.nameless.isEmpty)
        // Another thread looks the node up and opens it, before the thread of the FORGET continues.
        counts.add(node)
        counts.noteNameless(node)
        #expect(!counts.takeForgotten(node))
        let second = counts.subtract([forgotten])
        #expect(second.unknown == [node] && second.nameless == [node])
        #expect(counts.subtract([forgotten]).nameless.isEmpty)
    }

    @Test func `a node without a name goes once, at once where the kernel does not know it`() {
        let counts = LookupCounts()
        counts.noteNameless(node)
        #expect(counts.takeForgotten(node))
        #expect(!counts.takeForgotten(node))
    }
}
