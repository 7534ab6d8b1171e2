internal import AssetModel
internal import BlobStore
internal import CLinux
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// Expiry and pruning: expired assets, old assets in the trash, former versions, and unused blobs. Only
// `collect` removes bytes, and it checks once more whether they are used.
extension AssetLibrary {
    /// How long a blob must have been unused: a request that has just read a row still finds its bytes.
    private static let youth = Duration.seconds(60)

    /// Removes all that is due.
    /// - Returns: when to check again, if the sweeper is not woken before.
    @discardableResult
    func sweepNow() -> Duration? {
        do throws(LibraryError) {
            while try removeSomeExpired() {
                if isClosing.isSet { return nil }
            }
            while try purgeSome(by: clock.now) > 0, !isClosing.isSet {}
            try keepAllQuotas()
            try forgetLostNodes()
            let since = Timestamp.now.advanced(by: .zero - Self.youth)
            while try collect(unusedSince: since) > 0, !isClosing.isSet {}
            try collectUnrecorded()
            forgetReclaimPlan()
            if sweep.beginRetirement(at: clock.now) {
                try retireFormerVersions()
                try forgetOldFetches()
                try removeOldLeftovers()
            }
            let (next, hasUnused) = try read { records in
                let due = [try records.nextExpiry(), try records.nextPurge()].compactMap { $0 }.min()
                return (
                    due,
                    try !records.unusedBlobs(since: Timestamp(rawValue: .max), notIn: blobs.absentStores, limit: 1)
                        .isEmpty
                )
            }
            guard let next else { return hasUnused ? Self.youth : Sweep.retirementPause }
            // The machine's clock may be set meanwhile.
            return min(.seconds(1), .nanoseconds(max(0, next.rawValue - clock.now.rawValue)) + .milliseconds(1))
        } catch {
            if !isClosing.isSet { log.error("What is due could not be removed: \(error)") }
            return .seconds(60)
        }
    }

    // MARK: Trash

    /// Deletes assets from the trash after their period there.
    /// - Returns: how many.
    private func purgeSome(by time: Timestamp) throws(LibraryError) -> Int {
        // Read first: a catalog operation that changes nothing would still be committed.
        guard try !read({ try $0.purgeable(by: time, limit: 1).isEmpty }) else { return 0 }
        if hasWaiting {
            try keepAlternatives(of: read { try $0.purgeable(by: time, limit: Self.sweepBatch).map(\.asset) })
        }
        let purged = try write { records in
            let due = try records.purgeable(by: time, limit: Self.sweepBatch)
            for record in due {
                try records.deleteWithItsOwn(record.asset, rulebook)
                try records.append(.purged, of: record.asset, at: record.path)
            }
            return due
        }
        for record in purged { log.notice("Removed \(Place.journalPath(record.path)) from the trash for good.") }
        return purged.count
    }

    /// Has nodes without a name forgotten that have left the trash.
    func forgetLostNodes() throws(LibraryError) {
        while true {
            guard try read({ try $0.hasLostNodes() }) else { return }
            let lost = try write { try $0.takeLostNodes(limit: Self.sweepBatch) }
            for node in lost where !herald.tell(.lost(node)) && openNode(node) == nil { try forget([node]) }
        }
    }

    // MARK: Former versions

    /// Prunes former versions that are older than their folders' policies allow.
    private func retireFormerVersions() throws(LibraryError) {
        var last: FormerVersionRecord?
        let now = clock.now
        while !isClosing.isSet {
            let (some, due) = try read { records in
                let some = try records.formerVersions(after: last, limit: 4 * Self.sweepBatch)
                let due = try some.filter { version in
                    guard let retention = try retention(of: version.asset, records) else { return false }
                    if version.isOriginal, retention.keepsOriginal { return false }
                    return retention.period.map { $0.added(to: version.superseded) <= now } ?? false
                }
                return (some, due)
            }
            if !due.isEmpty {
                try write { records in
                    for version in due { try records.deleteFormerVersion(version.id, of: version.asset) }
                }
            }
            guard let end = some.last else { return }
            last = end
        }
    }

