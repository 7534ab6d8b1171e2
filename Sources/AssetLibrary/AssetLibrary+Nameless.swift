public import AssetModel
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization

// Files that lost their last name while programs, or the kernel, still refer to them. A write to such a file
// is no upload; the file keeps the bytes until the last reference is gone, as on any filesystem.
extension AssetLibrary {
    /// Creates a file without a name and opens it for writing: open(2) with O_TMPFILE.
    ///
    /// The file is no upload until `link` gives it a name, and is removed with the kernel's last reference if
    /// none does.
    public func makeTemporary(
        in folder: NodeID,
        mode: UInt32,
        umask: UInt32,
        by uploader: Uploader
    ) throws(LibraryError) -> (NodeRecord, OpenNode) {
        try refuseMaking(NodeRecord(mode: 0o100000, uid: uploader.uid, gid: uploader.gid, now: .now), in: folder)
        try space.take(4096)
        let (record, node) = try makeNameless(in: folder, mode: mode, umask: umask, isLinkable: true, by: uploader)
        linkableNodes.withLock { _ = $0.insert(record.id) }
        // The handle keeps the node open.
        letGo(record.id)
        return (record, node)
    }

    /// Whether a file without a name may be given one: it was created without a name and has never had one.
    func isLinkable(_ id: NodeID) -> Bool { linkableNodes.withLock { !$0.isEmpty && $0.contains(id) } }

    /// Notes that a file which was created without a name has got one.
    ///
    /// The caller calls `dropKept` afterwards, without holding the lock of the upload.
    func noteLinked(_ id: NodeID) {
        linkableNodes.withLock { _ = $0.remove(id) }
        openNode(id)?.isUnlinked.store(false, ordering: .relaxed)
    }

    /// Admits a write to a file that has lost its last name, or demands a new lookup.
    ///
    /// Where the file is in the trash, or another file shows its asset, a program that opened a path means
    /// the file that has the name now. So the first attempt is refused, and the kernel walks the path once
    /// more. A caller that `insists` uses a descriptor, a handle or a bind mount, or has lost the race twice,
    /// and writes to a file of its own.
    /// - Throws: `.replaced` where the name is to be looked up again; `.readOnly` for a file in the trash
    ///   where `insists` is nil because there is no path.
    func admitNameless(
        _ node: OpenNode,
        _ upload: borrowing OpenNode.Upload,
        insists: Bool?
    ) throws(LibraryError) {
        guard node.isUnlinked.load(ordering: .relaxed), upload.writers == 0, !upload.isDirty else { return }
        let (isTrashed, isReplaced) = try read { records -> (Bool, Bool) in
            guard let record = try records.node(node.id), record.links == 0, let asset = record.asset else {
                return (false, false)
            }
            return (try records.trashed(asset)?.node == record.id, try records.isShown(asset))
        }
        guard isTrashed || isReplaced else { return }
        guard insists == true else { throw isTrashed && insists == nil ? .readOnly : .replaced }
        try detach(node.id)
    }

    /// Splits an open file from its asset in the trash before an earlier descriptor writes to the file.
    ///
    /// Bytes of an upload that was under way at the removal still belong to the trashed asset.
    func leaveTrash(_ node: OpenNode, _ upload: borrowing OpenNode.Upload) throws(LibraryError) {
        guard node.isUnlinked.load(ordering: .relaxed), !upload.isDirty, upload.aim == nil, try isInTrash(node.id)
        else { return }
        try detach(node.id)
        node.isKept.store(false, ordering: .relaxed)
    }

    /// Splits a file that has lost its name from its asset before a user sets attributes by a descriptor.
    ///
    /// Only the owner and root change an asset in the trash in this way. An asset that another file shows is
    /// changed only through that file.
    public func leaveTrash(_ id: NodeID, by uid: UInt32) throws(LibraryError) {
        if uid == 0 { return }
        // `isUnlinked` of an open file answers without the catalog.
        if let node = openNode(id), !node.isUnlinked.load(ordering: .relaxed) { return }
        let isLeft = try read { records in
            guard let record = try records.node(id), record.links == 0, record.isFile, let asset = record.asset else {
                return false
            }
            let isTrashed = try records.trashed(asset)?.node == id
            return try isTrashed ? record.uid != uid : records.isShown(asset)
        }
        if isLeft { try detach(id) }
    }

    private func isInTrash(_ id: NodeID) throws(LibraryError) -> Bool {
        try read { records in
            guard let asset = try records.node(id)?.asset else { return false }
            return try records.trashed(asset)?.node == id
        }
    }

    /// Makes a file without a name show no asset; the trash keeps an equal copy of its row.
    private func detach(_ id: NodeID) throws(LibraryError) {
        try write { records in
            guard let record = try records.node(id), record.links == 0, let asset = record.asset else { return }
            let isTrashed = try records.trashed(asset)?.node == id
            if isTrashed {
                let copy = try records.insertCopy(of: record)
                try records.setTrashedNode(of: asset, to: copy)
                for name in try records.extendedAttributeNames(of: copy) {
                    kernelAttributes.add(String(decoding: name, as: UTF8.self), copy)
                }
            }
            try records.keepFields(of: asset, on: id)
            try records.setAsset(of: id, to: nil)
        }
    }

    /// Keeps the bytes written to a file without a name after its last close, for as long as the kernel
    /// refers to it.
    ///
    /// A bind mount of the file, or a descriptor with O_PATH, can open it again. `forget` ends this.
    func keepNameless(_ upload: borrowing OpenNode.Upload, of node: OpenNode) {
        guard upload.isDirty, upload.aim == nil, node.isUnlinked.load(ordering: .relaxed) else { return }
        let isNew = namelessNodes.withLock { $0.insert(node.id).inserted }
        guard isNew else { return }
        // Retained before the catalog is read, so that `forget`, which removes the row first, finds it.
        _ = retain(node.id)
        do throws(LibraryError) {
            let record = try read { try $0.node(node.id) }
            if let record, let asset = record.asset, try read({ try $0.trashed(asset)?.node == record.id }) {
                try detach(record.id)
            }
            if record == nil { dropKept([node.id]) }
        } catch {
            log.error("What was written to a file without a name is lost: \(error)")
            dropKept([node.id])
        }
    }

    /// Releases kept files to which the kernel no longer refers.
    func dropKept(_ nodes: [NodeID]) {
        linkableNodes.withLock { linkable in
            if !linkable.isEmpty { for id in nodes { linkable.remove(id) } }
        }
        let kept = namelessNodes.withLock { kept in kept.isEmpty ? [] : nodes.filter { kept.remove($0) != nil } }
        for id in kept { if let node = openNode(id) { release(node) } }
    }
}
