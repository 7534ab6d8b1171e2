public import AssetModel
internal import Catalog
public import LibraryStorage
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
final class FormerOwners: Sendable {
    private let makers = RankedMutex<[NodeID: UInt32]>(.leaf, [:])
    private let count = Atomic(0)

    /// Notes the creator of a file that will get another owner.
    func note(_ uid: UInt32, of node: NodeID) {
        makers.withLock { makers in
            makers[node] = uid
            count.store(makers.count, ordering: .releasing)
        }
    }

    /// Forgets files of which the kernel has no owner cached any more.
    func forget(_ nodes: [NodeID]) {
        guard isInUse else { return }
        makers.withLock { makers in
            for node in nodes { makers[node] = nil }
            count.store(makers.count, ordering: .releasing)
        }
    }

    /// Whether any file is noted.
    var isInUse: Bool { count.load(ordering: .acquiring) > 0 }

    /// Returns whether the kernel may take a user for a file's owner, because it has cached the creator as
    /// that.
    ///
    /// That user is the creator, or a process that has capabilities over the creator's files in a user
    /// namespace.
    func mayPass(_ uid: UInt32, forOwnerOf node: NodeRecord) -> Bool {
        guard uid != 0, uid != node.uid, isInUse else { return false }
        return makers.withLock { $0[node.id] }.map { $0 != node.uid } ?? false
    }
}

extension AssetLibrary {
    /// Refuses an owner's operation to users that the kernel may take for the owner, because it has cached
    /// the creator.
    ///
    /// Must be called in the catalog operation that makes the change, so that no commit comes between the
    /// two.
    func refuseFormerOwner(of node: NodeRecord, by uid: UInt32?) throws(LibraryError) {
        guard let uid, formerOwners.mayPass(uid, forOwnerOf: node) else { return }
        throw .notPermitted("The file is user \(node.uid)'s now; mode, owner and access list are for that user to set.")
    }

    /// Refuses to remove or move a name in a sticky folder to the file's creator, if the file has another
    /// owner now.
    public func refuseFormerOwner(ofName name: EntryName, in folder: NodeID, by uid: UInt32) throws(LibraryError) {
        guard formerOwners.isInUse else { return }
        try read { records in
            guard let parent = try records.node(folder), parent.mode & 0o1000 != 0, parent.uid != uid,
                let node = try records.node(named: name, in: folder)
            else { return }
            try refuseFormerOwner(of: node, by: uid)
        }
    }

    /// Forgets the creators of files that the kernel does not know any more.
    public func forgetMakers(of nodes: [NodeID]) { formerOwners.forget(nodes) }
}

extension Records {
    /// Removes from a file the attributes that only its owner may set, before another user becomes its owner.
    ///
    /// These are access level, expiry, access list, flags and store. The content and the fields stay.
    func takeOwnersWord(of node: inout NodeRecord, _ kernelAttributes: KernelAttributes) throws {
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

extension AssetLibrary {
    /// Gives a file that was dropped into a folder to the folder's owner, as if that user had created it
    /// there.
    ///
    /// The file's group and other users get no more permissions on it than on the folder, unless the folder's
    /// default access list grants them.
    func handOver(_ id: NodeID, to folder: NodeID, _ records: Records) throws {
        guard var node = try records.node(id), let owner = try records.node(folder) else { return }
        let execution = node.mode & 0o111
        try records.takeOwnersWord(of: &node, kernelAttributes)
        try inheritAccess(from: folder, for: &node, records)
        if node.access != nil { try records.setAccess(ofNode: node) }
        (node.uid, node.gid) = (owner.uid, owner.gid)
        if kernelAttributes.mayHave(KernelAttributes.defaultList, folder) {
            node.mode = 0o100666 | execution
            let lists = try inheritedLists(from: folder, for: &node, umask: owner.mode & 0o077 ^ 0o077, records)
            for (name, list) in lists { try setList(name, of: id, to: list, records) }
        } else {
            // With an access list the mode of a folder has the list's mask, and not the permissions of its
            // group.
            let rights = try rulebook.rights(of: owner, records)
            let (member, other) = (
                rights.permissions(of: .max) { $0 == owner.gid }, rights.permissions(of: .max) { _ in false }
            )
            node.mode &= 0o170700 | member << 3 | other
        }
        node.mode |= 0o600
        try records.updateAttributes(of: node)
    }
}
