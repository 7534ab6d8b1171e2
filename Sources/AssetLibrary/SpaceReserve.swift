internal import BlobStore
internal import Synchronization

/// Keeps the last of the disk for the catalog, so that a transaction which was acknowledged can always be committed.
final class SpaceReserve: Sendable {
    private let blobs: BlobStore
    private let room = Atomic<Int64>(0)
    /// Makes room where there is not enough, and says whether it has.
    let reliever = Mutex<(@Sendable (Int64) -> Bool)?>(nil)

    /// What is kept, unless that is more than a sixteenth of the disk.
    private static let reserve: Int64 = 64 << 20

    init(blobs: BlobStore) { self.blobs = blobs }

    /// Takes `count` bytes of room for an upload.
    /// - Throws: `.noSpace` when nothing would be left for the catalog.
    func take(_ count: Int64) throws(LibraryError) {
        // Clamped, so that several huge requests at once cannot wrap the counter round to plenty.
        let count = min(count, 1 << 56)
        if room.subtract(count) > 0 { return }
        var left = try measureLeft(behind: count)
        if left <= 0, let relieve = reliever.withLock({ $0 }), relieve(count) { left = try measureLeft(behind: count) }
        room.store(max(left, 0), ordering: .relaxed)
        guard left > 0 else { throw .noSpace("The library's disk is full; what is left is kept for the catalog.") }
    }

    /// What is left for uploads when one has taken `count` bytes; negative where it cannot.
    func measureLeft(behind count: Int64) throws(LibraryError) -> Int64 {
        // Saturating: fallocate(2) may ask for more than 63 bits of bytes can say is missing.
        let (left, overflow) = try measure().subtractingReportingOverflow(count)
        return overflow ? .min : left
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
