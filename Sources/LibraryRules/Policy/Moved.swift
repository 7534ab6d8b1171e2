public import AssetModel
public import Catalog
public import LibraryStorage

/// The results of a move besides the new name.
public struct Moved: Sendable {
    /// The file that lost the new name.
    public var replaced: NodeRecord?
    /// The asset that the replaced file showed.
    public var replacedAsset: AssetID?
    /// The version that was published with the move.
    public var version: VersionID?
    /// The asset that the file shows now.
    public var shown: AssetID?
    /// The asset that the file showed before, and whether that asset still exists.
    public var former: AssetID?
    /// Whether the former asset still exists.
    public var hasFormer = false
    /// The name that the file got instead of the requested one.
    public var otherName: EntryName?
    /// The rights of the file, and of the file that lost the new name, before the move.
    public var rights: FileRights?
    /// The rights of the file that lost the new name, before the move.
    public var replacedRights: FileRights?
    /// The read access to both files by those names before the move.
    public var standing: Standing?
    /// The read access to the file that lost the new name, before the move.
    public var replacedStanding: Standing?
    /// Whether the file may show the asset of the file that lost the new name.
    public var isSuccessor = false
    /// The reason for which a policy rejected the move, and the place; then nothing has changed.
    public var refused: (refusal: UploadRejection, place: Place)?
    /// Whether a folder was moved, or got another name.
    public var isFolder = false
    /// The bytes that a folder has taken along into another one.
    public var usage: FolderUsage.Move?
    /// The folder that lost the new name.
    public var removedFolder: NodeID?
    /// Whether the file's attributes, or its expiry, are others now.
    public var changesAttributes = false
    /// Whether the file's expiry is another one now.
    public var changesExpiry = false

    /// Makes the result of a move without effects besides the name, or of one that a policy has rejected.
    public init(refused: (refusal: UploadRejection, place: Place)? = nil) { self.refused = refused }
}
