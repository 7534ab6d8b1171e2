public import AssetModel

/// The reason for which a policy rejects an upload.
public struct UploadRejection: Error, Sendable {
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

    /// Makes a rejection of a kind, with its reason as one sentence.
    public init(kind: Kind, sentence: String, matches: [AssetID] = []) {
        (self.kind, self.sentence, self.matches) = (kind, sentence, matches)
    }

    /// Returns the rejection of bytes that other assets have, in ResourceSpace's words.
    public static func duplicate(of matches: [AssetID]) -> UploadRejection {
        let ids = matches.map(\.description).joined(separator: ", ")
        let sentence = "Duplicate file upload" + (matches.isEmpty ? "" : ", file matches resources: \(ids)")
        return UploadRejection(kind: .duplicate, sentence: sentence, matches: matches)
    }

    /// Returns the rejection of a file with more bytes than a limit.
    public static func tooLarge(_ limit: ByteCount) -> UploadRejection {
        UploadRejection(kind: .tooLarge, sentence: "The maximum allowed upload file size is \(limit).")
    }

    /// Returns the rejection of a name, type or content, with its reason as one sentence.
    public static func forbidden(_ sentence: String) -> UploadRejection {
        UploadRejection(kind: .forbidden, sentence: sentence)
    }
}
