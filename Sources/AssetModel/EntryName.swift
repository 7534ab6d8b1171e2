/// The name of a file or folder: 1 to 255 bytes, none of them `/` or NUL, and neither `.` nor `..`.
///
/// Names are compared byte for byte, as ext4 does: `é` in NFC and in NFD are two names. `description` is for people only.
public struct EntryName: Hashable, Sendable {
    /// Why bytes cannot be a name.
    public enum Invalid: Error, Equatable, Sendable {
        /// More than 255 bytes; the count.
        case tooLong(Int)
        /// Empty, `.`, `..`, or with a `/` or NUL in it.
        case malformed
    }

    /// The bytes.
    public let bytes: [UInt8]

    /// Checks a name.
    public init(_ bytes: [UInt8]) throws(Invalid) {
        guard bytes.count <= 255 else { throw .tooLong(bytes.count) }
        guard !bytes.isEmpty, !bytes.contains(0), !bytes.contains(0x2F), bytes != [0x2E], bytes != [0x2E, 0x2E] else {
            throw .malformed
        }
        self.bytes = bytes
    }

    /// Checks a name given as text.
    public init(_ text: String) throws(Invalid) { try self.init(Array(text.utf8)) }
}

extension EntryName: CustomStringConvertible {
    /// The name as text, with bytes that are not UTF-8 replaced by U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
