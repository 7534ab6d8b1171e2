internal import AssetLibrary
internal import AssetModel
public import FUSE

// Answers that may read much of the library are had on threads of their own: a request's thread is free meanwhile, and one user's
// searches leave a thread for others.
extension AssetFilesystem {
    /// Has a lookup that runs a query answered on another thread.
    public func waitBeforeLooking(in parent: InodeNumber, for caller: Caller) -> RequestWait? {
        guard let view = View(node(parent)), view.isOfSearch else { return nil }
        return longRead(for: caller)
    }

    /// Has the listing of a view answered on another thread that leaves out what the caller may not see, which may be almost all.
    public func waitBeforeListing(_ inode: InodeNumber, for caller: Caller) -> RequestWait? {
        switch View(node(inode)) {
        case .trash, .resources, .query: longRead(for: caller)
        default: nil
        }
    }

    func longRead(for caller: Caller) -> RequestWait {
        { [library] in library.runLongRead(for: caller.uid, $0) }
    }
}
