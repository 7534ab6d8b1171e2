public import AssetModel
internal import BlobStore
internal import Catalog
public import LibraryRules
public import LibraryStorage
internal import Synchronization
public import Glibc

// Information on files, for readers.
extension AssetLibrary {
    /// Returns the statistics of the library's disk, without the bytes that are reserved for the catalog.
    public func diskStatistics() throws(LibraryError) -> statvfs {
        do throws(BlobStoreError) {
            var disk = try blobs.statistics()
            let kept = fsblkcnt_t(max(0, space.kept(of: disk)) / max(1, Int64(clamping: disk.f_frsize)))
            disk.f_bfree -= min(disk.f_bfree, kept)
            disk.f_bavail -= min(disk.f_bavail, kept)
            return disk
        } catch {
            throw LibraryError(error)
        }
    }

    /// The keys of values that are extracted from the file.
    static let foundKeys: Set<String> = [
        "mime_type", "encoding", "width", "height", "orientation", "duration", "contains_audio", "contains_video",
        "pages",
        "image_info", "video_info", "content_info",
    ]

    /// The keys of `computed`.
    static let computedKeys = foundKeys.union([
        "id", "uuid", "filename", "original_filename", "created", "uploaded", "updated", "user_id", "sha256",
        "versions",
        "info", "error", "status", "path", "trashed", "trashed_until", "md5_at_upload", "md5_now", "duplicates",
        "rotation_since_upload", "job", "click_count", "download_count", "integrity", "store", "removed_folders",
    ])

    /// Returns a computed extended attribute of a file's asset, by the part of its name behind `user.asset.`.
    /// - Returns: nil if there is none of that name, or the file has no asset.
    public func computed(
        _ key: String,
        of id: NodeID,
        for reader: Uploader = Uploader()
    ) throws(LibraryError) -> String? {
        try settleIfQuick(id)
        let disks = key == "info" && id == .folders ? blobs.storeStatistics : [:]
        if key.hasPrefix("md5_") { return try md5(of: id, isFirst: key == "md5_at_upload", for: reader) }
        return try read { records in
            if key == "error" {
                if let reason = refusedAttributes.sentence(of: id, for: reader.uid) { return reason }
                if let reason = try records.extendedAttribute(AttributeName.error(of: reader.uid), of: id) {
                    return Shown.sentence(String(decoding: reason, as: UTF8.self))
                }
            }
            if key == "info", id == .folders {
                return String(decoding: try libraryInformation(disks, for: reader, records).bytes, as: UTF8.self)
            }
            if key == "info", let information = try quotaInformation(of: id, for: reader, records) {
                return String(decoding: information.bytes, as: UTF8.self)
            }
            if key == "job", let fetch = try records.lastFetch(into: id, by: reader.uid) { return fetch.token }
            if key == "id", collections.isSealed(id) { return try records.anyEntry(of: id)?.name.description }
            let isWaiting = isWaiting(id)
            guard let node = try records.node(id), let assetID = node.asset, let asset = try records.asset(assetID)
            else {
                return isWaiting ? try pendingInformation(key, of: id, for: reader, records) : nil
            }
            if key == "status", isWaiting { return "processing" }
            if Self.foundKeys.contains(key) {
                return try records.finding(named: key, of: assetID) ?? Self.found(key, ofNothing: node)
            }
            let present = try records.presentVersion(of: assetID)
            switch key {
            case "id": return "\(assetID)"
            case "uuid": return asset.uuidText
            case "filename": return try shownName(of: node, asset, for: reader, records)?.description
            case "original_filename": return String(decoding: asset.originalName, as: UTF8.self)
            case "created": return asset.created.description
            case "uploaded": return present?.created.description
            case "updated": return node.changed.description
            case "user_id": return "\(asset.uid)"
            case "sha256": return present?.digest?.description
            case "versions": return "\(try records.versionCount(of: assetID))"
            case "rotation_since_upload": return "\(present?.rotation ?? 0)"
            case "click_count": return "\(try visits(of: assetID, records).clicks)"
            case "download_count": return "\(try visits(of: assetID, records).downloads)"
            case "status": return try records.status(of: asset)
            case "error": return try records.error(of: asset).map(Shown.sentence)
            case "store": return try records.storeName(of: assetID, for: reader)
            case "integrity": return try records.integrity(of: asset)
            case "job": return try records.extraction(of: assetID).map { _ in Self.jobToken(of: assetID) }
            case "path": return try path(of: id, asset, for: reader, records)
            case "trashed": return asset.trashed?.description
            case "trashed_until": return try records.trashed(assetID)?.until.description
            case "removed_folders": return try removedFolders(of: id, assetID, for: reader, records)
            case "info":
                return String(decoding: try information(of: node, asset, for: reader, records).bytes, as: UTF8.self)
            default: return nil
            }
        }
    }

