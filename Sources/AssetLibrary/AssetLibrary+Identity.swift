internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

extension AssetLibrary {
    /// Returns the asset that a name had within the window, for a file that gets the name, and the file that
    /// still shows the asset.
    ///
    /// A file whose own asset is older than the window was moved here on purpose, and keeps that asset;
    /// except that with `isReplacement` the name was given in `resources/ID/`.
    func successor(
        of name: EntryName,
        in parent: NodeID,
        for node: NodeRecord,
        isMoved: Bool,
        isReplacement: Bool = false,
        by uploader: Uploader,
        _ records: Records
    ) throws -> Heritage? {
        if let asset = try withoutFile(name, in: parent, records) {
            let file = try records.trashed(asset)?.node.flatMap { try records.node($0) }
            let rights = try file.map { try rulebook.rights(of: $0, records) }
            if let rights, try !rulebook.allows(node, by: uploader, toSucceed: rights, records) { return nil }
            let owner = try rights?.uid ?? records.asset(asset)?.uid ?? node.uid
            // The former versions are for users that could read the first file, not for all users that may
            // enter the
            // asset's directory.
            let standing = try records.trashed(asset).flatMap { try records.standing(ofTrashed: $0) }
            return Heritage(asset: asset, former: nil, owner: owner, rights: rights, standing: standing)
        }
        guard let vacancy = vacancies.find(name, in: parent, forMoved: isMoved),
            try records.asset(vacancy.asset) != nil
        else {
            return nil
        }
        if isMoved, !isReplacement, let own = try node.asset.flatMap({ try records.asset($0) }),
            own.created < vacancies.savingBegan
        {
            return nil
        }
        let former = try records.node(vacancy.node)
        let showsIt = former?.asset == vacancy.asset && (former?.links ?? 0) > 0
        // Meanwhile the asset has got another name.
        if try !showsIt && records.isShown(vacancy.asset) { return nil }
        guard vacancy.isOpen(to: uploader, for: node),
            try rulebook.allows(node, by: uploader, toSucceed: vacancy.rights, records)
        else { return nil }
        // The file's rights may have been reduced since, in the trash as well.
        if showsIt, let former,
            try !records.entriesNaming(former.id).contains(where: { try mayReach($0.parent, uploader, records) })
        {
            return nil
        }
        let isTrashed = try !showsIt && records.trashed(vacancy.asset)?.node == vacancy.node
        if showsIt || isTrashed, let former,
            try !rulebook.allows(node, by: uploader, toSucceed: former, records)
        {
            return nil
        }
        return Heritage(
            asset: vacancy.asset,
            former: former,
            owner: showsIt ? former?.uid ?? vacancy.rights.uid : vacancy.rights.uid,
            rights: vacancy.rights,
            standing: vacancy.standing,
            displaced: vacancy.displaced
        )
    }
}
