public import AssetModel
public import Catalog

/// Stage 1: the size and digest of the upload.
public struct Seal: Sendable {
    /// The number of bytes.
    public let size: Int64
    /// The number of blocks of 512 bytes that they take on the disk.
    public let blocks: Int64
    /// The digest; nil for an empty file, which is stored without a blob and never compared.
    public let digest: Digest?
    /// Whether the bytes are those of a blob that the file was made to show, and `blocks` the blob's.
    public var isOfBlob = false

    /// Describes bytes by their number, the blocks that they take, and their digest.
    public init(size: Int64, blocks: Int64, digest: Digest?, isOfBlob: Bool = false) {
        (self.size, self.blocks, self.digest, self.isOfBlob) = (size, blocks, digest, isOfBlob)
    }
}

/// Stage 3: the file gets the blob.
public struct Show {
    /// The file's record after the change.
    public let node: NodeRecord

    /// Gives the file the sealed blob, size and time.
    /// - Returns: nil when the file has lost its last name, so that it gets nothing; unless `isNameless` says
    ///   that it is about to get a name.
    public init?(
        _ sealed: Seal,
        in id: NodeID,
        _ modified: Timestamp?,
        isNameless: Bool = false,
        _ records: Records
    ) throws {
        guard var node = try records.node(id), isNameless || node.links > 0 else { return nil }
        let now = Timestamp.now
        let former = node.blob
        node.size = sealed.size
        node.blob = try sealed.digest.map { digest in
            try records.blob(digest) ?? records.insertBlob(digest, size: sealed.size, at: now)
        }
        // A copy within the library has the blocks of the file that it was copied from.
        if !sealed.isOfBlob || node.blob != former { node.blocks = sealed.blocks }
        if let modified {
            node.modified = modified
            // The time of the write and not of the commit, because the commit is no action of a user.
            node.changed = max(node.changed, modified)
        }
        try records.updateContent(of: node)
        try records.deleteStaged(id)
        self.node = node
    }
}

/// Stage 4: the blob becomes a version of an asset, and a receipt is written.
public struct Publish {
    /// The outcome of the upload.
    public let outcome: Outcome
    /// The asset that has the version.
    public let asset: AssetID
    /// The version that this upload made; nil when the asset had the blob before.
    public let version: VersionID?

    /// Publishes a file as a version of its asset, and appends the receipt.
    ///
    /// `present` is the version that the same upload made at an earlier commit, and may replace; `standing`
    /// gives the users with read access to the former version when it was first changed; `requested` is the
    /// requested name, where that was taken; `isReplacement` says that the former version is replaced through
    /// `resources/ID/`, and so is kept however short a time it stood; a new asset's lifetime is counted from
    /// `lifeFrom`.
    public init(
        _ node: NodeRecord,
        at place: Place,
        by uid: UInt32,
        replacing present: VersionID? = nil,
        standing: Standing? = nil,
        digest: Digest?,
        requested: EntryName? = nil,
        infection: String? = nil,
        isReplacement: Bool = false,
        rotation: Int64? = nil,
        lifeFrom: Timestamp,
        _ rulebook: Rulebook,
        _ records: Records
    ) throws {
        let now = Timestamp.now
        var node = node
        var present = present
        if node.isDuplicate, let shared = node.asset,
            try records.newestVersions(of: shared, limit: 1).first?.blob != node.blob,
            try records.leaveSharedAsset(&node, named: place.name, at: now)
        {
            present = nil
        }
        let policy = rulebook.policy(for: node, at: place)
        let isNew = node.asset == nil
        asset = try node.asset ?? records.insertAsset(uid: uid, name: requested ?? place.name, like: node, at: now)
        if isNew {
            try records.setAsset(of: node.id, to: asset)
            try Self.limitLife(of: asset, policy, from: lifeFrom, records)
            // After the folder's values, so that values that a user has set on the file override them.
            try records.moveAttributesToFields(of: node.id, to: asset, policy)
            if policy.ignoresEmbeddedMetadata { try records.setIgnoresEmbedded(true, of: asset) }
        }
        let newest = isNew ? [] : try records.newestVersions(of: asset, limit: 2)
        // An asset that was made without a file.
        if newest.isEmpty, !isNew {
            try records.setOriginalName(of: asset, to: requested ?? place.name)
            try Self.limitLife(of: asset, policy, from: lifeFrom, records)
        }
        // A version of another asset, or one behind the newest, is history.
        let again = newest.first?.id == present ? present : nil
        if let top = newest.first, top.blob == node.blob {
            outcome = .unchanged
            version = again
            // The version is the present one again, for all users that may read the file now.
            if top.hasStandings { try records.forgetStandings(of: top.id) }
        } else if let again, newest.count > 1, newest[1].blob == node.blob {
            // The bytes are those from before this upload.
            outcome = .unchanged
            try records.deleteNewestVersion(again, of: asset)
            version = nil
        } else if let again {
            outcome = .replaced
            try records.updateVersion(again, blob: node.blob, size: node.size, at: now)
            version = again
        } else {
            outcome = newest.isEmpty ? (requested == nil ? .created : .renamed) : .replaced
            let last = newest.isEmpty ? nil : try rulebook.standing(of: node, at: place, records)
            version = try records.insertVersion(
                of: asset,
                blob: node.blob,
                size: node.size,
                uid: uid,
                name: requested ?? place.name,
                at: now,
                insteadOf: [standing, standing == last ? nil : last].compactMap { newest.isEmpty ? nil : $0 }
            )
            if !newest.isEmpty {
                try records.retire(versionsOf: asset, keeping: policy.versions, isReplacement: isReplacement)
            }
        }
        if outcome != .unchanged {
            try records.leaveDuplicatesBehind(of: asset, by: node, at: now)
            if let version, let rotation { try records.setRotation(of: version, to: rotation) }
            if policy.scan != .off { try records.setInfection(of: asset, to: infection) }
        }
        var receipt = Receipt(outcome, place, by: uid)
        (receipt.asset, receipt.node, receipt.requested) = (asset, node.id, requested)
        (receipt.size, receipt.digest, receipt.infection) = (node.size, digest, infection)
        try records.append(receipt)
    }
    /// Sets a new asset's expiry by its folder's policy; a user's own value stays, where the folder allows
    /// that.
    private static func limitLife(
        of asset: AssetID,
        _ policy: Policy,
        from start: Timestamp,
        _ records: Records
    ) throws {
        guard policy.life != nil || policy.isTemporary else { return }
        let isSaid = try records.asset(asset)?.deadline != nil
        if let life = policy.life, !isSaid {
            try records.setDeadline(of: asset, to: min(life.added(to: start), Period.longestLife.added(to: start)))
        }
        if policy.isTemporary, !isSaid || !policy.autostores {
            try records.setUnstored(of: asset, until: start.advanced(bySeconds: Policy.temporaryLife))
        }
    }
}
