/// Names and texts for terminals and logs, without characters that these interpret.
///
/// Names, captions and values are untrusted bytes. A terminal obeys control characters in them, a newline
/// turns one line into two, and characters without a width or with a direction of their own make one name
/// look like another. Each byte of these, and each that is not UTF-8, becomes `\xNN` with two lowercase
/// hexadecimal digits, which `printf %b` and `$'…'` of a shell turn into the byte again.
public enum Shown {
    /// Returns a name or value from which its bytes can be restored: a backslash becomes two.
    public static func name(_ bytes: some Sequence<UInt8>) -> String { escaped(Array(bytes), escapesBackslash: true) }

    /// Returns a name or value, given as text, in that form.
    public static func name(_ text: String) -> String { name(text.utf8) }

    /// Returns a sentence that may contain escaped names: a backslash stays single, and a second call changes
    /// nothing.
    public static func sentence(_ text: String) -> String {
        text.unicodeScalars.allSatisfy(isHarmless) ? text : escaped(Array(text.utf8), escapesBackslash: false)
    }

    /// Returns the bytes of a result of `name`; nil for any other text.
    public static func bytes(ofName text: String) -> [UInt8]? {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == backslash else {
                result.append(byte)
                continue
            }
            switch rest.popFirst() {
            case backslash: result.append(backslash)
            case UInt8(ascii: "x"):
                guard
                    let value = [UInt8](hexadecimal: String(decoding: rest.prefix(2), as: UTF8.self).lowercased())?
                        .first
                else { return nil }
                result.append(value)
                rest = rest.dropFirst(2)
            default: return nil
            }
        }
        return result
    }

    /// Returns equivalent JSON in which characters that a terminal obeys are written as `\uNNNN`.
    public static func json(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            // Of characters below U+0020 JSON has only line ends; all others occur only in strings.
            if scalar.value < 0x7F || isHarmless(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return result
    }

    private static let backslash = UInt8(ascii: "\\")

    private static func escaped(_ bytes: [UInt8], escapesBackslash: Bool) -> String {
        var result = ""
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var position = 0
        func escape(_ count: Int) {
            for byte in bytes[position..<position + count] {
                result += (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16)
            }
            position += count
        }
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .emptyInput: return result
            case .error(let length): escape(length)
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                guard isHarmless(scalar) else {
                    escape(encoded.count)
                    continue
                }
                if scalar == "\\", escapesBackslash { result += "\\" }
                result.unicodeScalars.append(scalar)
                position += encoded.count
            }
        }
    }

    /// Returns whether a terminal shows a character, at its position and as one character.
    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        // Most characters are ASCII.
        if scalar.value < 0x7F { return scalar.value >= 0x20 }
        switch scalar.properties.generalCategory {
        // C1 and DEL; direction, width and joining; separators of lines and paragraphs.
        case .control, .format, .lineSeparator, .paragraphSeparator: return false
        // Variation selectors choose how the character before is drawn, as in emoji; all other ignorable ones
        // are invisible fillers.
        default: return !scalar.properties.isDefaultIgnorableCodePoint || scalar.properties.isVariationSelector
        }
    }
}
