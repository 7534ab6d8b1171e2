/// The name of a file or folder: 1 to 255 bytes, none of them `/` or NUL, and neither `.` nor `..`.
///
/// Names are compared byte for byte, as ext4 does: `é` in NFC and in NFD are two names. `description` is only
/// for display.
public struct EntryName: Hashable, Sendable {
    /// The reason why bytes cannot be a name.
    public enum Invalid: Error, Equatable, Sendable {
        /// The name has more than 255 bytes; the count.
        case tooLong(Int)
        /// The name is empty, `.`, `..`, or has a `/` or NUL in it.
        case malformed
    }

    /// The bytes.
    public let bytes: [UInt8]

    /// Creates a name from bytes, and checks it.
    public init(_ bytes: [UInt8]) throws(Invalid) {
        guard bytes.count <= 255 else { throw .tooLong(bytes.count) }
        guard !bytes.isEmpty, !bytes.contains(0), !bytes.contains(0x2F), bytes != [0x2E], bytes != [0x2E, 0x2E] else {
            throw .malformed
        }
        self.bytes = bytes
    }

    /// Creates a name from text, and checks it.
    public init(_ text: String) throws(Invalid) { try self.init(Array(text.utf8)) }
}

extension EntryName: CustomStringConvertible {
    /// The name as text, with bytes that are not UTF-8 replaced by U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
