internal import AssetLibrary
internal import AssetModel
internal import FUSE
internal import Synchronization

extension AssetFilesystem {
    /// The inode numbers of files and folders that are in the catalog; views have others.
    public static var catalogNodes: ClosedRange<UInt64> { View.catalogNodes }

    /// Returns whether an open for reading counts as a visit; with O_NOATIME, which backup programs set, it
    /// does not.
    ///
    /// > O_NOATIME […] is intended for use by indexing or backup programs — open(2)
    func counts(_ id: NodeID, flags: Int32, for caller: Caller) -> (counts: Bool, isSeen: Bool) {
        guard flags & 0o1000000 /* O_NOATIME */ == 0 else { return (false, false) }
        return library.noteOpen(of: id, by: caller.uid) {
            // One program usually opens many files in a row.
            lastProgram.withLock { last in
                if last.pid != caller.pid || last.until < .now {
                    last = (caller.pid, caller.program, .now + .seconds(1))
                }
                return last.name
            }
        }
    }
}
