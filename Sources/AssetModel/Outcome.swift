/// The result of an upload.
public enum Outcome: String, Sendable, CaseIterable {
    /// The upload is a new asset.
    case created
    /// The asset of that name has a new version.
    case replaced
    /// The name was taken and keeps its asset; the upload is a new asset under the next free `-N` name.
    case renamed
    /// The name had this content already.
    case unchanged
    /// The name shows the asset that had this content before.
    case existing
    /// The upload was rejected; nothing changed.
    case rejected
}
