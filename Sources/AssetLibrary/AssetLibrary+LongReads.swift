public import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage

// Long reads of the catalog take a page at a time, so that other operations come between two pages, and end
// when their caller is interrupted.
extension AssetLibrary {
    /// The number of rows of a page; to read them takes less than a millisecond.
    static let longReadPage = EqualFiles.page
    /// The number of assets that are checked in one step.
    private static let longReadStep = 8

    /// The computed attribute that reads a row of each file with equal content.
    static let duplicatesKey = "duplicates"

    /// Returns whether reading an attribute takes long.
    public func isLongRead(_ name: [UInt8]) -> Bool {
        if case .computed(Self.duplicatesKey) = AttributeName(name) { true } else { false }
    }

    /// Runs a user's long read `work` once, on a thread for such reads.
    /// - Returns: false if nothing is run any more, because the library is being closed.
    public func runLongRead(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> Bool {
        longReads.run(for: uid, work)
    }

    /// Refuses to go on for a caller that has been interrupted, or while the library is being closed.
    func checkWanted(_ isUnwanted: () -> Bool) throws(LibraryError) {
        if isUnwanted() || isClosing.isSet { throw .interrupted }
    }

    /// Returns the assets of all pages.
    ///
    /// `page` gets the last asset of the page before, and returns that of its own page, or nil at the end.
    /// - Returns: nil if there are more than `pages` pages.
    func shownAssets(
        pages: Int,
        _ isUnwanted: () -> Bool,
        _ page: (_ last: AssetID) throws(LibraryError) -> (shown: [AssetID], last: AssetID?)
    ) throws(LibraryError) -> [AssetID]? {
        var (found, left, next): ([AssetID], Int, AssetID?) = ([], pages, AssetID(rawValue: 0))
        while let last = next {
            guard left > 0 else { return nil }
            left -= 1
            try checkWanted(isUnwanted)
            let (shown, end) = try page(last)
            found += shown
            next = end
        }
        return found
    }

    /// Returns those of some assets that exist and that a user may read, in their order.
    public func shown(
        _ assets: [AssetID],
        for reader: Uploader,
        isUnwanted: () -> Bool
    ) throws(LibraryError) -> [AssetID] {
        var shown: [AssetID] = []
        for start in stride(from: 0, to: assets.count, by: Self.longReadStep) {
            try checkWanted(isUnwanted)
            let some = assets[start..<min(assets.count, start + Self.longReadStep)]
            shown += try found(some, for: reader).map(\.asset)
        }
        return shown
    }

    /// Returns a folder and the folders below it that a user may reach, each behind its parent.
    func folders(
        below root: NodeID,
        for reader: Uploader,
        isUnwanted: () -> Bool
    ) throws(LibraryError) -> [NodeID] {
        func isOpen(_ id: NodeID, _ mode: UInt32, _ records: Records) throws -> Bool {
            // A folder that all users may search needs no further query.
            if reader.uid == 0 { return true }
            if mode & 0o111 == 0o111, !kernelAttributes.mayHave(KernelAttributes.accessList, id) { return true }
            return try allows(1, to: reader, on: id, records)
        }
        let isReachable = try read { records in
            try records.node(root).map { try isOpen(root, $0.mode, records) } ?? false
        }
        var (found, next) = (isReachable ? [root] : [], 0)
        while next < found.count {
            let folder = found[next]
            next += 1
            var last: Int64? = 0
            while let position = last {
                try checkWanted(isUnwanted)
                let page = try read { records in
                    let page = try records.modes(in: folder, after: position, limit: Self.longReadPage)
                    let open = try page.filter {
                        try $0.mode & 0o170000 == 0o040000 && isOpen($0.node, $0.mode, records)
                    }
                    return (open.map(\.node), page.count < Self.longReadPage ? nil : page.last?.cookie)
                }
                found += page.0
                last = page.1
            }
        }
        return found
    }

    /// Returns the ids of at most 100 other assets with equal content that a user may read, joined by commas.
    func duplicates(of id: NodeID, for reader: Uploader, isUnwanted: () -> Bool) throws(LibraryError) -> String? {
        let own = try read { records in
            try records.node(id)?.asset.flatMap { asset in try records.currentBlob(of: asset).map { (asset, $0) } }
        }
        guard let (asset, blob) = own else { return try read { try $0.node(id)?.asset } == nil ? nil : "" }
        var (found, position, isEnd): (Set<Int64>, _, _) = ([], HolderPosition(), false)
        while found.count < 100, !isEnd {
            try checkWanted(isUnwanted)
            (position, isEnd) = try read { records in
                try records.holders(of: blob, behind: position, limit: Self.longReadPage) { holder in
                    if holder.asset == asset || found.contains(holder.asset.rawValue) { return true }
                    if try isListed(holder.node, for: reader, records) { found.insert(holder.asset.rawValue) }
                    return found.count < 100
                }
            }
        }
        return found.sorted().map(String.init).joined(separator: ",")
    }
}
