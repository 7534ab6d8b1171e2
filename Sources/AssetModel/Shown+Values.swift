// Values are long as their users like: a sentence has the beginning of one, and says how much there was.
extension Shown {
    /// The most characters of a value that a sentence has.
    private static let valueLimit = 200

    /// Returns the beginning of a value for a sentence, escaped as `name` does, and how many characters it has where that is not all.
    public static func value(_ bytes: some Collection<UInt8>) -> String {
        var (characters, end) = (0, 0)
        for byte in bytes {
            // A character begins with each byte but those that go on with one; what is no UTF-8 may have none but such.
            if byte & 0xC0 != 0x80 { characters += 1 }
            guard characters <= valueLimit, end < 4 * valueLimit else {
                let all = String(decoding: bytes, as: UTF8.self).unicodeScalars.count
                return name(bytes.prefix(end)) + "… (\(all) characters)"
            }
            end += 1
        }
        return name(bytes)
    }

    /// Returns the beginning of a value that is given as text.
    public static func value(_ text: some StringProtocol) -> String { value(Array(text.utf8)) }

    /// The most bytes that a line of a log has.
    private static let lineLimit = 4000

    /// Returns a sentence as one line of a log: escaped, and where it is longer than a line may be, its beginning and how many bytes it has.
    public static func line(_ text: String) -> String {
        let whole = sentence(text)
        guard whole.utf8.count > lineLimit else { return whole }
        var (beginning, count) = (String.UnicodeScalarView(), 0)
        for scalar in whole.unicodeScalars {
            count += UTF8.width(scalar)
            guard count <= lineLimit else { break }
            beginning.append(scalar)
        }
        return String(beginning) + "… (\(whole.utf8.count) bytes)"
    }
}
