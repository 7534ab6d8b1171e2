internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import Synchronization

/// Files that have lost a name of which the kernel is not notified yet: a cached name may still lead there.
///
/// Neither a name nor its absence can be removed from the kernel's cache without the folder's lock. But
/// open(2) and stat(2) walk their path once more, without trusting the cache, after the answer ESTALE.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class StaleNames: Sendable {
    private struct State {
        /// The number of lost names of each file of which the kernel has to be notified.
        var files: [NodeID: Int] = [:]
        /// The threads that have to walk their path again, each with the file and the time limit for its
        /// retry.
        var threads: [Int32: (file: NodeID, until: ContinuousClock.Instant)] = [:]
    }

    private let state = Mutex(State())

    /// Records that a file has lost a name.
    func add(_ file: NodeID) { state.withLock { $0.files[file, default: 0] += 1 } }

    /// Records that the kernel was notified of a name that a file has lost.
    func remove(_ file: NodeID) {
        state.withLock { state in
            let left = (state.files[file] ?? 1) - 1
            state.files[file] = left > 0 ? left : nil
            if state.files.isEmpty { state.threads = [:] }
        }
    }

    /// Returns whether a thread that has come to a file is to walk its path again; not twice in a row, since
    /// then the path does lead there.
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
