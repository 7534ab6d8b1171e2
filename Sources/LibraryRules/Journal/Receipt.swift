public import AssetModel
public import Catalog
public import LibraryStorage

/// The outcome of an upload: a line of `uploads/receipts.jsonl`, described in docs/SEMANTICS.md.
public struct Receipt: Sendable {
    /// The outcome.
    public let outcome: Outcome
    /// The place of the upload.
    public let place: Place
    /// The number of the uploading user.
    public let uid: UInt32
    /// The asset, where there is one.
    public var asset: AssetID?
    /// The file, where there is one.
    public var node: NodeID?
    /// The requested name, where the upload has got another one.
    public var requested: EntryName?
    /// The number of bytes.
    public var size: Int64?
    /// The SHA-256.
    public var digest: Digest?
    /// The scanner's finding.
    public var infection: String?
    /// The reason of a rejection.
    public var refusal: UploadRejection?

    init(_ outcome: Outcome, _ place: Place, by uid: UInt32) {
        self.outcome = outcome
        self.place = place
        self.uid = uid
    }

    /// The receipt as one line of JSON.
    public var line: [UInt8] {
        var line = JSONObject()
        line.add("at", Timestamp.now.description)
        line.add("outcome", outcome.rawValue)
        line.add("asset", asset?.rawValue)
        line.add("node", node?.rawValue)
        line.add("folder", place.parent.rawValue)
        line.add("name", place.name)
        line.add("path", place.journalPath)
        line.add("requested", requested)
        line.add("size", size)
        line.add("sha256", digest?.description)
        line.add("uid", Int64(uid))
        line.add("infection", infection)
        if let refusal {
            line.add("reason", refusal.sentence)
            if !refusal.matches.isEmpty { line.add("matches", refusal.matches.map(\.rawValue)) }
        }
        return line.bytes + [0x0A]
    }
}

extension Records {
    /// Appends a receipt, and the event that follows from it.
    public func append(_ receipt: Receipt) throws {
        try append(receipt.line, to: .receipts)
        try appendEvent(of: receipt)
    }

    /// Appends the receipt of a rejected upload, and sets its reason on the folder.
    public func append(
        _ refusal: UploadRejection,
        at place: Place,
        by uid: UInt32,
        _ content: Content?
    ) throws {
        var receipt = Receipt(.rejected, place, by: uid)
        (receipt.size, receipt.digest, receipt.refusal) = (content?.size, content?.digest, refusal)
        try append(receipt)
        try setError(refusal.sentence, of: place.parent, for: uid)
    }

    /// Sets the reason of a refusal on a folder, for the refused user and for root.
    public func setError(_ sentence: String, of folder: NodeID, for uid: UInt32) throws {
        for name in Set([AttributeName.error(of: uid), AttributeName.error]) {
            // The attribute belongs to assetfs, and counts in no user's share.
            try setExtendedAttribute(name, of: folder, to: Array(sentence.utf8), by: 0)
        }
    }

    /// Appends the receipt of an upload that made no version.
    public func append(
        _ outcome: Outcome,
        of asset: AssetID,
        at place: Place,
        by uid: UInt32,
        _ content: Content,
        _ requested: EntryName? = nil
    ) throws {
        var receipt = Receipt(outcome, place, by: uid)
        (receipt.asset, receipt.size, receipt.digest, receipt.requested) = (
            asset, content.size, content.digest, requested
        )
        try append(receipt)
    }
}
