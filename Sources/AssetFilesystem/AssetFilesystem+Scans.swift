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

    private func scan(for caller: Caller) -> RequestWait {
        { [library] in library.runScan(for: caller.uid, $0) }
    }
}
