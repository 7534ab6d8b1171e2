public import AssetModel
internal import BlobStore
internal import Catalog
public import Glibc

// What the library knows of its files without being asked to change anything.
extension AssetLibrary {
    /// The disk below the library.
    public func diskStatistics() throws(LibraryError) -> statvfs {
        do throws(BlobStoreError) { return try blobs.statistics() } catch { throw LibraryError(error) }
    }

    /// What `computed` knows.
    static let computedKeys: Set<String> = [
        "id", "filename", "original_filename", "created", "uploaded", "user_id", "sha256", "versions", "info", "error",
        "status", "expires", "md5_at_upload", "md5_now",
    ]

    /// A computed extended attribute of a file's asset, by the part of its name behind `user.asset.`.
    /// - Returns: nil where there is none of that name, or the file has no asset.
    public func computed(_ key: String, of id: NodeID) throws(LibraryError) -> String? {
        try settle(id)
        if key.hasPrefix("md5_") { return try md5(of: id, isFirst: key == "md5_at_upload") }
        return try read { records in
            if key == "error", let reason = try records.extendedAttribute(AttributeName.error, of: id) {
                return String(decoding: reason, as: UTF8.self)
            }
            guard let node = try records.node(id), let assetID = node.asset, let asset = try records.asset(assetID)
            else {
                return nil
            }
            let versions = try records.versions(of: assetID)
            let name = try records.anyEntry(of: id)?.name
            switch key {
            case "id": return "\(assetID)"
            case "filename": return name?.description
            case "original_filename": return String(decoding: asset.originalName, as: UTF8.self)
            case "created": return asset.created.description
            case "uploaded": return versions.first?.created.description
            case "user_id": return "\(asset.uid)"
            case "sha256": return versions.first?.digest?.description
            case "versions": return "\(versions.count)"
            case "status": return asset.infection == nil ? "ready" : "infected"
            case "error": return asset.infection.map { "The file is infected: \($0)." }
            case "expires": return asset.expires?.description
            case "info":
                var info = JSONObject()
                info.add("id", assetID.rawValue)
                info.add("node", id.rawValue)
                info.add("filename", name)
                info.add("original_filename", try? EntryName(asset.originalName))
                info.add("size", node.size)
                info.add("sha256", versions.first?.digest?.description)
                info.add("created", asset.created.description)
                info.add("uploaded", versions.first?.created.description)
                info.add("user_id", Int64(asset.uid))
                info.add("versions", Int64(versions.count))
                info.add("status", asset.infection == nil ? "ready" : "infected")
                info.add("expires", asset.expires?.description)
                for (field, value) in try records.fields(of: assetID) { info.add(field.rawValue, value) }
                return String(decoding: info.bytes, as: UTF8.self)
            default: return nil
            }
        }
    }
}
