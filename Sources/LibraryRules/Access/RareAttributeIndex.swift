public import AssetModel
public import Catalog
internal import LibraryStorage
internal import Synchronization

/// Keeps the nodes that have an extended attribute that the kernel asks of every node; nearly no node has
/// one, so nearly no request costs a look into the catalog.
///
/// ## Concurrency
/// `nodes` takes no other lock.
public final class KernelAttributes: Sendable {
    /// The capabilities of a program.
    public static let capability = "security.capability"
    /// The access list of a file or folder.
    public static let accessList = "system.posix_acl_access"
    /// The list that new entries of a folder get.
    public static let defaultList = "system.posix_acl_default"
    /// The flags that chattr(1) has set; programs do not see them as an attribute.
    public static let flags = "assetfs.flags"

    private let nodes: RankedMutex<[String: Set<NodeID>]>

    /// Reads which nodes have such attributes.
    public init(_ records: Records) throws {
        let names = [Self.capability, Self.accessList, Self.defaultList, Self.flags]
        let found = try names.map { ($0, Set(try records.nodes(withAttribute: $0))) }
        nodes = RankedMutex(.leaf, Dictionary(uniqueKeysWithValues: found))
    }

    /// Returns whether a node may have an attribute; true for any name that is none of these.
    public func mayHave(_ name: String, _ node: NodeID) -> Bool {
        nodes.withLock { $0[name]?.contains(node) ?? true }
    }

    /// Returns whether any node has an attribute.
    public func isInUse(_ name: String) -> Bool { nodes.withLock { $0[name]?.isEmpty == false } }

    /// Notes that a node has an attribute.
    public func add(_ name: String, _ node: NodeID) {
        nodes.withLock { _ = $0[name]?.insert(node) }
    }

    /// Notes that a node has lost all attributes.
    public func remove(_ node: NodeID) {
        nodes.withLock { nodes in
            for name in nodes.keys { nodes[name]?.remove(node) }
        }
    }
}
