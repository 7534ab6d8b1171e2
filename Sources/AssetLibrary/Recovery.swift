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
        guard let staged = try blobs.staged(named: record.file) else {
            log.error(
                "The staged file \(record.file) of node \(record.node) is missing: the file keeps its former content."
            )
            try catalog.write { try $0.deleteStaged(record.node) }
            return
        }
        staged.keepName()
        let size = try staged.file.measure().size
        let open = OpenNode(id: record.node)
        open.upload.withLock { upload in
            upload.staged = staged
            upload.isDirty = true
            upload.isRecorded = true
            upload.digest.disturb()
        }
        open.shown.withLock {
            $0 = OpenNode.Shown(isLoaded: true, file: staged.file, size: size, modified: record.modified)
        }
        try finish(open)
        log.notice("Finished the interrupted upload of \(size) bytes to node \(record.node).")
    }
}
