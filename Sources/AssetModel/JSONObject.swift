/// A JSON object (RFC 8259) on one line, built member by member in the order of the calls.
public struct JSONObject: Sendable {
    private var members: [UInt8] = [0x7B]

    /// Begins an empty object.
    public init() {}

    /// Adds a string; nil adds nothing.
    public mutating func add(_ key: String, _ value: String?) {
        guard let value else { return }
        begin(key)
        append(quoted: value)
    }

    /// Adds an integer; nil adds nothing.
    public mutating func add(_ key: String, _ value: Int64?) {
        guard let value else { return }
        begin(key)
        members += Array(String(value).utf8)
    }

    /// Adds true or false; nil adds nothing.
    public mutating func add(_ key: String, _ value: Bool?) {
        guard let value else { return }
        begin(key)
        members += Array((value ? "true" : "false").utf8)
    }

    /// Adds a finite number; nil adds nothing.
    public mutating func add(_ key: String, number value: Double?) {
        guard let value, value.isFinite else { return }
        begin(key)
        members += Array((value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)).utf8)
    }

    /// Adds null.
    public mutating func addNull(_ key: String) {
        begin(key)
        members += Array("null".utf8)
    }

    /// Adds a value that is JSON already.
    public mutating func add(_ key: String, json: String) {
        begin(key)
        members += Array(json.utf8)
    }

    /// Adds an array of objects.
    public mutating func add(_ key: String, _ objects: [JSONObject]) {
        begin(key)
        members.append(0x5B)
        for (index, object) in objects.enumerated() {
            if index > 0 { members.append(0x2C) }
            members += object.bytes
        }
        members.append(0x5D)
    }

    /// Adds an array of strings.
    public mutating func add(_ key: String, _ values: [String]) {
        begin(key)
        members.append(0x5B)
        for (index, value) in values.enumerated() {
            if index > 0 { members.append(0x2C) }
            append(quoted: value)
        }
        members.append(0x5D)
    }

    /// Adds an array of integers.
    public mutating func add(_ key: String, _ values: [Int64]) {
        begin(key)
        members += Array("[\(values.map(String.init).joined(separator: ","))]".utf8)
    }

    /// Adds an object.
    public mutating func add(_ key: String, _ object: JSONObject) {
        begin(key)
        members += object.bytes
    }

    /// Adds a name: `key` as text and, where the bytes are not UTF-8, `key_hex` with all of them.
    public mutating func add(_ key: String, _ name: EntryName?) { add(key, bytes: name?.bytes) }

    /// Adds a name or a path in this form.
    public mutating func add(_ key: String, bytes: [UInt8]?) {
        guard let bytes else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        add(key, text)
        guard !text.utf8.elementsEqual(bytes) else { return }
        add(key + "_hex", bytes.hexadecimal)
    }

    /// Returns the bytes of a name in an object that was parsed again; nil if there is none, or its
    /// hexadecimal digits are invalid.
    public static func name(_ key: String, in members: [String: Any]) -> [UInt8]? {
        guard let digits = members[key + "_hex"] as? String else {
            return (members[key] as? String).map { Array($0.utf8) }
        }
        return [UInt8](hexadecimal: digits)
    }

    /// The object's text, without a newline at the end.
    public var bytes: [UInt8] { members + [0x7D] }

    private mutating func begin(_ key: String) {
        if members.count > 1 { members.append(0x2C) }
        append(quoted: key)
        members.append(0x3A)
    }

    private mutating func append(quoted text: String) {
        members.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C: members += [0x5C, byte]
            case 0x0A: members += Array("\\n".utf8)
            case 0..<0x20, 0x7F: members += Array(("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16)).utf8)
            default: members.append(byte)
            }
        }
        members.append(0x22)
    }
}
