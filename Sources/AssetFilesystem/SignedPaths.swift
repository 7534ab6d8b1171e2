internal import AssetModel
internal import FUSE
internal import Glibc
internal import LibraryStorage
internal import Synchronization

/// The signed paths that users have looked up, under the numbers that the kernel has for them, and the files
/// that are being put into folders by them.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class SignedPaths: Sendable {
    /// A name that a user has made by a signed path: no other user sees it there.
    struct Name: Hashable {
        let path: Int64
        let name: [UInt8]
        let uid: UInt32
    }

    /// The file of such a name, until the file has its name in the folder.
    struct Drop {
        let node: NodeID
        /// Whether the file waits for its final name.
        let isTemporary: Bool
        /// The place of the user that has made the file.
        let share: UserShare
        /// The time of the last close.
        var released: ContinuousClock.Instant?
    }

    private struct State {
        var drops: [Name: Drop] = [:]
        var nodes: Set<NodeID> = []
    }

    /// The tokens of paths.
    let tokens = Numbering()
    private let state = Mutex(State())
    /// The number of files of a user that may wait for their final names in one box.
    private static let waitingLimit = 64
    /// The places for names in all boxes; one user alone may have half of them.
    private let shares = UserShares(capacity: 2048, limit: .max, exempt: [0, getuid()])

    func drop(_ name: Name) -> Drop? { state.withLock { $0.drops.isEmpty ? nil : $0.drops[name] } }

    func add(_ name: Name, _ drop: Drop) -> Drop? {
        state.withLock { state in
            state.nodes.insert(drop.node)
            let former = state.drops.updateValue(drop, forKey: name)
            if let former { state.nodes.remove(former.node) }
            return former
        }
    }

    /// Takes a user's place for one more file in a box; nil where the user has too many.
    func share(for uid: UInt32, in path: Int64) -> UserShare? {
        let waiting = state.withLock { state in
            state.drops.count { $0.key.uid == uid && $0.key.path == path && $0.value.isTemporary }
        }
        return waiting < Self.waitingLimit ? shares.take(for: uid) : nil
    }

    /// Forgets a name, if it still means a file.
    func remove(_ name: Name, _ node: NodeID) -> Bool {
        state.withLock { state in
            guard state.drops[name]?.node == node else { return false }
            state.drops[name] = nil
            state.nodes.remove(node)
            return true
        }
    }

    /// Notes that the last descriptor of a file was closed.
    func noteRelease(_ name: Name) { state.withLock { $0.drops[name]?.released = .now } }

    /// Returns whether a file is on its way into a folder.
    func has(_ node: NodeID) -> Bool {
        state.withLock { $0.nodes.contains(node) }
    }

    /// The time for which a file under a temporary name waits for its final one.
    private static let patience = Duration.seconds(600)

    /// Removes and returns the files that have not got their final name in time.
    func leftBehind() -> [NodeID] {
        state.withLock { state in
            guard !state.drops.isEmpty else { return [] }
            let old = state.drops.filter { $0.value.released.map { $0 + Self.patience < .now } ?? false }
            for (name, drop) in old {
                state.drops[name] = nil
                state.nodes.remove(drop.node)
            }
            return old.values.map(\.node)
        }
    }
}
