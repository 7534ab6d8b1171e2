/// How an upload ended.
public enum Outcome: String, Sendable, CaseIterable {
    /// A new asset.
    case created
    /// The asset of that name has a new version.
    case replaced
    /// The name was taken and stays as it is; the content is a new asset under the next free `-N` name.
    case renamed
    /// The content was there already under that name.
    case unchanged
    /// The name shows the asset that had this content before.
    case existing
    /// Refused; nothing changed.
    case rejected
}
