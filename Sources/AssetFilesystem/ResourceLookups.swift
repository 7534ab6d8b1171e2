internal import AssetModel
internal import LibraryStorage
internal import Synchronization

/// Threads that have just looked up an asset's file in `resources/ID/`: a file that such a thread opens for
/// writing is replaced there.
///
/// The file's inode is the one in `folders/`, so that an open does not show by which of its names it came.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class ResourceLookups: Sendable {
    private let state = Mutex<[Int32: (file: NodeID, until: ContinuousClock.Instant)]>([:])

    /// The time that a thread may take from the lookup of a path to its open.
    private static let patience = Duration.seconds(1)

    /// Notes a lookup.
    func note(_ thread: Int32, _ file: NodeID) {
        state.withLock { state in
            if state.count > 256 { state = state.filter { $0.value.until > .now } }
            state[thread] = (file, .now + Self.patience)
        }
    }

    /// Returns whether a thread that opens a file for writing has looked it up in `resources/`.
    func end(_ thread: Int32, _ file: NodeID) -> Bool {
        state.withLock { state in
            guard !state.isEmpty, let found = state.removeValue(forKey: thread) else { return false }
            return found.file == file && found.until > .now
        }
    }
}
