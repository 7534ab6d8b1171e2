internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryRules
internal import LibraryStorage
internal import SystemPackage

// `resources/<id>/`: an asset by its number. Its file is the one in `folders/`, and an operation on a name in
// this directory applies to that file's name, or to a name beside it: a program that saves through a
// temporary name works the same way in both places. A write to any other name makes the asset's next version.
extension AssetFilesystem {
    static let alternativesName = "alternatives"
    static let versionsName = "versions"
    static let informationName = "info.json"
    static let ownNames = [alternativesName, versionsName, informationName]

    func uploader(_ caller: Caller) -> Uploader {
        Uploader(uid: caller.uid, gid: caller.gid) { caller.supplementaryGroups }
    }

    /// Returns an asset that a caller may read.
    func resource(_ id: AssetID, for caller: Caller? = nil) throws(OperationFailure) -> AssetLibrary.Resource {
        let reader = caller.map(uploader) ?? Uploader()
        let found = try refusing { () throws(LibraryError) -> AssetLibrary.Resource? in
            if let found = try library.resource(id, for: reader) { return found }
            return try library.vacated(id, for: reader)
        }
        guard let found else { throw .missingForNow }
        return found
    }

    /// Returns the asset that a name in `resources/` means: digits, as they are listed.
    static func asset(named name: EntryName) -> AssetID? {
        let text = name.description
        guard let number = Int64(text), number > 0, String(number) == text else { return nil }
        return AssetID(rawValue: number)
    }

    /// Returns whether a name in an asset's directory is one of the directory's own.
    static func isOwn(_ name: EntryName) -> Bool { ownNames.contains { name.bytes.elementsEqual($0.utf8) } }

    // MARK: Looking up

    /// Looks up a name in one of the views of assets.
    func lookup(_ name: EntryName, in view: View, for caller: Caller) throws(OperationFailure) -> Entry? {
        switch view {
        case .resources:
            guard let id = Self.asset(named: name) else { return nil }
            _ = try resource(id, for: caller)
            return try entry(of: View.resource(id).id, for: caller)
        case .resource(let id):
            switch name.description {
            case Self.alternativesName: return try entry(of: View.alternatives(id).id, for: caller)
            case Self.versionsName: return try entry(of: View.versions(id).id, for: caller)
            case Self.informationName: return try entry(of: View.information(id).id, for: caller)
            default: break
            }
            let resource = try resource(id, for: caller)
            var isSeen = resource.name == nil || resource.name == name
            if !isSeen { isSeen = try !isFinal(name, resource.folder.id) }
            guard isSeen, let record = try reading({ try $0.node(named: name, in: resource.folder.id) }) else {
                throw .missingForNow
            }
            allowDetour(to: record.id, for: caller)
            if resource.name == name { resourceLookups.note(caller.pid, record.id) }
            if record.isFile { noteLookup(of: name, in: resource.folder.id, record.id, for: caller) }
            return unsure(try overlaid(record, readAt: library.verdictCount), name.bytes, in: view.id)
        case .alternatives(let id):
            guard let folder = try alternatives(of: id),
                let record = try reading({ try $0.node(named: name, in: folder) })
            else { throw .missingForNow }
            allowDetour(to: record.id, for: caller)
            return unsure(try self.record(record.id), name.bytes, in: view.id)
        case .versions(let id):
            let digits = name.bytes.prefix { $0 != UInt8(ascii: "-") }
            guard let number = Int64(String(decoding: digits, as: UTF8.self)), number > 0 else { throw .missingForNow }
            let found = try refusing { () throws(LibraryError) in
                try library.formerVersion(number, of: id, for: uploader(caller))
            }
            guard let version = found, version.fileName == name.bytes else { throw .missingForNow }
            return try entry(of: View.version(version.id).id, for: caller)
        default: return nil
        }
    }

