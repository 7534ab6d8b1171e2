internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import LibraryStorage
internal import Logging
internal import Synchronization

extension AssetFilesystem {
    /// Looks up a name.
    ///
    /// The kernel caches the answer, also the absence of a name.
    public func lookup(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) -> Entry? {
        let parent = node(parent)
        // An NFS server looks these names up for a number that the kernel has forgotten, and for its folder —
        // Documentation/filesystems/nfs
        if name.bytes == [0x2E] || name.bytes == [0x2E, 0x2E] {
            // A node that has lost its name cannot be reached by its number either, although it is still
            // open.
            if View(parent) == nil, !NodeID.roots.contains(parent) {
                let record = try record(parent)
                if record.links == 0 || record.isExpired(at: library.lifeTime) { return nil }
            }
            return try entryByNumber(name.bytes.count == 1 ? parent : self.parent(of: parent), for: caller)
        }
        let name = try entryName(name)
        if isAgent(caller), let answer = try lookupOfAgent(name, in: parent) { return answer }
        if View(parent) == .trash {
            secondLooks.noteTrash(caller.pid)
            guard let found = try trashed(name, for: caller) else { throw .missingForNow }
            return unsure(found.node, name.bytes, in: parent)
        }
        if let view = View(parent), view.isOfSearch { return try lookup(name, foundIn: view, for: caller) }
        if let view = View(parent), view.isSigned { return try lookup(name, signedIn: view, for: caller) }
        if let view = View(parent), view.isOfAssets { return try lookup(name, in: view, for: caller) }
        if View(parent) == .jobs, let id = try fetch(named: name) {
            return try entry(of: View.fetch(id).id, for: caller)
        }
        if View(parent) == .jobs, ![0, owner.uid].contains(caller.uid),
            case .job(let asset)? = View.jobs.node(named: name).flatMap(View.init)
        {
            // A user without read access to an asset does not learn that it exists.
            _ = try resource(asset, for: caller)
        }
        if let view = View(parent) {
            guard let found = view.node(named: name), let entry = try existing(found, for: caller) else {
                // A name of such a view may appear at any moment.
                if view.changesByItself { throw .missingForNow }
                return nil
            }
            return entry
        }
        let count = library.verdictCount
        let found = try reading({ try $0.node(named: name, in: parent) })
        guard let record = found, !record.isExpired(at: library.lifeTime) else {
            if library.isSealed(parent), name.bytes.elementsEqual(Self.informationName.utf8) {
                return try entry(of: View.group(parent).id, for: caller)
            }
            // The kernel must not cache the absence of a name that may appear without a request.
            if found != nil || library.isCollection(parent) || mayChangeNames(in: parent) { throw .missingForNow }
            return nil
        }
        if let other = try detoured(record, name, in: parent, for: caller) { return other }
        return entry(try overlaid(record, readAt: count), named: name, in: parent)
    }

    /// Answers a lookup by number; the root of the mount has the same number for the kernel in every view.
    private func entryByNumber(_ id: NodeID, for caller: Caller) throws(OperationFailure) -> Entry {
        guard rootView == .folders, id == .folders || View(id) == .root else { return try entry(of: id, for: caller) }
        let record = try record(.folders)
        var attributes = attributes(record)
        (attributes.shownInode, attributes.inode) = (attributes.inode, .root)
        return Entry(attributes: attributes, nameLifetime: .zero, attributesLifetime: attributesLifetime(record))
    }

    /// Releases nodes that the kernel has forgotten; a node that has lost its last name is deleted with the
    /// last reference.
    public func forget(_ forgotten: [Forgotten]) {
        let (unknown, nameless) = lookupCounts.subtract(forgotten)
        aliases.withLock { aliases in
            if !aliases.isEmpty { for node in unknown { aliases[node] = nil } }
        }
        library.forgetMakers(of: unknown)
        forgetNow(nameless)
    }

    func forgetNow(_ removed: [NodeID]) {
        guard !removed.isEmpty else { return }
        do throws(LibraryError) {
            try library.forget(removed)
        } catch {
            library.log.error("Files without a name could not be cleared; the next mount does it: \(error)")
        }
    }

