internal import AssetModel
internal import Catalog
internal import FUSE
internal import Synchronization

/// Files that have lost a name of which the kernel does not know yet: it may still lead there.
///
/// Neither the name nor its absence can be taken from the kernel without the folder's lock. But open(2) and stat(2) walk their path once
/// more, without trusting what the kernel remembers, where they are answered with ESTALE.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class StaleNames: Sendable {
    private struct State {
        /// How many names each has lost that are still to be told.
        var files: [NodeID: Int] = [:]
        /// Threads that have been sent to walk their path again, for which file, and until when they come back.
        var threads: [Int32: (file: NodeID, until: ContinuousClock.Instant)] = [:]
    }

    private let state = Mutex(State())

    /// Records that a file has lost a name.
    func add(_ file: NodeID) { state.withLock { $0.files[file, default: 0] += 1 } }

    /// Records that the kernel was told of a name that a file has lost.
    func remove(_ file: NodeID) {
        state.withLock { state in
            let left = (state.files[file] ?? 1) - 1
            state.files[file] = left > 0 ? left : nil
            if state.files.isEmpty { state.threads = [:] }
        }
    }

    /// Whether a thread that has come to a file is to walk its path again; not twice in a row, since then the path does lead there.
    func sendsBack(_ thread: Int32, from file: NodeID) -> Bool {
        guard thread != 0 else { return false }
        return state.withLock { state in
            guard !state.files.isEmpty, state.files[file] != nil else { return false }
            if let last = state.threads.removeValue(forKey: thread), last.file == file, last.until > .now {
                return false
            }
            if state.threads.count >= 256 { state.threads = [:] }
            state.threads[thread] = (file, .now + .seconds(30))
            return true
        }
    }
}