    /// Returns whether a file written under a name is an upload; not under a name that may come from
    /// mkstemp(3), since its bytes would be published before they are complete.
    func isFinal(_ name: EntryName, _ folder: NodeID) throws(OperationFailure) -> Bool {
        guard NameClass(ofFile: name, isStrict: true) == .final else { return false }
        return try refusing { () throws(LibraryError) in try library.isFinal(name, in: folder) }
    }

    func alternatives(of id: AssetID, makes: Bool = false) throws(OperationFailure) -> NodeID? {
        try refusing { () throws(LibraryError) in try library.alternatives(of: id, makes: makes) }
    }

    /// Returns a former version, if the caller could read it when it was the present one, and may read the
    /// file now.
    func formerVersion(_ id: VersionID, for caller: Caller) throws(OperationFailure) -> VersionRecord {
        let found = try refusing { () throws(LibraryError) in try library.formerVersion(id, for: uploader(caller)) }
        guard let found else { throw .missingForNow }
        _ = try resource(found.asset, for: caller)
        return found.version
    }

    // MARK: Listing

    /// Returns the entries of one of the views of assets behind a cookie.
    func entries(
        of view: View,
        behind cookie: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        switch view {
        case .resource(let id):
            let resource = try resource(id, for: caller)
            var all = [
                (Array(Self.alternativesName.utf8), View.alternatives(id).id, Int64(1)),
                (Array(Self.informationName.utf8), View.information(id).id, 2),
            ]
            if let name = resource.name, let node = resource.node { all.append((name.bytes, node.id, 3)) }
            all.append((Array(Self.versionsName.utf8), View.versions(id).id, 4))
            return all.filter { $0.2 > cookie }
        case .alternatives(let id):
            guard let folder = try alternatives(of: id) else { return [] }
            return try entriesOfAlternatives(folder, behind: cookie, for: caller)
        case .versions(let id):
            let versions = try refusing { () throws(LibraryError) in
                try library.formerVersions(of: id, after: cookie, for: uploader(caller))
            }
            return versions.map { ($0.fileName, View.version($0.id).id, $0.number) }
        default: return []
        }
    }

