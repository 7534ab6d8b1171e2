internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

extension AssetLibrary {
    /// Decides about an upload by its folder's policy; changes nothing.
    func judge(_ submission: Submission, _ records: Records) throws -> Judgement {
        let (place, content) = (submission.place, submission.content)
        let blob = try content.digest.flatMap { try records.blob($0) }
        if submission.isTaken, let present = try present(blob, submission, records) {
            return .unchanged(present)
        }
        if let refusal = try quotaRefusal(submission, records) { return .refuse(refusal) }
        func freeName() throws -> EntryName {
            guard submission.isTaken else { return place.name }
            return place.name.numbered(try freeNumbers.find(for: place.name, in: place.parent, records))
        }
        let policy = place.rules.policy
        // Alternative files are compared with no other, as in ResourceSpace.
        if policy.duplicates != .none, let blob, place.rules.root != .alternatives {
            let found = try holders(of: blob, submission, records)
            switch policy.duplicates {
            case .reject where !found.isEmpty: return .refuse(.duplicate(of: found))
            case .returnExisting:
                // Another owner's asset is not shown; its values are copied.
                let uploader = submission.uploader.uid
                let uid = submission.isDropped ? submission.owner?.uid ?? uploader : uploader
                let own = try found.first { try records.isAlone($0, of: uid) }
                if let asset = own ?? found.first { return .existing(asset, try freeName()) }
            default: break
            }
        }
        return submission.isTaken ? .rename(try freeName()) : .accept
    }

    /// The number of assets with the same blob that a message names.
    private static let matchLimit = 20
    /// The number of holders that are examined, readable by the uploader or not.
    private static let holderLimit = 1000

    /// Returns the assets with a blob that are within the policy's scope, that the uploader may read, and
    /// that lists show to the uploader.
    ///
    /// Assets that the uploader may not read, and hidden ones, count as absent, so that no answer reveals
    /// them.
    private func holders(of blob: BlobID, _ submission: Submission, _ records: Records) throws -> [AssetID] {
        let rules = submission.place.rules
        let found = try submission.equal.find(
            blob,
            in: rules.policy.scope == .exactFolder ? rules.folder : nil,
            limit: Self.matchLimit,
            lookedAt: Self.holderLimit,
            records
        ) { holder in
            guard !submission.own.contains(holder.asset),
                try rules.policy.scope != .subtree || isBelow(rules.scopeFolder, holder.node, records),
                try counts(holder.asset, rules.policy, records), try !isAlternative(holder.node, records)
            else { return nil }
            return try isListed(holder.node, for: submission.uploader, records)
                && submission.owner.map { try mayRead(holder.node, $0, records) } ?? true
        }
        return found.map(\.asset).sorted { $0.rawValue < $1.rawValue }
    }

    /// Returns whether an asset counts as a duplicate: not if it has expired, and a stored upload never
    /// becomes an asset that expires.
    private func counts(_ asset: AssetID, _ policy: Policy, _ records: Records) throws -> Bool {
        guard let expires = try records.asset(asset)?.expires else { return true }
        return expires > clock.now && (policy.duplicates == .reject || policy.isTemporary)
    }

    private func isAlternative(_ node: NodeID, _ records: Records) throws -> Bool {
        try records.anyEntry(of: node).map { try rulebook.of($0.parent, records).root == .alternatives } ?? false
    }

    private func isBelow(_ folder: NodeID, _ node: NodeID, _ records: Records) throws -> Bool {
        try records.entriesNaming(node).contains { try rulebook.of($0.parent, records).ancestors.contains(folder) }
    }

    /// Returns whether a user may read the asset whose alternative files a folder has: by its file, in the
    /// trash as the file's owner, or, where it has no file, by its directory.
    private func mayReadAsset(ofAlternatives folder: NodeID, _ uploader: Uploader, _ records: Records) throws -> Bool {
        guard folder != .alternatives else { return true }
        guard let asset = try records.assetOfAlternatives(folder) else { return false }
        if let file = try records.nodes(showing: asset).first { return try mayRead(file, uploader, records) }
        if let record = try records.trashed(asset) {
            return try record.node.flatMap { try records.node($0) }?.uid == uploader.uid
        }
        guard let own = try records.node(named: asset.folderName, in: .unfiled) else { return false }
        return try allows(5, to: uploader, on: own.id, records)
    }

    /// Returns whether a user may read a file, by its mode and access list and those of the folders it is in.
    func mayRead(_ node: NodeID, _ uploader: Uploader, _ records: Records) throws -> Bool {
        if uploader.uid == 0 { return true }
        guard try allows(4, to: uploader, on: node, records) else { return false }
        return try records.entriesNaming(node).contains { try mayReach($0.parent, uploader, records) }
    }

    /// Returns whether a user may reach the entries of a folder.
    func mayReach(_ folder: NodeID, _ uploader: Uploader, _ records: Records) throws -> Bool {
        if uploader.uid == 0 { return true }
        let rules = try rulebook.of(folder, records)
        // A user without read permission for an asset may not read its alternative files.
        if rules.root == .alternatives, try !mayReadAsset(ofAlternatives: folder, uploader, records) { return false }
        return try rules.ancestors.allSatisfy { try allows(1, to: uploader, on: $0, records) }
    }

    /// Returns whether the mode or the access list of a file or folder gives a user a right: 4 to read, 1 to
    /// search (pass through).
    func allows(_ right: UInt32, to uploader: Uploader, on id: NodeID, _ records: Records) throws -> Bool {
        if uploader.uid == 0 { return true }
        guard let node = try records.node(id) else { return false }
        let rights = try rulebook.rights(of: node, records)
        return uploader.permissions(by: rights) & right != 0
    }

    /// Returns the asset that has a blob under a name or the name with a number, so that repeated syncing
    /// makes no further copies; never an asset that the uploader may not read, nor, under another name than
    /// the requested one, a hidden asset.
    private func present(_ blob: BlobID?, _ submission: Submission, _ records: Records) throws -> AssetID? {
        let place = submission.place
        if let blob {
            return try submission.equal.find(blob, in: place.parent, isOfNames: true, limit: 1, records) {
                holder in
                try records.entriesNaming(holder.node).contains { parent, name in
                    guard parent == place.parent, name == place.name || place.name.number(of: name) != nil
                    else {
                        return false
                    }
                    return try isKnown(
                        holder.asset,
                        holder.node,
                        isNamed: name == place.name,
                        to: submission,
                        records
                    )
                }
            }.first?.asset
        }
        guard submission.content.size == 0 else { return nil }
        // Empty files have no list of holders; a few numbers are tried. In a drop box no empty file is filled
        // in place.
        for number in (submission.isDropped ? 0 : 1)...100 {
            let name = number == 0 ? place.name : place.name.numbered(number)
            guard let node = try records.node(named: name, in: place.parent) else { return nil }
            guard node.isFile, node.size == 0, let asset = node.asset else { continue }
            if try isKnown(asset, node.id, isNamed: name == place.name, to: submission, records) { return asset }
        }
        return nil
    }
}
