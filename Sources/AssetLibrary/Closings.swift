internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// The bytes of a recorded upload are on the disk as they are written, and the permissions of its file with
// the next commit. After a crash between the two, users could read bytes that were written after the file had
// been closed to them. So the first write after a change that may close the file waits for a commit; all
// other writes cost two atomic loads.
extension AssetLibrary {
    /// Notes before a change is acknowledged that it may have closed a file or folder to users.
    func noteClosing(of id: NodeID, isFolder: Bool) {
        if isFolder { groupCommit.closings.note(id) }
        let node = isFolder ? nil : openNode(id)
        node?.closings.add(1, ordering: .releasing)
        guard boundCount.load(ordering: .relaxed) > 0 else { return }
        let mayBeMapped =
            isFolder ? openNodes.withLock { nodes in nodes.values.map { $0.node } } : [node].compactMap { $0 }
        // A store to a mapping of a private file is no request that could wait.
        let isMapped = mayBeMapped.contains { node in
            node.isBound.load(ordering: .relaxed) && node.upload.withLockIfAvailable { $0.isRecorded } != false
        }
        guard isMapped else { return }
        // The change stands even if the commit fails, which is then logged and tried again.
        try? commit()
    }

    /// Commits that a file was closed to users before bytes are written to it that a crash would otherwise
    /// reveal to them.
    func commitClosing(of node: OpenNode) throws(LibraryError) {
        let count = node.closings.load(ordering: .acquiring)
        let isClosed = count != node.durableClosings.load(ordering: .relaxed)
        guard isClosed || !groupCommit.closings.isEmpty else { return }
        // An upload that is recorded later is so in one commit with the change.
        guard node.upload.withLock({ $0.isRecorded || $0.staged?.mustKeepName == true }) else { return }
        if try isClosed ? true : isBelowClosed(node.id) { try commit() }
        node.durableClosings.store(count, ordering: .relaxed)
    }

    private func isBelowClosed(_ id: NodeID) throws(LibraryError) -> Bool {
        let folders = try read { records in
            try records.entriesNaming(id).flatMap { [$0.parent] + (try rulebook.of($0.parent, records).ancestors) }
        }
        return groupCommit.closings.contains(anyOf: folders)
    }
}

extension NodeRecord {
    /// Whether attributes that are about to be set take permissions from users.
    func isClosed(by changes: AssetLibrary.AttributeChanges) -> Bool {
        if let mode = changes.mode, self.mode & 0o777 & ~mode != 0 { return true }
        return changes.uid.map { $0 != uid } ?? false || changes.gid.map { $0 != gid } ?? false
    }
}
