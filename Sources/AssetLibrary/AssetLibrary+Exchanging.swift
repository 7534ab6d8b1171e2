internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

// Exchanges of the nodes of two names: RENAME_EXCHANGE of renameat2(2).
extension AssetLibrary {
    /// One of the two names of an exchange.
    typealias Side = (parent: NodeID, name: EntryName, node: NodeRecord, nameClass: NameClass)

    /// Exchanges the nodes of two names, and with them the assets; of a final and a temporary name the final
    /// one keeps its asset.
    func exchange(_ first: Side, _ second: Side, by uploader: Uploader) throws(LibraryError) {
        let firstEnters = first.nameClass != .final && second.nameClass == .final
        let secondEnters = second.nameClass != .final && first.nameClass == .final
        // Both are names of one file, so there is nothing to exchange.
        if first.node.id == second.node.id { return }
        // The lower number's lock comes first, so that two exchanges cannot deadlock.
        let isFirstLower = first.node.id.rawValue < second.node.id.rawValue
        let (lower, upper) = isFirstLower ? (first, second) : (second, first)
        let (lowerEnters, upperEnters) = isFirstLower ? (firstEnters, secondEnters) : (secondEnters, firstEnters)
        let uid = uploader.uid
        for (enters, side) in [(firstEnters, second), (secondEnters, first)] where enters {
            try settleBeforeLoss(of: side.node.id, refusing: uid)
        }
        try refuseUnread(second.node, as: first.name, in: first.parent, by: uploader)
        for (enters, one, other) in [(firstEnters, first, second), (secondEnters, second, first)] where enters {
            _ = try screen(one.node.id, as: other.name, in: other.parent, by: uid)
        }
        let mayBeRefused = (
            lower: lowerEnters ? try mayRefuse(in: upper.parent) : false,
            upper: upperEnters ? try mayRefuse(in: lower.parent) : false
        )
        let equal = EqualFiles()
        let isRepeated = (
            lower: isRepeated(lower.node.id, as: upper.name, in: upper.parent),
            upper: isRepeated(upper.node.id, as: lower.name, in: lower.parent)
        )
        let exchanged = try holding(lower.node.id, isComplete: lowerEnters, mayBeRefused: mayBeRefused.lower, by: uid) {
            (isLowerUnderWay) throws(LibraryError) in
            let inner = try holding(upper.node.id, isComplete: upperEnters, mayBeRefused: mayBeRefused.upper, by: uid) {
                (isUpperUnderWay) throws(LibraryError) in
                for side in [first, second] where side.node.isFolder { try makeAssetsOfWaiting(side.node.id) }
                let exchanged = try write(judging: equal) { records in
                    var exchanged = Exchanged()
                    guard let nodes = try exchangeable(first, second, records) else { return exchanged }
                    for (enters, one, other, isRepeated) in [
                        (lowerEnters, lower, upper, isRepeated.lower), (upperEnters, upper, lower, isRepeated.upper),
                    ] where exchanged.refused == nil {
                        exchanged.refused =
                            try enters
                            ? refuses(one, other, equal, isRepeated, by: uploader, records)
                            : exceedsQuota(
                                one,
                                other,
                                isSucceeded: lowerEnters || upperEnters,
                                isRepeated,
                                by: uploader,
                                records
                            )
                    }
                    guard exchanged.refused == nil else { return exchanged }
                    try swap((first, nodes.first), (second, nodes.second), by: uploader, &exchanged, records)
                    if lowerEnters {
                        exchanged.lower = try enter(lower, upper, isLowerUnderWay, by: uploader, records)
                    }
                    if upperEnters {
                        exchanged.upper = try enter(upper, lower, isUpperUnderWay, by: uploader, records)
                    }
                    return exchanged
                } then: {
                    if $0.hasFolders { rulebook.forget() }
                    for move in $0.usage { usage.note(move) }
                }
                return (exchanged, exchanged.upper)
            }
            return (inner, inner.lower)
        }
        if let (refusal, place, newcomer) = exchanged.refused {
            let isRepeated = newcomer == lower.node.id ? isRepeated.lower : isRepeated.upper
            noteRefusal(refusal, of: newcomer, at: place, isRepeated: isRepeated, by: uploader)
            throw .refused(refusal)
        }
        for side in [first, second] {
            noteClosing(of: side.node.id, isFolder: side.node.isFolder)
            herald.tell(.attributes(side.node.id))
        }
    }

