internal import AssetModel
internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// An unfinished file: a private file in `staging/`, deleted with its last reference unless it was adopted.
///
/// Once the catalog has recorded its name, the name stays until the transaction that removes the record is
/// durable: after a crash before that, the next mount must still find the bytes.
public final class StagedFile: Sendable {
    /// The open file.
    public let file: OpenFile
    /// The file's name in `staging/`, by which the catalog finds it after a crash.
    public let name: String
    private let store: BlobStore
    private let hasName = Atomic(true)
    private let isRecorded = Atomic(false)
    private let hasFailedSync = Atomic(false)
    private let isNameDurable = Atomic(false)
    /// The number of bytes from the start that are on stable storage; negative if unknown.
    private let synced = Atomic<Int64>(-1)
    /// The number of truncations: a sync that overlaps one proves nothing about bytes written after it.
    private let cuts = Atomic<Int>(0)

    init(file: OpenFile, name: String, store: BlobStore) {
        self.file = file
        self.name = name
        self.store = store
    }

    deinit {
        guard hasName.load(ordering: .relaxed) else { return }
        if isRecorded.load(ordering: .relaxed) { store.retire(name) } else { store.removeStaged(name) }
    }

    /// Whether the catalog has recorded the name.
    public var mustKeepName: Bool { isRecorded.load(ordering: .relaxed) }

    /// Keeps the name until a commit, because the catalog is about to record it.
    public func keepName() { isRecorded.store(true, ordering: .relaxed) }

    /// Detaches the name from this object: it is a blob's now, or stays for the next mount to find.
    public func abandonName() { hasName.store(false, ordering: .relaxed) }

    /// Writes all bytes at `offset`.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(BlobStoreError) {
        try unsafe file.write(bytes, at: offset)
    }

    /// Writes zeros, so that the range has data and no hole.
    public func writeZeros(_ part: Range<Int64>) throws(BlobStoreError) {
        let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { unsafe zeros.deallocate() }
        unsafe zeros.initializeMemory(as: UInt8.self, repeating: 0)
        var position = part.lowerBound
        while position < part.upperBound {
            let count = Int(min(Int64(zeros.count), part.upperBound - position))
            try unsafe file.write(UnsafeRawBufferPointer(rebasing: zeros[..<count]), at: position)
            position += Int64(count)
        }
    }

    /// Cuts or extends the file; new bytes are zeros.
    public func truncate(to size: Int64) throws(BlobStoreError) {
        // Bytes that are written there later differ from the synced ones.
        cuts.wrappingAdd(1, ordering: .relaxed)
        if size < synced.load(ordering: .relaxed) { noteSynced(size) }
        try checked("ftruncate") { ftruncate(file.descriptor.rawValue, Int(size)) }
    }

    /// Calls fallocate(2), with its modes.
    public func allocate(mode: Int32, offset: Int64, length: Int64) throws(BlobStoreError) {
        try checked("fallocate") { fallocate(file.descriptor.rawValue, mode, Int(offset), Int(length)) }
    }

    /// Copies a part of another file's bytes, by sharing extents where the disk can.
    public func copy(of other: OpenFile, from start: Int64, to offset: Int64, count: Int64) throws(BlobStoreError) {
        try file.copyRange(of: other, from: start, to: offset, count: count)
    }

    /// Asks the kernel to begin writing bytes to the disk, so that a later flush finds little left to do.
    public func beginWriteback(from offset: Int64, count: Int64) {
        // This is advice: fsync, which is checked, reports the same errors again.
        _ = sync_file_range(file.descriptor.rawValue, Int(offset), Int(count), 2 /* SYNC_FILE_RANGE_WRITE */)
    }

    /// Whether a sync of the file has failed, so that the kernel may have dropped pages that it could not
    /// write.
    var isSuspect: Bool { hasFailedSync.load(ordering: .relaxed) }

    /// The number of bytes from the start that have been put on stable storage, and only overwritten since;
    /// nil if unknown.
    public var syncedSize: Int64? {
        let size = synced.load(ordering: .relaxed)
        return size >= 0 ? size : nil
    }

    /// Records the number of bytes from the start that are on stable storage.
    public func noteSynced(_ size: Int64) { synced.store(size, ordering: .relaxed) }

    /// Puts the bytes, and the file's name in `staging/`, on stable storage; `size` is at most the number of
    /// bytes.
    public func synchronize(size: Int64) throws(BlobStoreError) {
        let cutsBefore = cuts.load(ordering: .relaxed)
        // A successful sync after a failed one proves nothing about pages that were not written since.
        if isSuspect { try file.rewriteData(size: file.measure().size) }
        do throws(BlobStoreError) {
            try file.synchronize(.staged)
        } catch {
            hasFailedSync.store(true, ordering: .relaxed)
            throw error
        }
        hasFailedSync.store(false, ordering: .relaxed)
        if cuts.load(ordering: .relaxed) == cutsBefore { noteSynced(size) }
        KillPoint.stagedSynced.reach()
        // The name does not change, and stays at least as long as this object.
        guard !isNameDurable.load(ordering: .relaxed) else { return }
        try store.synchronizeStaging()
        isNameDurable.store(true, ordering: .relaxed)
    }
}
