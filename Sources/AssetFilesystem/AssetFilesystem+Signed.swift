internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Glibc
internal import Synchronization

// `signed/<token>/`: a file that everybody may read who knows the path, or a box that everybody may put files into and nobody list. That
// a path is good is asked at each step, so that it ends when it ends or is revoked.
extension AssetFilesystem {
    /// What a signed path lets everybody do.
    func capability(_ number: Int64) throws(OperationFailure) -> Capability {
        guard let token = signedPaths.tokens.text(number) else { throw OperationFailure(LibraryError.notFound) }
        return try refusing { () throws(LibraryError) in try library.capability(token) }
    }

    /// The file that a signed path is of.
    func signedFile(_ capability: Capability) throws(OperationFailure) -> (name: EntryName, node: NodeRecord) {
        let resource = try resource(AssetID(rawValue: capability.subject))
        guard let name = resource.name, let node = resource.node else { throw .missingForNow }
        return (name, node)
    }

    /// The folder that a signed path is of.
    private func signedFolder(_ capability: Capability) throws(OperationFailure) -> NodeRecord {
        guard let folder = try reading({ try $0.node(NodeID(rawValue: capability.subject)) }), folder.links > 0,
            folder.isFolder
        else { throw .missingForNow }
        return folder
    }

    /// Finds a name in `signed/`, or in a signed path.
    func lookup(_ name: EntryName, signedIn view: View, for caller: Caller) throws(OperationFailure) -> Entry? {
        guard case .capability(let number) = view else {
            clearDropped()
            let token = name.description
            _ = try refusing { () throws(LibraryError) in try library.capability(token) }
            let number = signedPaths.tokens.number(of: token, for: caller.uid)
            return try entry(of: View.capability(number).id, for: caller)
        }
        let capability = try capability(number)
        switch capability.kind {
        case .read:
            guard try signedFile(capability).name == name else { throw .missingForNow }
            return try entry(of: View.capabilityFile(number).id, for: caller)
        case .upload:
            let own = SignedPaths.Name(path: number, name: name.bytes, uid: caller.uid)
            guard let drop = signedPaths.drop(own) else { throw .missingForNow }
            return unsure(try record(drop.node))
        }
    }

