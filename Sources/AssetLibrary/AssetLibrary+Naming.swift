public import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import Logging
internal import Synchronization

// Requests for which the kernel holds the lock of a folder, of a file, or the one of all renames between folders, and with it whoever needs
// that: rename(2), link(2), unlink(2), truncate(2), fsync(2). None of them waits for longer than some moments.
extension AssetLibrary {
    /// For how many moments of a millisecond such a request waits at most for a scanner.
    static let moments = 50
    /// How long such a request waits at most for a verdict, and for what else is done to a file.
    private static let patience = Duration.milliseconds(250)

    func pauseForAMoment() { usleep(1000) }

    /// Runs `attempt` until it answers, in moments, as long as a user's request may wait for which the kernel holds locks.
    /// - Returns: nil where there was no answer.
    private func waitForMoments<Value>(
        of uid: UInt32,
        _ attempt: () throws(LibraryError) -> Value?
    ) throws(LibraryError) -> Value? {
        if let value = try attempt() { return value }
        let start = ContinuousClock.now
        defer { momentShares.note(.now - start, of: uid) }
        while .now - start < Self.patience, momentShares.mayWait(uid), !isClosing.isSet {
            pauseForAMoment()
            if let value = try attempt() { return value }
        }
        return nil
    }

    /// What such a request is refused with where it needs a long verdict, which comes first now.
    ///
    /// Must be called while the verdict waits.
    private func occupied(_ id: NodeID, for uid: UInt32) -> LibraryError {
        if isClosing.isSet { return .interrupted }
        hasten(id)
        return refusal(of: id, for: uid)
    }

    /// Has a verdict that waits come first.
    private func hasten(_ id: NodeID) {
        waiting.withLock { $0[id]?.isWanted = true }
        for worker in longSettlers { worker.wake() }
    }

    private func refusal(of id: NodeID, for uid: UInt32) -> LibraryError {
        let error = LibraryError.occupied("The bytes of the file are being read; try again in a while.")
        refusedAttributes.note(error, of: id, for: uid)
        return error
    }

    /// Has a verdict that waits before a file loses its asset, or is cut, so that its bytes are kept.
    ///
    /// A failed verdict, which the log has, holds nothing up: a file that cannot be read can be replaced. Nor do the holes of a sparse
    /// file, of which reading takes longer than of its data. `uid` is the user who is refused where the request may wait for moments only.
    /// - Throws: `.occupied` where it takes longer; `.pending` where the request may wait.
    public func settleBeforeLoss(of id: NodeID, refusing uid: UInt32? = nil) throws(LibraryError) {
        guard hasWaiting, let entry = waiting.withLock({ $0[id] }), let node = openNode(id),
            !node.isUnlinked.load(ordering: .relaxed)
        else { return }
        if isLong(node) || isScreened(id, nil) {
            if isClosing.isSet || entry.failures > 0 || isMostlyHoles(node, besides: Self.quickBytes) {
                return
            }
            guard let uid else { throw pending(id) }
            hasten(id)
            // Most are over in a moment; one that has failed holds nothing up.
            let isOver = try waitForMoments(of: uid) { () throws(LibraryError) in
                waiting.withLock { $0[id].map { $0.failures == 0 } ?? false } ? nil : true
            }
            if isOver == nil { throw occupied(id, for: uid) }
            return
        }
        do throws(LibraryError) {
            try finish(node)
        } catch {
            log.error("The upload to node \(id) could not be ended: \(error)")
        }
    }

    /// Runs `body`, which gives a file a name, while nobody can write to the file or close it.
    ///
    /// An upload that `isComplete` with the name, or whose verdict waits, has its verdict first; `body` is told whether it goes on
    /// and has it later, and answers the version that it goes on with. A verdict that reads for long, or asks a scanner, comes later, unless
    /// the upload `mayBeRefused` under the name.
    /// - Throws: `.occupied` where it may, or where something else is done to the file for long, besides what `body` throws.
    func holding<Value>(
        _ id: NodeID,
        isComplete: Bool,
        mayBeRefused: Bool,
        isLinking: Bool = false,
        by uid: UInt32,
        _ body: (_ isUnderWay: Bool) throws(LibraryError) -> (Value, VersionID?)
    ) throws(LibraryError) -> Value {
        guard let node = openNode(id) else { return try body(false).0 }
        let held = try waitForMoments(of: uid) { () throws(LibraryError) in
            try node.upload.withLockIfAvailable { upload throws(LibraryError) -> Value? in
                upload.isLinking = isLinking
                defer { upload.isLinking = false }
                guard try end(&upload, of: node, isComplete: isComplete, mayBeRefused: mayBeRefused) else {
                    return nil
                }
                let (value, version) = try body(upload.isDirty || upload.isNew && upload.writers > 0)
                if let version, upload.writers > 0 { upload.version = version }
                return value
            } ?? nil
        }
        if let held { return held }
        throw isWaiting(id) ? occupied(id, for: uid) : refusal(of: id, for: uid)
    }

