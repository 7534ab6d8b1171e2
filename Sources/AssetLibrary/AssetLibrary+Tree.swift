public import AssetModel
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Logging
internal import Synchronization

// Folders, names and attributes. Each method checks first and changes afterwards, in one catalog operation.
extension AssetLibrary {
    // MARK: Creating

    /// Creates a file, folder, symbolic link, fifo, socket or device.
    ///
    /// `umask` removes permissions from it unless the folder has a default access control list.
    public func make(
        _ name: EntryName,
        in parent: NodeID,
        _ node: NodeRecord,
        umask: UInt32 = 0,
        by uploader: Uploader? = nil
    ) throws(LibraryError) -> NodeRecord {
        try refuseMaking(node, in: parent)
        try refuseFixed(parent, .immutable)
        try space.take(4096)
        let made = try clearing(name, in: parent) { () throws(LibraryError) in
            let owner = Uploader(uid: node.uid, gid: node.gid)
            return try makeOnce(name, in: parent, node, umask: umask, by: uploader ?? owner)
        }
        if made.isFile { vacancies.remove(name, in: parent) }
        if made.isFolder { vacancies.takeFolder(name, in: parent, made.id) }
        if made.isFolder, collections.has(parent) { collections.add(made.id) }
        return made
    }

    private func makeOnce(
        _ name: EntryName,
        in parent: NodeID,
        _ node: NodeRecord,
        umask: UInt32,
        by uploader: Uploader
    ) throws(LibraryError) -> NodeRecord {
        try write { records in
            let folder = try records.folder(parent)
            guard try records.node(named: name, in: parent) == nil else { throw LibraryError.nameTaken(name) }
            if node.isFolder { try refuseTooDeep(name, in: parent, records) }
            var node = node
            if node.isFile { try inheritAccess(from: parent, for: &node, records) }
            let lists = try inheritedLists(from: parent, for: &node, umask: umask, records)
            // > If the directory's set-group-ID bit is set, the new file inherits its group — inode(7)
            if folder.mode & 0o2000 != 0 {
                node.gid = folder.gid
                if node.isFolder { node.mode |= 0o2000 }
            }
            node = try records.insert(node)
            for (name, list) in lists { try setList(name, of: node.id, to: list, records) }
            try records.insertEntry(name, in: parent, node: node.id)
            try records.touchFolder(parent, subfolders: node.isFolder ? 1 : 0, at: node.born)
            // The file is unpublished until its first commit.
            if node.isFile { try records.recordUnpublished(node.id) }
            if node.isFile,
                let found = try successor(of: name, in: parent, for: node, isMoved: false, by: uploader, records)
            {
                let arrival = Arrival(
                    place: try rulebook.place(name, in: parent, records),
                    uploader: uploader,
                    isUnderWay: true,
                    savingBegan: vacancies.savingBegan
                )
                _ = try records.arrive(node, arrival, found, rulebook)
                node = try records.node(node.id) ?? node
            }
            return node
        }
    }

    /// Applies the folder's default access level to a new file.
    func inheritAccess(from parent: NodeID, for node: inout NodeRecord, _ records: Records) throws {
        guard !rulebook.isSilent, let access = try rulebook.of(parent, records).policy.access else { return }
        (node.access, node.isAccessInherited) = (access, true)
    }

    // MARK: Removing

