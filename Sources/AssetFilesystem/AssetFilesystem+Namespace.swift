internal import AssetLibrary
internal import AssetModel
internal import Catalog
public import FUSE
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
        let isFile = mode & 0o170000 == 0o100000
        if isFile {
            let (entry, opened) = try create(name, in: parent, mode: mode, flags: 0, for: caller)
            release(opened.handle)
            return entry
        }
        var record = NodeRecord(mode: mode, uid: caller.uid, gid: caller.gid, now: .now)
        record.device = device
        return try make(name, in: parent, record, for: caller)
    }

    /// Makes a folder.
    public func mkdir(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        try make(
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
        let (parent, name) = try place(parent, name)
        return entry(
            try refusing { () throws(LibraryError) in
                try library.make(name, in: parent, record, umask: caller.umask)
            }
        )
    }

    /// Makes a hard link.
    public func link(
        _ inode: InodeNumber,
        as name: Name,
        in parent: InodeNumber,
        for caller: Caller
    ) throws(OperationFailure) -> Entry {
        let (parent, name) = try place(parent, name)
        let id = node(inode)
        let count = library.verdictCount
        let record = try refusing { () throws(LibraryError) in
            try library.link(id, as: name, in: parent, by: caller.uid, gid: caller.gid)
        }
        return entry(try overlaid(record, readAt: count))
    }

    /// Removes a file's name; in the trash, the file for good.
    ///
    /// What is open goes on working.
    public func unlink(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) {
        if View(node(parent)) == .trash {
            guard let found = try trashed(entryName(name), for: caller) else {
                throw OperationFailure(LibraryError.notFound)
            }
            let purged = try refusing { () throws(LibraryError) in try library.purge(found.record.asset) }
            if let purged { noteRemoval(purged) }
            return
        }
        let (parent, name) = try place(parent, name)
        let isSweeping = library.isSweeper(caller.pid)
        noteRemoval(
            try refusing { () throws(LibraryError) in
                try library.remove(name, in: parent, isSweeping: isSweeping)
            }
        )
    }

    /// Removes an empty folder.
    public func rmdir(_ name: Name, in parent: InodeNumber, for caller: Caller) throws(OperationFailure) {
        let (parent, name) = try place(parent, name)
        noteRemoval(try refusing { () throws(LibraryError) in try library.removeFolder(name, in: parent) })
    }

    /// Moves a name; out of the trash, to one that is free.
    ///
    /// RENAME_WHITEOUT, which overlayfs would want, is EINVAL.
    public func rename(
        _ name: Name,
        in parent: InodeNumber,
        to newName: Name,
        in newParent: InodeNumber,
        flags: UInt32,
        for caller: Caller
    ) throws(OperationFailure) {
        if View(node(parent)) == .trash, View(node(newParent)) == nil {
            guard flags < 2, let found = try trashed(entryName(name), for: caller) else {
                throw OperationFailure(LibraryError.notFound)
            }
            let (newParent, newName) = try place(newParent, newName)
            _ = try refusing { () throws(LibraryError) in
                try library.restore(
                    found.record.asset,
                    as: newName,
                    in: newParent,
                    by: Uploader(uid: caller.uid, gid: caller.gid)
                )
            }
            return
        }
        let (parent, name) = try place(parent, name)
        let (newParent, newName) = try place(newParent, newName)
        let collision: AssetLibrary.Collision
        switch flags {
        case 0: collision = .replace
        case 1: collision = .refuse  // RENAME_NOREPLACE
        case 2: collision = .exchange  // RENAME_EXCHANGE
        default: throw OperationFailure(.invalidArgument)
        }
        let replaced = try refusing { () throws(LibraryError) in
            try library.move(
                name,
                in: parent,
                to: newName,
                in: newParent,
                collision,
                by: caller.uid,
                gid: caller.gid
            )
        }
        if let replaced { noteRemoval(replaced) }
    }

    /// A node without a name stays until the kernel, which has looked it up to remove it, forgets it.
    func noteRemoval(_ record: NodeRecord) {
        guard record.links == 0 else { return }
        removedNodes.withLock { _ = $0.insert(record.id) }
    }

    /// Where something is made or removed: below `folders/`, never in a view.
    func place(_ parent: InodeNumber, _ name: Name) throws(OperationFailure) -> (NodeID, EntryName) {
        let parent = node(parent)
        guard View(parent) == nil else { throw OperationFailure(LibraryError.readOnly) }
        return (parent, try entryName(name))
    }
}
