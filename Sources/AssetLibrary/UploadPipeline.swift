internal import AssetModel
internal import BlobStore
internal import Catalog
internal import SystemPackage

// The stages of an upload, in their order. Each takes what the one before has found out.
//
//   Seal  →  Adopt  →  Publish
//
// Screens come behind Seal, which knows size and digest; the duplicate check and the choice of a name come first in Publish,
// in its transaction, so that of two identical uploads at once one wins.

/// Stage 1: what the content is.
struct Seal {
    let size: Int64
    let blocks: Int64
    /// Nil for the empty content, which is stored as nothing and never compared.
    let digest: Digest?

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
}

/// Stage 2: the bytes take their place among the blobs, before any row names them.
struct Adopt {
    /// Whether the staged file became the blob; if not, an equal one was there.
    let wasNew: Bool

    init(_ sealed: Seal, from staged: StagedFile?, into blobs: BlobStore, catalog: Catalog) throws(BlobStoreError) {
        guard let digest = sealed.digest, let staged else {
            wasNew = false
            return
        }
        wasNew = try blobs.adopt(staged, as: digest, size: sealed.size) {
            // A catalog that cannot answer makes the store read the file instead.
            (try? catalog.read { try $0.blob(digest) }) != nil
        }
    }
}

/// Stage 3: one step in the catalog: blob, asset, version, node and receipt.
struct Publish {
    /// The version that now has the content; nil when it had it before.
    let version: VersionID?

    /// - Returns: nil when the file has lost its last name, so that there is nothing to publish.
    init?(
        _ sealed: Seal,
        of id: NodeID,
        by uid: UInt32,
        replacing version: VersionID?,
        modified: Timestamp?,
        isRecorded: Bool,
        records: Records
    ) throws {
        guard var node = try records.node(id), node.links > 0, let (parent, name) = try records.anyEntry(of: id) else {
            return nil
        }
        let now = Timestamp.now
        let blob = try sealed.digest.map { digest in
            try records.blob(digest) ?? records.insertBlob(digest, size: sealed.size, at: now)
        }
        let isSame = node.asset != nil && node.blob == blob
        let asset = try node.asset ?? records.insertAsset(uid: uid, name: name, at: now)
        if isSame {
            self.version = version
        } else if let version {
            try records.updateVersion(version, blob: blob, size: sealed.size, at: now)
            self.version = version
        } else {
            self.version = try records.insertVersion(
                of: asset,
                blob: blob,
                size: sealed.size,
                uid: uid,
                name: name,
                at: now
            )
        }
        let outcome: Outcome = node.asset == nil ? .created : isSame ? .unchanged : .replaced

        node.size = sealed.size
        node.blocks = sealed.blocks
        node.blob = blob
        node.asset = asset
        if let modified {
            node.modified = modified
            node.changed = now
        }
        try records.updateContent(of: node)
        if isRecorded { try records.deleteStaged(id) }

        var receipt = JSONObject()
        receipt.add("at", now.description)
        receipt.add("outcome", outcome.rawValue)
        receipt.add("asset", asset.rawValue)
        receipt.add("node", id.rawValue)
        receipt.add("folder", parent.rawValue)
        receipt.add("name", name)
        receipt.add("size", sealed.size)
        receipt.add("sha256", sealed.digest?.description)
        receipt.add("uid", Int64(uid))
        try records.appendReceipt(receipt.bytes + [0x0A])
    }
}
