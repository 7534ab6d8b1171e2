internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import LibraryStorage
internal import SystemPackage

extension AssetFilesystem {
    /// Opens a directory.
    ///
    /// The kernel may cache the listing where all changes come through it.
    public func opendir(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> Opened {
        let id = node(inode)
        let share = try shareOfOpenFiles(for: caller)
        var queryPin: Numbering.Pin?
        if case .query(let number) = View(id) { queryPin = queries.pin(number) }
        if let list = try listedAssets(of: View(id), for: caller) {
            return Opened(OpenViewHandle(list: list, pin: queryPin, share: share))
        }
        let keepsCache: Bool
        // The kernel does not see names that expire, and must not show cached names to users that may not see
        // them.
        if let view = View(id) {
            // Signed paths cannot be listed.
            if view == .signed { throw OperationFailure(LibraryError.unsigned) }
            keepsCache = !view.changesByItself
        } else {
            let isSpecial = try reading { try $0.isSpecial(id) }
            keepsCache = !isSpecial && !library.isCollection(id) && !mayChangeNames(in: id)
        }
        var opened = Opened(OpenViewHandle(pin: pin(ofSigned: View(id)), isListingKept: keepsCache, share: share))
        opened.keepsCache = keepsCache
        return opened
    }

    /// Lists names with their types.
    public func readdir(
        _ inode: InodeNumber,
        handle: FileHandle,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        for caller: Caller
    ) throws(OperationFailure) {
        let id = node(inode)
        let isKept = (handle.object as? OpenViewHandle)?.isListingKept ?? false
        try addDots(id, from: cookie, into: &buffer)
        let listed = (handle.object as? OpenViewHandle)?.list
        if case .query = View(id), let listed {
            for (found, position) in try entries(of: listed, behind: max(0, cookie - Self.firstCookie), for: caller) {
                let cookie = position + Self.firstCookie
                guard buffer.append(found.name, inode: found.view.id.inode, mode: 0o120000, cookie: cookie) else {
                    return
                }
            }
            return
        }
        if let view = View(id) {
            for entry in try entries(of: view, listed, after: cookie, for: caller) {
                let mode = View(entry.node)?.mode ?? (view == .root ? 0o040000 : 0o100000)
                guard buffer.append(entry.name, inode: entry.node.inode, mode: mode, cookie: entry.cookie) else {
                    return
                }
            }
            return
        }
        let isComplete = try list(id, from: cookie, isKept: isKept, for: caller) { entry in
            buffer.append(
                entry.name,
                inode: entry.node.id.inode,
                mode: entry.node.mode,
                cookie: entry.cookie + Self.entryCookies
            )
        }
        if isComplete, cookie < Self.lastCookie, library.isSealed(id) {
            _ = buffer.append(
                Array(Self.informationName.utf8),
                inode: View.group(id).id.inode,
                mode: 0o100000,
                cookie: Self.lastCookie
            )
        }
    }

    /// Lists names with the attributes that a lookup would return.
    public func readdirplus(
        _ inode: InodeNumber,
        handle: FileHandle,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        for caller: Caller
    ) throws(OperationFailure) {
        let id = node(inode)
        let isKept = (handle.object as? OpenViewHandle)?.isListingKept ?? false
        try addDots(id, from: cookie, into: &buffer, withAttributes: true)
        let listed = (handle.object as? OpenViewHandle)?.list
        if case .query = View(id), let listed {
            for (found, position) in try entries(of: listed, behind: max(0, cookie - Self.firstCookie), for: caller) {
                let cookie = position + Self.firstCookie
                guard buffer.append(found.name, entry: entry(found), cookie: cookie) else { return }
            }
            return
        }
        if let view = View(id) { return try add(view, listed, from: cookie, into: &buffer, for: caller) }
        let count = library.verdictCount
        let isComplete = try list(id, from: cookie, isKept: isKept, for: caller) { (entry) throws(OperationFailure) in
            let name = try? EntryName(entry.name)
            let answer = self.entry(try overlaid(entry.node, readAt: count), named: name, in: id)
            guard buffer.append(entry.name, entry: answer, cookie: entry.cookie + Self.entryCookies) else {
                // The entry did not fit, so the kernel takes no reference to the node.
                forget([Forgotten(inode: entry.node.id.inode, count: 1)])
                return false
            }
            return true
        }
        if isComplete, cookie < Self.lastCookie, library.isSealed(id) {
            let answer = try self.entry(of: View.group(id).id, for: caller)
            _ = buffer.append(Array(Self.informationName.utf8), entry: answer, cookie: Self.lastCookie)
        }
    }

    /// Adds the entries of a view, with attributes.
    private func add(
        _ view: View,
        _ list: ListedAssets?,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        for caller: Caller
    ) throws(OperationFailure) {
        var (last, isEmpty) = (cookie, true)
        // A page whose entries have all disappeared is not the end of the listing.
        for _ in 0..<64 where isEmpty {
            let entries = try entries(of: view, list, after: last, for: caller)
            guard let end = entries.last?.cookie else { return }
            for entry in entries {
                // Jobs that have ended meanwhile are left out.
                guard
                    let answer = try? View(entry.node) == nil && view != .root
                        ? unsure(record(entry.node), entry.name, in: view.id)
                        : self.entry(of: entry.node, for: caller)
                else { continue }
                guard buffer.append(entry.name, entry: answer, cookie: entry.cookie) else {
                    if View(entry.node) == nil { forget([Forgotten(inode: entry.node.inode, count: 1)]) }
                    return
                }
                isEmpty = false
            }
            last = end
        }
        if isEmpty { throw OperationFailure(.staleNFSFileHandle) }
    }

    /// Makes the changes of a directory durable.
    public func fsyncdir(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) {
        try refusing { () throws(LibraryError) in try library.commit() }
    }

    /// Does nothing: the handle is released with its object.
    public func releasedir(_ handle: FileHandle) {}

    /// The first cookies: 1 and 2 are `.` and `..`; the others are the entries' own numbers, shifted behind
    /// them.
    private static let firstCookie: Int64 = 3
    private static let entryCookies: Int64 = 2
    /// The cookie of a group's `info.json`.
    private static let lastCookie: Int64 = .max - 1

    /// Returns the next entries of a view; of jobs, which may be many, a thousand at a time.
    private func entries(
        of view: View,
        _ list: ListedAssets?,
        after cookie: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        if view == .jobs { return try jobs(after: cookie) }
        if let list {
            if cookie == 0 { try rewind(list, of: view, for: caller) }
            return try entries(of: list, in: view, behind: max(0, cookie - Self.firstCookie), for: caller).map {
                ($0.name, $0.node, $0.cookie + Self.firstCookie)
            }
        }
        if case .capability(let number) = view {
            return try entries(signedBy: number).map { ($0.name, $0.node, $0.cookie + Self.firstCookie) }
                .filter { $0.cookie > cookie }
        }
        if view.isOfAssets {
            return try entries(of: view, behind: max(0, cookie - Self.firstCookie), for: caller).map {
                ($0.name, $0.node, $0.cookie + Self.firstCookie)
            }
        }
        return view.entries.enumerated().map { (Array($1.name.utf8), $1.node, Int64($0) + Self.firstCookie) }
            .filter { $0.cookie > cookie }
    }

    /// The cookies of URL imports come behind those of extraction jobs.
    private static let fetchCookies: Int64 = 1 << 60
    private static let workCookies: Int64 = 1 << 61

    private func jobs(after cookie: Int64) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        func name(_ token: String) -> [UInt8] { Array("\(token)\(View.jobSuffix)".utf8) }
        return try refusing { () throws(LibraryError) in
            if cookie < Self.fetchCookies {
                let last = BlobID(rawValue: max(0, cookie - Self.firstCookie))
                let jobs = try library.jobs(after: last, limit: 1000)
                if !jobs.isEmpty {
                    return jobs.map { (name($0.token), View.job($0.asset).id, $0.blob.rawValue + Self.firstCookie) }
                }
            }
            let fetches = try library.unfinishedFetches(after: max(0, cookie - Self.fetchCookies), limit: 1000).map {
                (name($0.token), View.fetch($0.id).id, $0.id + Self.fetchCookies)
            }
            guard fetches.isEmpty else { return fetches }
            return try library.unfinishedWork().map { (name($0.rawValue), View.work($0).id, View.work($0).id.rawValue) }
                .map { ($0, $1, Self.workCookies + $2) }.filter { $0.2 > cookie }
        }
    }

