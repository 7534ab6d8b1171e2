internal import AssetModel
internal import BlobStore
internal import Catalog
public import Glibc
internal import Synchronization

/// Reserves the last part of the disk for the catalog, so that an acknowledged transaction can always be
/// committed.
///
/// The write-ahead log has its part allocated on the disk; the rest is left free so that the catalog itself
/// can grow.
public final class SpaceReserve: Sendable {
    private let blobs: BlobStore
    private let catalog: Catalog
    private let room = Atomic<Int64>(0)
    /// Frees space where there is not enough, and returns whether it has.
    public let reliever = Hook<Int64, Bool>()

    /// The bytes that are left free, and those of the write-ahead log, unless they exceed a part of the disk.
    private static let part: Int64 = 32 << 20

    init(blobs: BlobStore, catalog: Catalog) {
        self.blobs = blobs
        self.catalog = catalog
    }

    /// Returns the number of bytes of a disk that are reserved for the write-ahead log, and of those that are
    /// to be left free besides.
    public static func part(of disk: statvfs) -> Int64 {
        min(part, Int64(clamping: disk.f_blocks) &* Int64(clamping: disk.f_frsize) / 32)
    }

    /// Takes `count` bytes of room for an upload.
    /// - Throws: `.noSpace` when nothing would be left for the catalog.
    public func take(_ count: Int64) throws(LibraryError) {
        // Clamped, so that several huge requests at once cannot wrap the counter round to plenty.
        let count = min(count, 1 << 56)
        if room.subtract(count) > 0 { return }
        var left = try measureLeft(behind: count)
        if left < 0, reliever(count) ?? false { left = try measureLeft(behind: count) }
        // Half, so that the disk is measured again before it is full, and other programs' writes are noticed.
        room.store(max(left / 2, 0), ordering: .relaxed)
        guard left >= 0 else {
            throw .noSpace(
                "The library's disk has no room for \(count.counted("byte")); what is left is kept for the catalog."
            )
        }
    }

    /// Resets the measurement, so that the next upload measures the disk: other programs may have written to
    /// it.
    public func measureAnew() { room.store(0, ordering: .relaxed) }

    /// Returns the room that is left for uploads after one has taken `count` bytes; negative where there is
    /// too little.
    public func measureLeft(behind count: Int64) throws(LibraryError) -> Int64 {
        // Saturating: fallocate(2) may ask for so much that the missing bytes do not fit into 63 bits.
        let (left, overflow) = try measure().subtractingReportingOverflow(count)
        return overflow ? .min : left
    }

    private func measure() throws(LibraryError) -> Int64 {
        do throws(BlobStoreError) {
            let disk = try blobs.statistics()
            return Int64(clamping: disk.f_bavail) &* Int64(clamping: disk.f_frsize) - kept(of: disk)
        } catch {
            throw LibraryError(error)
        }
    }

    /// Returns the number of free bytes of a disk that are reserved.
    public func kept(of disk: statvfs) -> Int64 { Self.part(of: disk) + catalog.missingReserve }
}

extension Atomic where Value == Int64 {
    fileprivate func subtract(_ count: Int64) -> Int64 { wrappingSubtract(count, ordering: .relaxed).newValue }
}
