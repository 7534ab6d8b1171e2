/// The rights that a signed path grants to any user that knows it, as a signed URL does on the web.
///
/// Its token is readable: `read.8.1764201600.1000.` or `upload.70.1764201600.1000.` and 64 hexadecimal digits
/// of a signature.
public struct Capability: Hashable, Sendable {
    /// The right that a signed path grants.
    public enum Kind: String, Sendable {
        /// Reading an asset's file.
        case read
        /// Putting files into a folder.
        case upload
    }

    /// The right that it grants.
    public let kind: Kind
    /// The asset's number, or the folder's.
    public let subject: Int64
    /// The expiry, in seconds since 1970.
    public let expires: Int64
    /// The signing user: the capability is valid only while that user may sign it.
    public let signer: UInt32

    /// Creates a capability.
    public init(_ kind: Kind, _ subject: Int64, expires: Int64, signer: UInt32) {
        self.kind = kind
        self.subject = subject
        self.expires = expires
        self.signer = signer
    }

    /// The text that is signed.
    public var text: String { "\(kind.rawValue).\(subject).\(expires).\(signer)" }

    /// The time of its expiry.
    public var end: Timestamp {
        let (nanoseconds, overflow) = expires.multipliedReportingOverflow(by: 1_000_000_000)
        return Timestamp(rawValue: overflow ? .max : nanoseconds)
    }

    /// Returns the token with a signature, which serves as a name.
    public func token(signature: [UInt8]) -> String { text + "." + signature.hexadecimal }

    /// Reads a token.
    /// - Returns: nil if the text is no token; no signature if it has none.
    public static func parse(_ token: String) -> (capability: Capability, signature: [UInt8]?)? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 || parts.count == 5, let kind = Kind(rawValue: parts[0]), let subject = Int64(parts[1]),
            let expires = Int64(parts[2]), let signer = UInt32(parts[3])
        else { return nil }
        let capability = Capability(kind, subject, expires: expires, signer: signer)
        // One capability has exactly one token.
        guard capability.text == parts[0...3].joined(separator: ".") else { return nil }
        return (capability, parts.count == 5 ? [UInt8](hexadecimal: parts[4]) ?? [] : nil)
    }

    /// Returns whether a text is the token of a former assetfs, which did not name its signer.
    public static func isFormer(_ token: String) -> Bool {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && Kind(rawValue: String(parts[0])) != nil && parts[3].count == 64
    }
}

extension [UInt8] {
    /// Lowercase hexadecimal digits.
    public var hexadecimal: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

    /// Reads lowercase hexadecimal digits, two for each byte.
    public init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x61 + 10
            default: nil
            }
        }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self = bytes
    }
}
