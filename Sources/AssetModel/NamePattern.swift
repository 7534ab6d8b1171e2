internal import Glibc

/// A shell pattern for names: `*`, `?` and `[…]`, without regard to upper and lower case.
public struct NamePattern: Hashable, Sendable {
    private let pattern: [CChar]

    init(_ pattern: String) { self.pattern = pattern.utf8.map { CChar(bitPattern: $0) } + [0] }

    /// Returns whether a name matches the pattern.
    public func matches(_ name: EntryName) -> Bool { matches(name.bytes) }

    func matches(_ text: [UInt8]) -> Bool {
        let text = text.map { CChar(bitPattern: $0) } + [0]
        return unsafe fnmatch(pattern, text, 1 << 4 /* FNM_CASEFOLD */) == 0
    }

    /// Reads patterns separated by commas or white space; `none` is the empty list.
    static func list(_ text: String) throws(Policy.Objection) -> [NamePattern] {
        if text == "none" { return [] }
        let patterns = text.split { $0 == "," || $0.isWhitespace }.map(String.init)
        guard !patterns.isEmpty, patterns.allSatisfy({ !$0.contains("/") }) else {
            throw Policy.Objection("it is a list of names or patterns such as “*.bak Thumbs.db”, or none")
        }
        return patterns.map(NamePattern.init)
    }
}

/// Types of content: MIME types with wildcards (`image/*`), and extensions (`pdf`, `.pdf`).
public struct TypeList: Hashable, Sendable {
    private var types: [NamePattern] = []
    private var extensions: [NamePattern] = []

    /// Creates an empty list.
    public init() {}

    /// Reads types separated by commas or white space.
    init(_ text: String) throws(Policy.Objection) {
        for item in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            let bare = item.hasPrefix("*.") ? item.dropFirst(2) : item.hasPrefix(".") ? item.dropFirst() : item
            guard !bare.isEmpty, item.split(separator: "/", omittingEmptySubsequences: false).count <= 2 else {
                throw Policy.Objection("it is a list of MIME types and extensions such as “image/* .pdf”")
            }
            if item.contains("/") {
                types.append(NamePattern(String(item)))
            } else {
                extensions.append(NamePattern(String(bare)))
            }
        }
        guard !isEmpty else {
            throw Policy.Objection("it is a list of MIME types and extensions such as “image/* .pdf”")
        }
    }

    /// Whether the list is empty.
    public var isEmpty: Bool { types.isEmpty && extensions.isEmpty }
    /// Whether a match depends on the type of a file's content.
    public var needsContent: Bool { !types.isEmpty }

    /// Returns whether a name's extension is in the list.
    public func contains(extensionOf name: EntryName) -> Bool {
        guard let dot = name.bytes.lastIndex(of: UInt8(ascii: ".")) else { return false }
        let ending = Array(name.bytes[(dot + 1)...])
        return extensions.contains { $0.matches(ending) }
    }

    /// Returns whether a MIME type is in the list.
    public func contains(type: String) -> Bool { types.contains { $0.matches(Array(type.utf8)) } }
}
