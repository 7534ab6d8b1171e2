public import AssetModel
public import Catalog
internal import LibraryStorage

extension Records {
    /// Returns whether a folder has the name of a backup program's folder.
    public func isForBackups(_ folder: NodeID) throws -> Bool {
        try anyEntry(of: folder)?.name.isOfBackupFolder ?? false
    }

    /// Throws `.intoItself` where a folder is within another one, or is that one.
    public func refuse(_ folder: NodeID, within ancestor: NodeID) throws {
        var next: NodeID? = folder
        while let id = next {
            guard id != ancestor else { throw LibraryError.intoItself }
            next = try parent(of: id)
        }
    }

    /// Throws where one node may not take the name of another: a folder and a file, or a folder with entries.
    public func refuseReplacing(_ target: NodeRecord, as name: EntryName, with source: NodeRecord) throws {
        switch (source.isFolder, target.isFolder) {
        case (false, true): throw LibraryError.isAFolder
        case (true, false): throw LibraryError.notAFolder
        case (true, true): if try hasEntries(target.id) { throw LibraryError.folderNotEmpty(name) }
        case (false, false): break
        }
    }
}
