public import AssetModel
public import Catalog
public import LibraryStorage

extension UsageKind {
    /// The JSON key.
    public var key: String {
        switch self {
        case .files: "files"
        case .formerContents: "former_contents"
        case .trash: "trash"
        case .alternatives: "alternatives"
        case .attributes: "attributes"
        }
    }
}

extension UploadRejection {
    /// Returns the refusal by a quota; `held` is nil if the user may not see the folder's usage.
    public static func quota(_ limit: ByteCount, of path: String, _ held: FolderUsage.Held?) -> UploadRejection {
        let folder = path.isEmpty ? "The library" : "The folder “\(path)”"
        guard let held else {
            let owner = path.isEmpty ? "the user who has mounted it" : "its owner"
            return UploadRejection(
                kind: .quota,
                sentence:
                    "\(folder) may hold \(limit) and has no room for this; remove files of yours, or ask \(owner) for more room."
            )
        }
        func bytes(_ kind: UsageKind) -> Int64 { held.bytes[kind] ?? 0 }
        var parts = ["files \(bytes(.files))"]
        if bytes(.alternatives) > 0 { parts.append("alternative files \(bytes(.alternatives))") }
        if bytes(.attributes) > 0 { parts.append("attributes \(bytes(.attributes))") }
        if held.kept > 0 { parts.append("former contents that user.policy.versions keeps \(held.kept)") }
        var sentence = "\(folder) may hold \(limit), and holds in bytes: \(parts.joined(separator: ", ")); "
        sentence += "remove some of these, or raise user.policy.quota."
        if held.kept > 0 { sentence += " Former contents make room where user.policy.versions is not “all”." }
        if held.reclaimable > 0 {
            sentence +=
                " The trash and former contents, \(held.reclaimable.counted("byte")), make room by themselves and are not counted here."
        }
        return UploadRejection(kind: .quota, sentence: sentence)
    }
}
