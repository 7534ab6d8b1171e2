public import AssetModel
internal import BlobStore
public import Catalog
internal import Synchronization

// Names that stay: what is written to a file whose name is not to be replaced goes to a file of its own, which has no name until its
// verdict. The file that has the name is never touched.
extension AssetLibrary {
    /// Whether what is written to a file under a name is to be another file: not where the folder lets names be replaced, nor where
    /// there is nothing to keep.
    ///
    /// With `isTruncating` the writer begins anew; then what somebody else is about to write there counts too.
    public func keepsContent(
        of record: NodeRecord,
        under name: EntryName,
        in folder: NodeID,
        isTruncating: Bool
    ) throws(LibraryError) -> Bool {
        if rulebook.isPlain || !record.isFile || record.links == 0 { return false }
        let place = try read { try rulebook.place(name, in: folder, $0) }
        guard !place.rules.policy.overwrites, place.isFinal else { return false }
        return record.asset != nil && record.size > 0 || isTruncating && isBeingWritten(record.id)
    }

    /// The names of a file that are not to be replaced by what is written to it.
    public func keptNames(of record: NodeRecord, isTruncating: Bool) throws(LibraryError) -> [(NodeID, EntryName)] {
        if rulebook.isPlain { return [] }
        var kept: [(NodeID, EntryName)] = []
        for entry in try read({ try $0.entriesNaming(record.id) })
        where try keepsContent(of: record, under: entry.name, in: entry.parent, isTruncating: isTruncating) {
            kept.append((entry.parent, entry.name))
        }
        return kept
    }

    /// Returns whether a user may read a file.
    public func mayRead(_ file: NodeID, by uploader: Uploader) throws(LibraryError) -> Bool {
        try read { try mayRead(file, uploader, $0) }
    }

    /// Returns whether a file's mode and access list, wherever it is, let a user read it.
    public func allowsReading(_ file: NodeID, by uploader: Uploader) throws(LibraryError) -> Bool {
        try read { try allows(4, to: uploader, on: file, $0) }
    }

    /// Makes a file without a name that takes the bytes written under a name: it begins with the content that the name has, unless it
    /// `isEmpty`.
    ///
    /// It is kept until `letGo` is called, and then as long as it is open.
    public func divert(
        _ record: NodeRecord,
        under name: EntryName,
        in folder: NodeID,
        isEmpty: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord {
        let (made, digest) = try write { records in
            let parent = try records.folder(folder)
            // Nobody gets more rights than the file has that stays, nor another group than the folder gives.
            var node = NodeRecord(
                mode: record.mode,
                uid: uploader.uid,
                gid: parent.mode & 0o2000 != 0 ? parent.gid : uploader.gid,
                now: .now
            )
            node.links = 0
            try inheritAccess(from: folder, for: &node, records)
            let digest = try isEmpty ? nil : record.blob.flatMap { try records.digest(of: $0) }
            node = try records.insert(node)
            if kernelAttributes.mayHave(KernelAttributes.accessList, record.id),
                let list = try records.extendedAttribute(Array(KernelAttributes.accessList.utf8), of: record.id)
            {
                try setList(KernelAttributes.accessList, of: node.id, to: list, records)
            }
            return (node, digest)
        }
        let node = retain(made.id)
        node.original.store(record.id.rawValue, ordering: .relaxed)
        do throws(BlobStoreError) {
            if let digest {
                try showBlob(digest, size: record.size, in: node)
            } else {
                node.shown.withLock { $0.isLoaded = true }
            }
        } catch {
            release(node)
            throw LibraryError(error)
        }
        node.upload.withLock { $0.aim = OpenNode.Aim(parent: folder, name: name) }
        return made
    }

    /// The file that has the name and stays, where another is for what is written under it, and has no name yet.
    public func original(of id: NodeID) -> NodeID? {
        guard !rulebook.isPlain, let original = openNode(id)?.original.load(ordering: .relaxed), original != 0 else {
            return nil
        }
        return NodeID(rawValue: original)
    }

    /// Ends what `divert` began: from here on the file is kept by those who have it open.
    public func letGo(_ id: NodeID) {
        if let node = openNode(id) { release(node) }
    }

    /// The end of an upload that has no name: nobody can find its file any more.
    func dropNameless(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        upload.refused = nil
        guard upload.aim != nil, waiting.withLock({ $0[node.id] == nil }) else { return }
        node.isUnlinked.store(true, ordering: .relaxed)
        upload.staged = nil
        upload.isDirty = false
        let original = node.original.load(ordering: .relaxed)
        if original != 0, node.shown.withLock({ $0.written == nil }) {
            passOnTimes(of: node.id, to: NodeID(rawValue: original))
        }
    }

    /// touch(1) opens a file to set its times: without any content of its own, they are for the file that has the name.
    private func passOnTimes(of id: NodeID, to file: NodeID) {
        // Where this fails a time is not set, of which nobody can be told.
        _ = try? write { records in
            let now = Timestamp.now
            let present = now.advanced(bySeconds: -2)...now
            guard let own = try records.node(id), var record = try records.node(file),
                own.modified != own.born || own.accessed != own.born,
                // Other times than the present are the owner's to set — utimensat(2).
                own.uid == record.uid || own.uid == 0
                    || present.contains(own.modified) && present.contains(own.accessed)
            else { return }
            (record.modified, record.accessed) = (own.modified, own.accessed)
            record.changed = .now
            try records.updateAttributes(of: record)
            noteVerdict()
        }
    }
}
