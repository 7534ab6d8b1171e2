public import AssetModel

/// The reason for which a policy rejects an upload.
public struct Refusal: Error, Sendable {
    /// The kind of a refusal, from which the errno follows.
    public enum Kind: Sendable {
        /// Another asset has the same bytes.
        case duplicate
        /// The file is too large.
        case tooLarge
        /// Name, type or content is forbidden.
        case forbidden
        /// The folder is full.
        case quota
    }

    /// The kind, from which the errno follows.
    public let kind: Kind
    /// The reason as one sentence, in the words of the products where they have some.
    public let sentence: String
    /// The assets with the same bytes, as far as the uploader may know of them.
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
