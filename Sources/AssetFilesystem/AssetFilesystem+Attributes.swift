internal import AssetLibrary
internal import AssetModel
internal import BlobStore
internal import Catalog
public import FUSE
internal import LibraryStorage
internal import SystemPackage
internal import Glibc

extension AssetFilesystem {
    /// Returns the attributes of a node or a view.
    public func getattr(
        _ inode: InodeNumber,
        for caller: Caller
    ) throws(OperationFailure) -> (Attributes, Duration) {
        let id = node(inode)
        if let view = View(id) { return try attributes(of: view, for: caller) }
        let record = try record(id)
        // fstat(2) does not retry the path walk after ESTALE.
        if record.links == 0, library.openState(of: id) == nil, !isAgent(caller),
            staleNames.sendsBack(caller.pid, from: id)
        {
            throw .lookAgain
        }
        return (attributes(record), attributesLifetime(record))
    }

    /// Changes attributes: chmod, chown, utimensat, truncate and ftruncate.
    public func setattr(
        _ inode: InodeNumber,
        _ changes: FUSE.AttributeChanges,
        handle: FileHandle?,
        for caller: Caller
    ) throws(OperationFailure) -> (Attributes, Duration) {
        let id = node(inode)
        if let view = View(id) {
            // Copying tools set the times of directories into which they have copied files.
            let isOnlyTimes = changes.mode == nil && changes.uid == nil && changes.gid == nil && changes.size == nil
            guard isOnlyTimes, view.holdsFiles else { throw OperationFailure(LibraryError.readOnly) }
            return try attributes(of: view, for: caller)
        }
        // The agent's truncate(2) only announces a write that was made already.
        if isAgent(caller) { return try getattr(inode, for: caller) }
        try refuseFixed(id, changes)
        if let size = changes.size, library.mayLoseBytes(of: id), try self.record(id).size > size {
            try refusing { () throws(LibraryError) in try library.settleBeforeLoss(of: id, refusing: caller.uid) }
        }
        // A truncation to the present size needs no private copy of the file.
        let resizes =
            try changes.size.map { size throws(OperationFailure) in try self.record(id).size != size } ?? false
        if resizes, let size = changes.size {
            if let open = handle?.object as? OpenFileHandle {
                guard size >= 0 else { throw OperationFailure(.invalidArgument) }
                try refusing { () throws(LibraryError) in try library.truncate(open.node, to: size) }
            } else {
                let share = try shareOfOpenFiles(for: caller, patience: .zero)
                // truncate(2) looks its path up again after ESTALE, as open(2) does.
                try arriving(at: id, isChanging: true, isTruncating: size == 0, for: caller) {
                    (insists) throws(OperationFailure) in
                    try truncate(id, to: size, share, insists: insists, for: caller)
                }
            }
        }
        var new = AssetLibrary.AttributeChanges()
        new.isTouch = changes.isTouch
        new.mode = changes.mode
        new.uid = changes.uid
        new.gid = changes.gid
        new.accessed = changes.accessed.map(Timestamp.init)
        new.modified = changes.modified.map(Timestamp.init)
        if changes.size != nil, !resizes, let open = handle?.object as? OpenFileHandle, library.noteWrite(to: open.node)
        {
            return (attributes(try self.record(id)), Self.lifetime)
        }
        if changes.size != nil, caller.uid != 0 {
            let present = try self.record(id)
            new.dropsPrivileges = true
            new.mayKeepSetgid = present.mode & 0o2000 == 0 || caller.isMember(of: present.gid)
        }
        new.dropsCapabilities = changes.size != nil
        // > On success, […] the last modification and last status change timestamps for the file are updated
        // > — truncate(2)
        // A change of the size has set both times already.
        if changes.size != nil { new.modified = resizes ? nil : .now }
        let count = library.verdictCount
        let record = try refusing { () throws(LibraryError) in
            try library.leaveTrash(id, by: caller.uid)
            return try library.setAttributes(of: id, new, by: changes.size == nil ? caller.uid : nil)
        }
        return (attributes(try overlaid(record, readAt: count)), attributesLifetime(record))
    }

    /// Refuses changes of the attributes of a fixed file.
    ///
    /// > EPERM the file is marked immutable or append-only — chmod(2), chown(2), truncate(2), and but for the
    /// > present time utimensat(2)
    private func refuseFixed(_ id: NodeID, _ changes: FUSE.AttributeChanges) throws(OperationFailure) {
        try refusing { () throws(LibraryError) in try library.refuseAttributes(of: id, isTouch: changes.isTouch) }
    }

    /// Changes the size of a file by its path, which is an upload of its own.
    func truncate(
        _ id: NodeID,
        to size: Int64,
        _ share: UserShare,
        insists: Bool,
        for caller: Caller
    ) throws(OperationFailure) {
        guard size >= 0 else { throw OperationFailure(.invalidArgument) }
        try refusing { () throws(LibraryError) in
            let open = try library.open(
                id,
                forWriting: true,
                isTruncating: size == 0,
                isReplacement: resourceLookups.end(caller.pid, id),
                insists: insists,
                by: uploader(caller)
            )
            open.noteOpened()
            defer {
                library.close(open, wasWriting: true)
                open.noteClosed(share)
            }
            try library.truncate(open, to: size)
            try library.endCut(of: open)
        }
    }

