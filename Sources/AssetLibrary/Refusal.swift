public import AssetModel

/// Why a policy refuses an upload.
public struct Refusal: Error, Sendable {
    /// What a program has to be told.
    public enum Kind: Sendable {
        /// Another asset has the content.
        case duplicate
        /// The file is too large.
        case tooLarge
        /// Name, type or content is not wanted.
        case forbidden
        /// The folder is full.
        case quota
    }

    /// What a program has to be told.
    public let kind: Kind
    /// One sentence, in the words of the products where they have some.
    public let sentence: String
    /// Assets that have the content, as far as the uploader may know of them.
    public var matches: [AssetID] = []

    static func duplicate(of matches: [AssetID]) -> Refusal {
        // The sentence is ResourceSpace's.
        let ids = matches.map(\.description).joined(separator: ", ")
        let sentence = "Duplicate file upload" + (matches.isEmpty ? "" : ", file matches resources: \(ids)")
        return Refusal(kind: .duplicate, sentence: sentence, matches: matches)
    }

    static func tooLarge(_ limit: ByteCount) -> Refusal {
        Refusal(kind: .tooLarge, sentence: "The maximum allowed upload file size is \(limit).")
    }

    static func forbidden(_ sentence: String) -> Refusal { Refusal(kind: .forbidden, sentence: sentence) }
}
