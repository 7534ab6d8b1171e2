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

    /// A verdict that waits.
    struct Waiting {
        /// Since when.
        let since: ContinuousClock.Instant
        /// How often it has failed.
        var failures = 0
        /// When it is tried again after a failure.
        var notBefore: ContinuousClock.Instant?
    }

    /// Keeps a node open until its verdict.
    ///
    /// Called under the node's `upload`, so that no verdict that waits is forgotten while it is asked for again.
    func postpone(_ node: OpenNode) {
        let isNew = waiting.withLock { waiting in
            guard waiting[node.id] == nil else { return false }
            waiting[node.id] = Waiting(since: .now)
            return true
        }
        guard isNew else { return }
        _ = retain(node.id)
        settler.wake()
    }

    /// The verdicts that have waited long enough.
    func settleWaiting() {
        let now = ContinuousClock.now
        for (id, entry) in waiting.withLock({ $0 }) {
            guard let node = openNode(id), entry.notBefore.map({ $0 <= now }) ?? true else { continue }
            let written = node.shown.withLock { $0.written }
            guard now - entry.since > Self.patience || written.map({ now - $0 > Self.quiet }) ?? true else { continue }
            do throws(LibraryError) {
                try node.upload.withLock { upload throws(LibraryError) in
                    try finish(&upload, of: node)
                    // Still under the lock, so that who writes from here on postpones anew, and keeps the node open.
                    waiting.withLock { _ = $0.removeValue(forKey: id) }
                }
                release(node)
            } catch {
                putOff(id, because: error)
            }
        }
        if hasWaiting { settler.wake() }
    }

    /// A verdict that failed is tried again, less and less often; the log has the first failure and then each tenth.
    private func putOff(_ id: NodeID, because error: LibraryError) {
        let failures = waiting.withLock { waiting -> Int in
            guard var entry = waiting[id] else { return 0 }
            entry.failures += 1
            entry.notBefore = .now + min(.seconds(60), .seconds(1 << min(entry.failures, 6)))
            waiting[id] = entry
            return entry.failures
        }
        if failures % 10 == 1 { log.error("The upload to node \(id) could not be ended and is kept: \(error)") }
    }

    /// Whether any verdict waits.
    var hasWaiting: Bool { waiting.withLock { !$0.isEmpty } }

    /// A verdict that waits and that somebody asks for, or that must come before the file's name or asset changes.
    func settle(_ id: NodeID) throws(LibraryError) {
        guard waiting.withLock({ $0[id] != nil }), let node = openNode(id) else { return }
        try finish(node)
    }

    /// The same where what comes next is right also when the verdict fails: a file that cannot be read can be removed.
    func trySettling(_ id: NodeID) {
        do throws(LibraryError) {
            try settle(id)
        } catch {
            log.error("The upload to node \(id) could not be ended: \(error)")
        }
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
