public import AssetModel
public import Catalog
internal import LibraryStorage
internal import Synchronization

/// The creators of files that get another owner at their commit: files dropped into a folder, and files that
/// replace another user's file through `resources/ID/`.
///
/// The kernel checks chmod(2), chown(2) and access lists by the owner that it has cached, which is the
/// creator until it asks anew. Through a descriptor that is still open the creator could change another
/// user's file.
///
/// ## Concurrency
/// `makers` is held for a moment only and takes no other lock.
public final class FormerOwners: Sendable {
    private let makers = RankedMutex<[NodeID: UInt32]>(.leaf, [:])
    private let count = Atomic(0)

    /// Makes an empty set.
    public init() {}

    /// Notes the creator of a file that will get another owner.
    public func note(_ uid: UInt32, of node: NodeID) {
        makers.withLock { makers in
            makers[node] = uid
            count.store(makers.count, ordering: .releasing)
        }
    }

    /// Forgets files of which the kernel has no owner cached any more.
    public func forget(_ nodes: [NodeID]) {
        guard isInUse else { return }
        makers.withLock { makers in
            for node in nodes { makers[node] = nil }
            count.store(makers.count, ordering: .releasing)
        }
    }

    /// Whether any file is noted.
    public var isInUse: Bool { count.load(ordering: .acquiring) > 0 }

    /// Returns whether the kernel may take a user for a file's owner, because it has cached the creator as
    /// that.
    ///
    /// That user is the creator, or a process that has capabilities over the creator's files in a user
    /// namespace.
    public func mayPass(_ uid: UInt32, forOwnerOf node: NodeRecord) -> Bool {
        guard uid != 0, uid != node.uid, isInUse else { return false }
        return makers.withLock { $0[node.id] }.map { $0 != node.uid } ?? false
    }
}

extension Records {
    /// Removes from a file the attributes that only its owner may set, before another user becomes its owner.
    ///
    /// These are access level, expiry, access list, flags and store. The content and the fields stay.
    public func takeOwnersWord(of node: inout NodeRecord, _ kernelAttributes: KernelAttributes) throws {
        let names =
            [KernelAttributes.accessList, KernelAttributes.flags].filter { kernelAttributes.mayHave($0, node.id) }
            .map { Array($0.utf8) }
        for name in names + [AttributeName.expires, AttributeName.store] {
            try deleteExtendedAttribute(name, of: node.id)
        }
        (node.access, node.isAccessInherited) = (nil, false)
        try setAccess(ofNode: node)
    }
}
