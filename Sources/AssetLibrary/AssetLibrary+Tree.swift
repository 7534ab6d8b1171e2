public import AssetModel
public import Catalog
internal import Synchronization

// Folders, names and attributes. Every method checks first and changes then, in one step of the catalog.
extension AssetLibrary {
    // MARK: Making

    /// Makes a folder, symbolic link, fifo, socket or device; an empty file too, which is an asset at once.
    public func make(_ name: EntryName, in parent: NodeID, _ node: NodeRecord) throws(LibraryError) -> NodeRecord {
        try space.take(4096)
        return try write { records in
            let folder = try records.folder(parent)
            guard try records.node(named: name, in: parent) == nil else { throw LibraryError.nameTaken(name) }
            var node = node
            // > If the directory's set-group-ID bit is set, the new file inherits its group — inode(7)
            if folder.mode & 0o2000 != 0 {
                node.gid = folder.gid
                if node.isFolder { node.mode |= 0o2000 }
            }
            node = try records.insert(node)
            try records.insertEntry(name, in: parent, node: node.id)
            try records.touchFolder(parent, subfolders: node.isFolder ? 1 : 0, at: node.born)
            return node
        }
    }

    /// Gives a node another name.
    public func link(_ id: NodeID, as name: EntryName, in parent: NodeID) throws(LibraryError) -> NodeRecord {
        try write { records in
            _ = try records.folder(parent)
            guard var node = try records.node(id), node.links > 0 else { throw LibraryError.notFound }
            guard !node.isFolder else { throw LibraryError.notPermitted("A folder cannot have two names.") }
            guard try records.node(named: name, in: parent) == nil else { throw LibraryError.nameTaken(name) }
            let now = Timestamp.now
            try records.insertEntry(name, in: parent, node: id)
            try records.addLinks(1, to: id, at: now)
            try records.touchFolder(parent, at: now)
            node.links += 1
            node.changed = now
            return node
        }
    }

    // MARK: Removing

    /// Removes a file's name; with the last one its asset goes to the trash, and what is open goes on working.
    /// - Returns: the node that lost the name, with the names it has left.
    public func remove(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> NodeRecord {
        let node = try write { records in
            guard let node = try records.node(named: name, in: parent) else { throw LibraryError.notFound }
            guard !node.isFolder else { throw LibraryError.isAFolder }
            let now = Timestamp.now
            try records.deleteEntry(name, in: parent)
            try records.touchFolder(parent, at: now)
            return try records.dropLink(of: node, as: name, in: parent, at: now)
        }
        noteRemoval(node)
        return node
    }

    /// Removes an empty folder.
    public func removeFolder(_ name: EntryName, in parent: NodeID) throws(LibraryError) -> NodeRecord {
        try write { records in
            guard let node = try records.node(named: name, in: parent) else { throw LibraryError.notFound }
            guard node.isFolder else { throw LibraryError.notAFolder }
            guard try !records.hasEntries(node.id) else { throw LibraryError.folderNotEmpty(name) }
            let now = Timestamp.now
            try records.deleteEntry(name, in: parent)
            try records.touchFolder(parent, subfolders: -1, at: now)
            return try records.dropLink(of: node, as: name, in: parent, at: now)
        }
    }

    /// Removes nodes that have no name, are not open, and that nobody refers to.
    public func forget(_ nodes: [NodeID]) throws(LibraryError) {
        try write { records in
            for node in nodes { try records.deleteUnlinkedNode(node) }
        }
    }

    private func noteRemoval(_ node: NodeRecord) {
        guard node.links == 0 else { return }
        openNodes.withLock { $0[node.id]?.node }?.isUnlinked.store(true, ordering: .relaxed)
    }

    // MARK: Moving

    /// How a move treats a name that is taken.
    public enum Collision: Sendable {
        /// What is there loses the name.
        case replace
        /// The move is refused.
        case refuse
        /// The two swap names.
        case exchange
    }

    /// Moves a name, as renameat2(2) says.
    /// - Returns: the node that lost the new name, if one did.
    public func move(
        _ name: EntryName,
        in parent: NodeID,
        to newName: EntryName,
        in newParent: NodeID,
        _ collision: Collision
    ) throws(LibraryError) -> NodeRecord? {
        let replaced = try write { records -> NodeRecord? in
            guard let source = try records.node(named: name, in: parent) else { throw LibraryError.notFound }
            _ = try records.folder(newParent)
            let target = try records.node(named: newName, in: newParent)
            if collision == .refuse, target != nil { throw LibraryError.nameTaken(newName) }
            if collision == .exchange, target == nil { throw LibraryError.notFound }
            // > If oldpath and newpath are existing hard links referring to the same file, then rename() does nothing — rename(2)
            if target?.id == source.id { return nil }
            if parent != newParent {
                if source.isFolder { try records.refuse(newParent, within: source.id) }
                if collision == .exchange, let target, target.isFolder { try records.refuse(parent, within: target.id) }
            }
            let now = Timestamp.now
            if let target, collision == .exchange {
                try records.updateEntry(name, in: parent, node: target.id)
                try records.updateEntry(newName, in: newParent, node: source.id)
                let gained = parent == newParent ? 0 : (source.isFolder ? 1 : 0) - (target.isFolder ? 1 : 0)
                try records.touchFolder(parent, subfolders: Int64(-gained), at: now)
                try records.touchFolder(newParent, subfolders: Int64(gained), at: now)
                try records.addLinks(0, to: source.id, at: now)
                try records.addLinks(0, to: target.id, at: now)
                return nil
            }
            if let target { try records.refuseReplacing(target, as: newName, with: source) }
            var replaced: NodeRecord?
            if let target {
                try records.deleteEntry(newName, in: newParent)
                replaced = try records.dropLink(of: target, as: newName, in: newParent, at: now)
            }
            try records.moveEntry(name, in: parent, to: newName, in: newParent)
            let moved: Int64 = source.isFolder ? 1 : 0
            let lost: Int64 = target?.isFolder == true ? 1 : 0
            if parent == newParent {
                try records.touchFolder(parent, subfolders: -lost, at: now)
            } else {
                try records.touchFolder(parent, subfolders: -moved, at: now)
                try records.touchFolder(newParent, subfolders: moved - lost, at: now)
            }
            try records.addLinks(0, to: source.id, at: now)
            return replaced
        }
        if let replaced { noteRemoval(replaced) }
        return replaced
    }

    // MARK: Attributes

    /// What `setAttributes` changes; nil leaves a value alone.
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
        /// Whether the bits go that give a file's user the rights of its owner or group.
        public var dropsPrivileges = false

        /// Changes nothing.
        public init() {}
    }

