internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage

// The input of a policy decision: the upload, the folder, and the future owner of the file.
extension AssetLibrary {
    /// Returns the refusal that the folder's policies would give.
    ///
    /// The result is nil for a duplicate of a corrupt blob, which the new bytes must repair first.
    func foreseenRefusal(
        _ content: Content,
        of id: NodeID,
        at place: Place,
        _ aim: OpenNode.Aim?,
        _ present: VersionID?,
        _ uploader: Uploader,
        _ equal: EqualFiles
    ) throws -> UploadRejection? {
        let judgement = try read(judging: equal) { records -> Judgement in
            guard let record = try records.node(id) else { return .accept }
            return try judge(
                submission(content, of: record, at: place, aim, present, uploader, equal, records),
                records
            )
        }
        guard case .refuse(let refusal) = judgement else { return nil }
        let isDamaged = content.digest.map { !blobs.contains($0, size: content.size) } ?? false
        return refusal.kind == .duplicate && isDamaged ? nil : refusal
    }

    func submission(
        _ content: Content,
        of node: NodeRecord,
        at place: Place,
        _ aim: OpenNode.Aim?,
        _ present: VersionID?,
        _ uploader: Uploader,
        _ equal: EqualFiles,
        _ records: Records
    ) throws -> Submission {
        let isTaken =
            try aim != nil && aim?.replacing == nil && records.node(named: place.name, in: place.parent) != nil
        return Submission(
            place: place,
            content: content,
            uploader: uploader,
            own: ownAssets(of: node, aim),
            isTaken: isTaken,
            growth: content.size - (try growthBase(of: node, aim, place.rules, present, records)),
            otherGrowth: try countedNames(of: node, aim, besides: place, records).map {
                FolderRules.Growth(quota: $0.quota, bytes: Int64($0.count) * (content.size - node.size))
            },
            isDropped: aim?.isDropped ?? false,
            equal: equal,
            owner: try receiver(of: node, aim, at: place, uploader, records)
        )
    }

    /// Returns the future owner of an upload, if not its uploader, where the file may show an existing asset.
    private func receiver(
        of node: NodeRecord,
        _ aim: OpenNode.Aim?,
        at place: Place,
        _ uploader: Uploader,
        _ records: Records
    ) throws -> Uploader? {
        guard place.rules.policy.duplicates == .returnExisting else { return nil }
        let giver = aim?.isDropped == true ? try records.node(place.parent) : node
        return giver.flatMap { owner(of: $0, besides: uploader) }
    }

    /// Returns the size of the content that an upload replaces.
    func replacedSize(by node: NodeRecord, _ aim: OpenNode.Aim?, _ records: Records) throws -> Int64 {
        guard let replaced = aim?.replacing?.asset else { return aim == nil ? node.size : 0 }
        return try records.nodes(showing: replaced).first.flatMap { try records.node($0)?.size } ?? 0
    }

    /// Returns the assets that may have the same content without making the upload a duplicate.
    private func ownAssets(of node: NodeRecord, _ aim: OpenNode.Aim?) -> [AssetID] {
        [node.asset, aim?.replacing?.asset].compactMap { $0 }
    }
}
