public import AssetModel
internal import Synchronization

/// A set of nodes that is nearly always empty.
///
/// ## Concurrency
/// `nodes` is held for a moment only; `count` avoids the lock while the set is empty.
public final class NodeSet: Sendable {
    private let nodes = RankedMutex<Set<NodeID>>(.leaf, [])
    private let count = Atomic(0)

    /// Makes an empty set.
    public init() {}

    /// Adds a node.
    public func insert(_ node: NodeID) {
        nodes.withLock { nodes in
            nodes.insert(node)
            count.store(nodes.count, ordering: .releasing)
        }
    }

    /// Removes a node.
    /// - Returns: whether the node was in the set.
    public func remove(_ node: NodeID) -> Bool {
        guard count.load(ordering: .acquiring) > 0 else { return false }
        return nodes.withLock { nodes in
            defer { count.store(nodes.count, ordering: .releasing) }
            return nodes.remove(node) != nil
        }
    }
}
