internal import AssetModel
internal import Synchronization

/// A set of nodes that is nearly always empty.
///
/// ## Concurrency
/// `nodes` is held for a moment only; `count` saves the lock where there is none.
final class NodeSet: Sendable {
    private let nodes = Mutex<Set<NodeID>>([])
    private let count = Atomic(0)

    func insert(_ node: NodeID) {
        nodes.withLock { nodes in
            nodes.insert(node)
            count.store(nodes.count, ordering: .releasing)
        }
    }

    /// - Returns: whether it was there.
    func remove(_ node: NodeID) -> Bool {
        guard count.load(ordering: .acquiring) > 0 else { return false }
        return nodes.withLock { nodes in
            defer { count.store(nodes.count, ordering: .releasing) }
            return nodes.remove(node) != nil
        }
    }
}
