internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import Glibc
internal import LibraryStorage
internal import Synchronization
internal import SystemPackage

extension AssetFilesystem {
    /// Makes a file, fifo, socket or device.
    public func mknod(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        device: UInt64,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        if isAgent(caller) { return try mknodByAgent(entryName(name), in: node(parent)) }
        let isFile = mode & 0o170000 == 0o100000
        if isFile {
            let (entry, opened) = try create(name, in: parent, mode: mode, flags: O_EXCL, for: caller)
            release(opened.handle)
            return entry
        }
        var record = NodeRecord(mode: mode, uid: caller.uid, gid: caller.gid, now: .now)
        record.device = device
        return try make(name, in: parent, record, for: caller)
    }

    /// Makes a folder; in `resources/`, an asset.
    public func mkdir(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        if View(node(parent)) == .resources { return try makeResource(name, mode: mode, for: caller) }
        return try make(
            name,
            in: parent,
            NodeRecord(mode: 0o040000 | mode & 0o7777, uid: caller.uid, gid: caller.gid, now: .now),
            for: caller
        )
    }

    /// Makes a symbolic link.
    public func symlink(
        _ name: Name,
        in parent: InodeNumber,
        target: [UInt8],
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        var record = NodeRecord(mode: 0o120777, uid: caller.uid, gid: caller.gid, now: .now)
        record.target = target
        return try make(name, in: parent, record, for: caller)
    }

    private func make(
        _ name: Name,
        in parent: InodeNumber,
        _ record: NodeRecord,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        let spot = try spot(parent, name, makes: true, for: caller)
        if spot.replaced != nil || spot.requested != nil || View(node(parent)) != nil && record.isFolder {
            throw OperationFailure(LibraryError.notPermitted("An asset's directory holds files alone."))
        }
        let made = try refusing { () throws(LibraryError) in
            try library.make(spot.name, in: spot.folder, record, umask: caller.umask, by: uploader(caller))
        }
        tell(spot, of: made)
        return View(node(parent)) == nil ? entry(made) : unsure(made, name.bytes, in: node(parent))
    }

    /// Makes a hard link.
    public func link(
        _ inode: InodeNumber,
        as name: Name,
        in parent: InodeNumber,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        let spot = try spot(parent, name, makes: true, for: caller)
        guard spot.replaced == nil else { throw OperationFailure(LibraryError.nameTaken(spot.name)) }
        let id = node(inode)
        guard View(id) == nil else { throw OperationFailure(LibraryError.readOnly) }
        let count = library.verdictCount
        let record = try refusing { () throws(LibraryError) in
            try library.link(
                id,
                as: spot.name,
                in: spot.folder,
                isReplacement: spot.isReplacement,
                by: uploader(caller)
            )
        }
        tell(spot, of: record)
        let linked = try overlaid(record, readAt: count)
        if View(node(parent)) != nil { return unsure(linked, name.bytes, in: node(parent)) }
        return entry(linked, named: spot.name, in: spot.folder)
    }

    /// Removes a file's name; in the trash, deletes the file permanently.
    ///
    /// Open files stay usable.
    public func unlink(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) {
        if isAgent(caller) { return try unlinkByAgent(entryName(name), in: node(parent)) }
        if View(node(parent)) == .trash {
            guard let found = try trashed(entryName(name), for: caller) else {
                throw OperationFailure(LibraryError.notFound)
            }
            let purged = try refusing { () throws(LibraryError) in try library.purge(found.record.asset) }
            if let purged { noteRemoval(purged) }
            return
        }
        if View(node(parent)) == .jobs {
            guard let id = try fetch(named: entryName(name)) else { throw OperationFailure(LibraryError.readOnly) }
            return try refusing { () throws(LibraryError) in try library.cancelFetch(id, by: uploader(caller)) }
        }
        if case .capability(let number) = View(node(parent)) {
            return try removeDropped(name, by: number, for: caller)
        }
        let spot = try spot(parent, name, makes: false, for: caller)
        let removed = try refusing { () throws(LibraryError) in
            try library.refuseFormerOwner(ofName: spot.name, in: spot.folder, by: caller.uid)
            return try library.remove(spot.name, in: spot.folder)
        }
        noteRemoval(removed)
        tell(spot, .vanished(spot.name, in: spot.folder, node: removed))
    }

    /// Removes an empty folder; in `resources/`, an asset without a file.
    public func rmdir(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) {
        if View(node(parent)) == .resources {
            guard let id = Self.asset(named: try entryName(name)) else {
                throw OperationFailure(LibraryError.notFound)
            }
            return try refusing { () throws(LibraryError) in try library.removeResource(id) }
        }
        let spot = try spot(parent, name, makes: false, for: caller)
        noteRemoval(
            try refusing { () throws(LibraryError) in try library.removeFolder(spot.name, in: spot.folder) }
        )
    }

