internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Synchronization

// The verdict on an upload: its stages, and what the open file is afterwards.
extension AssetLibrary {
    /// Runs the stages on what is in the open file.
    func commit(_ upload: inout OpenNode.Upload, of node: OpenNode) throws(LibraryError) {
        if node.isUnlinked.load(ordering: .relaxed) { return }
        let size = node.content.size
        do {
            let (sealed, isGivenAway) = try sealAndAdopt(&upload, of: node, size: size)
            var isShown = false
            defer {
                // The file has a blob's name now: whatever becomes of the row, the next change gets a copy of it.
                if isGivenAway, !isShown {
                    upload.staged = nil
                    node.shown.withLock { $0.digest = sealed.digest }
                }
            }
            let (uid, version) = (upload.uid, upload.version)
            var modified: Timestamp?
            let verdict = try catalog.write { records -> Verdict in
                // In here, because a program may have set another time while the bytes were read.
                modified = node.shown.withLock { $0.modified }
                guard let show = try Show(sealed, in: node.id, modified, records) else { return .lost }
                guard let (parent, name) = try placeToPublish(show.node, records) else { return .waiting }
                let publish = try Publish(
                    show.node,
                    named: name,
                    in: parent,
                    by: uid,
                    replacing: version,
                    digest: sealed.digest,
                    records
                )
                return .published(publish.version)
            }
            switch verdict {
            case .lost: return
            case .waiting: upload.version = nil
            case .published(let version): upload.version = version
            }
            isShown = true
            noteVerdict()
            upload.isDirty = false
            upload.isOnlyTruncated = false
            upload.isNew = false
            upload.isRecorded = false
            // A superfluous file goes on serving its handles: it has the blob's bytes, but is no blob and so stays private.
            if isGivenAway || sealed.digest == nil, !upload.isBound { upload.staged = nil }
            node.shown.withLock {
                $0.digest = sealed.digest
                if upload.staged == nil, sealed.digest == nil { $0.file = nil }
                if $0.modified == modified { $0.modified = nil }
            }
        } catch {
            throw LibraryError(error)
        }
    }

    private enum Verdict {
        /// The file has no name any more.
        case lost
        /// The file has the content; the asset comes with a final name.
        case waiting
        /// The asset has the content, in this version if the upload made one.
        case published(VersionID?)
    }

    private func sealAndAdopt(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        size: Int64
    ) throws(BlobStoreError) -> (Seal, isGivenAway: Bool) {
        let (file, digest) = node.shown.withLock { ($0.file, $0.digest) }
        // Without a private file the content is a blob as it is: `copy` has put it there.
        if upload.staged == nil, !upload.isBound, size > 0, let file, let digest {
            return (try Seal(blob: file, digest, size: size), false)
        }
        // What is bound may change at any moment by a mapping, so a copy of it is sealed and becomes the blob.
        var candidate = size > 0 ? try privateFile(&upload, of: node) : nil
        if upload.isBound, size > 0 {
            try takeSpace(size)
            candidate = try stageCopy(of: node, size: size)
            upload.digest.disturb()
        }
        let sealed = try Seal(candidate, upload.digest, size: size)
        let adopted = try Adopt(sealed, from: candidate, into: blobs, catalog: catalog)
        return (sealed, adopted.wasNew && !upload.isBound)
    }

    /// The name under which a file's content is an asset's; nil while the file has only temporary names, or junk's.
    func placeToPublish(_ node: NodeRecord, _ records: Records) throws -> (NodeID, EntryName)? {
        if node.asset != nil { return try records.anyEntry(of: node.id) }
        return try records.entriesNaming(node.id).first {
            try nameClasses.of($0.name, in: $0.parent, records) == .final
        }
    }
}
