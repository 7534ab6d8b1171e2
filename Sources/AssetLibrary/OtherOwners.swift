internal import AssetModel
internal import Catalog

// An asset that goes on with the file of another owner, who may write to the former file: as if that user had changed the content. What
// an owner alone may say is never said of another owner's file; and what the former owner had is not for the next one to end.
extension Records {
    /// Leaves the former owner of an asset one that is equal to it, with the file that had the name: in the trash, or under the names that
    /// the file has left.
    func leave(_ heritage: Heritage, to newcomer: NodeRecord, at place: Place, _ rulebook: Rulebook) throws {
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

    /// Leaves an asset's alternative files with the one that its former owner keeps, but for those of the owner who goes on with it.
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

    /// Takes from an asset what its former owner alone could say of it, before another owner's file goes on with it; what closes it stays.
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

    /// Lets those see an asset who may see a file that comes to show it, where nothing that was said of the asset closes it.
    func keepClosed(_ asset: AssetID, as node: NodeRecord) throws {
        var like = node
        if let access = try access(of: asset), access.isClosing {
            (like.access, like.isAccessInherited) = (access.closed(with: node.access), false)
        }
        try setAccess(of: asset, like: like)
    }
}
