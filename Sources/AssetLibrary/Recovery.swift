internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

/// The counts of committed interrupted uploads, for one line of the log however many there were.
private struct FinishedUploads {
    var (count, bytes) = (0, Int64(0))
    /// The number of uploads to files that had the same bytes already, as after a recovery.
    var asTheyWere = 0

    mutating func add(bytes size: Int64) { (count, bytes) = (count + 1, bytes + size) }

    /// The sentences for the log, one for each kind that occurred.
    var sentences: [String] {
        [
            count > 0 ? "Finished \(count.counted("interrupted upload")) of \(bytes.counted("byte")) together." : nil,
            asTheyWere == 1 ? "Finished 1 interrupted upload of a file that had its content already." : nil,
            asTheyWere > 1
                ? "Finished \(asTheyWere) interrupted uploads of files that had their content already." : nil,
        ].compactMap { $0 }
    }
}

extension AssetLibrary {
    /// Commits the uploads that a crash interrupted, deletes files without a name, and clears `staging/`.
    ///
    /// An upload that cannot be committed keeps its bytes for the next mount, and does not keep the other
    /// uploads from being committed.
    func recover() throws {
        KillPoint.recovering.reach()
        var kept: Set<String> = []
        var finished = FinishedUploads()
        for staged in try catalog.read({ try $0.staged() }) {
            do {
                try finish(staged, keeping: &kept, counting: &finished)
                KillPoint.uploadRecovered.reach()
            } catch let error as CatalogError {
                throw error
            } catch LibraryError.catalog(let error) {
                throw error
            } catch {
                log.error("The upload to node \(staged.node) could not be finished and is kept: \(error)")
                if let file = staged.file { kept.insert(file) }
            }
        }
        for sentence in finished.sentences { log.notice("\(sentence)") }
        let unlinked = try catalog.read { try $0.unlinkedNodes() }
        for node in unlinked {
            try catalog.write { try $0.deleteUnlinkedNode(node) }
            KillPoint.namelessRemoved.reach()
        }
        try commit()
        KillPoint.recoveryCommitted.reach()
        let leftovers = try blobs.clearStaging(except: kept)
        KillPoint.stagingCleared.reach()
        try setAsideLeftovers()
        if leftovers + unlinked.count > 0 {
            log.notice(
                "Cleared what the last session left: \(leftovers.counted("staged file")), \(unlinked.count.counted("file")) without a name."
            )
        }
    }

    private func finish(
        _ record: StagedRecord,
        keeping kept: inout Set<String>,
        counting finished: inout FinishedUploads
    ) throws {
        guard let node = try catalog.read({ try $0.node(record.node) }),
            try node.links > 0 || record.upload?.aim != nil || isForTrash(record, node)
        else {
            try catalog.write { try $0.deleteStaged(record.node) }
            return
        }
        guard let name = record.file else { return try finishAsItIs(node, record.upload, counting: &finished) }
        guard let staged = try blobs.staged(named: name) else {
            log.error("The staged file \(name) of node \(record.node) is missing: the file keeps its former content.")
            _ = try catalog.write { try publishAsItIs(node, record.upload?.standing, $0) }
            return
        }
        staged.keepName()
        let written = try staged.file.status().modified
        try cutToSynced(staged, record)
        let (size, blocks, _) = try staged.file.status()
        let isMapped = staged.file.isReferencedElsewhere() == true
        if record.modified == nil, !isMapped, record.upload?.isExceeded != true, node.links > 0,
            try isUnchanged(staged, size, node)
        {
            // The file was open for mappings, which have changed nothing.
            staged.abandonName()
            return try catalog.write { try $0.deleteStaged(record.node) }
        }
        let isForTrash = node.links == 0 && record.upload?.aim == nil
        if isForTrash, size - min(blocks * 512, size) > blocks * 512 + Self.quickBytes {
            staged.abandonName()
            return try catalog.write { try $0.deleteStaged(record.node) }
        }
        let isLong = isMapped || isForTrash || size > max(0, recoveryBudget.load(ordering: .relaxed))
        // The name stays until the file is a blob, even if a later step fails.
        if isLong { kept.insert(name) } else { staged.abandonName() }
        let open = isLong ? retain(record.node) : OpenNode(id: record.node)
        let interrupted = record.upload ?? answered(node)
        if isForTrash {
            open.isUnlinked.store(true, ordering: .relaxed)
            open.isKept.store(true, ordering: .relaxed)
        }
        try open.upload.withLock { upload in
            upload.staged = staged
            upload.isDirty = true
            (upload.isRecorded, upload.recorded) = (true, record.upload)
            try resume(interrupted, &upload, of: node)
            setBound(isMapped, &upload, of: open)
            upload.digest.disturb()
        }
        // A time that a program has set after the last write stays.
        let modified = record.modified.map { max($0, written) } ?? (written > node.changed ? written : nil)
        open.shown.withLock {
            $0 = OpenNode.Shown(isLoaded: true, file: staged.file, size: size, isMapped: isMapped, modified: modified)
        }
        guard !isLong else {
            // The file is read for its digest once the mount is there; until then it has its bytes in the
            // staged file.
            postpone(open, isAnswered: interrupted.isAnswered)
            release(open)
            return log.notice(
                "The interrupted upload of \(size) bytes (\(blocks * 512) on the disk) to node \(record.node) is ended in the background."
            )
        }
        recoveryBudget.subtract(size, ordering: .relaxed)
        try finishNow(open, size: size, counting: &finished)
    }

