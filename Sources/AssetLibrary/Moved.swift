internal import AssetModel
internal import Catalog

/// What a move did besides moving.
struct Moved {
    /// What lost the new name.
    var replaced: NodeRecord?
    /// The asset that it showed.
    var replacedAsset: AssetID?
    /// The version that was published with it.
    var version: VersionID?
    /// The asset that the file shows now.
    var shown: AssetID?
    /// The asset that it showed before, and whether that is still one.
    var former: AssetID?
    var hasFormer = false
    /// The name that it got instead of the one that was asked for.
    var otherName: EntryName?
    /// Who could do what to the file, and to what lost the new name, before the move.
    var rights: FileRights?
    var replacedRights: FileRights?
    /// Who could read these contents by those names, before the move.
    var standing: Standing?
    var replacedStanding: Standing?
    /// Whether the file may show the asset of what lost the new name.
    var isSuccessor = false
    /// Why a policy refused it; nothing has changed then.
    var refusal: Refusal?
}
