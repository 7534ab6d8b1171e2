internal import AssetModel
public import BlobStore
internal import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// The answers of statfs(2), stat(2) and lseek(2) reveal nothing about content that the uploader may not read.
extension AssetLibrary {
    /// The number of files and former versions with a blob that are checked; if none of these is readable,
    /// the blob counts as not readable.
    private static let lookedAt = 256

    /// Hides that the library had a blob already, if its uploader may read no file that shows it: its bytes
    /// count, and its holes lie, as if it were stored for the uploader alone.
    ///
    /// Only uploads by users other than root, of blobs that the library has already, cost these few queries.
    /// `staged` has the uploaded bytes.
    func mask(
        _ node: NodeRecord,
        _ staged: StagedFile?,
        by uploader: Uploader,
        insteadOf former: BlobID?,
        _ records: Records
    ) throws {
        guard uploader.uid != 0, let blob = node.blob, blob != former else { return }
        // Copies that are masked, or have a layout of their own, reveal only themselves.
        var (isStored, isLaid, peers) = (false, false, Int64?.none)
        _ = try records.holders(of: blob, limit: Self.lookedAt) { holder in
            if holder.node == node.id { return true }
            if try mayRead(holder.node, uploader, records) {
                let own = try records.maskedPeers(of: holder.node)
                isStored = isStored || own == nil
                peers = [peers, own].compactMap { $0 }.min()
                isLaid = try isLaid || records.layout(of: holder.node) == nil
            }
            return !(isStored && isLaid)
        }
        if !isStored { try records.maskCopy(node, with: peers) }
        guard !isLaid, let staged else { return }
        try records.setLayout(of: node, to: Self.extents(of: staged.file, size: node.size))
        mayHaveLayouts.store(true, ordering: .relaxed)
    }

    /// Returns the data extents of a file, if they are not those of the blob's own file.
    /// - Throws: a failure of the catalog: the holes of another user's file must not be shown instead.
    func ownLayout(of node: NodeID) throws(BlobStoreError) -> [Range<Int64>]? {
        guard mayHaveLayouts.load(ordering: .relaxed) else { return nil }
        do throws(LibraryError) {
            return try read { try $0.layout(of: node) }
        } catch {
            log.error("The catalog does not say where the data of node \(node) lies: \(error)")
            throw .io(.ioError, during: "asking the catalog where data lies")
        }
    }

    /// Returns whether a file may show the holes of a blob's own file: only if its own are in those places.
    func mayShowHoles(of file: OpenFile, size: Int64, in node: NodeID) -> Bool {
        do throws(BlobStoreError) {
            guard let layout = try ownLayout(of: node) else { return true }
            return try Self.extents(of: file, size: size) == layout
        } catch {
            return false
        }
    }

    /// Gives a part of a copy the layout of the copied file: data in its extents, and holes elsewhere, where
    /// all bytes are zeros.
    func lay(
        _ staged: StagedFile,
        as layout: [Range<Int64>],
        within part: Range<Int64>
    ) throws(BlobStoreError) {
        var position = part.lowerBound
        for extent in layout + [part.upperBound..<part.upperBound] {
            let extent = extent.clamped(to: part)
            if extent.lowerBound > position {
                try staged.allocate(
                    mode: Self.punchingHoles,
                    offset: position,
                    length: extent.lowerBound - position
                )
            }
            position = max(position, extent.lowerBound)
            while position < extent.upperBound,
                let hole = try staged.file.seek(position, whence: Self.seekHole), hole < extent.upperBound
            {
                let end = min(try staged.file.seek(hole, whence: Self.seekData) ?? extent.upperBound, extent.upperBound)
                try takeSpace(end - hole)
                try staged.writeZeros(hole..<end)
                position = end
            }
            position = max(position, extent.upperBound)
        }
    }

    /// FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE.
    private static let punchingHoles: Int32 = 3

    /// The maximum number of extents that are recorded; the rest of a file counts as one more.
    private static let extentLimit = 4096

    /// Returns the extents of a file's data.
    private static func extents(of file: OpenFile, size: Int64) throws(BlobStoreError) -> [Range<Int64>] {
        var (found, position): ([Range<Int64>], Int64) = ([], 0)
        while position < size, let start = try file.seek(position, whence: seekData), start < size {
            let isLast = found.count == extentLimit
            position = isLast ? size : min(try file.seek(start, whence: seekHole) ?? size, size)
            found.append(start..<max(position, start + 1))
        }
        return found
    }

    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4

    /// Returns the offset of the next data or hole in a working file, as lseek(2) with SEEK_DATA or
    /// SEEK_HOLE; nil if no data follows.
    public func seek(
        _ file: OpenFile,
        of node: OpenNode,
        _ offset: Int64,
        whence: Int32
    ) throws(LibraryError) -> Int64? {
        let isBlob = node.upload.withLockIfAvailable { $0.staged == nil }
        // Reporting all of it as data is always right, also while it is being written.
        guard let isBlob else { return whence == Self.seekHole ? node.content.size : offset }
        if isBlob, let layout = try read({ try $0.layout(of: node.id) }) {
            let next = layout.first { $0.upperBound > offset }
            if whence == Self.seekData { return next.map { max($0.lowerBound, offset) } }
            return next.map { $0.contains(offset) ? $0.upperBound : offset } ?? offset
        }
        do throws(BlobStoreError) { return try file.seek(offset, whence: whence) } catch { throw LibraryError(error) }
    }
}
