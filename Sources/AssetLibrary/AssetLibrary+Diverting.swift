public import AssetModel
internal import BlobStore
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization

// Preserved names: bytes that are written to a file whose name must not be replaced go to another file, which
// has no name until its commit. The file that has the name is never touched.
extension AssetLibrary {
    /// Returns whether the bytes written to a file under a name must go to another file.
    ///
    /// They need not where the folder lets names be replaced, or there is no content to preserve. With
    /// `isTruncating` the writer starts from an empty file; then content that another program is about to
    /// write counts, too.
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

    /// Returns the names of a file that writing to it must not replace.
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

    /// Returns whether a file's mode and access list permit a user to read it, regardless of its folder.
    public func allowsReading(_ file: NodeID, by uploader: Uploader) throws(LibraryError) -> Bool {
        try read { try allows(4, to: uploader, on: file, $0) }
    }

    /// Makes a file without a name for the bytes that are written under a preserved name; it begins with the
    /// content of that name, unless it `isEmpty`.
    ///
    /// It is kept until `letGo` is called, and from then on as long as it is open.
    public func divert(
        _ record: NodeRecord,
        under name: EntryName,
        in folder: NodeID,
        isEmpty: Bool = false,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord {
        let (made, digest) = try write { records in
            let parent = try records.folder(folder)
            // The file grants no more rights than the preserved one, and has the group that its folder gives.
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

    /// Returns the preserved file in whose place a file without a name takes the written bytes, until its
    /// commit.
    public func original(of id: NodeID) -> NodeID? {
        guard !rulebook.isPlain, let original = openNode(id)?.original.load(ordering: .relaxed), original != 0 else {
            return nil
        }
        return NodeID(rawValue: original)
    }

    /// Releases the reference that `divert` took; from then on only handles keep the file.
    public func letGo(_ id: NodeID) {
        if let node = openNode(id) { release(node) }
    }

    /// Discards an upload without a name: no program can find its file any more.
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

    /// Copies times that were set on a file without a name or content to the file that has the name: touch(1)
    /// opens a file just to set its times.
    private func passOnTimes(of id: NodeID, to file: NodeID) {
        // A failure leaves the times as they were, and no request is left to report it to.
        let isPassedOn = try? write { records in
            let now = Timestamp.now
            let present = now.advanced(bySeconds: -2)...now
            guard let own = try records.node(id), var record = try records.node(file),
                own.modified != own.born || own.accessed != own.born,
                // Only the owner may set times other than the present — utimensat(2).
                own.uid == record.uid || own.uid == 0
                    || present.contains(own.modified) && present.contains(own.accessed)
            else { return false }
            (record.modified, record.accessed) = (own.modified, own.accessed)
            record.changed = .now
            try records.updateAttributes(of: record)
            return true
        }
        if isPassedOn == true { noteVerdict() }
    }
}
