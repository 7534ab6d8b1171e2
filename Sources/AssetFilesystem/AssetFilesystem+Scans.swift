internal import AssetLibrary
internal import AssetModel
public import FUSE

// Requests that may ask the scanner wait for one of the threads that do.
extension AssetFilesystem {
    /// Has the end of an upload that is scanned answered on another thread.
    public func waitBeforeFlushing(_ handle: FileHandle, for caller: Caller) -> RequestWait? {
        guard let open = handle.object as? OpenFileHandle, open.isWriting, library.isScanned(open.node) else {
            return nil
        }
        return scan(for: caller)
    }

    /// Has a move or link into a folder where uploads are scanned answered on another thread.
    public func waitBeforeNaming(in parent: InodeNumber, for caller: Caller) -> RequestWait? {
        let folder = node(parent)
        return View(folder) == nil && library.scans(folder) ? scan(for: caller) : nil
    }

    /// Has truncate(2), which is an upload, of a file in such a folder answered on another thread.
    public func waitBeforeCutting(_ inode: InodeNumber, for caller: Caller) -> RequestWait? {
        let id = node(inode)
        return View(id) == nil && library.isScanned(id) ? scan(for: caller) : nil
    }

    private func scan(for caller: Caller) -> RequestWait {
        { [library] in library.runScan(for: caller.uid, $0) }
    }
}
