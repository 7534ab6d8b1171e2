public import AssetModel
internal import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Synchronization

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
