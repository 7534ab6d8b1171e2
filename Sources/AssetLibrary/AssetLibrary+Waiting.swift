internal import AssetModel
internal import BlobStore
internal import Logging
internal import Synchronization

// Verdicts that wait. A program that restores or edits a large file may open, write and close it a thousand times; to read the whole
// file at each close, and to copy it before the next write, would take hours. Such a verdict comes when the file has been quiet
// for a moment, when somebody asks for it, and in any case within a minute.
extension AssetLibrary {
    /// How long a file must not have been written to.
    private static let quiet = Duration.seconds(2)
    /// How long a verdict waits for that.
    private static let patience = Duration.seconds(60)

    /// Keeps a node open until its verdict.
    func postpone(_ node: OpenNode) {
        let isNew = waiting.withLock { waiting in
            guard waiting[node.id] == nil else { return false }
            waiting[node.id] = .now
            return true
        }
        guard isNew else { return }
        _ = retain(node.id)
        settler.withLock { $0 }?.wake()
    }

    /// The verdicts that have waited long enough.
    func settleWaiting() {
        let now = ContinuousClock.now
        for (id, since) in waiting.withLock({ $0 }) {
            guard let node = openNode(id) else { continue }
            let written = node.shown.withLock { $0.written }
            guard now - since > Self.patience || written.map({ now - $0 > Self.quiet }) ?? true else { continue }
            do throws(LibraryError) {
                try node.upload.withLock { upload throws(LibraryError) in
                    try finish(&upload, of: node)
                    if upload.writers == 0 { upload.version = nil }
                }
                waiting.withLock { _ = $0.removeValue(forKey: id) }
                release(node)
            } catch {
                log.error("The upload to node \(id) could not be ended and is kept: \(error)")
                waiting.withLock { $0[id] = now }
            }
        }
        if waiting.withLock({ !$0.isEmpty }) { settler.withLock { $0 }?.wake() }
    }

    /// A verdict that somebody asks for.
    func settle(_ id: NodeID) throws(LibraryError) {
        guard waiting.withLock({ $0[id] != nil }), let node = openNode(id) else { return }
        try finish(node)
    }
}

extension OpenNode.Upload {
    /// From this size on a verdict may be too costly for a close.
    private static var costlySize: Int64 { 1 << 20 }

    /// Whether a verdict would read the whole file, or lead to a copy of it before the next write.
    func isCostly(_ size: Int64) -> Bool {
        guard size > Self.costlySize else { return false }
        return isBound || staged != nil && (version != nil || !digest.isComplete(for: size))
    }
}
