/// The name of a directory entry as the kernel sends it: 1 or more bytes without `/` and NUL, of any encoding.
///
/// The kernel has refused `.`, `..` and anything longer than 1,024 bytes before it asks; the limit of 255 is the filesystem's.
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
    /// What a file is made under that is to have no name: open(2) with O_TMPFILE.
    public static let none: [UInt8] = [0x2F]
}

extension Name: CustomStringConvertible {
    /// The name as text, with bytes that are not UTF-8 replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

internal import Glibc
