internal import AssetModel
internal import Glibc
internal import Synchronization

/// Which contents are about to be used, and which about to be removed: no content is both.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Collection: Sendable {
    private struct State {
        var used: [Digest: Int] = [:]
        var removed: Set<Digest> = []
    }

    private let state = Mutex(State())

    /// An upload has found out that its content is this, and will name it; waits while the content is being removed, which takes
    /// as long as a commit.
    func beginUse(of digest: Digest) {
        while !state.withLock({ state in
            guard !state.removed.contains(digest) else { return false }
            state.used[digest, default: 0] += 1
            return true
        }) {
            _ = usleep(1000)
        }
    }

    /// The content is named, or will not be.
    func endUse(of digest: Digest) {
        state.withLock { state in
            let left = (state.used[digest] ?? 1) - 1
            state.used[digest] = left > 0 ? left : nil
        }
    }

    /// Whether somebody uses a content, or is about to.
    func isUsed(_ digest: Digest) -> Bool { state.withLock { $0.used[digest] != nil } }

    /// Begins to remove contents.
    /// - Returns: those of them that nobody is about to use, or removes already.
    func beginRemoval(of digests: [Digest]) -> [Digest] {
        state.withLock { state in
            let free = digests.filter { state.used[$0] == nil && !state.removed.contains($0) }
            state.removed.formUnion(free)
            return free
        }
    }

    /// They are gone, or stay.
    func endRemoval(of digests: [Digest]) { state.withLock { $0.removed.subtract(digests) } }
}

/// A content that is in use, so that it is not removed, until the last reference to this is gone.
public final class ContentUse: Sendable {
    private let digest: Digest
    private let collection: Collection

    init(of digest: Digest, _ collection: Collection) {
        (self.digest, self.collection) = (digest, collection)
        collection.beginUse(of: digest)
    }

    deinit { collection.endUse(of: digest) }
}
