/// The name of a directory entry as the kernel sends it: 1 or more bytes without `/` and NUL, in any
/// encoding.
///
/// The kernel rejects `.`, `..` and names longer than 1,024 bytes itself; the limit of 255 is the
/// filesystem's.
public struct Name: Hashable, Sendable {
    /// The bytes, without a terminator.
    public let bytes: [UInt8]

    init(_ name: UnsafePointer<CChar>?) {
        guard let name = unsafe name else {
            bytes = []
            return
        }
        bytes = unsafe Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
    }
}

extension Name {
    /// The name in a request to create a file without a name: open(2) with O_TMPFILE.
    public static let none: [UInt8] = [0x2F]
}

extension Name: CustomStringConvertible {
    /// The name as text, with bytes that are not UTF-8 replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

internal import Glibc
