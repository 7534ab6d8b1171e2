internal import AssetLibrary
internal import AssetModel
public import FUSE
internal import LibraryStorage

extension AssetFilesystem {
    /// Returns the flags of chattr(1); a view has none.
    public func flags(of inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> UInt32 {
        let id = node(inode)
        guard View(id) == nil else { return 0 }
        return try refusing { () throws(LibraryError) in try library.flags(of: id).rawValue }
    }

    /// Sets the flags of chattr(1); others than `i`, `a`, `A` and `d` are EOPNOTSUPP.
    public func setFlags(of inode: InodeNumber, to flags: UInt32, for caller: Caller) throws(OperationFailure) {
        let id = node(inode)
        guard View(id) == nil else { throw OperationFailure(LibraryError.readOnly) }
        try refusing { () throws(LibraryError) in
            try library.setFlags(of: id, to: FileFlags(rawValue: flags), by: caller.uid)
        }
    }
}
