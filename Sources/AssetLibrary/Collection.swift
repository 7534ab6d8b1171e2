internal import AssetModel
internal import Glibc
internal import Synchronization

/// The blobs that uploads are about to use, and those that are about to be removed; no blob is both.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Collection: Sendable {
    private struct State {
        var used: [Digest: Int] = [:]
        var removed: Set<Digest> = []
    }

    private let state = RankedMutex(.leaf, State())

    /// Pins a blob that an upload is about to name; waits while the blob is being removed, which takes as
    /// long as a commit.
    func beginUse(of digest: Digest) {
        LockRank.blobClaim.enter()
        defer { LockRank.blobClaim.leave() }
        while !state.withLock({ state in
            guard !state.removed.contains(digest) else { return false }
            state.used[digest, default: 0] += 1
            return true
        }) {
            _ = usleep(1000)
        }
    }

    /// Releases a pin taken by `beginUse(of:)`, whether or not the blob was named.
    func endUse(of digest: Digest) {
        state.withLock { state in
            let left = (state.used[digest] ?? 1) - 1
            state.used[digest] = left > 0 ? left : nil
        }
    }

    /// Whether a blob is pinned.
    func isUsed(_ digest: Digest) -> Bool { state.withLock { $0.used[digest] != nil } }

    /// Claims blobs for removal, until `endRemoval` on the same thread.
    /// - Returns: those of them that are neither pinned nor claimed already.
    func beginRemoval(of digests: [Digest]) -> [Digest] {
        state.withLock { state in
            let free = digests.filter { state.used[$0] == nil && !state.removed.contains($0) }
            state.removed.formUnion(free)
            // The claim is a lock, for which uploads wait, on the thread that has it.
            if !free.isEmpty { LockRank.blobClaim.enter(isTried: true) }
            return free
        }
    }

    /// Releases the removal claim, whether or not the blobs were removed.
    func endRemoval(of digests: [Digest]) {
        state.withLock { $0.removed.subtract(digests) }
        if !digests.isEmpty { LockRank.blobClaim.leave() }
    }
}

/// A pin that keeps a blob from being removed until the last reference to the pin is gone.
public final class ContentUse: Sendable {
    private let digest: Digest
    private let collection: Collection

    init(of digest: Digest, _ collection: Collection) {
        (self.digest, self.collection) = (digest, collection)
        collection.beginUse(of: digest)
    }

    deinit { collection.endUse(of: digest) }
}
