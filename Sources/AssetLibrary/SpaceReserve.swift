internal import BlobStore
internal import Synchronization

/// Keeps the last of the disk for the catalog, so that a transaction which was acknowledged can always be committed.
final class SpaceReserve: Sendable {
    private let blobs: BlobStore
    private let room = Atomic<Int64>(0)

    /// What is kept, unless that is more than a sixteenth of the disk.
    private static let reserve: Int64 = 64 << 20

    init(blobs: BlobStore) { self.blobs = blobs }

    /// Takes `count` bytes of room for an upload.
    /// - Throws: `.noSpace` when nothing would be left for the catalog.
    func take(_ count: Int64) throws(LibraryError) {
        // Clamped, so that several huge requests at once cannot wrap the counter round to plenty.
        let count = min(count, 1 << 56)
        if room.subtract(count) > 0 { return }
        // Saturating: fallocate(2) may ask for more than 63 bits of bytes can say is missing.
        let (difference, overflow) = try measure().subtractingReportingOverflow(count)
        let left = overflow ? Int64.min : difference
        room.store(max(left, 0), ordering: .relaxed)
        guard left > 0 else { throw .noSpace("The library's disk is full; what is left is kept for the catalog.") }
    }

    private func measure() throws(LibraryError) -> Int64 {
        do throws(BlobStoreError) {
            let disk = try blobs.statistics()
            let block = Int64(clamping: disk.f_frsize)
            let free = Int64(clamping: disk.f_bavail) &* block
            let total = Int64(clamping: disk.f_blocks) &* block
            // Half, so that others who write to the same disk are noticed before it is full.
            return (free - min(Self.reserve, total / 16)) / 2
        } catch {
            throw LibraryError(error)
        }
    }
}

extension Atomic where Value == Int64 {
    fileprivate func subtract(_ count: Int64) -> Int64 { wrappingSubtract(count, ordering: .relaxed).newValue }
}

internal import Glibc
