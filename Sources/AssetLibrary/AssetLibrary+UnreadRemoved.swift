internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// Files that were removed before their deferred commit. Their bytes are in no version yet, and so in no row
// that `ReclaimPlan` reads: on a full disk they count for their writer, and are dropped when the asset leaves
// the trash.
extension AssetLibrary {
    /// A file that was removed before its commit.
    private struct UnreadRemoved {
        let node: OpenNode
        /// The user that the bytes count for: the writer, or the file's owner where root or the mount's owner
        /// has written it.
        let uid: UInt32
        /// Bytes on the library's own disk.
        let bytes: Int64
        /// The asset's record in the trash; nil once it has left the trash.
        let trashed: TrashRecord?
        /// Whether the asset has left the trash without being restored to a folder.
        let isPurged: Bool
    }

    private func unreadRemoved() throws(LibraryError) -> [UnreadRemoved] {
        guard hasWaiting else { return [] }
        let nodes = waiting.withLock({ $0.mapValues(\.uid) }).compactMap { (id, uid) in openNode(id).map { ($0, uid) } }
            .filter { $0.0.isUnlinked.load(ordering: .relaxed) && $0.0.isKept.load(ordering: .relaxed) }
        guard !nodes.isEmpty else { return [] }
        return try read { records in
            try nodes.map { (node, writer) in
                let record = try records.node(node.id)
                let found = try record?.asset.flatMap { try records.trashed($0) }
                let trashed = found?.node == node.id ? found : nil
                return UnreadRemoved(
                    node: node,
                    uid: writer == 0 || writer == getuid() ? record?.uid ?? writer : writer,
                    bytes: node.content.file.flatMap { try? $0.measure().blocks * 512 } ?? 0,
                    trashed: trashed,
                    isPurged: trashed == nil && record.map { $0.links == 0 } ?? true
                )
            }
        }
    }

    /// Returns the bytes of files in the trash with a deferred commit, by user, and has these commits begin.
    func unreadBytes() throws(LibraryError) -> [UInt32: Int64] {
        var sums: [UInt32: Int64] = [:]
        for file in try unreadRemoved() where file.trashed != nil && file.bytes > 0 {
            sums[file.uid, default: 0] += file.bytes
            waiting.withLock { $0[file.node.id]?.isWanted = true }
        }
        if !sums.isEmpty { wakeSettlers() }
        return sums
    }

    /// Deletes files of a user that came to the trash before `recent` and whose commit does not come in time.
    ///
    /// The oldest in the trash go first, until so many bytes become free.
    /// - Returns: how many, and their bytes.
    func dropUnread(
        of uid: UInt32,
        _ bytes: Int64,
        before recent: Timestamp
    ) throws(LibraryError) -> (count: Int, bytes: Int64) {
        var sum: (count: Int, bytes: Int64) = (0, 0)
        let files = try unreadRemoved().filter { $0.uid == uid && $0.bytes > 0 }
            .compactMap { file in file.trashed.map { (file, $0) } }
            .filter { $0.1.trashed < recent }
            .sorted { $0.1.trashed < $1.1.trashed }
        for (file, trashed) in files where sum.bytes < bytes {
            let isGone = try write { records in
                // The file may have been committed meanwhile: its bytes are then in `ReclaimPlan`, as a
                // version's.
                guard isWaiting(file.node.id), let record = try records.trashed(trashed.asset),
                    record.trashed == trashed.trashed
                else { return false }
                try records.deleteWithItsOwn(trashed.asset, rulebook)
                try records.append(.purged, of: trashed.asset, at: record.path)
                return true
            }
            guard isGone else { continue }
            log.notice("Removed \(trashed.path) from the trash for good, to make room.")
            sum = (sum.count + 1, sum.bytes + file.bytes)
        }
        try giveUpPurged()
        return sum
    }

    /// Stops reading files that were removed before their commit and are not in the trash any more.
    func giveUpPurged() throws(LibraryError) {
        for file in try unreadRemoved() where file.isPurged {
            file.node.isKept.store(false, ordering: .relaxed)
            waiting.withLock { $0[file.node.id]?.isWanted = true }
            wakeSettlers()
        }
    }

    private func wakeSettlers() {
        for worker in longSettlers { worker.wake() }
        settler.wake()
    }
}
