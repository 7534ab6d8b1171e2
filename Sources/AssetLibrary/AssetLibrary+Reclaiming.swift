internal import AssetModel
internal import Catalog
internal import Glibc
internal import Logging
internal import Synchronization

// Room on a full disk: what is removed for it is of the user who has the most to be removed, so that no user's removing and
// rewriting costs another user anything.
extension AssetLibrary {
    /// For how long what may go is not counted again; what is new is added each time.
    private static let planLife = Duration.seconds(30)
    /// How many assets and former contents are read in one operation of the catalog.
    private static let planBatch = 250

    /// Removes what may go, until so many bytes of the library's own disk become free.
    ///
    /// With `waits`, nothing of a user who has less than another whose trash is too young to go, or not read yet: `isHeldUp` says so,
    /// and to try again.
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
            let paths = try write { records in
                var paths: [String] = []
                for _ in 0..<Self.sweepBatch where freed < bytes {
                    guard let (item, isHeldUp) = plan.next(before: recent), !(waits && isHeldUp) else { break }
                    plan.drop(item)
                    if try isKept(item, records) { continue }
                    let room = try records.freedBytes(by: item)
                    // A name may show it by now.
                    guard room.held > 0, let purged = try remove(item, records) else { continue }
                    paths += purged
                    count += 1
                    freed += room.freed
                }
                return paths
            }
            for path in paths { log.notice("Removed \(path) from the trash for good, to make room.") }
        }
        return (count, freed, false)
    }

    /// Removes what may go, until so many bytes of the library's own disk become free or there is room for `count`.
    ///
    /// Where the user who has the most has just removed it, this waits until it may go, and only then takes from others: else a user who
    /// goes on making and removing files would have all that others have removed. `end` is when it waits no longer.
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

    /// Forgets what may go when no room has been asked for, for some time.
    func forgetReclaimPlan() {
        sweep.plan.withLock { if let plan = $0, .now - plan.begun > Self.planLife { $0 = nil } }
    }

    /// Reads what has come to be removable since a plan was made or read last.
    private func readReclaimable(into plan: inout ReclaimPlan) throws(LibraryError) {
        while !isClosing.isSet {
            let (some, isEnd) = try read { records in
                let (some, isEnd) = try records.reclaimable(
                    after: &plan.position,
                    mounter: getuid(),
                    limit: Self.planBatch
                )
                return (try some.filter { try !isKept($0, records) }, isEnd)
            }
            plan.add(some)
            if isEnd { return }
        }
    }

    /// Whether a former content is not to go, because its folder wants all to be kept.
    private func isKept(_ item: ReclaimableRecord, _ records: Records) throws -> Bool {
        if item.kind == .trash || rulebook.isSilent { return false }
        return try retention(of: item.asset, records)?.keepsAll ?? false
    }

    /// Removes an asset in the trash, or a former content, for good.
    /// - Returns: the paths that left the trash; nil where it is not there any more.
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
