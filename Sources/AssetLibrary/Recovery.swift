internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Logging
internal import Synchronization

extension AssetLibrary {
    /// Finishes the uploads that a crash interrupted, removes files without a name, and clears `staging/`.
    ///
    /// An upload that cannot be finished keeps its bytes for the mount after this one, and nobody else from theirs.
    func recover() throws {
        var kept: Set<String> = []
        for staged in try catalog.read({ try $0.staged() }) {
            do {
                try finish(staged)
            } catch let error as CatalogError {
                throw error
            } catch LibraryError.catalog(let error) {
                throw error
            } catch {
                log.error("The upload to node \(staged.node) could not be finished and is kept: \(error)")
                if let file = staged.file { kept.insert(file) }
            }
        }
        let unlinked = try catalog.read { try $0.unlinkedNodes() }
        for node in unlinked { try catalog.write { try $0.deleteUnlinkedNode(node) } }
        try commit()
        let leftovers = try blobs.clearStaging(except: kept)
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
            if try catalog.write({ try publishAsItIs(node, $0) }) {
                log.notice("Finished an interrupted upload to node \(record.node), with the content that the file has.")
            }
            return
        }
        guard let staged = try blobs.staged(named: name) else {
            log.error("The staged file \(name) of node \(record.node) is missing: the file keeps its former content.")
            _ = try catalog.write { try publishAsItIs(node, $0) }
            return
        }
        staged.keepName()
        // Until the file is a blob its name stays, whatever happens here.
        staged.abandonName()
        let (size, written) = (try staged.file.measure().size, try staged.file.modified())
        let open = OpenNode(id: record.node)
        open.upload.withLock { upload in
            upload.staged = staged
            upload.isDirty = true
            upload.isRecorded = true
            upload.uploader = Uploader(uid: node.uid, gid: node.gid)
            upload.isAnswered = true
            upload.digest.disturb()
        }
        // A time that a program has set after the last write stays.
        let modified = record.modified.map { max($0, written) } ?? (written > node.changed ? written : nil)
        open.shown.withLock {
            $0 = OpenNode.Shown(isLoaded: true, file: staged.file, size: size, modified: modified)
        }
        try finish(open)
        log.notice("Finished the interrupted upload of \(size) bytes to node \(record.node).")
    }

    private func publishAsItIs(_ node: NodeRecord, _ records: Records) throws -> Bool {
        try records.deleteStaged(node.id)
        guard let place = try placeToPublish(node, records) else { return false }
        let digest = try node.blob.flatMap { try records.digest(of: $0) }
        _ = try Publish(node, at: place, by: node.uid, digest: digest, lifeFrom: clock.now, records)
        return true
    }
}
