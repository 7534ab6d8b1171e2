internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import SystemPackage

// `search/<query>/`: the found assets, as symbolic links to their files.
extension AssetFilesystem {
    /// Looks up a query, or one of its results.
    func lookup(_ name: EntryName, foundIn view: View, for caller: Caller) throws(OperationFailure) -> Entry? {
        guard case .query(let number) = view else {
            // Desktops and shells look for their own files in every directory.
            guard name.bytes.first != UInt8(ascii: ".") else { throw .missingForNow }
            let text = SearchQuery.text(ofName: name.description)
            let query = try parsed(text, for: caller)
            try refusingQuery(for: caller) { () throws(LibraryError) in
                try library.refuseMissingFolders(of: query, for: uploader(caller))
            }
            return try entry(of: View.query(queries.number(of: text, for: caller.uid)).id, for: caller)
        }
        let digits = name.bytes.prefix { $0 != UInt8(ascii: "-") }
        guard let id = Int64(String(decoding: digits, as: UTF8.self)).map(AssetID.init) else { throw .missingForNow }
        let found = try refusing { () throws(LibraryError) in try library.found([id], for: uploader(caller)) }
        guard let found = found.first, found.name == name.bytes else { throw .missingForNow }
        guard let text = queries.text(number) else { throw OperationFailure(.staleNFSFileHandle) }
        let query = try parsed(text, for: caller)
        // This reads the asset alone: an index that other users search, or that is behind, would hold up the
        // directory's lock.
        let isFound = try refusing { () throws(LibraryError) in
            try library.isFound(id, by: query, for: uploader(caller))
        }
        guard isFound else { throw .missingForNow }
        return entry(found)
    }

    private func parsed(_ text: String, for caller: Caller) throws(OperationFailure) -> SearchQuery {
        try refusingQuery(for: caller) { () throws(LibraryError) in
            do throws(SearchQuery.Invalid) { return try SearchQuery(text) } catch {
                throw .invalid(error.reason)
            }
        }
    }

    /// Runs `body`, and records for the caller why a query is invalid.
    private func refusingQuery<Value>(
        for caller: Caller,
        _ body: () throws(LibraryError) -> Value
    ) throws(OperationFailure) -> Value {
        do throws(LibraryError) {
            return try body()
        } catch .interrupted {
            throw OperationFailure(LibraryError.interrupted)
        } catch {
            library.noteSearchError(Shown.sentence("\(error)"), of: caller.uid)
            // Queries of users are not logged.
            throw OperationFailure(.invalidArgument)
        }
    }

    /// Returns the results of a query, the best first; not for a request for which the kernel holds a lock.
    func search(_ number: Int64, for caller: Caller) throws(OperationFailure) -> [AssetID] {
        guard let text = queries.text(number) else { throw OperationFailure(.staleNFSFileHandle) }
        let query = try parsed(text, for: caller)
        let scope = try refusingQuery(for: caller) { () throws(LibraryError) in
            try library.scope(of: query, for: uploader(caller)) { caller.isInterrupted }
        }
        return try refusing { () throws(LibraryError) in
            try library.search(query, in: scope) { caller.isInterrupted }
        }
    }

    /// Returns the next results behind a position.
    func entries(
        of list: ListedAssets,
        behind position: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(found: AssetLibrary.Found, cookie: Int64)] {
        let reader = uploader(caller)
        return try list.page(behind: position) { (some, positions) throws(OperationFailure) in
            let found = try refusing { () throws(LibraryError) in try library.found(some, for: reader) }
            return found.compactMap { one in positions[one.asset].map { (one, $0) } }
        }
    }

    /// Returns the target of a result's link.
    func target(of result: View, _ asset: AssetID, for caller: Caller) throws(OperationFailure) -> [UInt8] {
        try Array("../../".utf8) + found(result, asset, for: caller).path
    }

    /// Returns the attributes of a result's link; nil for another view.
    func attributesOfResult(_ view: View, for caller: Caller) throws(OperationFailure) -> Attributes? {
        guard case .result(let asset, _) = view else { return nil }
        return attributes(try found(view, asset, for: caller))
    }

    /// Returns the answer for a result's link.
    func entry(_ found: AssetLibrary.Found) -> Entry {
        Entry(attributes: attributes(found), nameLifetime: .zero, attributesLifetime: .zero)
    }

    private func attributes(_ found: AssetLibrary.Found) -> Attributes {
        Attributes(
            inode: found.view.id.inode,
            mode: 0o120777,
            linkCount: 1,
            uid: found.node.uid,
            gid: found.node.gid,
            size: Int64("../../".utf8.count + found.path.count),
            blocks: 0,
            accessed: found.node.accessed.rawValue,
            modified: found.node.modified.rawValue,
            changed: found.node.changed.rawValue
        )
    }

    /// Returns the result behind a link; under another of the asset's names it would be another link.
    private func found(
        _ result: View,
        _ asset: AssetID,
        for caller: Caller
    ) throws(OperationFailure) -> AssetLibrary.Found {
        let found = try refusing { () throws(LibraryError) in try library.found([asset], for: uploader(caller)) }
        guard let found = found.first, found.view == result else { throw .missingForNow }
        return found
    }
}

extension AssetLibrary.Found {
    /// The view that stands for the link.
    var view: View {
        // FNV-1a, folded: it is equal in each run, unlike Swift's own hash.
        let hash = path.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return .result(asset, path: UInt16(truncatingIfNeeded: hash ^ hash >> 16))
    }
}
