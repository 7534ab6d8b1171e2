internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization

// Expired assets are deleted for good, with all their names. A lookup treats an expired name as absent, even
// before the sweeper has removed it.
extension AssetLibrary {
    /// The maximum number of assets deleted in one step of the catalog, so that no request waits long behind
    /// it.
    static let sweepBatch = 50

    /// Deletes the asset that a name shows, if it has expired.
    func removeIfExpired(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> Bool {
        let now = clock.now
        guard let node = try read({ try $0.node(named: name, in: parent) }), node.isExpired(at: now),
            let asset = node.asset
        else { return false }
        try removeNow([asset])
        return true
    }

    /// Deletes the expired assets in a folder.
    func removeExpired(in folder: NodeID) throws(LibraryError) {
        let now = clock.now
        let assets = try read { records -> [AssetID] in
            guard try records.isSpecial(folder) else { return [] }
            return try records.expiredAssets(in: folder, by: now)
        }
        if !assets.isEmpty { try removeNow(assets) }
    }

    /// Runs `body`, which makes a name; if an expired asset has that name, deletes it and runs `body` again.
    func clearing<Value>(
        _ name: EntryName,
        in parent: NodeID,
        _ body: () throws(LibraryError) -> Value
    ) throws(LibraryError) -> Value {
        do throws(LibraryError) {
            return try body()
        } catch {
            guard case .nameTaken = error, try removeIfExpired(name, in: parent) else { throw error }
            return try body()
        }
    }

    /// Deletes all expired assets, when the library is opened.
    func removeAllExpired() throws(LibraryError) {
        while try removeSomeExpired() {}
        try commit()
        KillPoint.expiryCommitted.reach()
    }

    /// Deletes one batch of expired assets.
    /// - Returns: whether there may be more.
    func removeSomeExpired() throws(LibraryError) -> Bool {
        let now = clock.now
        let expired = try read { try $0.expired(by: now, limit: Self.sweepBatch) }
        if !expired.isEmpty { try removeNow(expired) }
        return expired.count == Self.sweepBatch
    }

    /// Deletes assets for good, and removes the names that they still have.
    private func removeNow(_ assets: [AssetID]) throws(LibraryError) {
        let now = Timestamp.now
        try keepAlternatives(of: assets)
        let removed = try write { records in
            var removed: [(place: Place, node: NodeRecord)] = []
            for asset in assets {
                // A user may have extended its life meanwhile.
                guard let expires = try records.asset(asset)?.expires, expires <= clock.now else { continue }
                for id in try records.nodes(showing: asset) {
                    for entry in try records.entriesNaming(id) {
                        guard let node = try records.node(id) else { continue }
                        let place = try rulebook.place(entry.name, in: entry.parent, records)
                        try records.append(.expired, of: asset, at: place.path)
                        removed.append(
                            (place, try records.removeName(entry.name, in: entry.parent, of: node, at: now))
                        )
                    }
                }
                try records.deleteWithItsOwn(asset, rulebook)
            }
            return removed
        }
        KillPoint.assetExpired.reach()
        for (place, node) in removed {
            noteRemoval(node)
            tell(.vanished(place.name, in: place.parent, node: node))
            if node.links == 0 { herald.tell(.lost(node.id)) }
            log.notice("Removed \(place.journalPath): its time had come.")
        }
    }
}
