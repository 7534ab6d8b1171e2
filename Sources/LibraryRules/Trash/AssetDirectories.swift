public import AssetModel
public import Catalog
internal import LibraryStorage

extension Uploader {
    /// Returns whether the user could read a version while it was current; the present permissions do not
    /// count.
    public func couldRead(_ version: VersionRecord) -> Bool {
        version.standings.allSatisfy { $0.allows(uid, isMember: isMember(of:)) }
    }

    /// Returns whether the user could reach the name that a version had when it was superseded.
    public func knewName(of version: VersionRecord) -> Bool {
        version.standings.allSatisfy { $0.showsName(to: uid, isMember: isMember(of:)) }
    }
}

extension AssetID {
    /// The name of an asset's own folders.
    public var folderName: EntryName {
        get throws(EntryName.Invalid) { try EntryName(Array(description.utf8)) }
    }
}

extension Records {
    /// Whether an asset has a folder of alternative files, or a folder of its own.
    func hasItsOwn(_ id: AssetID) throws -> Bool {
        try node(named: id.folderName, in: .alternatives) != nil || node(named: id.folderName, in: .unfiled) != nil
    }

    /// Deletes an asset, its alternative files and its own folder; other users' alternative files go to the
    /// trash.
    public func deleteWithItsOwn(_ id: AssetID, _ rulebook: Rulebook) throws {
        let owner = try owner(of: id)
        try deleteAsset(id)
        let now = Timestamp.now
        for root in [NodeID.alternatives, .unfiled] {
            guard let folder = try node(named: id.folderName, in: root) else { continue }
            let entries = try entries(of: folder.id, after: 0, limit: .max)
            // A folder that holds anything besides the asset's own file stays.
            if root == .unfiled, !entries.isEmpty { continue }
            for entry in entries {
                let name = try EntryName(entry.name)
                let place = entry.node.uid == owner ? nil : try rulebook.place(name, in: folder.id, self)
                try deleteEntry(name, in: folder.id)
                let left = try dropLink(of: entry.node, at: now)
                guard left.links == 0 else { continue }
                if let place, let asset = left.asset {
                    // Marked as placed by another user, so that no policy of the asset's owner deletes it.
                    var spared = left
                    spared.isPlacedByOther = true
                    try rulebook.trash(asset, like: spared, from: place, self)
                    continue
                }
                try noteLost(left.id)
                if let asset = entry.node.asset, try !isShown(asset) { try deleteWithItsOwn(asset, rulebook) }
            }
            if root == .alternatives { try countTrash(of: folder.id, for: .folders) }
            try deleteEntry(id.folderName, in: root)
            try touchFolder(root, subfolders: -1, at: now)
            try addLinks(-folder.links, to: folder.id, at: now)
            try deleteUnlinkedNode(folder.id)
        }
    }
}