    /// The results of an exchange.
    private struct Exchanged {
        /// The reason for which a policy rejected it, with the place, and the file that was to get it.
        var refused: (refusal: UploadRejection, place: Place, newcomer: NodeID)?
        /// The versions that uploads under way go on with.
        var lower: VersionID?
        var upper: VersionID?
        /// Whether one of the two is a folder.
        var hasFolders = false
        /// The bytes that folders have taken along into others.
        var usage: [FolderUsage.Move] = []
    }

    /// Returns a policy's refusal of a file that gets another file's final name, if there is one.
    private func refuses(
        _ newcomer: Side,
        _ place: Side,
        _ equal: EqualFiles,
        _ isRepeated: Bool,
        by uploader: Uploader,
        _ records: Records
    ) throws -> (UploadRejection, Place, NodeID)? {
        guard let node = try records.node(newcomer.node.id), let former = try records.node(place.node.id) else {
            return nil
        }
        var arrival = Arrival(
            place: try rulebook.place(place.name, in: place.parent, records),
            equal: equal,
            uploader: uploader,
            isUnderWay: false,
            savingBegan: vacancies.savingBegan,
            isRepeated: isRepeated
        )
        // Only a file that is no asset yet is uploaded by getting the name.
        guard node.isFile, node.asset == nil else {
            return try exceedsQuota(newcomer, place, isSucceeded: false, isRepeated, by: uploader, records)
        }
        let from = try rulebook.of(newcomer.parent, records)
        let heritage = try former.asset.flatMap { asset in
            try self.heritage(of: former, asset, for: node, by: uploader, records)
        }
        // The asset that the newcomer takes over stays in the folder with its values, and with its former
        // version where that is never pruned.
        let isKept = arrival.place.rules.policy.versions.keepsAll && heritage != nil
        let taken =
            try heritage == nil && usage.isTracking
            ? movedBytes(former, from: place.parent, under: arrival.place.rules, records) : former.size
        guard
            case .refuse(let refusal) = try admit(
                node,
                &arrival,
                replacing: nil,
                heritage,
                from: from,
                leaving: isKept ? 0 : taken,
                kept: isKept ? former.size : 0,
                uploader,
                records
            )
        else { return nil }
        return (refusal, arrival.place, newcomer.node.id)
    }

    /// Returns the refusal by the first quota that an exchange would make hold more than it may, if there is
    /// one: of the folder that a file or folder enters or one above it, but not above the one that it leaves.
    ///
    /// With `isSucceeded`, the other file gets the newcomer's final name: if it may take the newcomer's asset
    /// over, the newcomer leaves the asset and its values behind.
    private func exceedsQuota(
        _ newcomer: Side,
        _ place: Side,
        isSucceeded: Bool,
        _ isRepeated: Bool,
        by uploader: Uploader,
        _ records: Records
    ) throws -> (UploadRejection, Place, NodeID)? {
        guard usage.isTracking, newcomer.parent != place.parent, let node = try records.node(newcomer.node.id),
            let former = try records.node(place.node.id)
        else { return nil }
        let isBare =
            try isSucceeded && node.isFile && former.isFile
            && node.asset.flatMap { try heritage(of: node, $0, for: former, by: uploader, records) } != nil
        let entered = try rulebook.place(place.name, in: place.parent, records)
        func bytes(_ node: NodeRecord, of side: Side) throws -> Int64 {
            try movedBytes(node, from: side.parent, under: entered.rules, records)
        }
        let growth = try (isBare ? node.size : bytes(node, of: newcomer)) - bytes(former, of: place)
        guard growth > 0 else { return nil }
        let left = try rulebook.quotas(of: rulebook.of(newcomer.parent, records), records).map(\.folder)
        let refusal = try exceededQuota(of: entered.rules, for: uploader, records) {
            left.contains($0.folder) ? nil : growth
        }
        guard let refusal else { return nil }
        if !isRepeated { try records.append(refusal, at: entered, by: uploader.uid, content(of: node, records)) }
        return (refusal, entered, node.id)
    }