    /// Returns the alternative files that a user may list, behind a cookie: hidden ones only for their owner
    /// and root.
    private func entriesOfAlternatives(
        _ folder: NodeID,
        behind cookie: Int64,
        for caller: Caller
    ) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        var position = cookie
        while true {
            let page = try reading { try $0.entries(of: folder, after: position, limit: 256) }
            let listed = page.filter { !$0.node.isHidden(from: caller.uid) }
            guard listed.isEmpty, page.count == 256, let last = page.last else {
                return listed.map { ($0.name, $0.node.id, $0.cookie) }
            }
            position = last.cookie
        }
    }

    // MARK: Attributes

    /// Returns the attributes of a view that has those of an asset's file, in the folder by which the caller
    /// knows it; nil for other views.
    func attributesOfAsset(_ view: View, for caller: Caller) throws(OperationFailure) -> Attributes? {
        let (id, version): (AssetID, VersionRecord?)
        switch view {
        case .resource(let asset), .alternatives(let asset), .versions(let asset), .information(let asset):
            (id, version) = (asset, nil)
        case .version(let number):
            let found = try refusing { () throws(LibraryError) in try library.read { try $0.formerVersion(number) } }
            guard let found else { throw .missingForNow }
            (id, version) = (found.asset, found.version)
        default: return nil
        }
        let resource = try resource(id, for: caller)
        let node = resource.rights
        let changed = (version?.created ?? node.changed).rawValue
        var attributes = Attributes(
            inode: view.id.inode,
            mode: 0o040000 | resource.folder.mode & 0o7777,
            linkCount: 2,
            uid: resource.folder.uid,
            gid: resource.folder.gid,
            size: 4096,
            blocks: 0,
            accessed: changed,
            modified: changed,
            changed: changed
        )
        // With an access list, the group's bits are the upper limit for all users and groups in the list.
        if library.hasAccessList(resource.folder.id) { attributes.mode &= ~0o070 }
        if case .versions = view { attributes.mode &= ~0o222 }
        guard !view.isDirectory else { return attributes }
        // Users with read access to the file may read this.
        attributes.mode = 0o100000 | node.effectiveMode & 0o444
        // A list may let users read that the mode does not; the permission is checked at each open.
        if library.hasAccessList(node.id) { attributes.mode |= 0o444 }
        attributes.linkCount = 1
        (attributes.uid, attributes.gid) = (node.uid, node.gid)
        if let version {
            attributes.size = version.size
            if node.effectiveMode & 0o004 != 0 { attributes.uid = version.uid }
        } else {
            attributes.size = Int64(try information(of: resource, for: caller).count)
        }
        attributes.blocks = (attributes.size + 511) / 512
        return attributes
    }

    /// Returns the text of `info.json`.
    func information(
        of resource: AssetLibrary.Resource,
        for caller: Caller
    ) throws(OperationFailure) -> [UInt8] {
        try refusing { () throws(LibraryError) in try library.information(of: resource, for: uploader(caller)) }
    }

    // MARK: Telling

    /// Notifies the kernel that a folder's name was changed by a name in a view, and the folder's watchers of
    /// `happenings`.
    ///
    /// With `waits` the cached name is right before this returns; not possible where the kernel holds the
    /// folder meanwhile. The watchers are notified later: unlink(2) and rename(2) hold the files' locks until
    /// they are answered, and the agent's unlink(2) needs them.
    func tell(_ spot: Spot, _ happenings: Happening..., waits: Bool = true) {
        guard spot.isAlias else { return }
        library.tell(.changed(spot.name, in: spot.folder))
        if waits { library.awaitTold() }
        for happening in happenings { library.tell(happening) }
    }

    /// Notifies the kernel that a file got a folder's name by a name in a view.
    func tell(_ spot: Spot, of node: NodeRecord) {
        tell(spot)
        if spot.isAlias { for happening in arrival(at: spot, of: node, replaced: nil) { library.tell(happening) } }
    }

    /// Returns the notifications for watchers about a file that got a folder's name; `replaced` is the file
    /// that had it before.
    func arrival(at spot: Spot, of node: NodeRecord, replaced: NodeRecord?) -> [Happening] {
        guard node.isFile else { return [] }
        let appeared = Happening.appeared(spot.name, in: spot.folder, node: node.id)
        guard let replaced else { return [appeared] }
        return [.vanished(spot.name, in: spot.folder, node: replaced, successor: node.id), appeared]
    }

    /// Refuses files in an asset's own directory, which counts for the library's root, to users without write
    /// permission there.
    func refuseFilling(_ folder: NodeID?, for caller: Caller) throws(OperationFailure) {
        let mayFill = try refusing { () throws(LibraryError) in
            try library.mayFill(folder, by: uploader(caller))
        }
        guard mayFill else {
            throw OperationFailure(
                .permissionDenied,
                cause:
                    "Assets without a folder are for those who may write to folders/, and for the owner of their directory."
            )
        }
    }

    /// Makes an asset without a file, for mkdir(2) of a number.
    func makeResource(_ name: Name, mode: UInt32, for caller: Caller) throws(OperationFailure) -> Entry {
        guard let id = Self.asset(named: try entryName(name)) else {
            throw OperationFailure(LibraryError.invalid("What is made in resources/ is called by a number."))
        }
        let mode = mode & ~(caller.umask & 0o777)
        try refuseFilling(nil, for: caller)
        try refusing { () throws(LibraryError) in
            try library.makeResource(id, mode: mode, by: uploader(caller))
        }
        return try entry(of: View.resource(id).id, for: caller)
    }
}

extension VersionRecord {
    /// The version's name in `versions/`: `3-photo.jpg`, cut to the length of a name.
    var fileName: [UInt8] { EntryName.listed("\(number)-", name) }
}
