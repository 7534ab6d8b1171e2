public import AssetModel

/// The blobs that uploads are about to use, and those that are about to be removed; no blob is both.
///
/// ## Concurrency
/// `state` is held for a moment only.
public final class BlobPins: Sendable {
    private struct State {
        var used: [Digest: Int] = [:]
        var removed: Set<Digest> = []
        /// The threads that wait until a removal has ended.
        var waiting: [Signal] = []
    }

    /// How long a thread waits at most before it looks again, in milliseconds.
    private static let patience: Int32 = 1000

    private let state = RankedMutex(.leaf, State())

    /// Pins a blob that an upload is about to name; waits while the blob is being removed, which takes as
    /// long as a commit.
    public func pin(_ digest: Digest) {
        LockRank.blobClaim.enter()
        defer { LockRank.blobClaim.leave() }
        if begin(digest, orSend: nil) { return }
        let isOver = Signal()
        while !begin(digest, orSend: isOver) { isOver.wait(milliseconds: Self.patience) }
    }

    /// Pins a blob.
    /// - Returns: false if the blob is being removed; the end of a removal sends the event.
    private func begin(_ digest: Digest, orSend event: Signal?) -> Bool {
        state.withLock { state in
            if let event { state.waiting.removeAll { $0 === event } }
            if state.removed.contains(digest) {
                if let event { state.waiting.append(event) }
                return false
            }
            state.used[digest, default: 0] += 1
            return true
        }
    }

    /// Releases a pin taken by `pin(_:)`, whether or not the blob was named.
    public func unpin(_ digest: Digest) {
        state.withLock { state in
            let left = (state.used[digest] ?? 1) - 1
            state.used[digest] = left > 0 ? left : nil
        }
    }

    /// Whether a blob is pinned.
    public func isPinned(_ digest: Digest) -> Bool { state.withLock { $0.used[digest] != nil } }

    /// Claims blobs for removal, until `releaseClaim` on the same thread.
    /// - Returns: those of them that are neither pinned nor claimed already.
    public func claimForDeletion(_ digests: [Digest]) -> [Digest] {
        state.withLock { state in
            let free = digests.filter { state.used[$0] == nil && !state.removed.contains($0) }
            state.removed.formUnion(free)
            // The claim is a lock, for which uploads wait, on the thread that has it.
            if !free.isEmpty { LockRank.blobClaim.enter(isTried: true) }
            return free
        }
    }

    /// Releases the removal claim, whether or not the blobs were removed.
    public func releaseClaim(of digests: [Digest]) {
        let waiting = state.withLock { state in
            state.removed.subtract(digests)
            defer { state.waiting = [] }
            return state.waiting
        }
        for thread in waiting { thread.send() }
        if !digests.isEmpty { LockRank.blobClaim.leave() }
    }
}

/// A pin that keeps a blob from being removed until the last reference to the pin is gone.
public final class BlobPin: Sendable {
    private let digest: Digest
    private let pins: BlobPins

    /// Pins a blob; waits while it is being removed.
    public init(of digest: Digest, _ pins: BlobPins) {
        (self.digest, self.pins) = (digest, pins)
        pins.pin(digest)
    }

    deinit { pins.unpin(digest) }
}