    /// What is listed in a signed path: the file, or nothing.
    func entries(signedBy number: Int64) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        let capability = try capability(number)
        guard capability.kind == .read else { return [] }
        return [(try signedFile(capability).name.bytes, View.capabilityFile(number).id, 1)]
    }

    /// Attributes of a signed path, or the file in it; nil for another view.
    func attributesOfSigned(_ view: View) throws(OperationFailure) -> Attributes? {
        let number: Int64
        switch view {
        case .capability(let some), .capabilityFile(let some): number = some
        default: return nil
        }
        // Not whether it has ended: who has the file open goes on.
        guard let capability = signedPaths.tokens.text(number).flatMap({ Capability.parse($0)?.capability }) else {
            throw OperationFailure(LibraryError.notFound)
        }
        let node = try capability.kind == .read ? signedFile(capability).node : signedFolder(capability)
        // A box tells nothing of when others have put files into the folder.
        let (modified, changed) = capability.kind == .read ? (node.modified, node.changed) : (mounted, mounted)
        var attributes = Attributes(
            inode: view.id.inode,
            // A box can be opened, for tools that must, and shows nothing.
            mode: capability.kind == .read ? 0o040555 : 0o041777,
            linkCount: 2,
            uid: owner.uid,
            gid: owner.gid,
            size: 4096,
            blocks: 0,
            accessed: modified.rawValue,
            modified: modified.rawValue,
            changed: changed.rawValue
        )
        if case .capabilityFile = view {
            let shown = try overlaid(node, readAt: library.verdictCount)
            (attributes.mode, attributes.linkCount) = (0o100444, 1)
            (attributes.size, attributes.blocks) = (shown.size, shown.blocks)
            (attributes.modified, attributes.accessed) = (shown.modified.rawValue, shown.accessed.rawValue)
        }
        return attributes
    }

    /// Returns what keeps the token of a signed path that is opened; nil for another view.
    func pin(ofSigned view: View?) -> Numbering.Pin? {
        guard case .capability(let number) = view else { return nil }
        return signedPaths.tokens.pin(number)
    }

    /// Opens the file of a signed path for reading, past the page cache: who may read it is asked each time.
    func openSigned(_ number: Int64, flags: Int32, for caller: Caller) throws(OperationFailure) -> Opened {
        let share = try shareOfOpenFiles(for: caller)
        let id = try signedFile(capability(number)).node.id
        let node = try refusing { () throws(LibraryError) in try library.open(id, forWriting: false, by: Uploader()) }
        let reader = counts(id, flags: flags, for: caller).counts ? caller.uid : nil
        let pin = signedPaths.tokens.pin(number)
        var opened = Opened(OpenFileHandle(node: node, isWriting: false, reader: reader, pin: pin, share: share))
        opened.isDirect = true
        opened.needsNoFlush = true
        return opened
    }

    // MARK: Drop boxes

    /// The folder that files are put into by a signed path.
    private func box(_ number: Int64) throws(OperationFailure) -> NodeRecord {
        let capability = try capability(number)
        guard capability.kind == .upload else { throw OperationFailure(LibraryError.readOnly) }
        return try signedFolder(capability)
    }

    /// Makes a file that is to come into a folder.
    func createDropped(
        _ name: Name,
        by number: Int64,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened) {
        clearDropped()
        let share = try shareOfOpenFiles(for: caller)
        guard let place = signedPaths.share(for: caller.uid, in: number) else {
            throw OperationFailure(
                LibraryError.busy(
                    "User \(caller.uid) has too many files in drop boxes that wait for their final names."
                )
            )
        }
        let (folder, entryName) = (try box(number), try entryName(name))
        // > The file is created with permissions 0600, using the O_EXCL flag — mkstemp(3), which opens it with O_RDWR; cp, tar and shells
        // do not, so that a person's `.x.backup` is not taken for a name of rsync's.
        let isOfMkstemp = flags & (O_ACCMODE | O_EXCL) == O_RDWR | O_EXCL && mode & 0o7777 == 0o600
        let (record, node, isTemporary) = try refusing { () throws(LibraryError) in
            try library.makeDropped(
                entryName,
                isOfMkstemp: isOfMkstemp,
                in: folder.id,
                mode: mode,
                umask: caller.umask,
                by: uploader(caller)
            )
        }
        let own = SignedPaths.Name(path: number, name: name.bytes, uid: caller.uid)
        if let former = signedPaths.add(own, SignedPaths.Drop(node: record.id, isTemporary: isTemporary, share: place))
        {
            letGoDropped(former.node)
        }
        if !isTemporary { lookupCounts.noteNameless(record.id) }
        var opened = Opened(
            OpenFileHandle(
                node: node,
                isWriting: true,
                flags: flags,
                mayMapForWriting: true,
                dropped: own,
                pin: signedPaths.tokens.pin(number),
                share: share
            )
        )
        opened.isDirect = kernel.withLock { $0 }?.allowsMappingDirectFiles ?? false
        opened.keepsCache = true
        return (unsure(record), opened)
    }

    /// The last descriptor of a file is closed that somebody puts into a folder.
    func releaseDropped(_ name: SignedPaths.Name, _ node: NodeID) {
        guard let drop = signedPaths.drop(name), drop.node == node else { return }
        if drop.isTemporary { return signedPaths.noteRelease(name) }
        if signedPaths.remove(name, node) { library.letGo(node) }
    }

    /// Gives a file its final name.
    func renameDropped(
        _ name: Name,
        to newName: Name,
        by number: Int64,
        flags: UInt32,
        for caller: Caller
    ) throws(OperationFailure) {
        let own = SignedPaths.Name(path: number, name: name.bytes, uid: caller.uid)
        guard flags < 2, let drop = signedPaths.drop(own) else { throw OperationFailure(LibraryError.notFound) }
        let (folder, newName) = (try box(number), try entryName(newName))
        guard drop.isTemporary else { throw OperationFailure(LibraryError.readOnly) }
        try refusing { () throws(LibraryError) in
            try library.nameDropped(drop.node, newName, in: folder.id, by: uploader(caller))
        }
        if signedPaths.remove(own, drop.node) { letGoDropped(drop.node) }
    }

    /// Gives up a file that somebody has begun to put into a folder.
    func removeDropped(_ name: Name, by number: Int64, for caller: Caller) throws(OperationFailure) {
        let own = SignedPaths.Name(path: number, name: name.bytes, uid: caller.uid)
        guard let drop = signedPaths.drop(own), signedPaths.remove(own, drop.node) else {
            throw OperationFailure(LibraryError.notFound)
        }
        library.abandonDropped(drop.node)
        letGoDropped(drop.node)
    }

    /// Files that have not got their final name in time.
    func clearDropped() { for node in signedPaths.leftBehind() { letGoDropped(node) } }

    private func letGoDropped(_ node: NodeID) {
        library.letGo(node)
        lookupCounts.noteNameless(node)
        library.tell(.lost(node))
    }
}
