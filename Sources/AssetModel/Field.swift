/// A piece of an asset's description that a person edits: text, kept in UTF-8, under `user.asset.` and this name.
public enum Field: String, CaseIterable, Sendable {
    case caption
    case title
    case description
    case keywords
    case photographer
    case copyrightHolder = "copyright_holder"
    case alternativeText = "alternative_text"

    /// The most bytes that a value may have.
    public static let limit = 65_536

    /// What is wrong with a value; nil when it can be stored.
    public static func objection(to value: [UInt8]) -> String? {
        if value.count > limit { return "it has \(value.count) bytes, and \(limit) are allowed" }
        if value.contains(0) { return "it has a NUL byte in it" }
        return String(validating: value, as: UTF8.self) == nil ? "it is not UTF-8 text" : nil
    }
}
