public import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization

// Requests during which the kernel holds the lock of a folder, of a file, or of all renames between folders,
// and so blocks every process that needs that lock: rename(2), link(2), unlink(2), truncate(2), fsync(2).
// None of them waits for longer than a fraction of a second.
extension AssetLibrary {
    /// How many milliseconds such a request waits at most for a scanner.
    static let moments = 50
    /// How long such a request waits at most for a commit, or for another operation on the file.
    private static let patience = Duration.milliseconds(250)

    func pauseForAMoment() { usleep(1000) }

    /// Repeats `attempt` every millisecond until it returns a value, for as long as the user's request may
    /// wait while the kernel holds locks for it.
    /// - Returns: nil where no attempt returned a value in time.
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

    /// Moves a long deferred commit to the front and returns the error that refuses such a request meanwhile.
    ///
    /// Must be called while the commit is deferred.
    private func occupied(_ id: NodeID, for uid: UInt32) -> LibraryError {
        if isClosing.isSet { return .interrupted }
        hasten(id)
        return refusal(of: id, for: uid)
    }

    /// Moves a deferred commit to the front.
    private func hasten(_ id: NodeID) {
        waiting.withLock { $0[id]?.isWanted = true }
        for worker in longSettlers { worker.wake() }
    }

    private func refusal(of id: NodeID, for uid: UInt32) -> LibraryError {
        let error = LibraryError.occupied("The bytes of the file are being read; try again in a while.")
        refusedAttributes.note(error, of: id, for: uid)
        return error
    }

    /// Runs a deferred commit before its file loses its asset, or is truncated, so that the bytes are kept.
    ///
    /// A commit that has failed, which is in the log, blocks nothing: an unreadable file can be replaced.
    /// Neither do the holes of a sparse file, which take longer to read than its data. `uid` is the user
    /// whose request is refused where it may wait for 250 ms only.
    /// - Throws: `.occupied` where the commit takes longer; `.pending` where the request may wait.
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
            // Most commits end within this time; one that has failed blocks nothing.
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

    /// Runs `body`, which gives a file a name, under the lock of its upload: no process can write to the file
    /// or close it.
    ///
    /// An upload that `isComplete` with the name, or whose commit is deferred, is committed first. `body` is
    /// told whether the upload continues and is committed later, and returns the version that it continues
    /// with. A commit that reads for long, or asks a scanner, comes later, unless the upload `mayBeRefused`
    /// under the name.
    /// - Throws: `.occupied` where it may be refused, or where another operation on the file takes long; and
    ///   the errors of `body`.
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

    /// Commits an upload whose file is about to get a name, unless that takes long.
    /// - Returns: false where the name has to wait for the commit.
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

    /// Whether a file's commit publishes an asset's version, which may have to be scanned.
    private func hasFinalName(_ id: NodeID) -> Bool {
        guard rulebook.mayScreen else { return false }
        return (try? read { try destination(of: id, nil, $0) != nil }) ?? true
    }

    /// Commits a truncate(2), which is an upload of its own.
    ///
    /// A commit that takes long comes after the answer, and may refuse the upload then.
    public func endCut(of node: OpenNode) throws(LibraryError) {
        // The close of the file scans it.
        if rulebook.mayScreen, isScreened(node.id, node.upload.withLock { $0.aim }) { return }
        do throws(LibraryError) {
            try flush(node)
        } catch {
            guard case .pending = error else { throw error }
        }
    }

    /// Notes that a file with a deferred commit keeps its bytes although it is about to lose its last name.
    ///
    /// A long commit makes them the newest version of its asset in the trash; a short one runs at once.
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
        // A file that has had only temporary names leaves nothing in the trash.
        var isUpload = record.asset != nil
        if !isUpload { isUpload = try read { try rulebook.nameClass(of: name, in: parent, $0) == .final } }
        guard isUpload else { return false }
        node.isKept.store(true, ordering: .relaxed)
        return true
    }

    /// Gives assets to uploads with a deferred commit before a rename that may be refused: a refusal must
    /// come before the first change of its catalog operation.
    func makeAssetsOfWaiting(_ id: NodeID) throws(LibraryError) {
        guard hasWaiting else { return }
        try write { try makeAssetsOfWaiting(id, $0) }
    }

    /// Gives an asset to each file with a deferred commit, for one file or all files below a folder, before
    /// its final name becomes a temporary one or is removed: the file remains an upload.
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

    /// Gives an asset to a file that has not been committed yet, so that it can be in the trash.
    func makeAsset(of node: inout NodeRecord, named name: EntryName, in parent: NodeID, _ records: Records) throws {
        let asset = try records.insertAsset(uid: node.uid, name: name, like: node, at: .now)
        try records.setAsset(of: node.id, to: asset)
        try records.moveAttributesToFields(of: node.id, to: asset, rulebook.of(parent, records).policy)
        node.asset = asset
    }
}
