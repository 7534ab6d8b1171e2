public import AssetModel
internal import COpenSSL

/// A SHA-256 that runs along while bytes come in order, and starts over from the file when they did not.
@safe
public struct SequentialDigest: ~Copyable {
    private var context: OpaquePointer?
    private var position: Int64 = 0
    private var isInOrder = true

    /// Begins at the start of a file.
    public init() {}

    deinit { unsafe EVP_MD_CTX_free(context) }

    /// Takes bytes that were written at `offset`.
    public mutating func update(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
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

    /// Bytes were changed in another way than by `update`.
    public mutating func disturb() { isInOrder = false }

    /// Whether the digest of the first `size` bytes is known without reading them.
    public func isComplete(for size: Int64) -> Bool { isInOrder && position == size }

    /// The digest of the `size` bytes of `file`, which is read when the bytes did not come in order.
    ///
    /// More may follow.
    public func digest(of file: OpenFile, size: Int64) throws(BlobStoreError) -> Digest {
        guard isComplete(for: size), let copy = unsafe EVP_MD_CTX_new() else {
            return try Digest(reading: file, size: size)
        }
        defer { unsafe EVP_MD_CTX_free(copy) }
        unsafe EVP_MD_CTX_copy_ex(copy, context)
        return try unsafe SHA256.finish(copy)
    }
}

extension Digest {
    /// The digest of a file's first `size` bytes.
    /// - Throws: `.io` also when the file is shorter, or `isCancelled`, which is asked for each MiB, says so.
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

/// What libcrypto computes over a file's first `size` bytes.
func messageDigest(
    of file: OpenFile,
    size: Int64,
    _ algorithm: OpaquePointer?,
    isCancelled: () -> Bool = { false }
) throws(BlobStoreError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    let context = unsafe EVP_MD_CTX_new()
    defer {
        unsafe buffer.deallocate()
        unsafe EVP_MD_CTX_free(context)
    }
    unsafe EVP_DigestInit_ex(context, algorithm, nil)
    var position: Int64 = 0
    while position < size {
        guard !isCancelled() else { throw .io(.interrupted, during: "reading back what was staged") }
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(size - position, 1 << 20))])
        let count = try unsafe file.read(into: part, at: position)
        guard count > 0 else { throw .io(.ioError, during: "reading back what was staged") }
        unsafe EVP_DigestUpdate(context, buffer.baseAddress, count)
        position += Int64(count)
    }
    var bytes = [UInt8](repeating: 0, count: 64)
    var count: UInt32 = 0
    guard unsafe EVP_DigestFinal_ex(context, &bytes, &count) == 1 else { throw .io(.ioError, during: "libcrypto") }
    return Array(bytes.prefix(Int(count)))
}

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
