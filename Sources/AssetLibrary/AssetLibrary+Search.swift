public import AssetModel
public import Catalog
internal import Glibc
internal import Logging
internal import Synchronization

// What assets are found by. What changes is listed in the catalog, and brought into the index when uploads have been quiet for a
// moment, or when somebody searches: so that what is found is what there is.
extension AssetLibrary {
    /// An asset that was found.
    public struct Found: Sendable {
        /// The asset.
        public let asset: AssetID
        /// Its name among what was found: `8-photo.jpg`.
        public let name: [UInt8]
        /// The file that shows it.
        public let node: NodeRecord
        /// Where that is in the mount: `folders/trip/photo.jpg`.
        public let path: [UInt8]
    }

    /// The assets that a query means, the best first; also those that not everybody may read.
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

    /// Runs `body` once more with a new index where the one that there is makes no sense: all that is in it comes from the catalog.
    func mendingSearchIndex<Value>(_ body: () throws(LibraryError) -> Value) throws(LibraryError) -> Value {
        do throws(LibraryError) {
            return try body()
        } catch {
            guard case .catalog(let failure) = error, failure.isDamage else { throw error }
            log.warning("The index to search in is damaged and is made anew: \(failure)")
            let before = searching.index
            try searching.turn.withLock { _ throws(LibraryError) in
                // Another may have been faster.
                guard searching.index === before else { return }
                searching.makeAnew(log: log)
                try openSearchIndex()
            }
            return try body()
        }
    }

    /// What a query means at the moment, to somebody.
    /// - Throws: `.invalid` for a folder that is not there.
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

    /// Those of some assets that are there and that somebody may read, in their order.
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

    /// How many changes are taken up in one step.
    private static let searchStep = 2000
    private static let quietSearchStep = 500
    /// How many assets are looked at in one step of the catalog, so that nobody waits long behind it.
    private static let searchBatch = 32
    /// How long somebody who searches waits for what has changed to be in the index.
    private static let searchPatience = Duration.seconds(2)

    /// Brings into the index what has changed before the call; with a deadline, as much of it as there is time for; and where only a
    /// quiet mount is to do it, in small steps.
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
                // Not where it would take what is kept for the catalog.
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

    /// Called with `turn` held.
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

    /// Sees to it that the index is the one that belongs to the catalog, as it was left; else it is made anew.
    ///
    /// One that is a step ahead may have what a crash has taken back.
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

    /// The same when the library is opened: where it cannot be done, nothing can be searched for, and all else goes on.
    func prepareSearch() {
        do throws(LibraryError) {
            try mendingSearchIndex { () throws(LibraryError) in try openSearchIndex() }
        } catch {
            log.error("Nothing can be searched for until the library is mounted again: \(error)")
            searching.close()
        }
    }

    /// The same when uploads have been quiet for a moment.
    func updateSearchIndexInBackground() {
        do throws(LibraryError) {
            guard searching.index != nil else { return }
            try mendingSearchIndex { () throws(LibraryError) in try updateSearchIndex(whenQuiet: true) }
        } catch {
            if !isClosing.isSet { log.error("What has changed could not be brought into the index: \(error)") }
        }
    }

    // MARK: Errors

    /// Why somebody's last query was none: the program that asked saw a number only.
    public func searchError(of uid: UInt32) -> String? { searching.errors.withLock { $0[uid] } }

    /// Somebody's query is none.
    public func noteSearchError(_ reason: String, of uid: UInt32) {
        searching.errors.withLock {
            if $0.count > 1000 { $0 = [:] }
            $0[uid] = reason
        }
    }
}

/// What is searched in.
///
/// ## Concurrency
/// `turn` is held while the index is brought up to date, and the catalog is asked meanwhile; it is taken by nobody who holds another lock.
final class Searching: Sendable {
    private let current = Mutex<SearchIndex?>(nil)
    /// An index in memory, for one asset at a time.
    private let single = Mutex<SearchIndex?>(nil)
    private let path: String
    let turn = Mutex<Void>(())
    let errors = Mutex<[UInt32: String]>([:])

    init(path: String, log: Logger) {
        self.path = path
        open(log)
    }

    /// Whether a query means an asset of which all is known.
    func means(_ query: SearchQuery, _ document: SearchDocument, in scope: SearchScope) throws -> Bool {
        let index = try single.withLock { single in
            if let single { return single }
            let made = try SearchIndex()
            single = made
            return made
        }
        return try index.finds(document, query, in: scope)
    }

    /// Nil where none can be made.
    var index: SearchIndex? { current.withLock { $0 } }

    /// There is none from here on.
    func close() { try? current.withLock { $0.take() }?.close() }

    /// Begins with a new one.
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
        // One that is damaged is made anew: all that is in it comes from the catalog.
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
    /// Where a folder is in the mount, with a slash at the end; nil where that is not to be seen.
    fileprivate func pathInMount(of folder: NodeID) throws -> [UInt8]? {
        let (root, names) = try path(of: folder)
        guard root == .folders || root == .unfiled else { return nil }
        let start = Array((root == .folders ? "folders/" : "resources/").utf8)
        return names.reduce(start) { $0 + $1.bytes + [0x2F] }
    }
}