    private func addDots(
        _ id: NodeID,
        from cookie: Int64,
        into buffer: inout DirectoryBuffer,
        withAttributes: Bool = false
    ) throws(OperationFailure) {
        guard cookie < 2 else { return }
        for (name, node, own) in [(".", id, Int64(1)), ("..", try parent(of: id), Int64(2))] where cookie < own {
            // The kernel reads only type and number of the dots, and readdirplus takes no reference for them.
            let text = Array(name.utf8)
            _ =
                withAttributes
                ? buffer.append(text, entry: .dots(node.inode), cookie: own)
                : buffer.append(text, inode: node.inode, mode: 0o040000, cookie: own)
        }
    }

    func parent(of id: NodeID) throws(OperationFailure) -> NodeID {
        switch View(id) {
        case .jobs: return View.uploads.id
        case .resource: return View.resources.id
        case .alternatives(let asset), .versions(let asset): return View.resource(asset).id
        case .capability: return View.signed.id
        case .query: return View.search.id
        case nil where !NodeID.roots.contains(id): break
        default: return View.root.id
        }
        return try reading { try $0.parent(of: id) } ?? id
    }

    /// Adds the entries of a folder behind a cookie.
    /// - Returns: whether all of them were added.
    private func list(
        _ id: NodeID,
        from cookie: Int64,
        isKept: Bool,
        for caller: Caller,
        _ add: (EntryRecord) throws(OperationFailure) -> Bool
    ) throws(OperationFailure) -> Bool {
        var position = max(0, cookie - Self.entryCookies)
        let now = library.lifeTime
        while true {
            let entries = try reading { try $0.entries(of: id, after: position, limit: 128) }
            for entry in entries {
                let node = entry.node
                // The kernel serves a cached listing to all users with such a descriptor.
                let isHidden = isKept ? node.access?.isHidden == true : node.isHidden(from: caller.uid)
                if !isHidden, !node.isExpired(at: now), try !add(entry) { return false }
                position = entry.cookie
            }
            if entries.count < 128 { return true }
        }
    }
}

extension Entry {
    /// Returns the entry of `.` or `..`, to which the kernel takes no reference.
    fileprivate static func dots(_ inode: InodeNumber) -> Entry {
        Entry(
            attributes: Attributes(
                inode: inode,
                mode: 0o040755,
                linkCount: 2,
                uid: 0,
                gid: 0,
                size: 0,
                blocks: 0,
                accessed: 0,
                modified: 0,
                changed: 0
            ),
            nameLifetime: .zero,
            attributesLifetime: .zero
        )
    }
}
