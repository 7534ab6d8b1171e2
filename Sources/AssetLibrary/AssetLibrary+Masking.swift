internal import AssetModel
internal import Catalog

// No answer of statfs(2) tells of a content that the uploader may not read.
extension AssetLibrary {
    /// How many files with a content are looked at; where none of so many is readable the content is taken for one that is not.
    private static let lookedAt = 100

    /// Has a content that the library had already count as if it were stored for its uploader alone, where they may read no file that
    /// shows it.
    ///
    /// That is asked of non-root uploads of contents that are there already, and of no others: two queries.
    func mask(
        _ node: NodeRecord,
        by uploader: Uploader,
        insteadOf former: BlobID?,
        _ records: Records
    ) throws {
        guard uploader.uid != 0, let blob = node.blob, blob != former else { return }
        var (isReadable, count) = (false, 0)
        try records.holders(of: blob) { holder in
            if holder.node == node.id { return true }
            count += 1
            isReadable = try mayRead(holder.node, uploader, records)
            return !isReadable && count < Self.lookedAt
        }
        if !isReadable { try records.maskCopy(node) }
    }
}
