internal import AssetModel
internal import Catalog
internal import Logging
internal import Synchronization

// Assets that go by themselves, because they were uploaded where files are temporary and nobody stored them.
extension AssetLibrary {
    /// Removes the names of assets whose time has come, and comes back when the next one's has.
    func removeExpired() {
        do throws(LibraryError) {
            while try removeSome() {}
            // Looked at again within a second, as long as there is anything to wait for.
            if try read({ try $0.nextExpiry() }) != nil { expirer.wake() }
        } catch {
            log.error("Files whose time has come could not be removed: \(error)")
        }
    }

    /// - Returns: whether there may be more.
    private func removeSome() throws(LibraryError) -> Bool {
        let now = Timestamp.now
        let removed = try write { records in
            var removed: [(Place, NodeRecord)] = []
            let expired = try records.expired(by: now, limit: 100)
            for asset in expired {
                for id in try records.nodes(showing: asset) {
                    for entry in try records.entriesNaming(id) {
                        guard let node = try records.node(id) else { continue }
                        let place = try rulebook.place(entry.name, in: entry.parent, records)
                        try records.deleteEntry(entry.name, in: entry.parent)
                        try records.touchFolder(entry.parent, at: now)
                        removed.append((place, try records.dropLink(of: node, at: now)))
                        usage.add(-node.size, to: place.rules)
                    }
                }
                guard let place = removed.last?.0 else { continue }
                try records.trash(asset, parent: place.parent, name: place.name, at: now)
            }
            return removed
        }
        for (place, node) in removed {
            noteRemoval(node)
            tellOfName(place.name, in: place.parent)
            log.notice("Removed \(place.rules.path(of: place.name)), which was temporary and has not been stored.")
        }
        return !removed.isEmpty
    }
}
