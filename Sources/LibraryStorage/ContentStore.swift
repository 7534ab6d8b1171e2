public import AssetModel
public import BlobStore
internal import Synchronization

/// The blobs of a library by their names, with the blobs to which an open node is bound.
///
/// A node is bound to a blob where the kernel reads the blob's file itself. Before the first change of such a
/// file its name goes to a copy (`exchange`), so that a file that was opened by a blob's name may be changed
/// later. A reader therefore compares afterwards (`withBlob`), or opens again with `isSame`.
///
/// ## Concurrency
/// `names` is held while a name in the library's own folder goes to another file, and while such a name is
/// opened; `bound` is held for a moment only.
public final class ContentStore: Sendable {
    /// The place of an opened blob's file.
    public enum Origin: Sendable {
        /// The library's own folder: a node may be bound to it.
        case own
        /// Another store, in which no file is ever changed.
        case store
        /// Unknown: the blob was moved between stores at that moment.
        case uncertain
    }

    /// How often a blob is read without a lock before its name is held for the reading.
    private static let attempts = 3

    private let blobs: BlobStore
    private let names = RankedMutex<Void>(.blobName, ())
    private let bound = RankedMutex<Set<Digest>>(.content, [])
    /// How many open nodes show each blob.
    fileprivate let shown = RankedMutex<[Digest: Int]>(.leaf, [:])

    /// Uses the blobs of a library.
    public init(_ blobs: BlobStore) { self.blobs = blobs }

    /// Opens a blob of `size` bytes by its name; a corrupt one only with `evenIfDamaged`.
    ///
    /// `note` is called with the file and its place; for a file in the library's own folder before its name
    /// can go to another file.
    public func open(
        _ digest: Digest,
        size: Int64,
        evenIfDamaged: Bool = false,
        noting note: (OpenFile, Origin) -> Void = { _, _ in }
    ) throws(BlobStoreError) -> OpenFile {
        let own = try names.withLock { _ throws(BlobStoreError) -> OpenFile? in
            let file = try blobs.openOwn(digest, size: size, evenIfDamaged: evenIfDamaged)
            if let file { note(file, .own) }
            return file
        }
        if let own { return own }
        if !evenIfDamaged, let other = try blobs.openElsewhere(digest, size: size) {
            note(other, .store)
            return other
        }
        let file = try blobs.open(digest, size: size, evenIfDamaged: evenIfDamaged)
        note(file, .uncertain)
        return file
    }

    /// Calls `body` with a blob of `size` bytes, and again where its name has gone to another file meanwhile,
    /// because the first file may have been changed.
    ///
    /// No lock is held while `body` runs, unless the name has changed hands each time.
    /// - Returns: the result of the last call.
    public func withBlob<Value>(
        _ digest: Digest,
        size: Int64,
        _ body: (OpenFile) throws(BlobStoreError) -> Value
    ) throws(BlobStoreError) -> Value {
        for _ in 0..<Self.attempts {
            let file = try open(digest, size: size)
            let result = Result { () throws(BlobStoreError) in try body(file) }
            if try file.isSame(as: open(digest, size: size)) { return try result.get() }
        }
        return try names.withLock { _ throws(BlobStoreError) in try body(blobs.open(digest, size: size)) }
    }

    /// Reads at most `count` bytes of a blob of `size` bytes.
    public func read(
        _ digest: Digest,
        size: Int64,
        at offset: Int64,
        count: Int
    ) throws(BlobStoreError) -> [UInt8] {
        let length = Int(max(0, min(Int64(count), size - offset)))
        return try withBlob(digest, size: size) { file throws(BlobStoreError) in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 1)
            defer { unsafe buffer.deallocate() }
            let done = try unsafe file.read(into: buffer, at: offset)
            return unsafe Array(buffer.prefix(done))
        }
    }

    // MARK: Shown blobs

    /// Counts an open node that shows a blob, until the result is released; nil for no blob.
    public func show(_ digest: Digest?) -> ShownBlob? { digest.map { ShownBlob($0, in: self) } }

    /// Whether any open node shows a blob.
    public func isShown(_ digest: Digest) -> Bool { shown.withLock { $0[digest] != nil } }

    /// Whether several open nodes show a blob.
    public func isShownBySeveral(_ digest: Digest) -> Bool { shown.withLock { $0[digest] ?? 0 > 1 } }

    // MARK: Bindings

    /// The blobs to which a node is bound.
    public var boundBlobs: Set<Digest> { bound.withLock { $0 } }

    /// Whether a node is bound to a blob.
    public func isBound(_ digest: Digest) -> Bool { bound.withLock { $0.contains(digest) } }

    /// Reserves a blob for one node, or for its migration.
    /// - Returns: false where it is reserved already.
    public func bind(_ digest: Digest) -> Bool { bound.withLock { $0.insert(digest).inserted } }

    /// Ends a reservation.
    public func unbind(_ digest: Digest) { bound.withLock { _ = $0.remove(digest) } }

    /// Gives the name of a bound blob to a copy, and ends the reservation.
    /// - Returns: the former file, which has no name of a blob any more.
    /// - Throws: `.corrupt` where another file has the name already.
    public func exchange(
        _ copy: StagedFile,
        with digest: Digest,
        openAs file: OpenFile
    ) throws(BlobStoreError) -> StagedFile {
        let former = try names.withLock { _ throws(BlobStoreError) in
            // A bound file that was found corrupt, and has been repaired since, is not the blob any more.
            guard blobs.isPrimary(file, of: digest) else { throw .corrupt(digest) }
            return try blobs.exchange(copy, with: digest, openAs: file)
        }
        unbind(digest)
        return former
    }

    // MARK: Migration

    /// Puts a copy of a blob under the blob's name in its store.
    ///
    /// A store's number is 0 for the library's own folder.
    public func place(_ copy: BlobStore.Copy, in store: Int64) throws(BlobStoreError) {
        guard store == 0 else { return try blobs.place(copy) }
        try names.withLock { _ throws(BlobStoreError) in try blobs.place(copy) }
    }

    /// Removes a blob's file from a store.
    public func remove(_ digest: Digest, from store: Int64) throws(BlobStoreError) {
        guard store == 0 else { return try blobs.remove(digest, from: store) }
        try names.withLock { _ throws(BlobStoreError) in try blobs.remove(digest, from: 0) }
    }
}

/// A blob that an open node shows.
public final class ShownBlob: Sendable {
    /// The blob's name.
    public let digest: Digest
    private let contents: ContentStore
    private let hasEnded = Atomic(false)

    fileprivate init(_ digest: Digest, in contents: ContentStore) {
        (self.digest, self.contents) = (digest, contents)
        contents.shown.withLock { $0[digest, default: 0] += 1 }
    }

    deinit { end() }

    /// Ends the count for an open node that no handle uses any more, also where it is still referenced.
    public func end() {
        if hasEnded.exchange(true, ordering: .relaxed) { return }
        contents.shown.withLock { shown in
            let left = (shown[digest] ?? 1) - 1
            shown[digest] = left > 0 ? left : nil
        }
    }
}
