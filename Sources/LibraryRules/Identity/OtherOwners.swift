internal import AssetModel
public import Catalog
internal import LibraryStorage

// An asset passes to the file of another owner with write access to the former file, as if that user had
// changed the bytes. Values that only an owner may set do not apply to another owner's file, and the next
// owner cannot delete the former owner's data.
extension Records {
    /// Gives the former owner of an asset a copy of the asset with the file that had the name: in the trash,
    /// or under the names that the file has left.
    public func leave(_ heritage: Heritage, to newcomer: NodeRecord, at place: Place, _ rulebook: Rulebook) throws {
        let asset = heritage.asset
        if let record = try trashed(asset) {
            let copy = try insertCopy(of: asset, since: heritage.owner)
            try leaveAlternatives(of: asset, to: copy, besides: newcomer.uid)
            if let file = record.node { return try setAsset(of: file, to: copy) }
            let like = NodeRecord(mode: 0o100600, uid: heritage.owner, gid: 0, now: .now)
            return try setTrashedNode(of: copy, to: insertTrashedNode(of: copy, like: like))
        }
        guard var former = heritage.former, former.id != newcomer.id, former.asset == asset else { return }
        let copy = try insertCopy(of: asset, since: heritage.owner)
        try leaveAlternatives(of: asset, to: copy, besides: newcomer.uid)
        if former.links > 0 {
            former = try moveCollectionNames(from: former, to: newcomer, of: [newcomer.uid])
        }
        try setAsset(of: former.id, to: copy)
        former.asset = copy
        if former.links == 0 { try rulebook.trash(copy, like: former, from: place, self) }
    }

    /// Moves an asset's alternative files to the copy that its former owner keeps, except for those of the
    /// new owner.
    private func leaveAlternatives(of asset: AssetID, to copy: AssetID, besides owner: UInt32) throws {
        guard let folder = try node(named: asset.folderName, in: .alternatives) else { return }
        let left = try entries(of: folder.id, after: 0, limit: .max).filter { $0.node.uid != owner }
        guard !left.isEmpty else { return }
        let now = Timestamp.now
        let other = try insert(NodeRecord(mode: folder.mode, uid: folder.uid, gid: folder.gid, now: now))
        try insertEntry(copy.folderName, in: .alternatives, node: other.id)
        try touchFolder(.alternatives, subfolders: 1, at: now)
        for entry in left {
            let name = try EntryName(entry.name)
            try moveEntry(name, in: folder.id, to: name, in: other.id)
        }
        for id in [folder.id, other.id] { try touchFolder(id, at: now) }
    }

    /// Resets the values of an asset that only its former owner could set, before another owner's file takes
    /// it over; a restriction of access stays.
    func takeFromOwner(_ heritage: Heritage, for newcomer: NodeRecord, at place: Place, _ rulebook: Rulebook) throws {
        let (asset, now) = (heritage.asset, rulebook.clock.now)
        let policy = rulebook.policy(for: newcomer, at: place)
        let ofOwner = FileRights(uid: heritage.owner, gid: 0, mode: 0o600, list: nil)
        try setMissingRights(ofOwner, ofVersionsOf: asset)
        let life = policy.life.map { min($0.added(to: now), Period.longestLife.added(to: now)) }
        try setDeadline(of: asset, to: life)
        if try self.asset(asset)?.unstoredUntil != nil {
            let end = now.advanced(bySeconds: Policy.temporaryLife)
            try setUnstored(of: asset, until: policy.isTemporary ? end : nil)
        }
        if try store(of: asset) != 0 { try setStore(of: asset, to: 0) }
        try keepClosed(asset, as: newcomer)
    }

    /// Sets an asset's access to that of a file that gets the asset, unless the asset is restricted further.
    func keepClosed(_ asset: AssetID, as node: NodeRecord) throws {
        var like = node
        if let access = try access(of: asset), access.isClosing {
            (like.access, like.isAccessInherited) = (access.closed(with: node.access), false)
        }
        try setAccess(of: asset, like: like)
    }
}
