internal import AssetModel
internal import FUSE
internal import LibraryStorage
internal import Synchronization

/// Counts the kernel's references to nodes, so that a node without a name is kept until the last of them is
/// released.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock. One lock guards both parts: a node that is
/// looked up again while a FORGET of its former reference is under way, and loses its name then, must not be
/// deleted by that FORGET.
final class LookupCounts: Sendable {
    private struct State {
        var counts: [NodeID: UInt64] = [:]
        /// The nodes that are deleted with the kernel's last reference.
        var nameless: Set<NodeID> = []
        /// The nodes whose bytes have been put into the kernel's page cache.
        var pushed: Set<NodeID> = []
    }

    private let state = Mutex(State())

    /// Counts a new reference of the kernel to a node.
    func add(_ node: NodeID) { state.withLock { $0.counts[node, default: 0] += 1 } }

    /// Records that a node has no name, and is to be deleted with the kernel's last reference.
    func noteNameless(_ node: NodeID) { state.withLock { _ = $0.nameless.insert(node) } }

    /// Records that a node's bytes are put into the kernel's page cache.
    /// - Returns: whether that was not done yet since the kernel got its first reference.
    func claimPush(to node: NodeID) -> Bool {
        state.withLock { $0.counts[node] != nil && $0.pushed.insert(node).inserted }
    }

    /// Records that a node's bytes were not put into the kernel's page cache after all.
    func takeBackPush(to node: NodeID) { state.withLock { _ = $0.pushed.remove(node) } }

    /// Ends the record of a node without a name that the kernel does not know.
    /// - Returns: whether there was such a node, which is to be deleted now.
    func takeForgotten(_ node: NodeID) -> Bool {
        state.withLock { $0.counts[node] == nil && $0.nameless.remove(node) != nil }
    }

    /// Subtracts released references.
    /// - Returns: the nodes that the kernel no longer knows, and those of them without a name, which are to
    ///   be deleted now.
    func subtract(_ forgotten: [Forgotten]) -> (unknown: [NodeID], nameless: [NodeID]) {
        state.withLock { state in
            let unknown: [NodeID] = forgotten.compactMap { forgotten in
                let node = NodeID(forgotten.inode)
                guard let count = state.counts[node] else { return nil }
                let left = count > forgotten.count ? count - forgotten.count : 0
                state.counts[node] = left > 0 ? left : nil
                if left == 0 { state.pushed.remove(node) }
                return left > 0 ? nil : node
            }
            return (unknown, unknown.filter { state.nameless.remove($0) != nil })
        }
    }
}
