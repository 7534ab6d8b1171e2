public import AssetModel
public import Catalog
internal import Glibc
public import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization

// Search. Changes of assets are listed in the catalog and brought into the index when uploads have been quiet
// for a moment, or before a search, so that its results are up to date.
extension AssetLibrary {
    /// An asset that matches a query.
    public struct Found: Sendable {
        /// The asset.
        public let asset: AssetID
        /// Its name among the results: `8-photo.jpg`.
        public let name: [UInt8]
        /// The file that shows the asset.
        public let node: NodeRecord
        /// The path of the file in the mount: `folders/trip/photo.jpg`.
        public let path: [UInt8]
    }

    /// Returns the assets that match a query, the best first, without regard to the user's permissions.
    public func search(
        _ query: SearchQuery,
        in scope: SearchScope,
        isUnwanted: () -> Bool = { false }
    ) throws(LibraryError) -> [AssetID] {
        try mendingSearchIndex { () throws(LibraryError) in
            try updateSearchIndex(until: .now + Self.searchPatience, isUnwanted: isUnwanted)
            try checkWanted(isUnwanted)
            guard let index = searching.index else {
                throw .unsupported("There is no index to search in; the log says why.")
            }
            do {
                return try index.find(query, in: scope, isUnwanted: isUnwanted)
            } catch {
                try checkWanted(isUnwanted)
                throw LibraryError(error)
            }
        }
    }

    /// Runs `body`, and again with a rebuilt index if the index is corrupt: the catalog has all of its
    /// contents.
    func mendingSearchIndex<Value>(_ body: () throws(LibraryError) -> Value) throws(LibraryError) -> Value {
        do throws(LibraryError) {
            return try body()
        } catch {
            guard case .catalog(let failure) = error, failure.isDamage else { throw error }
            log.warning("The index to search in is damaged and is made anew: \(failure)")
            let before = searching.index
            try searching.turn.withLock { _ throws(LibraryError) in
                // Another thread may have rebuilt it already.
                guard searching.index === before else { return }
                searching.makeAnew(log: log)
                try openSearchIndex()
            }
            return try body()
        }
    }

    /// Returns the folders and blobs that a query refers to at this moment, for a user.
    /// - Throws: `.invalid` for a folder that does not exist.
    public func scope(
        of query: SearchQuery,
        for reader: Uploader,
        isUnwanted: () -> Bool = { false }
    ) throws(LibraryError) -> SearchScope {
        var scope = SearchScope(uid: reader.uid, now: clock.now)
        for leaf in query.leaves {
            switch leaf {
            case .folder(let path):
                let folder = try searchedFolder(path, for: reader)
                scope.folders[path] = try folders(below: folder, for: reader, isUnwanted: isUnwanted)
            case .digest(let digest): scope.blobs[digest] = try read { try $0.blob(digest) }
            default: break
            }
        }
        return scope
    }

    func folder(_ path: String, for reader: Uploader, _ records: Records) throws -> NodeID? {
        var folder = NodeID.folders
        for part in path.utf8.split(separator: 0x2F) {
            guard let name = try? EntryName(Array(part)), let next = try records.node(named: name, in: folder),
                next.isFolder,
                try allows(1, to: reader, on: folder, records)
            else { return nil }
            folder = next.id
        }
        return folder
    }

    /// Returns those of some assets that exist and that a user may read, in their order.
    public func found(_ assets: some Sequence<AssetID>, for reader: Uploader) throws(LibraryError) -> [Found] {
        try read { records in
            var folders: [NodeID: [UInt8]?] = [:]
            return try assets.compactMap { asset in
                for (node, parent, name) in try records.files(showing: asset) {
                    guard !node.isExpired(at: clock.now), try mayRead(node.id, reader, records),
                        try mayReach(parent, reader, records)
                    else { continue }
                    let folder = try folders[parent] ?? records.pathInMount(of: parent)
                    folders[parent] = folder
                    guard let folder else { continue }
                    return Found(
                        asset: asset,
                        name: EntryName.listed("\(asset)-", name.bytes),
                        node: node,
                        path: folder + name.bytes
                    )
                }
                return nil
            }
        }
    }

    // MARK: The index

    /// How many changes are taken in one step.
    private static let searchStep = 2000
    private static let quietSearchStep = 500
    /// How many assets are read in one catalog operation, so that no request waits long behind it.
    private static let searchBatch = 32
    /// How long a search waits for the index to be brought up to date.
    private static let searchPatience = Duration.seconds(2)

    /// Brings the changes before the call into the index.
    ///
    /// With a deadline it stops there; with `isBackground` it runs in small steps while the mount is quiet.
    private func updateSearchIndex(
        until deadline: ContinuousClock.Instant? = nil,
        whenQuiet isBackground: Bool = false,
        isUnwanted: () -> Bool = { false }
    ) throws(LibraryError) {
        var share = BackgroundShare()
        guard let target = try read({ try $0.lastSearchChange() }) else { return }
        while !isClosing.isSet {
            guard let first = try read({ try $0.firstSearchChange() }), first <= target else { return }
            if isUnwanted() { return }
            if let deadline, deadline < .now { return }
            if isBackground, !activity.awaitTurn(&share, until: isClosing) { return }
            do {
                // The index does not use the space that is reserved for the catalog.
                guard try space.measureLeft(behind: 0) > 0 else { return }
                let isMine = try searching.turn.withLockIfAvailable { _ in
                    try takeSearchStep(isBackground ? Self.quietSearchStep : Self.searchStep)
                    return true
                }
                if isMine == nil { _ = usleep(1000) }
            } catch {
                throw LibraryError(error)
            }
        }
    }

