internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Logging
internal import Synchronization

extension AssetFilesystem {
    /// Finds a name.
    ///
    /// The kernel keeps the answer, also that there is none.
    public func lookup(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) -> Entry? {
        let parent = node(parent)
        // An NFS server asks so for a number that the kernel has forgotten, and for its folder — Documentation/filesystems/nfs
        if name.bytes == [0x2E] {
            // A file that has lost its name is not to be had by its number either, though it is still open somewhere.
            if View(parent) == nil, try record(parent).links == 0 { return nil }
            return try entry(of: parent)
        }
        if name.bytes == [0x2E, 0x2E] { return try entry(of: self.parent(of: parent)) }
        let name = try entryName(name)
        if let view = View(parent) {
            guard let found = view.node(named: name) else { return nil }
            return try entry(of: found)
        }
        let count = library.verdictCount
        guard let record = try reading({ try $0.node(named: name, in: parent) }) else { return nil }
        return entry(try overlaid(record, readAt: count))
    }

    /// Lets go of nodes; one that has lost its last name goes with the last reference.
    public func forget(_ forgotten: [Forgotten]) {
        let unknown = lookupCounts.subtract(forgotten)
        let removed = removedNodes.withLock { removed in
            unknown.filter { removed.remove($0) != nil }
        }
        guard !removed.isEmpty else { return }
        do throws(LibraryError) {
            try library.forget(removed)
        } catch {
            library.log.error("Files without a name could not be cleared; the next mount does it: \(error)")
        }
    }

    /// The answer for a node that the kernel learns of with it; the record is `overlaid`.
    func entry(_ record: NodeRecord) -> Entry {
        lookupCounts.add(record.id)
        return Entry(
            attributes: attributes(record),
            nameLifetime: Self.lifetime,
            attributesLifetime: Self.lifetime
        )
    }

    /// The same for a node of which only the number is known.
    func entry(of id: NodeID) throws(OperationFailure) -> Entry {
        guard let view = View(id) else { return entry(try record(id)) }
        let (attributes, lifetime) = try attributes(of: view)
        return Entry(attributes: attributes, nameLifetime: Self.lifetime, attributesLifetime: lifetime)
    }
}