    /// Cuts off the bytes behind the last sync where the machine has lost its power since.
    ///
    /// A size may be on the disk without the bytes up to it, which are zeros then. After the mere end of a
    /// process all bytes are there.
    private func cutToSynced(_ staged: StagedFile, _ record: StagedRecord) throws {
        guard let synced = record.upload?.synced else { return }
        let size = try staged.file.measure().size
        if storage.directory.hasPowerFailed, synced < size {
            try staged.truncate(to: synced)
            log.notice(
                "The interrupted upload to node \(record.node) has \(synced) of \(size) bytes: those that were on stable storage when the power failed."
            )
        }
        staged.noteSynced(min(synced, size))
    }

    /// Returns whether the bytes that were written to a file without a name belong to its asset in the trash.
    private func isForTrash(_ record: StagedRecord, _ node: NodeRecord) throws -> Bool {
        guard record.file != nil, let asset = node.asset else { return false }
        return try catalog.read { try $0.trashed(asset)?.node == node.id }
    }

    /// Commits an upload whose bytes are the node's own already: those of another file, which a copy has
    /// given it.
    private func finishAsItIs(
        _ node: NodeRecord,
        _ interrupted: InterruptedUpload?,
        counting finished: inout FinishedUploads
    ) throws {
        guard let interrupted, !interrupted.isAnswered,
            let digest = try catalog.read({ records in try node.blob.flatMap { try records.digest(of: $0) } })
        else {
            if try catalog.write({ try publishAsItIs(node, interrupted?.standing, $0) }) { finished.asTheyWere += 1 }
            return
        }
        let open = OpenNode(id: node.id)
        try showBlob(digest, size: node.size, in: open)
        try open.upload.withLock { upload in
            (upload.isDirty, upload.isRecorded, upload.recorded) = (true, true, interrupted)
            try resume(interrupted, &upload, of: node)
            upload.digest.disturb()
        }
        try finishNow(open, size: node.size, counting: &finished)
    }

    /// Commits an interrupted upload, which the policy may reject.
    private func finishNow(_ open: OpenNode, size: Int64, counting finished: inout FinishedUploads) throws {
        do throws(LibraryError) {
            try open.upload.withLock { upload throws(LibraryError) in
                do throws(LibraryError) {
                    try finish(&upload, of: open)
                } catch {
                    guard case .notFound = error, upload.aim != nil else { throw error }
                    noteNoPlace(&upload, of: open)
                }
            }
            finished.add(bytes: size)
        } catch {
            guard case .refused = error else { throw error }
            log.notice("The interrupted upload of \(size) bytes to node \(open.id) is refused, as by its close.")
        }
    }

    /// Returns the state of an upload that an earlier release has recorded: its commit rejects nothing.
    private func answered(_ node: NodeRecord) -> InterruptedUpload {
        var result = InterruptedUpload(uid: node.uid, gid: node.gid)
        result.isAnswered = true
        return result
    }

    /// Returns whether a staged file is known, without a long read, to have the bytes of its node.
    private func isUnchanged(_ staged: StagedFile, _ size: Int64, _ node: NodeRecord) throws -> Bool {
        guard size == node.size, size <= Self.quickBytes, let blob = node.blob else { return false }
        return try Digest(reading: staged.file, size: size) == catalog.read { try $0.digest(of: blob) }
    }

    private func publishAsItIs(_ node: NodeRecord, _ standing: Standing?, _ records: Records) throws -> Bool {
        try records.deleteStaged(node.id)
        guard let place = try placeToPublish(node, records) else { return false }
        let digest = try node.blob.flatMap { try records.digest(of: $0) }
        _ = try Publish(
            node,
            at: place,
            by: node.uid,
            standing: standing,
            digest: digest,
            lifeFrom: clock.now,
            rulebook,
            records
        )
        return true
    }
}