    /// Returns the value that an empty file has for a key without extraction; nil for other files.
    private static func found(_ key: String, ofNothing node: NodeRecord) -> String? {
        switch key {
        case "mime_type": node.size == 0 ? "inode/x-empty" : nil
        case "contains_audio", "contains_video": node.size == 0 ? "0" : nil
        default: nil
        }
    }

    /// Returns the `info.json` of an asset, on one line.
    public func information(of resource: Resource, for reader: Uploader) throws(LibraryError) -> [UInt8] {
        if let node = resource.node { try settleIfQuick(node.id) }
        return try read { records in
            let node = try resource.node.flatMap { try records.node($0.id) } ?? resource.folder
            return try information(of: node, resource.asset, for: reader, records).bytes + [0x0A]
        }
    }

    /// Returns the value of `user.asset.info` of `folders/`: the library's totals.
    ///
    /// Totals reveal the content of other users, and are for the mount's owner and root; others get the next
    /// asset's number.
    private func libraryInformation(
        _ disks: [Int64: statvfs?],
        for reader: Uploader,
        _ records: Records
    ) throws -> JSONObject {
        if reader.uid != 0, reader.uid != getuid() {
            var info = JSONObject()
            info.add("next_id", try records.lastAsset().rawValue + 1)
            return info
        }
        let counts = try records.counts()
        let disk = try diskStatistics()
        let block = Int64(clamping: disk.f_frsize)
        var info = JSONObject()
        info.add("library", path)
        info.add("assets", counts.assets)
        info.add("trashed", counts.trashed)
        info.add("former_versions", counts.formerVersions)
        info.add("next_id", try records.lastAsset().rawValue + 1)
        info.add("bytes", counts.bytes - counts.reclaimable)
        info.add("reclaimable_bytes", counts.reclaimable)
        info.add("damaged", try records.damageCount())
        info.add("stores", try storeInformation(disks, records))
        info.add("to_be_moved", try records.moves().count)
        // Uploads whose commit is pending, and has not failed.
        info.add("verdicts", Int64(waiting.withLock { $0.values.count { $0.failures == 0 } }))
        info.add("scrubbed", try records.scrub().finished?.description)
        if let quotas = try quotas(of: .folders, for: reader, records) { info.add("quotas", quotas) }
        info.add("free_bytes", Int64(clamping: disk.f_bavail) &* block)
        info.add("disk_bytes", Int64(clamping: disk.f_blocks) &* block)
        return info
    }

    /// Returns the few values known of a file that is being read for its first commit.
    private func pendingInformation(
        _ key: String,
        of id: NodeID,
        for reader: Uploader,
        _ records: Records
    ) throws -> String? {
        guard let node = try records.node(id), let entry = try shownEntry(of: id, for: reader, records) else {
            return nil
        }
        let path = try rulebook.place(entry.name, in: entry.parent, records).path
        switch key {
        case "status": return "processing"
        case "filename": return entry.name.description
        case "path": return path
        case "info":
            var info = JSONObject()
            info.add("node", node.id.rawValue)
            info.add("filename", entry.name)
            info.add("path", path)
            info.add("access", node.access?.name)
            info.add("size", openNode(id)?.content.size ?? node.size)
            info.add("updated", node.changed.description)
            info.add("status", "processing")
            info.add("is_ready", false)
            return String(decoding: info.bytes, as: UTF8.self)
        default: return nil
        }
    }

