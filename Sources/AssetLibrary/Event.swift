internal import AssetModel
internal import Catalog

/// What has happened to an asset: a line of `uploads/events.jsonl`, in the transaction in which it happened; described in
/// docs/SEMANTICS.md.
///
/// The names are those of Uploadcare's webhooks where it has such a one.
enum Event: String {
    /// An upload has ended well, and has changed something.
    case uploaded = "file.uploaded"
    /// An upload was refused.
    case rejected = "file.rejected"
    /// A scanner has found something in an upload that was not refused.
    case infected = "file.infected"
    /// A file has another name, or is in another folder.
    case moved = "file.moved"
    /// A folder has another name, or is in another folder, and with it all that is below.
    case folderMoved = "folder.moved"
    /// The last name was removed: the asset is in the trash.
    case deleted = "file.deleted"
    /// It has come back from there.
    case restored = "file.restored"
    /// It is gone for good.
    case purged = "file.purged"
    /// Its time had come, and it is gone for good.
    case expired = "file.expired"
    /// Somebody has stored what would have gone by itself.
    case stored = "file.stored"
    /// Somebody has said something of it, or it is known what the file says itself.
    case informationUpdated = "file.info_updated"
    /// A content is not what it was when it was stored; or is again.
    case damaged = "file.damaged"
    case healed = "file.healed"
    /// A URL was fetched; or could not be.
    case fetched = "job.success"
    case fetchFailed = "job.error"
}

extension Records {
    /// Something has happened.
    func append(
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

    /// An upload has ended, as its receipt says.
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
    /// Where one of an asset's files is, for people.
    func path(of asset: AssetID, _ records: Records) throws -> String? {
        guard let node = try records.nodes(showing: asset).first, let entry = try records.anyEntry(of: node) else {
            return nil
        }
        return try place(entry.name, in: entry.parent, records).path
    }
}
