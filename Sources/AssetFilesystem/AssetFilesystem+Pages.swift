internal import AssetLibrary
internal import AssetModel
internal import BlobStore
internal import FUSE
internal import Synchronization

extension AssetFilesystem {
    /// The largest content, in bytes, that is put into the kernel's page cache when a file is opened: larger ones the kernel reads itself.
    private static let pushedSize: Int64 = 128 << 10

    /// Puts a small content into the kernel's page cache, before an open for reading is answered, so that the kernel need not ask for it.
    ///
    /// That saves the READ and, because the answer to a READ makes the kernel doubt the time of the last access, the GETATTR that follows.
    /// It is done once for each time that the kernel learns of the file. Where the content cannot be read, READ says why.
    func push(_ node: OpenNode, of inode: InodeNumber) {
        guard node.content.size <= Self.pushedSize, let kernel = kernel.withLock({ $0 }) else { return }
        let id = NodeID(inode)
        guard lookupCounts.claimPush(to: id) else { return }
        let isPushed = unsafe library.withSoleContent(of: node, upTo: Self.pushedSize) { bytes in
            unsafe kernel.store(bytes, of: inode)
        }
        if !isPushed { lookupCounts.takeBackPush(to: id) }
    }
}
