public import AssetModel
public import SystemPackage

/// The reason why bytes could not be written or read.
public enum BlobStoreError: Error, CustomStringConvertible, Sendable {
    /// The disk, or the quota of the library's owner on it, is full.
    case noSpace(during: String)
    /// The file of a blob in the catalog does not exist.
    case missing(Digest)
    /// A blob's file does not have the size that the catalog recorded.
    case damaged(Digest, expected: Int64, found: Int64)
    /// The file of a blob in the catalog does not exist, but may be in absent stores; their names.
    case absent(Digest, String)
    /// A blob's file is corrupt.
    case corrupt(Digest)
    /// The disk failed, or the library's files were tampered with.
    case io(Errno, during: String)

    /// Names the failure of a system call.
    public init(_ errno: Errno, during operation: String) {
        switch errno {
        case .noSpace, .diskQuotaExceeded: self = .noSpace(during: operation)
        default: self = .io(errno, during: operation)
        }
    }

    /// The message, in one sentence.
    public var description: String {
        switch self {
        case .noSpace(let operation): "The library's disk is full (\(operation))."
        case .missing(let digest):
            "Blob \(digest) is missing from the library; copying the same content in again restores it."
        case .damaged(let digest, let expected, let found):
            "Blob \(digest) has \(found.counted("byte")) instead of \(expected); copying the same content in again restores it."
        case .absent(let digest, let stores):
            "Blob \(digest) is not in the library, and stores that it may be in are not there: \(stores). Are their disks mounted?"
        case .corrupt(let digest):
            "Blob \(digest) does not have the bytes any more that it was stored with; copying the same content in again restores it."
        case .io(let errno, let operation): "The library's disk failed: \(operation): \(errno)."
        }
    }
}

/// Returns the result of a C call that returns -1 and sets errno on failure.
/// - Throws: `BlobStoreError` with `operation` in it.
@discardableResult
func checked<Value: SignedInteger>(
    _ operation: @autoclosure () -> String,
    _ call: () -> Value
) throws(BlobStoreError)
    -> Value
{
    while true {
        let result = call()
        guard result == -1 else { return result }
        let number = Errno(rawValue: errno)
        if number != .interrupted { throw BlobStoreError(number, during: operation()) }
    }
}

internal import Glibc
