internal import AssetModel
internal import Logging
internal import Synchronization

// Uploads whose close the disk has failed: their bytes are kept, and have their verdict as soon as the disk takes changes again.
extension AssetLibrary {
    /// Keeps a node open until its verdict, which has failed.
    func postpone(_ node: OpenNode, because error: LibraryError) {
        postpone(node)
        waiting.withLock { $0[node.id]?.error = error }
    }

    /// Has the verdicts that the disk has failed, and commits them; the log says then that all is on the disk.
    ///
    /// Verdicts that read for long come on threads of their own. None waits for its turn: a crash loses the bytes of an upload that has no
    /// verdict.
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
