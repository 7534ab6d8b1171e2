internal import AssetModel
internal import Catalog
internal import LibraryStorage

/// The results of a move besides the new name.
struct Moved {
    /// The file that lost the new name.
    var replaced: NodeRecord?
    /// The asset that the replaced file showed.
    var replacedAsset: AssetID?
    /// The version that was published with the move.
    var version: VersionID?
    /// The asset that the file shows now.
    var shown: AssetID?
    /// The asset that the file showed before, and whether that asset still exists.
    var former: AssetID?
    var hasFormer = false
    /// The name that the file got instead of the requested one.
    var otherName: EntryName?
    /// The rights of the file, and of the file that lost the new name, before the move.
    var rights: FileRights?
    var replacedRights: FileRights?
    /// The read access to both files by those names before the move.
    var standing: Standing?
    var replacedStanding: Standing?
    /// Whether the file may show the asset of the file that lost the new name.
    var isSuccessor = false
    /// The reason for which a policy rejected the move, and the place; then nothing has changed.
    var refused: (refusal: UploadRejection, place: Place)?
    /// Whether a folder was moved, or got another name.
    var isFolder = false
    /// The bytes that a folder has taken along into another one.
    var usage: FolderUsage.Move?
    /// The folder that lost the new name.
    var removedFolder: NodeID?
    /// Whether the file's attributes, or its expiry, are others now.
    var changesAttributes = false
    var changesExpiry = false
}
