public import AssetModel
internal import Catalog

// Assets that have lost their name a moment ago: `resources/ID/` waits for the program that saves, as the name in the folder does.
extension AssetLibrary {
    /// Returns an asset whose last name was given up a moment ago; nil where there is none, or a user could not read and write its file.
    ///
    /// The name is free, and the folder is there.
    public func vacated(_ id: AssetID, for writer: Uploader = Uploader()) throws(LibraryError) -> Resource? {
        guard let vacancy = vacancies.find(id) else { return nil }
        let now = clock.now
        return try read { records in
            guard let asset = try records.asset(id), let file = try records.trashed(id)?.node.flatMap(records.node),
                let folder = try records.node(vacancy.parent), folder.links > 0,
                try records.node(named: vacancy.name, in: folder.id) == nil,
                !file.isExpired(at: now), rulebook.allows(writer, toSucceed: vacancy.rights),
                vacancy.standing?.showsName(to: writer.uid, isMember: writer.isMember(of:)) ?? true,
                rulebook.allows(writer, toSucceed: try rulebook.rights(of: file, records)),
                try mayReach(folder.id, writer, records)
            else { return nil }
            // What is in the trash is its owner's alone.
            var rights = file
            rights.mode &= ~0o077
            return Resource(asset: asset, node: nil, name: vacancy.name, folder: folder, rights: rights)
        }
    }

    /// Whether a name in a folder was an asset's a moment ago, and is the asset's again when a file gets it.
    ///
    /// `isMoved` says that the file gets it by rename(2).
    public func isVacated(_ name: EntryName, in folder: NodeID, by asset: AssetID, forMoved isMoved: Bool) -> Bool {
        vacancies.find(name, in: folder, forMoved: isMoved)?.asset == asset
    }
}