    /// Changes a node's attributes.
    public func setAttributes(of id: NodeID, _ changes: AttributeChanges) throws(LibraryError) -> NodeRecord {
        // First the file that is being written, so that its end does not bring back the time of its last write.
        if changes.modified != nil { openNodes.withLock { $0[id]?.node }?.shown.withLock { $0.modified = nil } }
        return try write { records in
            guard var node = try records.node(id) else { throw LibraryError.notFound }
            if let mode = changes.mode { node.mode = node.mode & 0o170000 | mode & 0o7777 }
            if let uid = changes.uid { node.uid = uid }
            if let gid = changes.gid { node.gid = gid }
            // > When the owner or group of an executable file is changed by an unprivileged user, the S_ISUID and S_ISGID mode
            // > bits are cleared. […] POSIX does not specify whether this also should happen when root does — chown(2). Linux does.
            let chowns = changes.mode == nil && (changes.uid != nil || changes.gid != nil)
            if (chowns || changes.dropsPrivileges), node.isFile {
                node.mode &= ~(0o4000 | (node.mode & 0o010 != 0 ? 0o2000 : 0))
            }
            if let accessed = changes.accessed { node.accessed = accessed }
            if let modified = changes.modified { node.modified = modified }
            node.changed = .now
            try records.updateAttributes(of: node)
            return node
        }
    }
}

extension Records {
    /// A folder that exists and has not been removed.
    fileprivate func folder(_ id: NodeID) throws -> NodeRecord {
        guard let node = try node(id), node.links > 0 else { throw LibraryError.notFound }
        guard node.isFolder else { throw LibraryError.notAFolder }
        return node
    }

    /// Takes a name from a node; one without a name is kept until nobody refers to it, and its asset goes to the trash.
    fileprivate func dropLink(
        of node: NodeRecord,
        as name: EntryName,
        in parent: NodeID,
        at now: Timestamp
    ) throws -> NodeRecord {
        var node = node
        let dropped: Int64 = node.isFolder ? node.links : 1
        node.links -= dropped
        try addLinks(-dropped, to: node.id, at: now)
        if node.links == 0, let asset = node.asset { try trash(asset, parent: parent, name: name, at: now) }
        return node
    }

    fileprivate func refuse(_ folder: NodeID, within ancestor: NodeID) throws {
        var next: NodeID? = folder
        while let id = next {
            guard id != ancestor else { throw LibraryError.intoItself }
            next = try parent(of: id)
        }
    }

    fileprivate func refuseReplacing(_ target: NodeRecord, as name: EntryName, with source: NodeRecord) throws {
        switch (source.isFolder, target.isFolder) {
        case (false, true): throw LibraryError.isAFolder
        case (true, false): throw LibraryError.notAFolder
        case (true, true): if try hasEntries(target.id) { throw LibraryError.folderNotEmpty(name) }
        case (false, false): break
        }
    }
}
