internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import SystemPackage

// Answers that may read much of the library are had on threads of their own: a request's thread is free meanwhile, and one user's
// searches leave a thread for others. Only the opening of a directory, for which the kernel holds no lock, waits for such a thread; it
// finds out all that a listing needs. While a lookup or a listing waited, so would each rename in the whole mount that needs the
// directory's lock, or waits for one that does.
extension AssetFilesystem {
    /// Has a view opened on another thread that leaves out what the caller may not see, which may be almost all.
    public func waitBeforeOpening(_ inode: InodeNumber, for caller: Caller) -> RequestWait? {
        switch View(node(inode)) {
        case .trash, .resources, .query: { [library] in library.runLongRead(for: caller.uid, $0) }
        default: nil
        }
    }

    /// Shares out how many assets all open listings have, eight bytes each.
    static func listShares() -> UserShares {
        UserShares(capacity: 32 << 20, limit: .max, exempt: [0, getuid()])
    }

    /// Finds out what a view shows to a caller; nil for a view of which a listing is read as it is asked for.
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

    /// Begins a listing anew: with what there is now, where that takes no longer than a page of it.
    func rewind(_ list: ListedAssets, of view: View, for caller: Caller) throws(OperationFailure) {
        guard list.begin(), let assets = try shownAssets(of: view, pages: 1, for: caller),
            let share = listShares.take(for: caller.uid, assets.count)
        else { return }
        list.replace(by: assets, share)
    }

    /// The numbers that the trash or `resources/` shows; nil where more pages than `pages` have to be read for that.
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

    /// The next names in the trash or `resources/`, behind a number.
    func entries(
        of list: ListedAssets,
        in view: View,
        behind number: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        let reader = uploader(caller)
        return try list.page(behindNumber: number) { (some) throws(OperationFailure) in
            // A name that leads nowhere any more does no harm.
            guard view == .trash else {
                return some.map { (Array("\($0)".utf8), View.resource($0).id, $0.rawValue) }
            }
            let found = try refusing { () throws(LibraryError) in try library.trashed(some, for: reader) }
            return found.map { ($0.name, $0.node.id, $0.record.asset.rawValue) }
        }
    }
}