    /// Brings some changes into the index.
    ///
    /// Must be called with `turn` held.
    private func takeSearchStep(_ limit: Int) throws {
        guard let index = searching.index,
            let (assets, last) = try read({ try $0.searchChanges(limit: limit) })
        else { return }
        var changes: [(asset: AssetID, document: SearchDocument?)] = []
        var rest = assets[...]
        while !rest.isEmpty {
            let some = rest.prefix(Self.searchBatch)
            rest = rest.dropFirst(Self.searchBatch)
            changes += try read { records in try some.map { ($0, try records.searchDocument(of: $0)) } }
        }
        let turn = try index.state().turn + 1
        try index.update(changes, turn: turn)
        KillPoint.searchStepWritten.reach()
        try write { try $0.forgetSearchChanges(through: last, turn: turn) }
    }

    /// Rebuilds the index unless it belongs to the catalog and has its last step.
    ///
    /// An index that is a step ahead may have changes that a crash has undone.
    func openSearchIndex() throws(LibraryError) {
        guard let index = searching.index else { return }
        do {
            let (made, known) = (try index.state(), try catalog.read { try $0.searchState() })
            if made.index == known.index, made.turn == known.turn { return }
            let new = try index.clear()
            KillPoint.searchCleared.reach()
            try catalog.write { try $0.restartSearch(new) }
        } catch {
            throw LibraryError(error)
        }
    }

    /// Checks the index when the library is opened; a failure disables search alone.
    func prepareSearch() {
        do throws(LibraryError) {
            try mendingSearchIndex { () throws(LibraryError) in try openSearchIndex() }
        } catch {
            log.error("Nothing can be searched for until the library is mounted again: \(error)")
            searching.close()
        }
    }

    /// Brings changes into the index while uploads have been quiet for a moment.
    func updateSearchIndexInBackground() {
        do throws(LibraryError) {
            guard searching.index != nil else { return }
            try mendingSearchIndex { () throws(LibraryError) in try updateSearchIndex(whenQuiet: true) }
        } catch {
            if !isClosing.isSet { log.error("What has changed could not be brought into the index: \(error)") }
        }
    }

    // MARK: Errors

    /// Returns why a user's last query was invalid: the program that asked saw only an errno.
    public func searchError(of uid: UInt32) -> String? { searching.errors.withLock { $0[uid] } }

    /// Remembers why a user's last query was invalid.
    public func noteSearchError(_ reason: String, of uid: UInt32) {
        searching.errors.withLock {
            if $0.count > 1000 { $0 = [:] }
            $0[uid] = reason
        }
    }
}

/// The search index.
///
/// ## Concurrency
/// `turn` is held while the index is brought up to date, across catalog operations. No thread takes it with
/// another lock held.
final class Searching: Sendable {
    private let current = RankedMutex<SearchIndex?>(.leaf, nil)
    /// An index in memory, for one asset at a time.
    private let single = RankedMutex<SearchIndex?>(.leaf, nil)
    private let path: String
    let turn = RankedMutex<Void>(.service, ())
    let errors = RankedMutex<[UInt32: String]>(.leaf, [:])

    init(path: String, log: Logger) {
        self.path = path
        open(log)
    }

    /// Whether a query matches one asset, whose document is given.
    func means(_ query: SearchQuery, _ document: SearchDocument, in scope: SearchScope) throws -> Bool {
        let index = try single.withLock { single in
            if let single { return single }
            let made = try SearchIndex()
            single = made
            return made
        }
        return try index.finds(document, query, in: scope)
    }

    /// The index; nil where none can be made.
    var index: SearchIndex? { current.withLock { $0 } }

    /// Closes the index; there is none from here on.
    func close() { try? current.withLock { $0.take() }?.close() }

    /// Replaces the index by a new, empty one.
    func makeAnew(log: Logger) {
        close()
        remove()
        open(log)
    }

    private func remove() {
        for suffix in ["", "-wal", "-shm"] { unsafe _ = unlink(path + suffix) }
    }

    private func open(_ log: Logger) {
        var index: SearchIndex?
        // A corrupt index is made anew: all of it can be read from the catalog.
        for attempt in 1...2 where index == nil {
            do throws(CatalogError) {
                index = try SearchIndex(path: path)
            } catch {
                if attempt == 2 { log.error("Nothing can be searched for: \(error)") }
                remove()
            }
        }
        current.withLock { $0 = index }
    }
}

extension Records {
    /// Returns the path of a folder in the mount, with a slash at the end; nil if it is not visible.
    fileprivate func pathInMount(of folder: NodeID) throws -> [UInt8]? {
        let (root, names) = try path(of: folder)
        guard root == .folders || root == .unfiled else { return nil }
        let start = Array((root == .folders ? "folders/" : "resources/").utf8)
        return names.reduce(start) { $0 + $1.bytes + [0x2F] }
    }
}
