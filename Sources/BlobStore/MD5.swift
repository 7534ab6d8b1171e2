internal import COpenSSL
internal import SystemPackage

/// MD5 (RFC 1321), for those who compare with it; it protects from nothing.
public enum MD5 {
    /// The MD5 of no bytes, in hexadecimal digits.
    public static let ofNothing = "d41d8cd98f00b204e9800998ecf8427e"

    /// The MD5 of a file's first `size` bytes.
    /// - Throws: `.io` when it cannot be read, is shorter, or `isCancelled` says so.
    public static func of(
        _ file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe buffer.deallocate()
            unsafe EVP_MD_CTX_free(context)
        }
        unsafe EVP_DigestInit_ex(context, EVP_md5(), nil)
        var position: Int64 = 0
        while position < size {
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(size - position, 1 << 20))])
            let count = try unsafe file.read(into: part, at: position)
            guard count > 0, !isCancelled() else { throw .io(.interrupted, during: "MD5") }
            unsafe EVP_DigestUpdate(context, buffer.baseAddress, count)
            position += Int64(count)
        }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard unsafe EVP_DigestFinal_ex(context, &bytes, nil) == 1 else { throw .io(.ioError, during: "MD5") }
        return bytes
    }
}