    /// Returns a symbolic link's target.
    public func readlink(_ inode: InodeNumber, for caller: Caller) throws(OperationFailure) -> [UInt8] {
        if case .result(let asset, _) = View(node(inode)) {
            return try target(of: View(node(inode)) ?? .root, asset, for: caller)
        }
        let record = try record(node(inode))
        guard record.isSymbolicLink else { throw OperationFailure(.invalidArgument) }
        return record.target
    }

    /// Returns the size and free space of the disk below the library.
    ///
    /// Files are rows, so their number has no limit to show; the disk's is shown. The bytes of the trash and
    /// of former versions, which are removed when space is needed, count as free.
    public func statfs(for caller: Caller) throws(OperationFailure) -> FilesystemStatistics {
        KillPoint.statisticsAsked.reach()
        let disk = try refusing { () throws(LibraryError) in try library.diskStatistics() }
        // Rounded down, also below zero.
        let more = try reading { try $0.shownFreeBytes() } >> Int64(max(1, disk.f_frsize).trailingZeroBitCount)
        func shown(_ free: UInt) -> UInt64 {
            UInt64(min(max(0, Int64(clamping: free) + more), Int64(clamping: disk.f_blocks)))
        }
        return FilesystemStatistics(
            blockSize: UInt64(disk.f_frsize),
            blocks: UInt64(disk.f_blocks),
            freeBlocks: shown(disk.f_bfree),
            availableBlocks: shown(disk.f_bavail),
            files: UInt64(disk.f_files),
            freeFiles: UInt64(disk.f_ffree)
        )
    }

    func attributes(_ record: NodeRecord) -> Attributes {
        var result = Attributes(
            inode: record.id.inode,
            mode: record.effectiveMode,
            linkCount: UInt32(clamping: record.links),
            uid: record.uid,
            gid: record.gid,
            size: record.size,
            blocks: record.blocks,
            accessed: (library.accessTime(of: record.id) ?? record.accessed).rawValue,
            modified: record.modified.rawValue,
            changed: record.changed.rawValue
        )
        if record.links == 0, let original = library.original(of: record.id) {
            // Programs compare the file that they have opened with the one that has the name, and treat a
            // file without a name as removed.
            result.shownInode = original.inode
            result.linkCount = 1
        } else if record.links == 0, signedPaths.has(record.id) {
            result.linkCount = 1
        }
        result.device = record.device
        result.born = record.born.rawValue
        if record.isSymbolicLink { result.size = Int64(record.target.count) }
        if record.isFolder { result.size = 4096 }
        return result
    }

    func attributes(of view: View, for caller: Caller) throws(OperationFailure) -> (Attributes, Duration) {
        if let attributes = try attributesOfAsset(view, for: caller) { return (attributes, .zero) }
        if let attributes = try attributesOfSigned(view) { return (attributes, .zero) }
        if let attributes = try attributesOfResult(view, for: caller) { return (attributes, .zero) }
        let size: Int64
        switch view {
        case .group(let folder):
            size = Int64(
                try refusing { () throws(LibraryError) in try library.groupInformation(folder, for: uploader(caller)) }
                    .count
            )
        case .receipts, .events:
            // The growth of the journals would reveal other users' activity.
            let isShown = caller.uid == 0 || caller.uid == owner.uid
            size = isShown ? try reading { try $0.size(of: view == .events ? .events : .receipts) } : 0
        // As in /proc, the size of counts that change with each request says nothing.
        case .statistics: size = 0
        case .job(let asset):
            guard let job = try job(asset) else { throw OperationFailure(LibraryError.notFound) }
            size = Int64(job.count)
        case .work(let work): size = Int64(try refusing { () throws(LibraryError) in try library.job(of: work) }.count)
        default: size = 4096
        }
        if case .fetch(let id) = view {
            let (record, text) = try fetchJob(id, for: caller)
            let changed = record.updated.rawValue
            let attributes = Attributes(
                inode: view.id.inode,
                mode: view.mode,
                linkCount: 1,
                uid: record.uid,
                gid: record.gid,
                size: Int64(text.count),
                blocks: 1,
                accessed: changed,
                modified: changed,
                changed: changed
            )
            return (attributes, .zero)
        }
        let subdirectories = view.entries.count { View($0.node)?.isDirectory ?? true }
        let attributes = Attributes(
            inode: view.id.inode,
            mode: view.mode,
            linkCount: view.isDirectory ? UInt32(2 + subdirectories) : 1,
            uid: owner.uid,
            gid: owner.gid,
            size: size,
            blocks: (size + 511) / 512,
            accessed: mounted.rawValue,
            modified: view.changesByItself ? Timestamp.now.rawValue : mounted.rawValue,
            changed: mounted.rawValue
        )
        return (attributes, view.changesByItself ? .zero : Self.lifetime)
    }
}

extension Timestamp {
    fileprivate init(_ time: FUSE.AttributeChanges.Time) {
        switch time {
        case .now: self = .now
        case .at(let nanoseconds): self.init(rawValue: nanoseconds)
        }
    }
}

extension FUSE.AttributeChanges {
    /// Whether only times change, to the present.
    fileprivate var isTouch: Bool {
        func isPresent(_ time: Time?) -> Bool { if case .at = time { false } else { true } }
        return mode == nil && uid == nil && gid == nil && size == nil && isPresent(accessed) && isPresent(modified)
    }
}
