internal import AssetModel
internal import Catalog
internal import LibraryStorage

extension Records {
    /// Gives the names that a file has in some owners' collections to the file that shows its asset now.
    /// - Returns: the former file, with the number of its remaining names.
    func moveCollectionNames(from former: NodeRecord, to node: NodeRecord, of owners: [UInt32]) throws -> NodeRecord {
        var count: Int64 = 0
        for owner in owners { count += try moveCollectionEntries(from: former.id, to: node.id, of: owner) }
        guard count > 0 else { return former }
        let now = Timestamp.now
        try addLinks(-count, to: former.id, at: now)
        try addLinks(count, to: node.id, at: now)
        var former = former
        former.links -= count
        if former.links == 0 { try noteLost(former.id) }
        return former
    }

    /// Returns the users that own collections with a file, and may read its successor where that is.
    ///
    /// The other owners' names stay with the file that they have linked. Groups are known only of the user
    /// that makes the request.
    func followers(
        of former: NodeRecord,
        to node: NodeRecord,
        _ arrival: Arrival,
        _ rulebook: Rulebook
    ) throws -> [UInt32] {
        let owners = try ownersOfCollections(with: former.id)
        guard owners.contains(where: { $0 != 0 }) else { return owners }
        var file = node
        // The successor takes over the access level that the asset had.
        if file.access == nil { file.access = former.access }
        let standing = try rulebook.standing(of: file, at: arrival.place, self)
        return owners.filter { owner in
            standing.allows(owner) { owner == arrival.uid && arrival.uploader.isMember(of: $0) }
        }
    }
}
