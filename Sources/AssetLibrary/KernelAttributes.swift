internal import AssetModel
internal import Catalog
internal import Synchronization

/// Which nodes have an extended attribute that the kernel asks every node for; nearly none does, and so nearly none costs a look
/// into the catalog.
///
/// ## Concurrency
/// `nodes` takes no other lock.
final class KernelAttributes: Sendable {
    static let capability = "security.capability"
    static let accessList = "system.posix_acl_access"
    static let defaultList = "system.posix_acl_default"
    /// What chattr(1) has set; no program sees it as an attribute.
    static let flags = "assetfs.flags"

    private let nodes: Mutex<[String: Set<NodeID>]>

    init(_ records: Records) throws {
        let names = [Self.capability, Self.accessList, Self.defaultList, Self.flags]
        let found = try names.map { ($0, Set(try records.nodes(withAttribute: $0))) }
        nodes = Mutex(Dictionary(uniqueKeysWithValues: found))
    }

    /// Whether a node may have an attribute; those that are none of these may be anywhere.
    func mayHave(_ name: String, _ node: NodeID) -> Bool {
        nodes.withLock { $0[name]?.contains(node) ?? true }
    }

    /// Whether any node has an attribute.
    func isInUse(_ name: String) -> Bool { nodes.withLock { $0[name]?.isEmpty == false } }

    /// A node has an attribute now.
    func add(_ name: String, _ node: NodeID) {
        nodes.withLock { _ = $0[name]?.insert(node) }
    }

    /// A node has no attributes any more.
    func remove(_ node: NodeID) {
        nodes.withLock { nodes in
            for name in nodes.keys { nodes[name]?.remove(node) }
        }
    }
}
