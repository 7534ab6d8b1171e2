internal import AssetModel
internal import LibraryStorage
internal import Logging
internal import Synchronization

// Uploads that the disk has kept from being committed at their close: the bytes are kept, and are committed
// as soon as the disk takes changes again.
extension AssetLibrary {
    /// Keeps a node open for another attempt to commit its upload, which has failed.
    func postpone(_ node: OpenNode, because error: LibraryError) {
        postpone(node)
        waiting.withLock { $0[node.id]?.error = error }
    }

    /// Commits the uploads that the disk has failed, and the catalog, and then logs that all changes are on
    /// the disk.
    ///
    /// Uploads whose commit reads for long are left to other threads. None is delayed: a crash loses the
    /// bytes of an upload that is not committed.
    func endFailedUploads() throws(LibraryError) {
        guard isDiskBack.load(ordering: .relaxed) else { return }
        var isLeft = false
        for id in waiting.withLock({ $0.filter { $1.error?.isOfDisk == true && !$1.isRunning }.map(\.key) }) {
            guard let node = openNode(id) else { continue }
            if isLong(node) {
                waiting.withLock { waiting in
                    waiting[id]?.notBefore = nil
                    waiting[id]?.isWanted = true
                }
                isLeft = true
            } else if claim(id) {
                settle(id, node)
            }
        }
        if isLeft { for worker in longSettlers { worker.wake() } }
        try groupCommit.commit()
        isDiskBack.store(false, ordering: .relaxed)
        log.notice("The library's disk has room again: all that was changed is on it.")
    }
}