    /// Returns the answer for a node, and counts the kernel's reference to it; the record is `overlaid`.
    ///
    /// A name that its upload may lose, or that may pass to another file when the kernel moves it, gets
    /// lifetime zero.
    func entry(_ record: NodeRecord, named name: EntryName? = nil, in folder: NodeID? = nil) -> Entry {
        lookupCounts.add(record.id)
        var isUnsure = false
        if let folder, library.isCollection(folder) {
            // A member's name is removed with the asset when another file gets the asset.
            return unsure(record, name?.bytes, in: folder)
        } else if let name, let folder, record.isFile {
            isUnsure = (try? library.mayChangeName(name, of: record, in: folder)) ?? true
        }
        return Entry(
            attributes: attributes(record),
            nameLifetime: isUnsure ? .zero : nameLifetime(record),
            attributesLifetime: isUnsure ? .zero : attributesLifetime(record)
        )
    }

    /// Returns the answer for a node with a name that the kernel must not cache; a name in a view is
    /// remembered, because the kernel keeps the node for it.
    func unsure(_ record: NodeRecord, _ name: [UInt8]? = nil, in view: NodeID? = nil) -> Entry {
        lookupCounts.add(record.id)
        if let name, let view {
            aliases.withLock { _ = $0[record.id, default: []].insert(Alias(view: view, name: name)) }
        }
        return Entry(attributes: attributes(record), nameLifetime: .zero, attributesLifetime: .zero)
    }

    /// Returns the time for which the kernel may cache a node's attributes: not at all for a folder whose
    /// names may change without a request.
    ///
    /// Mappings change a file without a request.
    func attributesLifetime(_ record: NodeRecord) -> Duration {
        if record.isFile { return library.isMapped(record.id) ? .zero : Self.lifetime }
        return record.isFolder && mayChangeNames(in: record.id) ? .zero : Self.lifetime
    }

    /// Returns the time for which the kernel may cache a node's name: it ends a little before the file
    /// expires, since the kernel counts in ticks.
    private func nameLifetime(_ record: NodeRecord) -> Duration {
        guard let expires = record.expires else { return Self.lifetime }
        let left = Duration.nanoseconds(expires.rawValue - library.lifeTime.rawValue) - .milliseconds(10)
        return min(max(left, .zero), Self.lifetime)
    }

    func mayChangeNames(in folder: NodeID) -> Bool {
        // Where the rules cannot be read, the kernel must ask.
        library.hasPolicies && (try? library.mayChangeNames(in: folder)) ?? true
    }

    /// Returns the answer for a node or view by its number.
    func entry(of id: NodeID, for caller: Caller) throws(OperationFailure) -> Entry {
        guard let view = View(id) else { return entry(try record(id)) }
        let (attributes, lifetime) = try attributes(of: view, for: caller)
        return Entry(
            attributes: attributes,
            nameLifetime: view.changesByItself ? .zero : Self.lifetime,
            attributesLifetime: lifetime
        )
    }

    /// Returns the answer for a view's node, if that exists.
    private func existing(_ id: NodeID, for caller: Caller) throws(OperationFailure) -> Entry? {
        if case .job(let asset) = View(id), try job(asset) == nil { return nil }
        return try entry(of: id, for: caller)
    }

    /// Finds the entry of the trash that a name means to a caller.
    func trashed(_ name: EntryName, for caller: Caller) throws(OperationFailure) -> AssetLibrary.Trashed? {
        try refusing { () throws(LibraryError) in
            try library.trashed(named: name.bytes, for: uploader(caller))
        }
    }

    /// Returns the URL import of a name in `uploads/jobs/`.
    func fetch(named name: EntryName) throws(OperationFailure) -> Int64? {
        let text = name.description
        guard text.hasSuffix(View.jobSuffix) else { return nil }
        return try refusing { () throws(LibraryError) in
            try library.fetch(token: String(text.dropLast(View.jobSuffix.count)))
        }
    }

    /// Returns the state of a URL import.
    func fetchJob(
        _ id: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> (record: FetchRecord, text: [UInt8]) {
        let job = try refusing { () throws(LibraryError) in try library.fetchJob(id, for: uploader(caller)) }
        guard let job else { throw .missingForNow }
        return job
    }

    /// Returns the state of the extraction of an asset.
    func job(_ asset: AssetID) throws(OperationFailure) -> [UInt8]? {
        try refusing { () throws(LibraryError) in try library.job(of: asset) }
    }
}

extension AssetFilesystem {
    /// Deletes a node without a name with the kernel's last reference, or now where there is none; not on the
    /// thread of a request.
    func lose(_ node: NodeID) {
        lookupCounts.noteNameless(node)
        for alias in aliases.withLock({ $0[node] }) ?? [] { visit(alias) }
        if lookupCounts.takeForgotten(node) { forgetNow([node]) }
    }
}
