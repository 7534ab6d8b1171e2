internal import AssetModel
internal import Catalog

/// What can be removed to make room, by user: as each user's own goes in order, the next is always of the user who has the most.
///
/// So a user who has more than others comes down to what the next one has before that one loses anything (max-min fairness). The sum
/// of a user is of all kinds: a user far beyond the others gives the trash, and then former contents, before the others' trash.
struct ReclaimPlan {
    private struct Account {
        var bytes: Int64 = 0
        /// By kind, the oldest first.
        var items: [[ReclaimableRecord]] = Array(repeating: [], count: ReclaimableRecord.Kind.allCases.count)
        /// How many of them are done with.
        var done = Array(repeating: 0, count: ReclaimableRecord.Kind.allCases.count)

        /// The next to go: of the trash what was there before `recent`, or after all else also what was not.
        func next(before recent: Timestamp, orRecent: Bool) -> ReclaimableRecord? {
            for kind in ReclaimableRecord.Kind.allCases {
                if let item = first(of: kind), kind != .trash || item.since < recent { return item }
            }
            return orRecent ? first(of: .trash) : nil
        }

        private func first(of kind: ReclaimableRecord.Kind) -> ReclaimableRecord? {
            let index = Int(kind.rawValue)
            return done[index] < items[index].count ? items[index][done[index]] : nil
        }
    }

    private var accounts: [UInt32: Account] = [:]
    /// Up to where there is nothing new to be read.
    var position = ReclaimablePosition()
    /// When it was begun.
    let begun = ContinuousClock.now
    /// `Sweep.lateContents` when it was begun: of what got bytes after it had come to the trash the plan knows nothing.
    let late: Int
    /// Bytes of files in the trash that are in no record yet, because they were not read.
    var unread: [UInt32: Int64] = [:]
    private let size: @Sendable (ReclaimableRecord) -> Int64

    /// Makes a plan that counts `size` of each record.
    init(_ size: @escaping @Sendable (ReclaimableRecord) -> Int64, late: Int = 0) {
        (self.size, self.late) = (size, late)
    }

    /// All bytes of a user that may go.
    private func sum(of uid: UInt32) -> Int64 { (accounts[uid]?.bytes ?? 0) + (unread[uid] ?? 0) }

    /// Returns the user whose unread files go instead of an item: the one who has the most, where it is not the item's user.
    func unreadToGo(instead item: ReclaimableRecord?) -> UInt32? {
        guard let most = unread.keys.max(by: { sum(of: $0) < sum(of: $1) }) else { return nil }
        guard let item else { return most }
        return most != item.uid && sum(of: most) > sum(of: item.uid) ? most : nil
    }

    /// Adds records, each kind in the order of time and behind those that are here.
    mutating func add(_ records: [ReclaimableRecord]) {
        for record in records {
            let bytes = size(record)
            if bytes <= 0 { continue }
            accounts[record.uid, default: Account()].bytes += bytes
            accounts[record.uid, default: Account()].items[Int(record.kind.rawValue)].append(record)
        }
    }

    /// Returns the next to go: of the user with the most bytes of those who have any that may go, and among equals the oldest.
    ///
    /// `isHeldUp` says that another user has more, all of which has been in the trash since `recent` or later or is not read yet: a
    /// moment later it would go before this.
    func next(
        before recent: Timestamp,
        orRecent: Bool = false
    ) -> (item: ReclaimableRecord, isHeldUp: Bool)? {
        var best: (bytes: Int64, item: ReclaimableRecord)?
        for (uid, account) in accounts {
            guard let item = account.next(before: recent, orRecent: orRecent) else { continue }
            let bytes = sum(of: uid)
            if let best, (best.bytes, item.since) >= (bytes, best.item.since) { continue }
            best = (bytes, item)
        }
        let users = Set(accounts.keys).union(unread.keys)
        return best.map { best in (best.item, users.contains { sum(of: $0) > best.bytes }) }
    }

    /// Takes out what `next` returned: it was removed, or may not go after all.
    mutating func drop(_ item: ReclaimableRecord) {
        guard var account = accounts.removeValue(forKey: item.uid) else { return }
        account.done[Int(item.kind.rawValue)] += 1
        account.bytes -= size(item)
        accounts[item.uid] = account
    }
}
