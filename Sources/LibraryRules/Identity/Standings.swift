public import AssetModel
public import Catalog
internal import LibraryStorage

extension Rulebook {
    /// Returns the present read access to a file; `place` is its name, where that is known.
    public func standing(of node: NodeRecord, at place: Place? = nil, _ records: Records) throws -> Standing {
        var parents = [place?.parent].compactMap { $0 }
        if node.links != 1 || parents.isEmpty {
            parents += try records.entriesNaming(node.id).map(\.parent).filter { $0 != place?.parent }
        }
        let ways = try parents.flatMap { try self.ways(to: $0, records) }
        return Standing(file: try rights(of: node, records), ways: ways)
    }

    /// Returns the conditions of the ways into a folder: one way, or several to the alternative files of an
    /// asset that has several names.
    public func ways(to folder: NodeID, _ records: Records) throws -> [[Standing.Condition]] {
        let rules = try of(folder, records)
        let folders = rules.ancestors
        let listed = folders.filter { kernelAttributes.mayHave(KernelAttributes.accessList, $0) }
        let own = try records.closedFolders(of: folders, listed: listed).map {
            Standing.Condition(right: 1, of: try rights(of: $0, records))
        }
        guard rules.root == .alternatives, folder != .alternatives else { return [own] }
        // A user without read access to an asset may not read its alternative files.
        guard let asset = try records.assetOfAlternatives(folder), let file = try records.nodes(showing: asset).first,
            let node = try records.node(file)
        else { return [own + [.nobody]] }
        let reading = Standing.Condition(right: 4, of: try rights(of: node, records))
        return try records.entriesNaming(file).flatMap { try ways(to: $0.parent, records) }.map { [reading] + own + $0 }
    }
}

extension Records {
    /// Returns the asset whose alternative files a folder has.
    public func assetOfAlternatives(_ folder: NodeID) throws -> AssetID? {
        try anyEntry(of: folder).flatMap { Int64($0.name.description) }.map { AssetID(rawValue: $0) }
    }

    /// Returns the read access that counts for a file in the trash: its owner's alone, by no way.
    public func standing(ofTrashed record: TrashRecord) throws -> Standing? {
        guard let file = try record.node.flatMap({ try node($0) }) else { return nil }
        let rights = FileRights(uid: file.uid, gid: file.gid, mode: file.effectiveMode, list: nil)
        return Standing(file: rights, ways: [[.nobody]])
    }

    /// Records the read access to the version of an asset in the trash that another file takes over.
    public func keepStanding(ofTrashed asset: AssetID) throws {
        guard let standing = try trashed(asset).flatMap({ try standing(ofTrashed: $0) }) else { return }
        try keepStanding(standing, ofNewestVersionOf: asset)
    }
}
