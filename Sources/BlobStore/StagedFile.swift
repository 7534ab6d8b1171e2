internal import AssetModel
internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Bytes that are being written: a private file in `staging/`, gone with its last reference unless it was adopted.
///
/// Once the catalog has recorded its name, the name stays until the transaction that forgets it is durable: a crash before
/// that must still find the bytes.
public final class StagedFile: Sendable {
    /// The open file.
    public let file: OpenFile
    /// Its name in `staging/`, for the catalog to find it by after a crash.
    public let name: String
    private let store: BlobStore
    private let hasName = Atomic(true)
    private let isRecorded = Atomic(false)
    private let hasFailedSync = Atomic(false)
    private let isNameDurable = Atomic(false)
    /// How many bytes from the start are on stable storage; negative where that is not known.
    private let synced = Atomic<Int64>(-1)
    /// How often the file was cut: a sync that goes on meanwhile says nothing of what comes behind.
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

    /// Whether the catalog knows the name.
    public var mustKeepName: Bool { isRecorded.load(ordering: .relaxed) }

    /// The catalog is about to record the name.
    public func keepName() { isRecorded.store(true, ordering: .relaxed) }

    /// The name is a blob's now, or stays beyond this object's life for the next mount to find.
    public func abandonName() { hasName.store(false, ordering: .relaxed) }

    /// Writes all bytes at `offset`.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(BlobStoreError) {
        try unsafe file.write(bytes, at: offset)
    }

    /// Writes zeros, so that there is data and no hole.
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

    /// Cuts or extends the file; what is new reads as zeros.
    public func truncate(to size: Int64) throws(BlobStoreError) {
        // What comes there again is other bytes.
        cuts.wrappingAdd(1, ordering: .relaxed)
        if size < synced.load(ordering: .relaxed) { noteSynced(size) }
        try checked("ftruncate") { ftruncate(file.descriptor.rawValue, Int(size)) }
    }

    /// fallocate(2), with its modes.
    public func allocate(mode: Int32, offset: Int64, length: Int64) throws(BlobStoreError) {
        try checked("fallocate") { fallocate(file.descriptor.rawValue, mode, Int(offset), Int(length)) }
    }

    /// Takes over a part of another file's bytes, by sharing extents where the disk can.
    public func copy(of other: OpenFile, from start: Int64, to offset: Int64, count: Int64) throws(BlobStoreError) {
        try file.copyRange(of: other, from: start, to: offset, count: count)
    }

    /// Asks the disk to begin writing what has come so far, so that a later flush finds little left to do.
    public func beginWriteback(from offset: Int64, count: Int64) {
        // Advice: what goes wrong here shows again in fsync, which is checked.
        _ = sync_file_range(file.descriptor.rawValue, Int(offset), Int(count), 2 /* SYNC_FILE_RANGE_WRITE */)
    }

    /// Whether a sync of it has failed, so that the kernel may have dropped what it could not write.
    var isSuspect: Bool { hasFailedSync.load(ordering: .relaxed) }

    /// How many bytes from the start have been put on stable storage, and only overwritten since; nil where that is not known.
    public var syncedSize: Int64? {
        let size = synced.load(ordering: .relaxed)
        return size >= 0 ? size : nil
    }

    /// Records that so many bytes from the start are on stable storage.
    public func noteSynced(_ size: Int64) { synced.store(size, ordering: .relaxed) }

    /// Puts the bytes, and the file's name in `staging/`, on stable storage; `size` is how many bytes there are, or fewer.
    public func synchronize(size: Int64) throws(BlobStoreError) {
        let cutsBefore = cuts.load(ordering: .relaxed)
        // A sync that succeeds after one that failed means nothing for pages that were not written since.
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
        // The name does not change, and lasts as long as this object at least.
        guard !isNameDurable.load(ordering: .relaxed) else { return }
        try store.synchronizeStaging()
        isNameDurable.store(true, ordering: .relaxed)
    }
}
