public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Returns the asset that a user changes through a file.
    public func assetToChange(of id: NodeID, for name: String) throws -> AssetID {
        guard let node = try node(id) else { throw LibraryError.notFound }
        guard let shown = node.asset else { throw LibraryError.invalid("\(name) is for files that are assets.") }
        return node.asset ?? shown
    }

    /// Returns the value of a flag that is set on an asset or file; nil where none is set.
    public func flag(_ flag: AttributeName.AssetFlag, of id: NodeID) throws -> Bool? {
        guard let asset = try node(id)?.asset else { return nil }
        switch flag {
        case .stored: return try self.asset(asset)?.unstoredUntil == nil
        case .noEXIF: return try ignoresEmbedded(asset)
        }
    }
}

extension FolderRules {
    /// All keys that have a value, each with its origin: a folder's path, `mount` or `default`.
    public var effective: JSONObject {
        var result = JSONObject()
        let fields = settings.keys.filter { !PolicyKey.general.contains($0) }.sorted { $0.rawValue < $1.rawValue }
        for key in PolicyKey.general + fields {
            guard let value = settings[key]?.value ?? key.defaultValue else { continue }
            var entry = JSONObject()
            entry.add("value", value)
            switch settings[key]?.origin {
            case nil: entry.add("from", "default")
            case .mount: entry.add("from", "mount")
            case .folder(let path, let preset):
                entry.add("from", "/" + path)
                entry.add("preset", preset)
            }
            result.add(key.rawValue, entry)
        }
        return result
    }
}
