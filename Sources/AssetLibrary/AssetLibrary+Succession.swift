internal import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization

extension AssetLibrary {
    /// Returns whether a file of an uploader may replace an asset's own file in `resources/ID/`.
    public func mayReplace(_ resource: Resource, by uploader: Uploader) throws(LibraryError) -> Bool {
        guard let former = resource.node else { return true }
        return try read { rulebook.allows(uploader, toSucceed: try rulebook.rights(of: former, $0)) }
    }

    /// Returns why a file may no longer take the name of an asset's present file; nil where it may.
    ///
    /// The file was allowed to when it was made, and may have been open for long: the present file, its
    /// folder, or the way to it may be closed to the uploader by now.
    func replacementRefusal(
        _ aim: OpenNode.Aim?,
        at place: Place,
        by uploader: Uploader,
        _ records: Records
    ) throws -> UploadRejection? {
        guard let aim, aim.isByNumber else { return nil }
        if mayHaveFlags.load(ordering: .relaxed), let file = try records.node(named: place.name, in: place.parent),
            try !records.flags(of: file.id).isDisjoint(with: .fixed)
        {
            return .forbidden("The file that was to be replaced is immutable or append-only.")
        }
        guard uploader.uid != 0 else { return nil }
        guard let present = try records.node(named: place.name, in: place.parent),
            let folder = try records.node(place.parent),
            rulebook.allows(uploader, toSucceed: try rulebook.rights(of: present, records)),
            try allows(2, to: uploader, on: folder.id, records), try mayReach(folder.id, uploader, records),
            folder.mode & 0o1000 == 0 || [present.uid, folder.uid].contains(uploader.uid)
        else { return .forbidden("The file that was to be replaced is closed to user \(uploader.uid) by now.") }
        return nil
    }
}
