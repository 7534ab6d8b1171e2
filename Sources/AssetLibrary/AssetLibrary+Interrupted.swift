internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// The catalog's record of uploads in progress, so that the next mount commits them as this one would have.
extension AssetLibrary {
    /// Records in the catalog where an upload's bytes are; they must be on stable storage.
    ///
    /// A file that has no name yet is recorded only with `isLeft`: when the mount ends, or by an fsync(2)
    /// that cannot commit it at once.
    func record(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        isLeft: Bool = false
    ) throws(LibraryError) {
        guard upload.aim == nil || isLeft, !isLost(node), let staged = upload.staged,
            !isRecorded(upload, of: node)
        else { return }
        let interrupted = interrupted(upload, of: node)
        try write { records in
            // Read within the operation, as by the commit.
            let modified = node.shown.withLock { $0.modified }
            try records.recordStaged(node.id, file: staged.name, modified: modified, interrupted)
        }
        (upload.isRecorded, upload.recorded, upload.given) = (true, interrupted, nil)
        KillPoint.uploadRecorded.reach()
    }

    /// Returns whether the catalog has the place of an upload's bytes and all that its commit depends on.
    func isRecorded(_ upload: borrowing OpenNode.Upload, of node: OpenNode) -> Bool {
        upload.isRecorded && upload.given == nil
            && (!upload.isDirty || upload.recorded == interrupted(upload, of: node))
    }

    /// Returns the state that an upload's commit depends on.
    func interrupted(_ upload: borrowing OpenNode.Upload, of node: OpenNode) -> InterruptedUpload {
        var result = InterruptedUpload(uid: upload.uploader.uid, gid: upload.uploader.gid)
        result.isAnswered = upload.isAnswered || waiting.withLock { $0[node.id]?.isAnswered ?? false }
        (result.isBorn, result.isReplacement) = (upload.isBorn, upload.isReplacement)
        result.isExceeded = upload.exceeded != nil
        result.former = upload.before.map { InterruptedUpload.FormerAttributes(of: $0) }
        result.synced = upload.staged?.syncedSize
        result.standing = upload.standing
        result.aim = upload.aim.map {
            InterruptedUpload.Aim(
                parent: $0.parent,
                name: $0.name,
                asset: $0.replacing?.asset,
                uploaded: $0.replacing?.uploaded,
                isDropped: $0.isDropped
            )
        }
        return result
    }

    /// Restores an upload of a file to its state when the last mount ended.
    func resume(
        _ interrupted: InterruptedUpload,
        _ upload: inout OpenNode.Upload,
        of node: NodeRecord
    ) throws(LibraryError) {
        upload.uploader = Uploader(absent: interrupted.uid, gid: interrupted.gid, knownIn: [interrupted.gid])
        (upload.isAnswered, upload.isBorn, upload.isReplacement) = (
            interrupted.isAnswered, interrupted.isBorn, interrupted.isReplacement
        )
        upload.before = interrupted.former?.applied(to: node)
        upload.standing = interrupted.standing
        upload.aim = interrupted.aim.map { aim in
            let replacing = aim.asset.flatMap { asset in aim.uploaded.map { (asset: asset, uploaded: $0) } }
            return OpenNode.Aim(
                parent: aim.parent,
                name: aim.name,
                replacing: replacing,
                isByNumber: replacing != nil,
                isDropped: aim.isDropped
            )
        }
        try setLimit(&upload, of: node.id)
        if interrupted.isExceeded { upload.exceeded = upload.limit?.refusal }
    }

    /// Discards an upload to a name whose folder has been deleted.
    func noteNoPlace(_ upload: inout OpenNode.Upload, of node: OpenNode) {
        log.notice("An upload has ended without a place to go to: its folder is gone.")
        upload.isDirty = false
        forgetStaged(&upload, of: node)
    }
}