    /// Returns the retention of former versions in an asset's folder; nil in the trash, which is purged
    /// whole.
    func retention(of asset: AssetID, _ records: Records) throws -> VersionRetention? {
        guard let node = try records.nodes(showing: asset).first.flatMap({ try records.node($0) }),
            let folder = try records.anyEntry(of: node.id)?.parent
        else { return nil }
        return try rulebook.policy(for: node, in: rulebook.of(folder, records)).versions
    }

    // MARK: Unused blobs

    /// Removes blobs that neither a file nor a version has used since a moment: the rows first, and their
    /// bytes after the commit of that.
    /// - Returns: how many.
    private func collect(unusedSince time: Timestamp) throws(LibraryError) -> Int {
        let unused = try read { try $0.unusedBlobs(since: time, notIn: blobs.absentStores, limit: Self.sweepBatch) }
        guard !unused.isEmpty else { return 0 }
        let bound = contents.boundBlobs
        let free = blobPins.claimForDeletion(
            unused.compactMap(\.digest).filter { !contents.isShown($0) && !bound.contains($0) }
        )
        defer { blobPins.releaseClaim(of: free) }
        let removed = try write { records in
            try unused.compactMap { blob in
                guard let digest = blob.digest, free.contains(digest), try records.deleteUnusedBlob(blob.id) else {
                    return Digest?.none
                }
                return digest
            }
        }
        for digest in removed { blobs.noteRemoval(of: digest) }
        try commit()
        if !removed.isEmpty { KillPoint.rowsCollected.reach() }
        // All of them, also after an error: a file that stays has no row any more by which it could be found.
        var problem: BlobStoreError?
        for digest in removed {
            do throws(BlobStoreError) { try blobs.remove(digest) } catch { problem = error }
            KillPoint.blobRemoved.reach()
        }
        if let problem { throw LibraryError(problem) }
        return removed.count
    }

    /// Removes blobs that rejected uploads have left without a row, once no open file shows them.
    private func collectUnrecorded() throws(LibraryError) {
        let noted = sweep.unrecorded
        if noted.isEmpty { return }
        let bound = contents.boundBlobs
        let free = blobPins.claimForDeletion(noted.filter { !contents.isShown($0) && !bound.contains($0) })
        defer { blobPins.releaseClaim(of: free) }
        let unused = try read { records in try free.filter { try records.blob($0) == nil } }
        // The next commit would sync them.
        for digest in unused { blobs.noteRemoval(of: digest) }
        try commit()
        do throws(BlobStoreError) {
            for digest in unused { try blobs.remove(digest) }
        } catch {
            throw LibraryError(error)
        }
        sweep.forgetUnrecorded(free)
    }

    // MARK: Space

    /// Makes room for an upload on a full disk, in the order of `ReclaimPlan`.
    ///
    /// Called on the thread of a request, which waits until that is done.
    /// - Returns: whether there may be room now.
    func makeRoom(_ count: Int64) -> Bool {
        // Nothing is removed where it would not be enough: a request for more than the disk has must not
        // empty the trash.
        guard let catalogued = try? read({ try $0.reclaimableBytes() }), let unread = try? unreadBytes(),
            let left = try? space.measureLeft(behind: count)
        else { return false }
        let reclaimable = catalogued + unread.values.reduce(0, +)
        guard reclaimable > 0, left + reclaimable >= 0 else { return false }
        let end = ContinuousClock.now + rulebook.saving + .seconds(10)
        let turn = sweep.askForRoom(count)
        roomMaker.wake()
        let isMade = Signal()
        defer { sweep.forget(isMade) }
        while !sweep.hasMadeRoom(since: turn, orSend: isMade) {
            guard !isClosing.isSet, .now < end else { return false }
            isMade.wait(milliseconds: 100)
        }
        return true
    }