    /// Removes a file's name; with the last one its asset goes to the trash, and open descriptors still work.
    /// - Returns: the node that lost the name, with the names it has left.
    public func remove(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> NodeRecord {
        try refuseSealed(parent)
        try refuseVacating(name, in: parent)
        // The trash gets the bytes written so far. Nearly always no commit is deferred, and no lookup needed.
        let isKept = hasWaiting ? try keepThroughLoss(of: name, in: parent) : false
        let (node, standing) = try write { records in
            guard var node = try records.node(named: name, in: parent), !node.isExpired(at: clock.now) else {
                throw LibraryError.notFound
            }
            guard !node.isFolder else { throw LibraryError.isAFolder }
            if isKept, node.asset == nil { try makeAsset(of: &node, named: name, in: parent, records) }
            if node.links > 1 {
                try makeAssetsOfWaiting(node.id, records)
                node = try records.node(node.id) ?? node
            }
            let standing = try node.asset.map { _ in
                Standing(file: try rulebook.rights(of: node, records), ways: try rulebook.ways(to: parent, records))
            }
            let left = try records.removeName(name, in: parent, of: node, at: .now)
            try rulebook.trashIfLost(left, as: name, in: parent, records)
            return (left, standing)
        }
        freeNumbers.free(name, in: parent)
        noteRemoval(node)
        noteClosing(of: node.id, isFolder: false)
        // A file that takes the name does not succeed to an asset whose last version is yet to be committed.
        if !isKept, let asset = node.asset, let standing {
            vacancies.add(name, in: parent, asset: asset, node: node.id, rights: standing.file, standing: standing)
        }
        return node
    }

    /// Removes an empty folder.
    public func removeFolder(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> NodeRecord {
        try refuseSealed(parent)
        try refuseVacating(name, in: parent)
        if let folder = try read({ try $0.node(named: name, in: parent) }) {
            try removeExpired(in: folder.id)
            if collections.isSealed(folder.id) { try keepUploads(in: folder.id) }
        }
        let removed = try write { records in
            guard let node = try records.node(named: name, in: parent) else { throw LibraryError.notFound }
            guard node.isFolder else { throw LibraryError.notAFolder }
            let isGroup = collections.isSealed(node.id)
            guard try isGroup || !records.hasEntries(node.id) else { throw LibraryError.folderNotEmpty(name) }
            let now = Timestamp.now
            if isGroup { try emptyGroup(node.id, records) }
            try records.recordRemoval(of: node.id, in: parent)
            try records.countTrash(of: node.id, for: parent)
            try records.deleteEntry(name, in: parent)
            try records.touchFolder(parent, subfolders: -1, at: now)
            return try records.dropLink(of: node, at: now)
        } then: {
            usage.noteRemoval(of: $0.id, from: parent)
        }
        freeNumbers.free(name, in: parent)
        vacancies.addFolder(name, in: parent, removed.id)
        collections.remove(removed.id)
        return removed
    }

    /// Removes nodes that have no name, are not open, and are not referenced.
    public func forget(_ nodes: [NodeID]) throws(LibraryError) {
        let gone = try write { records in
            for node in nodes {
                let isKept = isWaiting(node) && openNode(node)?.isKept.load(ordering: .relaxed) == true
                try records.deleteUnlinkedNode(node, keepsUpload: isKept)
            }
            // A node that has got a name meanwhile stays.
            return try nodes.filter { try records.node($0) == nil }
        }
        for node in gone { kernelAttributes.remove(node) }
        dropKept(gone)
    }

    func noteRemoval(_ node: NodeRecord) {
        guard node.links == 0 else { return }
        openNode(node.id)?.isUnlinked.store(true, ordering: .relaxed)
    }

    // MARK: Attributes

    /// The changes for `setAttributes`; nil leaves a value unchanged.
    ///
    /// Modes are permission, set-id and sticky bits.
    public struct AttributeChanges: Sendable {
        /// New permission bits.
        public var mode: UInt32?
        /// New owner.
        public var uid: UInt32?
        /// New group.
        public var gid: UInt32?
        /// New time of the last access.
        public var accessed: Timestamp?
        /// New time of the last modification; it stays until the next write.
        public var modified: Timestamp?
        /// Whether the times become the present and nothing else changes, which needs write permission only.
        public var isTouch = false
        /// Whether the set-user-ID and set-group-ID bits are cleared.
        public var dropsPrivileges = false
        /// Whether the set-group-ID bit stays where the group may not execute the file: for group members.
        public var mayKeepSetgid = true
        /// Whether the file's capabilities are removed, because its content changes.
        public var dropsCapabilities = false

        /// Changes nothing.
        public init() {}
    }

    /// Changes a node's attributes.
    ///
    /// - Throws: `.notPermitted` where `uid` has created the file and does not own it any more: the kernel
    ///   may have cached the former owner.
    public func setAttributes(
        of id: NodeID,
        _ changes: AttributeChanges,
        by uid: UInt32? = nil
    ) throws(LibraryError) -> NodeRecord {
        let maker = changes.isTouch ? nil : uid
        // The open file below is changed before the catalog operation, so the refusal comes before both.
        if formerOwners.isInUse {
            try read { records in if let node = try records.node(id) { try refuseFormerOwner(of: node, by: maker) } }
        }
        if collections.isSealed(id), changes.mode != nil || changes.uid != nil || changes.gid != nil {
            try refuseSealed(id)
        }
        if let mode = changes.mode, mode & 0o222 == 0, id != .collections, collections.has(id) {
            return try seal(id, mode: mode)
        }
        // The open file first, so that the end of its upload does not restore the time of its last write.
        let open = openNode(id)
        if let accessed = changes.accessed {
            accessTimes.remove(id)
            open?.access.withLock { access in if let changed = access?.changed { access = (accessed, changed) } }
        }
        if let modified = changes.modified, let open {
            open.shown.withLock { $0.modified = nil }
            passModificationTime(modified, to: open)
        }
        if changes.mode != nil || changes.uid != nil || changes.gid != nil { noteRights(of: id, setBy: uid) }
        var isClosed = false
        let changed = try write { records in
            guard var node = try records.node(id) else { throw LibraryError.notFound }
            try refuseFormerOwner(of: node, by: maker)
            isClosed = node.isClosed(by: changes)
            if let mode = changes.mode {
                node.mode = node.mode & 0o170000 | mode & 0o7777
                try changeAccessList(of: id, to: mode, records)
            }
            if let uid = changes.uid { node.uid = uid }
            if let gid = changes.gid { node.gid = gid }
            // > When the owner or group of an executable file is changed by an unprivileged user, the S_ISUID
            // > and S_ISGID mode bits are cleared. […] POSIX does not specify whether this also should happen
            // > when root does — chown(2). Linux does.
            let chowns = changes.mode == nil && (changes.uid != nil || changes.gid != nil)
            if (chowns || changes.dropsPrivileges), !node.isFolder {
                let losesSetgid = node.mode & 0o010 != 0 || !changes.mayKeepSetgid
                node.mode &= ~(0o4000 | (losesSetgid ? 0o2000 : 0))
            }
            // > the file's capability sets are cleared when its owner changes, or when it is written to —
            // > capabilities(7)
            if changes.dropsCapabilities || chowns && !node.isFolder {
                try removeKernelAttribute(KernelAttributes.capability, of: id, records)
            }
            if let accessed = changes.accessed {
                node.accessed = accessed
            } else if let accessed = accessTimes.time(of: id) {
                node.accessed = max(node.accessed, accessed)
            }
            if let modified = changes.modified {
                node.modified = modified
                if open != nil { try records.forgetStagedTime(id) }
            }
            node.changed = .now
            try records.updateAttributes(of: node)
            if changes.uid != nil, node.asset != nil { try records.separateOwners(of: &node) }
            return node
        }
        if isClosed { noteClosing(of: id, isFolder: changed.isFolder) }
        return changed
    }
}
