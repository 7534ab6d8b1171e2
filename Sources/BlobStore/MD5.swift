internal import COpenSSL

/// MD5 (RFC 1321), for comparisons with programs that use it; it is not secure.
public enum MD5 {
    /// The MD5 of an empty file, in hexadecimal digits.
    public static let ofNothing = "d41d8cd98f00b204e9800998ecf8427e"

    /// Returns the MD5 of a file's first `size` bytes.
    /// - Throws: `.io` if it cannot be read, is shorter, or `isCancelled` returns true.
    public static func of(
        _ file: OpenFile,
        size: Int64,
        isCancelled: () -> Bool = { false }
    ) throws(BlobStoreError) -> [UInt8] {
        try unsafe messageDigest(of: file, size: size, EVP_md5(), isCancelled: isCancelled)
    }
}
