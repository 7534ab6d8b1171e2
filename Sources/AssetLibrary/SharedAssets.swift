internal import AssetModel
internal import Catalog

// Files that show another file's asset, because they brought what it had (`RETURN_EXISTING`). Each shows it as long as both have
// that content.
extension Records {
    /// A file shows the asset that had its content before; what it showed until now goes to the trash, if nobody else shows it.
    func show(_ asset: AssetID, by node: NodeRecord, at place: Place, at now: Timestamp) throws {
        guard node.asset != asset else { return }
        try setAsset(of: node.id, to: asset, isDuplicate: true)
        if let former = node.asset, try self.asset(former) != nil {
            try trash(former, parent: place.parent, name: place.name, at: now)
        }
    }

    /// A file that shows another's asset has got other content: the asset that it had before takes that, if it is in the trash
    /// under this name, else a new one with the same fields.
    /// - Returns: whether the file shows another asset now.
    func leaveSharedAsset(_ node: inout NodeRecord, at place: Place, at now: Timestamp) throws -> Bool {
        guard node.isDuplicate, let shared = node.asset else { return false }
        if try newestVersions(of: shared, limit: 1).first?.blob == node.blob { return false }
        node.isDuplicate = false
        guard try nodes(showing: shared).contains(where: { $0 != node.id }) else {
            // The first has gone: the asset is this file's alone.
            try setAsset(of: node.id, to: shared)
            return false
        }
        if let former = try trashedAsset(place.name, in: place.parent) {
            try restore(former)
            node.asset = former
        } else {
            node.asset = try insertAsset(uid: node.uid, name: place.name, at: now)
            if let own = node.asset { try copyFields(of: shared, to: own) }
        }
        try setAsset(of: node.id, to: node.asset)
        return true
    }

    /// An asset has got other content from one of its files: the others, which brought what it had, keep that, with an asset of
    /// their own.
    func leaveDuplicatesBehind(of asset: AssetID, by node: NodeRecord, at now: Timestamp) throws {
        var own: AssetID?
        for left in try duplicates(of: asset) where left.id != node.id && left.blob != node.blob && left.links > 0 {
            guard let name = try anyEntry(of: left.id)?.name else { continue }
            if let own {
                try setAsset(of: left.id, to: own, isDuplicate: true)
                continue
            }
            let new = try insertAsset(uid: left.uid, name: name, at: now)
            try copyFields(of: asset, to: new)
            try setAsset(of: left.id, to: new)
            _ = try insertVersion(of: new, blob: left.blob, size: left.size, uid: left.uid, name: name, at: now)
            own = new
        }
    }
}
