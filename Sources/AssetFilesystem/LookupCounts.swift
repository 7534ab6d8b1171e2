internal import AssetModel
internal import FUSE
internal import Synchronization

/// The kernel's references to nodes, so that one without a name lives until the last of them is gone.
///
/// ## Concurrency
/// `counts` is held for a moment only and takes no other lock.
final class LookupCounts: Sendable {
    private let counts = Mutex<[NodeID: UInt64]>([:])

    /// The kernel is about to learn of a node.
    func add(_ node: NodeID) { counts.withLock { $0[node, default: 0] += 1 } }

    /// Whether the kernel knows a node.
    func has(_ node: NodeID) -> Bool { counts.withLock { $0[node] != nil } }

    /// Takes references away.
    /// - Returns: the nodes that the kernel knows no more.
    func subtract(_ forgotten: [Forgotten]) -> [NodeID] {
        counts.withLock { counts in
            forgotten.compactMap { forgotten in
                let node = NodeID(forgotten.inode)
                guard let count = counts[node] else { return nil }
                let left = count > forgotten.count ? count - forgotten.count : 0
                counts[node] = left > 0 ? left : nil
                return left > 0 ? nil : node
            }
        }
    }
}
