internal import AssetModel
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// Reclaiming space on a full disk. The bytes are taken from the user with the most reclaimable bytes, so that
// one user's removals and rewrites cost other users nothing.
extension AssetLibrary {
    /// How long a plan is used before all reclaimable bytes are counted again; new ones are added each time.
    private static let planLife = Duration.seconds(30)
    /// How many assets and former versions are read in one catalog operation.
    private static let planBatch = 250

    /// Removes trashed assets and former versions until so many bytes of the library's own disk become free.
    ///
    /// With `waits`, nothing is taken from a user with fewer bytes than another whose trash is too recent to
    /// be removed, or still has a deferred commit: `isHeldUp` is true then, and the caller tries again.
    func reclaim(
        _ bytes: Int64,
        waits: Bool
    ) throws(LibraryError) -> (count: Int, bytes: Int64, isHeldUp: Bool) {
        let late = sweep.lateContents.load(ordering: .relaxed)
        var plan = sweep.plan.withLock { $0.take() } ?? ReclaimPlan(\.ownBytes, late: late)
        if .now - plan.begun > Self.planLife || plan.late != late { plan = ReclaimPlan(\.ownBytes, late: late) }
        plan.unread = try unreadBytes()
        defer { sweep.plan.withLock { $0 = plan } }
        try readReclaimable(into: &plan)
        var (count, freed): (Int, Int64) = (0, 0)
        while freed < bytes, !isClosing.isSet {
            let recent = clock.now.advanced(by: .zero - rulebook.saving)
            let next = plan.next(before: recent)
            if waits, next?.isHeldUp ?? !plan.unread.isEmpty { return (count, freed, true) }
            if let uid = plan.unreadToGo(instead: next?.item) {
                let dropped = try dropUnread(of: uid, bytes - freed, before: recent)
                (count, freed) = (count + dropped.count, freed + dropped.bytes)
                plan.unread[uid] = nil
                continue
            }
            if next == nil { break }
            let (planned, missing) = (plan, bytes - freed)
            let removed = try write { records in
                var (plan, paths, count, freed): (ReclaimPlan, [String], Int, Int64) = (planned, [], 0, 0)
                for _ in 0..<Self.sweepBatch where freed < missing {
                    guard let (item, isHeldUp) = plan.next(before: recent), !(waits && isHeldUp) else { break }
                    plan.drop(item)
                    if try isKept(item, records) { continue }
                    let room = try records.freedBytes(by: item)
                    // A file with a name may show the blob by now.
                    guard room.held > 0, let purged = try remove(item, records) else { continue }
                    paths += purged
                    count += 1
                    freed += room.freed
                }
                return (plan: plan, paths: paths, count: count, freed: freed)
            }
            plan = removed.plan
            (count, freed) = (count + removed.count, freed + removed.freed)
            for path in removed.paths { log.notice("Removed \(path) from the trash for good, to make room.") }
        }
        return (count, freed, false)
    }

    /// Removes trashed assets and former versions until so many bytes of the library's own disk become free,
    /// or there is room for `count`.
    ///
    /// Where the user with the most bytes has just removed them, this waits until they may be deleted, and
    /// takes from others only then: otherwise one user could empty all trash by creating and removing files
    /// over and over. The waiting stops at `end`.
    func reclaim(
        _ bytes: Int64,
        for count: Int64,
        waitingUntil end: ContinuousClock.Instant
    ) throws(LibraryError) -> (count: Int, bytes: Int64) {
        var sum: (count: Int, bytes: Int64) = (0, 0)
        while !isClosing.isSet {
            let some = try reclaim(bytes - sum.bytes, waits: .now < end)
            sum = (sum.count + some.count, sum.bytes + some.bytes)
            guard some.isHeldUp, try missingRoom(for: count) > sum.bytes else { break }
            _ = usleep(50_000)
        }
        return sum
    }

    /// Drops the plan when no space has been requested for some time.
    func forgetReclaimPlan() {
        sweep.plan.withLock { if let plan = $0, .now - plan.begun > Self.planLife { $0 = nil } }
    }

    /// Adds to a plan the bytes that have become reclaimable since it was made or extended last.
    private func readReclaimable(into plan: inout ReclaimPlan) throws(LibraryError) {
        while !isClosing.isSet {
            let begin = plan.position
            let (some, position, isEnd) = try read { records in
                var position = begin
                let (some, isEnd) = try records.reclaimable(
                    after: &position,
                    mounter: getuid(),
                    limit: Self.planBatch
                )
                return (try some.filter { try !isKept($0, records) }, position, isEnd)
            }
            plan.position = position
            plan.add(some)
            if isEnd { return }
        }
    }

    /// Whether a former version is never pruned, because its folder keeps all versions.
    private func isKept(_ item: ReclaimableRecord, _ records: Records) throws -> Bool {
        if item.kind == .trash || rulebook.isSilent { return false }
        return try retention(of: item.asset, records)?.keepsAll ?? false
    }

    /// Deletes an asset in the trash, or a former version.
    /// - Returns: the paths that left the trash; nil where the item is not there any more.
    func remove(_ item: ReclaimableRecord, _ records: Records) throws -> [String]? {
        guard item.kind == .trash else {
            guard try records.isFormer(item) else { return nil }
            try records.deleteFormerVersion(item.version, of: item.asset)
            return []
        }
        guard let record = try records.trashed(item.asset), record.trashed == item.since else { return nil }
        try records.deleteWithItsOwn(item.asset, rulebook)
        try records.append(.purged, of: item.asset, at: record.path)
        return [record.path]
    }
}
