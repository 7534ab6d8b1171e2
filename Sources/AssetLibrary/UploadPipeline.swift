internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import SystemPackage

// The stages of an upload, in their order. Each takes the result of the stage before.
//
//  Seal  →  Screen  →  Adopt  →  judge (duplicates, name)  →  Show  →  Publish
//
// A file with a temporary name gets as far as Show; its rename to a final name screens, judges and publishes
// it. The last three stages are one transaction, so that of two identical uploads at once one is first.

extension Seal {
    /// Computes the digest of a staged file, of which `running` may have the most.
    init(_ staged: StagedFile?, _ running: borrowing SequentialDigest, size: Int64) throws(BlobStoreError) {
        guard size > 0 else {
            self.init(size: size, blocks: 0, digest: nil)
            return
        }
        guard let staged else { throw .io(.badFileDescriptor, during: "sealing an upload without its bytes") }
        // A write that failed half-way, or room allocated ahead, may have left more than was acknowledged.
        if try staged.file.measure().size != size { try staged.truncate(to: size) }
        self.init(
            size: size,
            blocks: try staged.file.measure().blocks,
            digest: try running.digest(of: staged.file, size: size)
        )
    }

    /// Describes a blob that a file was made to show as it is.
    init(blob: OpenFile, _ digest: Digest, size: Int64) throws(BlobStoreError) {
        self.init(size: size, blocks: try blob.measure().blocks, digest: digest, isOfBlob: true)
    }
}

/// Stage 2: the staged file becomes a blob, before any row names it.
struct Adopt {
    /// Whether the staged file became the blob; if not, an equal blob existed.
    let wasNew: Bool
    /// Whether it replaced a corrupt blob, or one in a store that is not attached.
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
