internal import AssetModel
internal import Catalog
internal import Logging
internal import Synchronization

// Assets that go by themselves at their time: for good, with all their names. Whoever asks for a name whose time has come finds
// none, also before the sweeper has come to it.
extension AssetLibrary {
    /// How many assets are removed in one step of the catalog, so that nobody waits long behind it.
    static let sweepBatch = 50

    /// Removes what has a name, if its time has come.
    func removeIfExpired(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> Bool {
        let now = clock.now
        guard let node = try read({ try $0.node(named: name, in: parent) }), node.isExpired(at: now),
            let asset = node.asset
        else { return false }
        try removeNow([asset])
        return true
    }

    /// Removes what is in a folder and has come to its time.
    func removeExpired(in folder: NodeID) throws(LibraryError) {
        let now = clock.now
        let assets = try read { records -> [AssetID] in
            guard try records.isSpecial(folder) else { return [] }
            return try records.expiredAssets(in: folder, by: now)
        }
        if !assets.isEmpty { try removeNow(assets) }
    }

    /// Runs `body`, which makes a name, once more where the name was taken by what has come to its time.
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

    /// Removes everything whose time has come, when the library is opened.
    func removeAllExpired() throws(LibraryError) {
        while try removeSomeExpired() {}
        try commit()
        KillPoint.expiryCommitted.reach()
    }

    /// - Returns: whether there may be more.
    func removeSomeExpired() throws(LibraryError) -> Bool {
        let now = clock.now
        let expired = try read { try $0.expired(by: now, limit: Self.sweepBatch) }
        if !expired.isEmpty { try removeNow(expired) }
        return expired.count == Self.sweepBatch
    }

    /// Removes assets for good, and the names that they still have.
    private func removeNow(_ assets: [AssetID]) throws(LibraryError) {
        let now = Timestamp.now
        try keepAlternatives(of: assets)
        let removed = try write { records in
            var removed: [(place: Place, node: NodeRecord)] = []
            for asset in assets {
                // Somebody may have given it more time meanwhile.
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

extension Records {
    /// The names that lead to a folder, from a folder that has none.
    func path(of folder: NodeID) throws -> (root: NodeID, names: [EntryName]) {
        var (names, current): ([EntryName], NodeID) = ([], folder)
        while let entry = try anyEntry(of: current) {
            names.append(entry.name)
            current = entry.parent
        }
        return (current, names.reversed())
    }
}