    /// Returns the path of a file below `folders/`, or its former path if it was removed.
    private func path(
        of id: NodeID,
        _ asset: AssetRecord,
        for reader: Uploader,
        _ records: Records
    ) throws -> String? {
        if let entry = try shownEntry(of: id, for: reader, records) {
            return try rulebook.place(entry.name, in: entry.parent, records).path
        }
        return try shownTrashPath(of: id, asset.id, for: reader, records).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Returns the name of a file that a user may know, or its former name if it was removed.
    private func shownName(
        of node: NodeRecord,
        _ asset: AssetRecord,
        for reader: Uploader,
        _ records: Records
    ) throws -> EntryName? {
        if let entry = try shownEntry(of: node.id, for: reader, records) { return entry.name }
        guard asset.trashed != nil else { return nil }
        return try shownTrashRecord(of: node.id, asset.id, for: reader, records).flatMap { try? EntryName($0.name) }
    }

    /// Returns all information on an asset; docs/SEMANTICS.md has its format.
    private func information(
        of node: NodeRecord,
        _ asset: AssetRecord,
        for reader: Uploader,
        _ records: Records
    ) throws -> JSONObject {
        let present = try records.presentVersion(of: asset.id)
        let findings = try records.findings(of: asset.id)
        let found = Dictionary(findings.map { ($0.name, $0.json) }, uniquingKeysWith: { $1 })
        var info = JSONObject()
        info.add("id", asset.id.rawValue)
        info.add("uuid", asset.uuidText)
        info.add("node", node.id.rawValue)
        info.add("filename", try shownName(of: node, asset, for: reader, records))
        info.add("path", bytes: try pathBytes(of: node.id, asset, for: reader, records))
        info.add("access", node.access?.name)
        info.add("trashed", asset.trashed?.description)
        info.add("original_filename", try? EntryName(asset.originalName))
        info.add("size", node.size)
        info.add("sha256", present?.digest?.description)
        info.add("created", asset.created.description)
        info.add("uploaded", present?.created.description)
        info.add("updated", node.changed.description)
        info.add("user_id", Int64(asset.uid))
        info.add("versions", try records.versionCount(of: asset.id))
        info.add("rotation_since_upload", present?.rotation)
        let visits = try visits(of: asset.id, records)
        info.add("click_count", visits.clicks)
        info.add("download_count", visits.downloads)
        info.add("status", isWaiting(node.id) ? "processing" : try records.status(of: asset))
        info.add("error", try records.error(of: asset))
        info.add("integrity", try records.integrity(of: asset))
        let store = try records.store(of: asset.id)
        if store != 0 { info.add("alternate_store_id", store) }
        info.add("store", try records.storeName(of: asset.id, for: reader))
        info.add("expires", asset.expires?.description)
        info.add("ttl", asset.life)
        info.add("is_stored", asset.unstoredUntil == nil)
        info.add("is_ready", try records.extraction(of: asset.id)?.state != .waiting)
        info.add("is_image", found["mime_type"]?.hasPrefix("\"image/") ?? false)
        for key in Self.foundKeys.sorted() {
            if let json = found[key] {
                info.add(key, json: json)
            } else if let value = Self.found(key, ofNothing: node) {
                info.add(key, json: value == "0" ? "false" : "\"\(value)\"")
            }
        }
        var fields = JSONObject()
        var metadata = JSONObject()
        var said: [String] = []
        for (field, value, isOwn, _) in try records.fields(of: asset.id) {
            if field.isMetadata {
                metadata.add(String(field.name.dropFirst(Field.metadataPrefix.count)), value)
            } else {
                fields.add(field.name, value)
                if isOwn { said.append(field.name) }
            }
        }
        info.add("fields", fields)
        info.add("set_by_person", said)
        info.add("removed_by_person", try records.removedFields(of: asset.id).map(\.name))
        info.add("metadata", metadata)
        if let tags = found["tags"], try !records.ignoresEmbedded(asset.id) { info.add("tags", json: tags) }
        return info
    }
}

extension AssetRecord {
    /// The identifier as text.
    var uuidText: String? { uuid.count == 16 ? Self.uuidText(uuid) : nil }

    /// Returns an identifier of 16 random bytes as text (RFC 9562, version 4).
    static func uuidText(_ random: [UInt8]) -> String {
        var bytes = random
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = bytes.hexadecimal
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }
}

extension Records {
    fileprivate func status(of asset: AssetRecord) throws -> String {
        if asset.infection != nil { return "infected" }
        switch try extraction(of: asset.id)?.state {
        case .waiting: return "processing"
        case .failed: return "failed"
        case .ready, nil: return "ready"
        }
    }

    fileprivate func error(of asset: AssetRecord) throws -> String? {
        if let infection = asset.infection { return "The file is infected: \(infection)." }
        if let reason = try currentBlob(of: asset.id).flatMap({ try damage(of: $0) }) {
            return "The content is damaged: \(reason)"
        }
        return try extraction(of: asset.id)?.error
    }

    /// Returns `damaged` if the present content is known to be corrupt, otherwise `sound`.
    fileprivate func integrity(of asset: AssetRecord) throws -> String {
        try currentBlob(of: asset.id).flatMap { try damage(of: $0) } == nil ? "sound" : "damaged"
    }
}
