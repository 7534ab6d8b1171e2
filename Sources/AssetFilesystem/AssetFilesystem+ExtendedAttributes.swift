internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
internal import LibraryStorage
internal import Synchronization
internal import SystemPackage

extension AssetFilesystem {
    /// Sets an extended attribute.
    public func setxattr(
        _ inode: InodeNumber,
        name: Name,
        value: [UInt8],
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) {
        let id = try place(inode)
        let presence: AssetLibrary.Presence =
            switch flags {
            case 1: .absent  // XATTR_CREATE
            case 2: .present  // XATTR_REPLACE
            default: .any
            }
        // > the set-group-ID bit is cleared unless the caller is in the file's group or has CAP_FSETID — as
        // > chmod(2) does
        var mayKeepSetgid = true
        if name.bytes.elementsEqual("system.posix_acl_access".utf8) {
            mayKeepSetgid = caller.isMember(of: try record(id).gid)
        }
        let others = library.otherNames(besides: name.bytes, of: id)
        try refusing { () throws(LibraryError) in
            try library.setExtendedAttribute(
                name.bytes,
                of: id,
                to: value,
                presence,
                mayKeepSetgid: mayKeepSetgid,
                by: uploader(caller)
            )
        }
        if !others.isEmpty {
            let left = library.otherNames(besides: name.bytes, of: id)
            for other in others where !left.contains(other) { displacedNames.note(other, of: id, by: caller.pid) }
        }
        // A rotated file has other bytes and another size, and the kernel has not seen the change.
        if library.changesContent(name.bytes) {
            kernel.withLock { $0 }?.invalidateAttributes(inode)
            library.tell(.content(id))
        }
        try showAnew(id, after: name)
    }

    /// Invalidates the mode of all files that show the same asset after a change of the file's visibility.
    private func showAnew(_ id: NodeID, after name: Name) throws(OperationFailure) {
        guard library.changesVisibility(name.bytes), let kernel = kernel.withLock({ $0 }) else { return }
        for file in try refusing({ () throws(LibraryError) in try library.filesSharing(id) }) {
            kernel.invalidateAttributes(file.inode)
        }
    }

    /// Moves the setting of a rotation, which may take seconds, to another thread.
    public func waitBeforeSetting(_ name: Name, for caller: Caller) -> RequestWait? {
        guard library.changesContent(name.bytes) else { return nil }
        return { [library] in library.runErrand(for: caller.uid, $0) }
    }

    /// Makes a request wait for extracted and computed values that are not known yet.
    public func waitBeforeReading(_ name: Name, of inode: InodeNumber, for caller: Caller) -> RequestWait? {
        let id = node(inode)
        guard View(id) == nil, library.mayAwait(name.bytes) else { return nil }
        if library.isLongRead(name.bytes) {
            return { [library] resume in
                @Sendable func read() { if !library.runLongRead(for: caller.uid, resume) { resume() } }
                if !library.awaitVerdict(for: name.bytes, on: id, isReady: { read() }) { read() }
                return true
            }
        }
        return { [library] resume in
            let isReady = library.resuming(for: caller.uid, resume)
            @Sendable func awaitValue() -> Bool {
                library.awaitMD5(for: name.bytes, of: id, by: caller.uid, isReady: isReady)
                    || library.awaitExtraction(for: name.bytes, of: id, by: caller.uid, isReady: isReady)
            }
            return library.awaitVerdict(for: name.bytes, on: id) { if !awaitValue() { isReady() } } || awaitValue()
        }
    }

    /// Reads an extended attribute.
    public func getxattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) -> [UInt8] {
        let id = node(inode)
        // The kernel lets only the owner of search/ and root read its attributes.
        if View(id) == .search || View(id) == .root, name.bytes.elementsEqual("user.asset.error".utf8),
            let reason = library.searchError(of: caller.uid)
        {
            return Array(reason.utf8)
        }
        guard View(id) == nil else { throw OperationFailure(LibraryError.noSuchAttribute) }
        return try refusing { () throws(LibraryError) in
            do throws(LibraryError) {
                return try library.extendedAttribute(name.bytes, of: id, for: uploader(caller)) { caller.isInterrupted }
            } catch {
                // The kernel refuses this itself as soon as it has the file's new mode.
                if case .noSuchAttribute = error, caller.uid != 0, name.bytes.starts(with: "user.".utf8),
                    try !library.allowsReading(id, by: uploader(caller))
                {
                    throw .unreadable("The user may not read the file.")
                }
                if case .noSuchAttribute = error, let failure = try library.failedExtraction(for: name.bytes, of: id) {
                    throw failure
                }
                throw error
            }
        }
    }

    /// Returns the names of a file's extended attributes.
    public func listxattr(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [[UInt8]] {
        let id = node(inode)
        guard View(id) == nil else { return [] }
        let names = try refusing { () throws(LibraryError) in
            try library.extendedAttributeNames(of: id, for: uploader(caller)) {
                caller.program.map(Self.programsThatMakeEqual.contains) ?? false
            }
        }
        if !names.isEmpty { displacedNames.noteList(of: id, by: caller.pid) }
        // > attributes in the trusted namespace are visible only to processes with CAP_SYS_ADMIN — xattr(7)
        return caller.uid == 0 ? names : names.filter { !$0.starts(with: Array("trusted.".utf8)) }
    }

    /// Removes an extended attribute.
    public func removexattr(_ inode: InodeNumber, name: Name, for caller: Caller) throws(OperationFailure) {
        let id = try place(inode)
        if displacedNames.take(name.bytes, of: id, by: caller.pid) { return }
        try refusing { () throws(LibraryError) in
            try library.removeExtendedAttribute(
                name.bytes,
                of: id,
                by: uploader(caller)
            )
        }
        try showAnew(id, after: name)
    }

    /// The programs that remove from a copy each name that the source does not have: rsync -X, restic
    /// restore, Syncthing and Unison.
    ///
    /// A copy has the same extracted values as its source: if they were listed, these programs would remove
    /// them, or make them user-set values.
    private static let programsThatMakeEqual: Set<String> = ["rsync", "restic", "syncthing", "unison"]

    private func place(_ inode: InodeNumber) throws(OperationFailure) -> NodeID {
        let id = node(inode)
        guard View(id) == nil else { throw OperationFailure(LibraryError.readOnly) }
        return id
    }
}
