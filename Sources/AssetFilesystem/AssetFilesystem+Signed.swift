internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// `signed/<token>/`: a file that every user with the path may read, or a drop box that every user may put
// files into and that lists nothing. Each step checks the path, so that it stops working when it expires or
// is revoked.
extension AssetFilesystem {
    /// Returns the capability that a signed path gives.
    func capability(_ number: Int64) throws(OperationFailure) -> Capability {
        guard let token = signedPaths.tokens.text(number) else { throw OperationFailure(LibraryError.notFound) }
        return try refusing { () throws(LibraryError) in try library.capability(token) }
    }

    /// Returns the file of a signed path.
    func signedFile(_ capability: Capability) throws(OperationFailure) -> (name: EntryName, node: NodeRecord) {
        let resource = try resource(AssetID(rawValue: capability.subject))
        guard let name = resource.name, let node = resource.node else { throw .missingForNow }
        return (name, node)
    }

    /// Returns the folder of a signed path.
    private func signedFolder(_ capability: Capability) throws(OperationFailure) -> NodeRecord {
        guard let folder = try reading({ try $0.node(NodeID(rawValue: capability.subject)) }), folder.links > 0,
            folder.isFolder
        else { throw .missingForNow }
        return folder
    }

    /// Looks up a name in `signed/`, or in a signed path.
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

    /// Returns the entries of a signed path: the file, or nothing.
    func entries(signedBy number: Int64) throws(OperationFailure) -> [(name: [UInt8], node: NodeID, cookie: Int64)] {
        let capability = try capability(number)
        guard capability.kind == .read else { return [] }
        return [(try signedFile(capability).name.bytes, View.capabilityFile(number).id, 1)]
    }

    /// Returns the attributes of a signed path, or of the file in it; nil for another view.
    func attributesOfSigned(_ view: View) throws(OperationFailure) -> Attributes? {
        let number: Int64
        switch view {
        case .capability(let some), .capabilityFile(let some): number = some
        default: return nil
        }
        // The expiry is not checked: a program that has the file open goes on.
        guard let capability = signedPaths.tokens.text(number).flatMap({ Capability.parse($0)?.capability }) else {
            throw OperationFailure(LibraryError.notFound)
        }
        let node = try capability.kind == .read ? signedFile(capability).node : signedFolder(capability)
        // A box does not reveal when other users have put files into the folder.
        let (modified, changed) = capability.kind == .read ? (node.modified, node.changed) : (mounted, mounted)
        var attributes = Attributes(
            inode: view.id.inode,
            // A box can be opened, for tools that must open it, and shows nothing.
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

    /// Returns a pin that keeps the token of an open signed path; nil for another view.
    func pin(ofSigned view: View?) -> Numbering.Pin? {
        guard case .capability(let number) = view else { return nil }
        return signedPaths.tokens.pin(number)
    }

    /// Opens the file of a signed path for reading, past the page cache: the permission is checked at each
    /// open.
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

    /// Returns the folder into which a signed path puts files.
    private func box(_ number: Int64) throws(OperationFailure) -> NodeRecord {
        let capability = try capability(number)
        guard capability.kind == .upload else { throw OperationFailure(LibraryError.readOnly) }
        return try signedFolder(capability)
    }

    /// Makes a file that is to be put into a folder.
    func createDropped(
        _ name: Name,
        by number: Int64,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened) {
        clearDropped()
        let share = try shareOfOpenFiles(for: caller, patience: Self.shortPatience)
        guard let place = signedPaths.share(for: caller.uid, in: number) else {
            throw OperationFailure(
                LibraryError.busy(
                    "User \(caller.uid) has too many files in drop boxes that wait for their final names."
                )
            )
        }
        let (folder, entryName) = (try box(number), try entryName(name))
        // > The file is created with permissions 0600, using the O_EXCL flag — mkstemp(3), which opens it
        // > with O_RDWR; cp, tar and shells do not, so that a user's `.x.backup` is not mistaken for a
        // > temporary name of rsync.
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

    /// Ends the upload of a file in a drop box when its last descriptor is closed; a temporary name then
    /// waits for the final one.
    func releaseDropped(_ name: SignedPaths.Name, _ node: NodeID) {
        guard let drop = signedPaths.drop(name), drop.node == node else { return }
        if drop.isTemporary { return signedPaths.noteRelease(name) }
        if signedPaths.remove(name, node) { library.letGo(node) }
    }

    /// Gives a file in a drop box its final name.
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

    /// Abandons a file that a user has begun to put into a folder.
    func removeDropped(_ name: Name, by number: Int64, for caller: Caller) throws(OperationFailure) {
        let own = SignedPaths.Name(path: number, name: name.bytes, uid: caller.uid)
        guard let drop = signedPaths.drop(own), signedPaths.remove(own, drop.node) else {
            throw OperationFailure(LibraryError.notFound)
        }
        library.abandonDropped(drop.node)
        letGoDropped(drop.node)
    }

    /// Releases the files that have not got their final name in time.
    func clearDropped() { for node in signedPaths.leftBehind() { letGoDropped(node) } }

    private func letGoDropped(_ node: NodeID) {
        library.letGo(node)
        lookupCounts.noteNameless(node)
        library.tell(.lost(node))
    }
}
