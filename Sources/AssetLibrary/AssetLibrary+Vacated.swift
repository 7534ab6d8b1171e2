public import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage

// Assets that have just lost their name: `resources/ID/` is kept for the saving program, as the folder's name
// is.
extension AssetLibrary {
    /// Returns an asset that has just lost its last name; nil where there is none, or the user could not read
    /// and write its file.
    ///
    /// The name is free, and the folder exists.
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
            // A file in the trash is visible to its owner and root only.
            var rights = file
            rights.mode &= ~0o077
            return Resource(asset: asset, node: nil, name: vacancy.name, folder: folder, rights: rights)
        }
    }

    /// Whether a name in a folder has just belonged to an asset, which a file that takes the name will get.
    ///
    /// `isMoved` says that the file takes the name by rename(2).
    public func isVacated(_ name: EntryName, in folder: NodeID, by asset: AssetID, forMoved isMoved: Bool) -> Bool {
        vacancies.find(name, in: folder, forMoved: isMoved)?.asset == asset
    }
}
