public import AssetModel
internal import COpenSSL
internal import Synchronization

/// A SHA-256 that is updated while bytes are written in order, and computed from the file if they were not.
@safe
public struct SequentialDigest: ~Copyable {
    private var context: OpaquePointer?
    private var position: Int64 = 0
    private var isInOrder = true
    /// A digest that was computed from the file elsewhere, and its number of bytes.
    private var known: (digest: Digest, size: Int64)?
    /// The number of changes of the bytes.
    public let changes = ChangeCount()

    /// Creates the digest of an empty file.
    public init() {}

    deinit {
        changes.note()
        unsafe EVP_MD_CTX_free(context)
    }

    /// Adds bytes that were written at `offset`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        noteChange()
        guard isInOrder, offset == position else {
            isInOrder = false
            return
        }
        if unsafe context == nil {
            unsafe context = EVP_MD_CTX_new()
            unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil)
        }
        unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        position += Int64(bytes.count)
    }

    /// Records that bytes were changed in another way than by `update`.
    public mutating func disturb() {
        noteChange()
        isInOrder = false
    }

    private mutating func noteChange() {
        changes.note()
        known = nil
    }

    /// Takes a digest of the first `size` bytes that was computed elsewhere since the last change.
    public mutating func take(_ digest: Digest, size: Int64) { known = (digest, size) }

    /// Returns whether the digest of the first `size` bytes is known without reading them.
    public func isComplete(for size: Int64) -> Bool { known?.size == size || isInOrder && position == size }

    /// Returns the digest of the `size` bytes of `file`, which is read if the bytes were not written in
    /// order.
    ///
    /// More bytes may be added afterwards.
    public func digest(of file: OpenFile, size: Int64) throws(BlobStoreError) -> Digest {
        if let known, known.size == size { return known.digest }
        guard isComplete(for: size), let copy = unsafe EVP_MD_CTX_new() else {
            return try Digest(reading: file, size: size)
        }
        defer { unsafe EVP_MD_CTX_free(copy) }
        unsafe EVP_MD_CTX_copy_ex(copy, context)
        return try unsafe SHA256.finish(copy)
    }
}

/// A count of changes of bytes, for a thread that reads them without holding up their writers.
///
/// ## Concurrency
/// An atomic count; the deallocation of its digest counts as a change.
public final class ChangeCount: Sendable {
    private let count = Atomic(0)

    func note() { count.wrappingAdd(1, ordering: .releasing) }

    /// The number of changes.
    public var value: Int { count.load(ordering: .acquiring) }
}

extension Digest {
    /// Computes the digest of a file's first `size` bytes.
    /// - Throws: `.io` also if the file is shorter, or `isCancelled`, which is called for each MiB, returns
    ///   true.
    public init(
        reading file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) {
        let bytes = try unsafe messageDigest(of: file, size: size, EVP_sha256(), isCancelled: isCancelled)
        guard let digest = Digest(bytes) else { throw .io(.ioError, during: "SHA-256") }
        self = digest
    }
}

extension Digest {
    /// Computes the digest of a file's first `size` bytes on the disk, bypassing the page cache if the disk
    /// supports that.
    /// - Throws: as `init(reading:size:isCancelled:)`.
    public init(
        readingFromDisk file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) {
        if let direct = file.openedPastCache() {
            do throws(BlobStoreError) {
                self = try Digest(reading: direct, size: size, isCancelled: isCancelled)
                return
            } catch {
                // Some disks accept O_DIRECT and then fail to read.
                guard case .io(.invalidArgument, _) = error else { throw error }
            }
        }
        try self.init(reading: file, size: size, isCancelled: isCancelled)
    }
}

/// Computes a digest of a file's first `size` bytes by libcrypto.
///
/// The holes of a sparse file are not read: they are zeros.
/// - Throws: `.io` also if the file is shorter, or `isCancelled`, which is called for each MiB, returns true.
func messageDigest(
    of file: OpenFile,
    size: Int64,
    _ algorithm: OpaquePointer?,
    isCancelled: () -> Bool = { false }
) throws(BlobStoreError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: digestStep, alignment: 4096)
    let context = unsafe EVP_MD_CTX_new()
    defer {
        unsafe buffer.deallocate()
        unsafe EVP_MD_CTX_free(context)
    }
    unsafe EVP_DigestInit_ex(context, algorithm, nil)
    let (length, blocks) = try file.measure()
    guard length >= size else { throw .io(.ioError, during: "reading back what was staged") }
    let hasHoles = blocks * 512 < size
    var position: Int64 = 0
    while position < size {
        let hole = hasHoles ? min(try file.seek(position, whence: 3 /* SEEK_DATA */) ?? size, size) : position
        if hole > position {
            unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
            while position < hole {
                guard !isCancelled() else { throw .io(.interrupted, during: "reading back what was staged") }
                let count = Int(min(hole - position, Int64(digestStep)))
                unsafe EVP_DigestUpdate(context, buffer.baseAddress, count)
                position += Int64(count)
            }
        }
        let end = hasHoles ? min(try file.seek(position, whence: 4 /* SEEK_HOLE */) ?? size, size) : size
        while position < end {
            guard !isCancelled() else { throw .io(.interrupted, during: "reading back what was staged") }
            // Reads whole blocks, of which the last may have bytes beyond the end.
            let wanted = Int(min(end - position, Int64(digestStep)))
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<((wanted + 4095) & ~4095)])
            let count = min(try unsafe file.read(into: part, at: position), wanted)
            guard count > 0 else { throw .io(.ioError, during: "reading back what was staged") }
            unsafe EVP_DigestUpdate(context, buffer.baseAddress, count)
            position += Int64(count)
        }
    }
    var bytes = [UInt8](repeating: 0, count: 64)
    var count: UInt32 = 0
    guard unsafe EVP_DigestFinal_ex(context, &bytes, &count) == 1 else { throw .io(.ioError, during: "libcrypto") }
    return Array(bytes.prefix(Int(count)))
}

/// The number of bytes that are hashed between two checks of `isCancelled`.
private let digestStep = 1 << 20

private enum SHA256 {
    static func finish(_ context: OpaquePointer?) throws(BlobStoreError) -> Digest {
        var bytes = [UInt8](repeating: 0, count: 32)
        guard unsafe EVP_DigestFinal_ex(context, &bytes, nil) == 1, let digest = Digest(bytes) else {
            throw .io(.ioError, during: "SHA-256")
        }
        return digest
    }
}

internal import SystemPackage
