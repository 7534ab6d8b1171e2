internal import AssetLibrary
internal import AssetModel
public import FUSE

// Requests that may need the scanner wait for one of the threads for scans.
extension AssetFilesystem {
    /// Moves the close of an upload that has to be scanned to another thread.
    public func waitBeforeFlushing(_ handle: FileHandle, for caller: Caller) -> RequestWait? {
        guard let open = handle.object as? OpenFileHandle, open.isWriting, library.isScanned(open.node) else {
            return nil
        }
        return scan(for: caller)
    }

    private func scan(for caller: Caller) -> RequestWait {
        { [library] in library.runScan(for: caller.uid, $0) }
    }
}
