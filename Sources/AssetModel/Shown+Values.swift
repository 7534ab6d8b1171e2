// Values can have any length: a sentence shows the beginning of one, and its length.
extension Shown {
    /// The maximum number of characters of a value in a sentence.
    private static let valueLimit = 200

    /// Returns a value for a sentence, escaped as by `name`; a longer one is cut, with its number of
    /// characters.
    public static func value(_ bytes: some Collection<UInt8>) -> String {
        var (characters, end) = (0, 0)
        for byte in bytes {
            // A character begins with each byte except continuation bytes; bytes that are not UTF-8 may be
            // nothing but these.
            if byte & 0xC0 != 0x80 { characters += 1 }
            guard characters <= valueLimit, end < 4 * valueLimit else {
                let all = String(decoding: bytes, as: UTF8.self).unicodeScalars.count
                return name(bytes.prefix(end)) + "… (\(all) characters)"
            }
            end += 1
        }
        return name(bytes)
    }

    /// Returns a value, given as text, for a sentence.
    public static func value(_ text: some StringProtocol) -> String { value(Array(text.utf8)) }

    /// The maximum number of bytes of a line of a log.
    private static let lineLimit = 4000

    /// Returns a sentence as one line of a log: escaped, and cut if it is too long, with its number of bytes.
    public static func line(_ text: String) -> String {
        let whole = sentence(text)
        guard whole.utf8.count > lineLimit else { return whole }
        var (beginning, count) = (String.UnicodeScalarView(), 0)
        for scalar in whole.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= lineLimit else { break }
            beginning.append(scalar)
        }
        return String(beginning) + "… (\(whole.utf8.count.counted("byte")))"
    }
}
