internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization

extension AssetLibrary {
    /// Finishes the uploads that a crash interrupted, removes files without a name, and clears `staging/`.
    func recover() throws {
        for staged in try catalog.read({ try $0.staged() }) { try finish(staged) }
        let unlinked = try catalog.read { try $0.unlinkedNodes() }
        for node in unlinked { try catalog.write { try $0.deleteUnlinkedNode(node) } }
        try commit()
        let leftovers = try blobs.clearStaging()
        if leftovers + unlinked.count > 0 {
            log.notice(
                "Cleared what the last session left: \(leftovers) staged files, \(unlinked.count) files without a name."
            )
        }
    }

    private func finish(_ record: StagedRecord) throws {
        guard let node = try catalog.read({ try $0.node(record.node) }), node.links > 0 else {
            try catalog.write { try $0.deleteStaged(record.node) }
            return
        }
        guard let name = record.file else {
            try catalog.write { try publishAsItIs(node, $0) }
            log.notice(
                "Finished an interrupted upload to node \(record.node): its asset has the content that the file has."
            )
            return
        }
        guard let staged = try blobs.staged(named: name) else {
            log.error("The staged file \(name) of node \(record.node) is missing: the file keeps its former content.")
            try catalog.write { try publishAsItIs(node, $0) }
            return
        }
        staged.keepName()
        let (size, written) = (try staged.file.measure().size, try staged.file.modified())
        let open = OpenNode(id: record.node)
        open.upload.withLock { upload in
            upload.staged = staged
            upload.isDirty = true
            upload.isRecorded = true
            upload.uid = node.uid
            upload.digest.disturb()
        }
        // A time that a program set after the last write stays.
        let modified = written > node.changed ? written : nil
        open.shown.withLock {
            $0 = OpenNode.Shown(isLoaded: true, file: staged.file, size: size, modified: modified)
        }
        try finish(open)
        log.notice("Finished the interrupted upload of \(size) bytes to node \(record.node).")
    }

    private func publishAsItIs(_ node: NodeRecord, _ records: Records) throws {
        try records.deleteStaged(node.id)
        guard let (parent, name) = try placeToPublish(node, records) else { return }
        let digest = try node.blob.flatMap { try records.digest(of: $0) }
        _ = try Publish(node, named: name, in: parent, by: node.uid, digest: digest, records)
    }
}
