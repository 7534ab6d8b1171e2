public import AssetModel
public import Catalog
internal import LibraryStorage

/// An event of an asset: a line of `uploads/events.jsonl`, written in the transaction of its cause.
///
/// docs/SEMANTICS.md describes the lines. The names are those of Uploadcare's webhooks where it has such an
/// event.
public enum Event: String, Sendable {
    /// An upload was committed and has changed something.
    case uploaded = "file.uploaded"
    /// An upload was refused.
    case rejected = "file.rejected"
    /// A scanner has found malware in an upload that was not refused.
    case infected = "file.infected"
    /// A file was renamed or moved.
    case moved = "file.moved"
    /// A folder was renamed or moved, with all that is below it.
    case folderMoved = "folder.moved"
    /// The last name was removed: the asset is in the trash.
    case deleted = "file.deleted"
    /// The asset was restored from the trash.
    case restored = "file.restored"
    /// The asset was deleted.
    case purged = "file.purged"
    /// The asset has expired and was deleted.
    case expired = "file.expired"
    /// A user has stored an asset that would have expired.
    case stored = "file.stored"
    /// A user has changed the asset's metadata, or it was extracted from the file.
    case informationUpdated = "file.info_updated"
    /// A blob is corrupt; or is intact again.
    case damaged = "file.damaged"
    case healed = "file.healed"
    /// A URL was fetched; or could not be.
    case fetched = "job.success"
    case fetchFailed = "job.error"
}

extension Records {
    /// Appends an event.
    public func append(
        _ event: Event,
        of asset: AssetID?,
        at path: String?,
        by uid: UInt32? = nil,
        _ details: (inout JSONObject) -> Void = { _ in }
    ) throws {
        var line = JSONObject()
        line.add("at", Timestamp.now.description)
        line.add("event", event.rawValue)
        line.add("asset", asset?.rawValue)
        line.add("path", path.map(Place.journalPath))
        line.add("uid", uid.map(Int64.init))
        details(&line)
        try append(line.bytes + [0x0A], to: .events)
    }

    /// Appends the event of an upload's receipt.
    func appendEvent(of receipt: Receipt) throws {
        switch receipt.outcome {
        case .unchanged: return
        case .rejected:
            try append(.rejected, of: nil, at: receipt.place.path, by: receipt.uid) {
                $0.add("reason", receipt.refusal?.sentence)
            }
        default:
            try append(.uploaded, of: receipt.asset, at: receipt.place.path, by: receipt.uid) {
                $0.add("outcome", receipt.outcome.rawValue)
                $0.add("requested", receipt.requested)
                $0.add("size", receipt.size)
                $0.add("sha256", receipt.digest?.description)
            }
            if let infection = receipt.infection {
                try append(.infected, of: receipt.asset, at: receipt.place.path, by: receipt.uid) {
                    $0.add("infection", infection)
                }
            }
        }
    }
}

extension Rulebook {
    /// Returns the path of one of an asset's files, as text.
    public func path(of asset: AssetID, _ records: Records) throws -> String? {
        guard let node = try records.nodes(showing: asset).first, let entry = try records.anyEntry(of: node) else {
            return nil
        }
        return try place(entry.name, in: entry.parent, records).path
    }
}
