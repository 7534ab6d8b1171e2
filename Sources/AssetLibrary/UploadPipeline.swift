internal import AssetModel
internal import BlobStore
internal import Catalog
internal import SystemPackage

// The stages of an upload, in their order. Each takes what the one before has found out.
//
//   Seal  →  Screen  →  Adopt  →  judge (duplicates, name)  →  Show  →  Publish
//
// A file with a temporary name gets as far as Show; its rename to a final name screens and judges and publishes it. The last three
// are one transaction, so that of two identical uploads at once one is first.

/// Stage 1: what the content is.
struct Seal {
    let size: Int64
    let blocks: Int64
    /// Nil for the empty content, which is stored as nothing and never compared.
    let digest: Digest?
    /// Whether the content is a blob's that the file was made to show, and `blocks` are that blob's.
    var isOfBlob = false

    init(_ staged: StagedFile?, _ running: borrowing SequentialDigest, size: Int64) throws(BlobStoreError) {
        self.size = size
        guard size > 0 else {
            blocks = 0
            digest = nil
            return
        }
        guard let staged else { throw .io(.badFileDescriptor, during: "sealing an upload without its bytes") }
        // A write that failed half-way, or room allocated ahead, may have left more than was acknowledged.
        if try staged.file.measure().size != size { try staged.truncate(to: size) }
        blocks = try staged.file.measure().blocks
        digest = try running.digest(of: staged.file, size: size)
    }

    /// What is known of a blob that a file was made to show as it is.
    init(blob: OpenFile, _ digest: Digest, size: Int64) throws(BlobStoreError) {
        self.size = size
        self.digest = digest
        blocks = try blob.measure().blocks
        isOfBlob = true
    }
}

/// Stage 2: the bytes take their place among the blobs, before any row names them.
struct Adopt {
    /// Whether the staged file became the blob; if not, an equal one was there.
    let wasNew: Bool
    /// Whether it took the place of one that was damaged, or in a store that is not there.
    let isHealing: Bool

    init(_ sealed: Seal, from staged: StagedFile?, into blobs: BlobStore, catalog: Catalog) throws(BlobStoreError) {
        guard let digest = sealed.digest, let staged else {
            (wasNew, isHealing) = (false, false)
            return
        }
        let wasMarked = blobs.isMarked(digest)
        wasNew = try blobs.adopt(staged, as: digest, size: sealed.size) {
            // A catalog that cannot answer makes the store read the file instead.
            (try? catalog.read { try $0.blob(digest) }) != nil
        }
        isHealing = wasMarked || wasNew && blobs.hasAlternates
    }
}

/// Stage 3: the content is the file's.
struct Show {
    /// The file as it is now.
    let node: NodeRecord

    /// - Returns: nil when the file has lost its last name, so that there is nothing to show; unless `isNameless` says that it gets one
    ///   only now.
    init?(
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
            // When it was written, not when it was judged: nobody does anything to the file now.
            node.changed = max(node.changed, modified)
        }
        try records.updateContent(of: node)
        try records.deleteStaged(id)
        self.node = node
    }
}

/// Stage 4: the content is a version of an asset, and there is a receipt.
struct Publish {
    /// What became of the upload.
    let outcome: Outcome
    /// The asset that has the content.
    let asset: AssetID
    /// The version that this upload made; nil when the asset had the content before.
    let version: VersionID?

    /// `present` is the version that the same upload made at an earlier verdict, and may make again; `standing` says who could read
    /// the former content when it was first changed; `requested` is the name that was asked for, where that was taken;
    /// `isReplacement` says that the former content is replaced through `resources/ID/`, and so is kept however short a time it stood;
    /// a new asset's life is counted from `lifeFrom`.
    init(
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
            // After what the folder says, so that what somebody has said of the file holds.
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
            // It stands again, for those who may read the file now.
            if top.hasStandings { try records.forgetStandings(of: top.id) }
        } else if let again, newest.count > 1, newest[1].blob == node.blob {
            // Back to what it was before this upload.
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
    /// What its folder says of a new asset's life; what somebody has said holds, where the folder lets them.
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