    /// Has the verdict on an upload whose file is about to get a name, unless that takes long.
    /// - Returns: false where the name has to wait for it.
    private func end(
        _ upload: inout OpenNode.Upload,
        of node: OpenNode,
        isComplete: Bool,
        mayBeRefused: Bool
    ) throws(LibraryError) -> Bool {
        let isLong = upload.isDirty && upload.bytesToRead(node.content.size) > Self.quickBytes
        if isLong, isComplete, mayBeRefused {
            postpone(node, isAnswered: false)
            hasten(node.id)
            return false
        }
        if isLong || upload.isDirty && hasFinalName(node.id) && isScreened(node.id, upload.aim) {
            return true
        }
        do throws(LibraryError) {
            if isComplete || isWaiting(node.id) { try finish(&upload, of: node) }
        } catch {
            if isComplete { throw error }
            log.error("The upload to node \(node.id) could not be ended: \(error)")
        }
        return true
    }

    /// Whether the verdict on a file is that on an asset's content, which may have to be looked into.
    private func hasFinalName(_ id: NodeID) -> Bool {
        guard rulebook.mayScreen else { return false }
        return (try? read { try destination(of: id, nil, $0) != nil }) ?? true
    }

    /// Ends truncate(2), which is an upload of its own; what takes long comes after the answer, and may refuse it then.
    public func endCut(of node: OpenNode) throws(LibraryError) {
        // The end of the open has it scanned.
        if rulebook.mayScreen, isScreened(node.id, node.upload.withLock { $0.aim }) { return }
        do throws(LibraryError) {
            try flush(node)
        } catch {
            guard case .pending = error else { throw error }
        }
    }

    /// Notes that a file is to keep what was written to it although it is about to lose its last name.
    ///
    /// A long verdict makes that the newest version of its asset in the trash; a short one comes at once.
    func keepThroughLoss(of name: EntryName, in parent: NodeID) throws(LibraryError) -> Bool {
        let found = try read { try $0.node(named: name, in: parent) }
        guard let record = found, record.links == 1, let entry = waiting.withLock({ $0[record.id] }),
            let node = openNode(record.id), !node.isUnlinked.load(ordering: .relaxed)
        else { return false }
        guard isLong(node) || isScreened(record.id, nil) else {
            try settleBeforeLoss(of: record.id)
            return false
        }
        if isClosing.isSet || entry.failures > 0 || isMostlyHoles(node, besides: Self.quickBytes) { return false }
        // A file that has had temporary names alone leaves nothing in the trash.
        var isUpload = record.asset != nil
        if !isUpload { isUpload = try read { try rulebook.nameClass(of: name, in: parent, $0) == .final } }
        guard isUpload else { return false }
        node.isKept.store(true, ordering: .relaxed)
        return true
    }

    /// Gives uploads whose verdict waits an asset before a change of names that may be refused: a refusal must come before the first change
    /// of its step of the catalog.
    func makeAssetsOfWaiting(_ id: NodeID) throws(LibraryError) {
        guard hasWaiting else { return }
        try write { try makeAssetsOfWaiting(id, $0) }
    }

    /// Gives an asset to each file whose verdict waits, of one file or of all below a folder, before its final name becomes a temporary
    /// one, or goes: it stays an upload.
    func makeAssetsOfWaiting(_ id: NodeID, _ records: Records) throws {
        guard hasWaiting, let root = try records.node(id), root.isFile || root.isFolder else { return }
        for file in root.isFile ? [id] : waiting.withLock({ Array($0.keys) }) where isWaiting(file) {
            guard var node = try records.node(file), node.asset == nil, node.links > 0,
                let place = try placeToPublish(node, records), place.isFinal,
                root.isFile || place.rules.ancestors.contains(id)
            else { continue }
            try makeAsset(of: &node, named: place.name, in: place.parent, records)
        }
    }

    /// Gives a file that has had no verdict yet an asset, as which it can be in the trash.
    func makeAsset(of node: inout NodeRecord, named name: EntryName, in parent: NodeID, _ records: Records) throws {
        let asset = try records.insertAsset(uid: node.uid, name: name, like: node, at: .now)
        try records.setAsset(of: node.id, to: asset)
        try records.moveAttributesToFields(of: node.id, to: asset, rulebook.of(parent, records).policy)
        node.asset = asset
    }
}
