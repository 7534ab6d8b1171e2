public import AssetModel
public import Catalog

// Files that show another file's asset, because they were uploaded with the same bytes (`RETURN_EXISTING`).
// Each shows it as long as both have those bytes and one owner: values that one user sets on a file never
// show, close or remove another user's file.
extension Records {
    /// Returns whether an asset, and a file that is to show it, both belong to the user that gives the file
    /// its name: no other user joins an asset.
    public func isOwned(_ asset: AssetID, with node: NodeRecord, by uploader: Uploader) throws -> Bool {
        try uploader.uid == node.uid && isAlone(asset, of: node.uid)
    }

    /// Makes a file show the asset that had its blob before; moves `former`, which its name showed until now,
    /// to the trash, unless another file shows it.
    public func show(
        _ asset: AssetID,
        by node: NodeRecord,
        insteadOf former: AssetID?,
        at place: Place,
        _ rulebook: Rulebook
    )
        throws
    {
        guard node.asset != asset else { return }
        try setAsset(of: node.id, to: asset, former: former ?? AssetID(rawValue: 0))
        for lost in Set([former, node.asset].compactMap { $0 }) where try self.asset(lost) != nil {
            try rulebook.trash(lost, like: node, from: place, self)
        }
    }

    /// Gives a file that shows another's asset its own asset, where the bytes or the owner differ now: the
    /// one that it showed before, or a new one; with the same fields.
    /// - Returns: whether the file shows another asset now.
    func leaveSharedAsset(_ node: inout NodeRecord, named name: EntryName, at now: Timestamp) throws -> Bool {
        guard let former = node.formerAsset, let shared = node.asset else { return false }
        node.formerAsset = nil
        guard try nodes(showing: shared).contains(where: { $0 != node.id }) else {
            // The first file is gone, so the asset belongs to this file alone.
            try setAsset(of: node.id, to: shared)
            return false
        }
        let own = try ownAsset(insteadOf: shared, former, for: node, named: name, at: now)
        node.asset = own
        try setAsset(of: node.id, to: own)
        return true
    }

    /// Returns the asset that a file has instead of another's: the one that was put away for that, or a new
    /// one with the same fields.
    func ownAsset(
        insteadOf shared: AssetID,
        _ former: AssetID,
        for node: NodeRecord,
        named name: EntryName,
        at now: Timestamp
    ) throws -> AssetID {
        if former.rawValue != 0, try asset(former) != nil, try !isShown(former) {
            try keepStanding(ofTrashed: former)
            try restore(former)
            try keepClosed(former, as: node)
            return former
        }
        let own = try insertAsset(uid: node.uid, name: name, like: node, at: now)
        try copyFields(of: shared, to: own)
        try copyLife(of: shared, to: own)
        // The 24 hours of the new asset begin now, whenever the other asset was uploaded.
        if try asset(own)?.unstoredUntil != nil {
            try setUnstored(of: own, until: now.advanced(bySeconds: Policy.temporaryLife))
        }
        return own
    }

    /// Gives the other files of an asset an asset of their own, with the former bytes, because one of its
    /// files has got, or with `isChanging` is about to get, other bytes or another owner.
    func leaveDuplicatesBehind(
        of asset: AssetID,
        by node: NodeRecord,
        besides former: NodeID? = nil,
        isChanging: Bool = false,
        at now: Timestamp
    ) throws {
        var own: AssetID?
        for left in try duplicates(of: asset) where left.id != node.id && left.id != former && left.links > 0 {
            guard isChanging || left.blob != node.blob || left.uid != node.uid else { continue }
            guard let name = try anyEntry(of: left.id)?.name else { continue }
            if let own {
                try setAsset(of: left.id, to: own, former: left.formerAsset)
                continue
            }
            let new = try insertAsset(uid: left.uid, name: name, like: left, at: now)
            try copyFields(of: asset, to: new)
            try copyLife(of: asset, to: new)
            try setAsset(of: left.id, to: new)
            _ = try insertVersion(of: new, blob: left.blob, size: left.size, uid: left.uid, name: name, at: now)
            own = new
        }
    }

    /// Gives a file that shows another's asset an asset of its own, with the file's present bytes as its
    /// version.
    private func separate(_ node: inout NodeRecord) throws {
        guard let name = try anyEntry(of: node.id)?.name, try leaveSharedAsset(&node, named: name, at: .now),
            let own = node.asset, try newestVersions(of: own, limit: 1).first?.blob != node.blob
        else { return }
        _ = try insertVersion(of: own, blob: node.blob, size: node.size, uid: node.uid, name: name, at: .now)
    }

    /// Separates the files of different owners that show one asset, after a file was given to another user.
    public func separateOwners(of node: inout NodeRecord) throws {
        guard let shared = node.asset, try !isAlone(shared, of: node.uid) else { return }
        if node.isDuplicate { return try separate(&node) }
        for var other in try duplicates(of: shared) where other.uid != node.uid { try separate(&other) }
    }

    /// Separates the files of different owners that an earlier release made show one asset.
    public func separateFormerSharing() throws {
        for id in try sharedAcrossOwners() {
            if var node = try node(id) { try separateOwners(of: &node) }
            try deleteSharedAcrossOwners(id)
        }
    }
}
