public import AssetModel
public import Catalog

/// The order in which items are removed to make room: within a user by kind and age, and the next item is
/// always from the user with the most bytes.
///
/// So a user with more bytes than others comes down to the next user's sum before that user loses anything
/// (max-min fairness). The sum of a user is over all kinds: a user far beyond the others gives the trash, and
/// then former versions, before the others' trash.
public struct ReclaimPlan: Sendable {
    private struct Account {
        var bytes: Int64 = 0
        /// The items by kind, the oldest first.
        var items: [[ReclaimableRecord]] = Array(repeating: [], count: ReclaimableRecord.Kind.allCases.count)
        /// The number of items of each kind that were dropped.
        var done = Array(repeating: 0, count: ReclaimableRecord.Kind.allCases.count)

        /// Returns the next item to remove: from the trash an item older than `recent`; with `orRecent` also
        /// a younger one, after everything else.
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
    /// The position up to which the records have been read.
    public var position = ReclaimablePosition()
    /// The time at which the plan was made.
    public let begun = ContinuousClock.now
    /// The value of `Sweep.lateContents` when the plan was made: the plan does not know files that got bytes
    /// after they had come to the trash.
    public let late: Int
    /// The bytes of files in the trash that are in no record yet, because they have not been read, by user.
    public var unread: [UInt32: Int64] = [:]
    private let size: @Sendable (ReclaimableRecord) -> Int64

    /// Makes a plan that counts `size` of each record.
    public init(_ size: @escaping @Sendable (ReclaimableRecord) -> Int64, late: Int = 0) {
        (self.size, self.late) = (size, late)
    }

    /// Returns all bytes of a user that may be removed.
    private func sum(of uid: UInt32) -> Int64 { (accounts[uid]?.bytes ?? 0) + (unread[uid] ?? 0) }

    /// Returns the user whose unread files are removed instead of an item: the user with the most bytes,
    /// where that is not the item's user.
    public func unreadToGo(instead item: ReclaimableRecord?) -> UInt32? {
        guard let most = unread.keys.max(by: { sum(of: $0) < sum(of: $1) }) else { return nil }
        guard let item else { return most }
        return most != item.uid && sum(of: most) > sum(of: item.uid) ? most : nil
    }

    /// Adds records, each kind in the order of time and behind those of the plan.
    public mutating func add(_ records: [ReclaimableRecord]) {
        for record in records {
            let bytes = size(record)
            if bytes <= 0 { continue }
            accounts[record.uid, default: Account()].bytes += bytes
            accounts[record.uid, default: Account()].items[Int(record.kind.rawValue)].append(record)
        }
    }

    /// Returns the next item to remove: from the user with the most bytes among those with a removable item,
    /// and among equals the oldest.
    ///
    /// `isHeldUp` says that another user has more bytes, all of which came to the trash at `recent` or later
    /// or are not read yet: a moment later that user's would be removed before this item.
    public func next(
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

    /// Drops the item that `next` returned, because it was removed or must stay.
    public mutating func drop(_ item: ReclaimableRecord) {
        guard var account = accounts.removeValue(forKey: item.uid) else { return }
        account.done[Int(item.kind.rawValue)] += 1
        account.bytes -= size(item)
        accounts[item.uid] = account
    }
}
