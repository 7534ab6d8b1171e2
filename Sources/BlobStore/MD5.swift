internal import COpenSSL

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
        try unsafe messageDigest(of: file, size: size, EVP_md5(), isCancelled: isCancelled)
    }
}