    /// Makes the requested room.
    ///
    /// Runs on a thread of its own and must not access the mount: the waiting request may hold kernel locks
    /// that the access would need.
    func makeRequestedRoom() {
        guard let count = sweep.requestedRoom() else { return }
        defer { sweep.noteRoom() }
        var removed = 0
        do throws(LibraryError) {
            // The bytes that removals will free: a file of the trash is removed when the kernel forgets it.
            var promised: Int64 = 0
            // Almost as long as the request waits: recently removed assets of one user may become removable
            // one by one until then.
            let end = ContinuousClock.now + rulebook.saving + .seconds(8)
            for round in 1...20 {
                let missing = try missingRoom(for: count)
                guard missing > 0, !isClosing.isSet else { break }
                if missing > promised {
                    let reclaimed = try reclaim(missing - promised, for: count, waitingUntil: end)
                    removed += reclaimed.count
                    promised += reclaimed.bytes
                    if promised == 0 {
                        // The kernel forgets a file a moment after its last name is removed.
                        for _ in 0..<20 where try missingRoom(for: count) > 0 { _ = usleep(10_000) }
                        break
                    }
                    try forgetLostNodes()
                }
                for _ in 0..<50 where try missingRoom(for: count) > 0 { _ = usleep(10_000) }
                // Bytes that several names share were not freed with one of them.
                if round % 4 == 0 { promised = 0 }
            }
        } catch {
            if !isClosing.isSet { log.error("No room could be made: \(error)") }
        }
        if removed > 0 {
            log.notice(
                "The library's disk was full: removed files and former contents made room before their time, \(removed) in all."
            )
        }
    }

    /// Returns how many bytes have to become free; 0 where there is room.
    func missingRoom(for count: Int64) throws(LibraryError) -> Int64 {
        while try collect(unusedSince: .now) > 0 {}
        return try max(0, 0 - space.measureLeft(behind: count))
    }
}

/// The requests to the sweeper besides its rounds.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Sweep: Sendable {
    private struct State {
        var retired: Timestamp?
        /// The largest number of bytes requested.
        var room: Int64?
        /// How many requests for space have been begun, and answered.
        var begun = 0
        var done = 0
        /// The threads that wait for an answer.
        var waiting: [Signal] = []
        /// Blobs that no row names, because their uploads were rejected at the last moment.
        var unrecorded: Set<Digest> = []
    }

    /// How often former versions are checked.
    static let retirementPause = Duration.seconds(3600)

    private let state = RankedMutex(.leaf, State())
    /// The reclaimable bytes; only the thread that makes room uses the plan.
    let plan = RankedMutex<ReclaimPlan?>(.leaf, nil)
    /// How often an asset in the trash has got bytes.
    let lateContents = Atomic(0)

    /// Whether former versions are to be checked now; if so, the check counts as made.
    func beginRetirement(at now: Timestamp) -> Bool {
        state.withLock { state in
            if let retired = state.retired, now < retired.advanced(by: Self.retirementPause) { return false }
            state.retired = now
            return true
        }
    }

    /// Notes a blob that may have no row; a crash leaves such blobs to the next mount.
    func noteUnrecorded(_ digest: Digest) { state.withLock { _ = $0.unrecorded.insert(digest) } }

    /// The noted blobs.
    var unrecorded: [Digest] { state.withLock { Array($0.unrecorded) } }

    /// Forgets noted blobs that were removed, or have rows.
    func forgetUnrecorded(_ digests: [Digest]) { state.withLock { $0.unrecorded.subtract(digests) } }

    /// Requests space.
    /// - Returns: the number to pass to `hasMadeRoom`.
    func askForRoom(_ count: Int64) -> Int {
        state.withLock { state in
            state.room = max(state.room ?? 0, count)
            return state.begun
        }
    }

    /// Returns whether a request has been answered; otherwise the next answer sends an event.
    func hasMadeRoom(since turn: Int, orSend event: Signal) -> Bool {
        state.withLock { state in
            if state.done > turn { return true }
            if !state.waiting.contains(where: { $0 === event }) { state.waiting.append(event) }
            return false
        }
    }

    /// Forgets an event that no thread awaits any more.
    func forget(_ event: Signal) { state.withLock { $0.waiting.removeAll { $0 === event } } }

    func requestedRoom() -> Int64? {
        state.withLock { state in
            guard let room = state.room.take() else { return nil }
            state.begun += 1
            return room
        }
    }

    /// Answers the requests that have been begun.
    func noteRoom() {
        let waiting = state.withLock { state in
            state.done = state.begun
            defer { state.waiting = [] }
            return state.waiting
        }
        for thread in waiting { thread.send() }
    }
}