    /// Assigns an asset to a file that has exchanged its temporary name for another file's final one.
    /// - Returns: the version that an upload under way goes on with.
    private func enter(
        _ newcomer: Side,
        _ place: Side,
        _ isUnderWay: Bool,
        by uploader: Uploader,
        _ records: Records
    ) throws -> VersionID? {
        guard let node = try records.node(newcomer.node.id), let former = try records.node(place.node.id) else {
            return nil
        }
        let arrival = Arrival(
            place: try rulebook.place(place.name, in: place.parent, records),
            uploader: uploader,
            isUnderWay: isUnderWay,
            savingBegan: vacancies.savingBegan
        )
        let heritage = try former.asset.flatMap { asset in
            try self.heritage(of: former, asset, for: node, by: uploader, records)
        }
        return try records.arrive(node, arrival, heritage, rulebook)
    }

    /// Returns the asset of the file that had the final name, if the newcomer may show it.
    private func heritage(
        of former: NodeRecord,
        _ asset: AssetID,
        for newcomer: NodeRecord,
        by uploader: Uploader,
        _ records: Records
    ) throws -> Heritage? {
        let rights = try rulebook.rights(of: former, records)
        guard try rulebook.allows(newcomer, by: uploader, toSucceed: rights, records) else { return nil }
        return Heritage(asset: asset, former: former, owner: former.uid, rights: rights)
    }

    /// Returns the nodes of two names that may be exchanged; nil if both are names of one node.
    private func exchangeable(
        _ first: Side,
        _ second: Side,
        _ records: Records
    ) throws -> (first: NodeRecord, second: NodeRecord)? {
        guard let one = try records.node(named: first.name, in: first.parent),
            let two = try records.node(named: second.name, in: second.parent)
        else { throw LibraryError.notFound }
        if one.id == two.id { return nil }
        if first.parent != second.parent {
            if one.isFolder { try records.refuse(second.parent, within: one.id) }
            if two.isFolder { try records.refuse(first.parent, within: two.id) }
        }
        for (node, here, there) in [(one, first, second), (two, second, first)] where node.isFolder {
            try refuseTooDeep(node, from: (here.name, here.parent), to: there.name, in: there.parent, records)
        }
        return (one, two)
    }

    /// Exchanges the two names in the catalog.
    private func swap(
        _ one: (side: Side, node: NodeRecord),
        _ other: (side: Side, node: NodeRecord),
        by uploader: Uploader,
        _ exchanged: inout Exchanged,
        _ records: Records
    ) throws {
        let (first, second) = (one.side, other.side)
        var (one, two) = (one.node, other.node)
        let now = Timestamp.now
        if !collections.has(first.parent) {
            let isElsewhere = first.parent != second.parent
            try records.notePlacing(of: &one, isElsewhere: isElsewhere, by: uploader)
            try records.notePlacing(of: &two, isElsewhere: isElsewhere, by: uploader)
        }
        try records.updateEntry(first.name, in: first.parent, node: two.id)
        KillPoint.namesHalfSwapped.reach()
        try records.updateEntry(second.name, in: second.parent, node: one.id)
        for side in [first, second] where collections.has(side.parent) {
            try records.markEntry(side.name, in: side.parent)
        }
        let gained: Int64 = first.parent == second.parent ? 0 : (one.isFolder ? 1 : 0) - (two.isFolder ? 1 : 0)
        try records.touchFolder(first.parent, subfolders: -gained, at: now)
        try records.touchFolder(second.parent, subfolders: gained, at: now)
        try records.addLinks(0, to: one.id, at: now)
        try records.addLinks(0, to: two.id, at: now)
        exchanged.hasFolders = one.isFolder || two.isFolder
        if first.parent != second.parent {
            exchanged.usage = try [(one, first.parent, second.parent), (two, second.parent, first.parent)]
                .filter(\.0.isFolder)
                .compactMap { try usage.move(of: $0.id, from: $1, to: $2, records, rulebook) }
        }
    }
}
