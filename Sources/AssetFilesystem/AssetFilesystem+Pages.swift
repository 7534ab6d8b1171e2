internal import AssetLibrary
internal import AssetModel
internal import BlobStore
internal import FUSE
internal import Synchronization

extension AssetFilesystem {
    /// The largest file, in bytes, that is put into the kernel's page cache at an open: the kernel reads
    /// larger ones itself.
    private static let pushedSize: Int64 = 128 << 10

    /// Puts a small file into the kernel's page cache, before an open for reading is answered, so that the
    /// kernel need not ask for it.
    ///
    /// That saves the READ and the GETATTR behind it, which the kernel sends because a READ makes the time of
    /// the last access doubtful. It is done once for each time that the kernel gets a reference to the file.
    /// Where the file cannot be read, READ returns the error.
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
