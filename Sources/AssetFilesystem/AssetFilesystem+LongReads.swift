internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import LibraryStorage
internal import SystemPackage

// Answers that may read much of the library are computed on threads of their own: the request's thread is
// free meanwhile, and one user's searches leave a thread for others. Only the opening of a directory, for
// which the kernel holds no lock, waits for such a thread; it collects all that a listing needs. A lookup or
// listing that waited would hold up each rename in the whole mount that needs the directory's lock, or waits
// for one that does.
extension AssetFilesystem {
    /// Opens a view on another thread if it leaves out names that the caller may not see, which may be almost
    /// all.
    public func waitBeforeOpening(_ inode: InodeNumber, for caller: Caller) -> RequestWait? {
        switch View(node(inode)) {
        case .trash, .resources, .query: { [library] in library.runLongRead(for: caller.uid, $0) }
        default: nil
        }
    }

    /// Shares out the memory of all open listings, eight bytes per asset.
    static func listShares() -> UserShares {
        UserShares(capacity: 32 << 20, limit: .max, exempt: [0, getuid()])
    }

    /// Collects the assets that a view shows to a caller; nil for a view whose listing is read page by page.
    /// - Throws: EMFILE for a user whose open listings have too many assets.
    func listedAssets(of view: View?, for caller: Caller) throws(OperationFailure) -> ListedAssets? {
        let assets: [AssetID]
        switch view {
        case .query(let number):
            let all = try search(number, for: caller)
            assets = try refusing { () throws(LibraryError) in
                try library.shown(all, for: uploader(caller)) { caller.isInterrupted }
            }
        case .trash, .resources:
            guard let some = try shownAssets(of: view, for: caller) else { return nil }
            assets = some
        default: return nil
        }
        guard let share = listShares.take(for: caller.uid, assets.count) else {
            throw OperationFailure(.tooManyOpenFiles)
        }
        return ListedAssets(assets, share)
    }

    /// Restarts a listing: with the present assets, where reading them takes no longer than one page.
    func rewind(_ list: ListedAssets, of view: View, for caller: Caller) throws(OperationFailure) {
        guard list.begin(), let assets = try shownAssets(of: view, pages: 1, for: caller),
            let share = listShares.take(for: caller.uid, assets.count)
        else { return }
        list.replace(by: assets, share)
    }

    /// Returns the assets that the trash or `resources/` shows; nil where that takes more pages than `pages`.
    private func shownAssets(
        of view: View?,
        pages: Int = .max,
        for caller: Caller
    ) throws(OperationFailure) -> [AssetID]? {
        let reader = uploader(caller)
        return try refusing { () throws(LibraryError) in
            switch view {
            case .trash: try library.trashedAssets(for: reader, pages: pages) { caller.isInterrupted }
            case .resources: try library.resources(for: reader, pages: pages) { caller.isInterrupted }
            default: nil
            }
        }
    }

    /// Returns the next names in the trash or `resources/`, behind a number.
    func entries(
        of list: ListedAssets,
        in view: View,
        behind number: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        let reader = uploader(caller)
        return try list.page(behindNumber: number) { (some) throws(OperationFailure) in
            // A name of an asset that no longer exists does no harm.
            guard view == .trash else {
                return some.map { (Array("\($0)".utf8), View.resource($0).id, $0.rawValue) }
            }
            let found = try refusing { () throws(LibraryError) in try library.trashed(some, for: reader) }
            return found.map { ($0.name, $0.node.id, $0.record.asset.rawValue) }
        }
    }
}