    /// Moves a name; from the trash, to a free name.
    ///
    /// With RENAME_WHITEOUT, of overlayfs, a device 0/0 takes the old name; only in `folders/`.
    public func rename(
        _ name: Name,
        in parent: InodeNumber,
        to newName: Name,
        in newParent: InodeNumber,
        flags: UInt32,
        for caller: Caller
    ) throws(OperationFailure) {
        if isAgent(caller) {
            guard parent == newParent else { throw OperationFailure(.resourceBusy) }
            return try renameByAgent(entryName(name), to: entryName(newName), in: node(parent))
        }
        if View(node(parent)) == .trash, View(node(newParent)) != .trash {
            guard flags < 2, let found = try trashed(entryName(name), for: caller) else {
                throw OperationFailure(LibraryError.notFound)
            }
            let spot = try spot(newParent, newName, makes: true, for: caller)
            let restored = try refusing { () throws(LibraryError) in
                try library.restore(
                    found.record.asset,
                    as: spot.name,
                    in: spot.folder,
                    by: uploader(caller)
                )
            }
            tell(spot, of: restored)
            return
        }
        if case .capability(let number) = View(node(parent)), parent == newParent {
            return try renameDropped(name, to: newName, by: number, flags: flags, for: caller)
        }
        let source = try spot(parent, name, makes: false, for: caller)
        let target = try spot(newParent, newName, makes: true, moving: source, for: caller)
        var record: NodeRecord?
        if source.isAlias || View(node(newParent)) != nil {
            record = try reading { try $0.node(named: source.name, in: source.folder) }
            guard View(node(newParent)) == nil || record?.isFile ?? true else {
                throw OperationFailure(LibraryError.notPermitted("An asset's directory holds files alone."))
            }
        }
        let collision: AssetLibrary.Collision
        let leavesWhiteout = flags & 4 != 0  // RENAME_WHITEOUT
        if leavesWhiteout, View(node(parent)) != nil || View(node(newParent)) != nil {
            throw OperationFailure(.invalidArgument)
        }
        switch flags & ~4 {
        case 2 where leavesWhiteout: throw OperationFailure(.invalidArgument)
        case 0: collision = target.mustBeFree ? .refuse : .replace
        // RENAME_NOREPLACE; a name that stands for an asset's next version is free. EEXIST for a name that
        // lstat(2) does not find makes mv(1) of Debian 12 decide by a value that it has not read.
        case 1: collision = target.replaced == nil ? .refuse : .replace
        case 2: collision = .exchange  // RENAME_EXCHANGE
        default: throw OperationFailure(.invalidArgument)
        }
        let replaced = try refusing { () throws(LibraryError) in
            try library.refuseFormerOwner(ofName: source.name, in: source.folder, by: caller.uid)
            try library.refuseFormerOwner(ofName: target.name, in: target.folder, by: caller.uid)
            return try library.move(
                source.name,
                in: source.folder,
                to: target.name,
                in: target.folder,
                collision,
                isReplacement: target.isReplacement,
                leavesWhiteout: leavesWhiteout,
                by: uploader(caller)
            )
        }
        // The kernel holds both folders until the answer: only the cached names of other folders can be
        // corrected before.
        let held = [node(parent), node(newParent)]
        let mayWait = [source, target].allSatisfy { !$0.isAlias || !held.contains($0.folder) }
        if let replaced { noteRemoval(replaced) }
        tellOfMove(of: record, from: source, to: target, replacing: replaced, flags: flags, waits: mayWait)
        if source.folder != target.folder || source.name != target.name {
            tell(passing(newName, in: newParent, target))
        }
    }

    /// Notifies the kernel of a move of which it knows one name, or both, only by a view.
    private func tellOfMove(
        of node: NodeRecord?,
        from source: Spot,
        to target: Spot,
        replacing replaced: NodeRecord?,
        flags: UInt32,
        waits: Bool
    ) {
        // The file has the name already, so rename(2) does nothing.
        if source.folder == target.folder, source.name == target.name { return }
        // Both names come first: the agent's unlink(2) needs the locks of the files, which rename(2) holds
        // until the answer.
        tell(source, waits: false)
        tell(target, waits: waits)
        guard let node, flags != 2 else { return }
        if source.isAlias { library.tell(.vanished(source.name, in: source.folder, node: node)) }
        guard target.isAlias else { return }
        for happening in arrival(at: target, of: node, replaced: replaced) { library.tell(happening) }
    }

    /// Keeps a node without a name until the kernel, which has looked it up to remove it, forgets it.
    func noteRemoval(_ record: NodeRecord) {
        guard record.links == 0 else { return }
        lookupCounts.noteNameless(record.id)
    }
}
