internal import AssetLibrary
internal import AssetModel
internal import BlobStore
public import FUSE
internal import Catalog
internal import Glibc
internal import LibraryStorage
internal import SystemPackage
internal import Synchronization

extension AssetFilesystem {
    /// Makes a file and opens it, which begins an upload.
    public func create(
        _ name: Name,
        in parent: InodeNumber,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened) {
        if case .capability(let number) = View(node(parent)), name.bytes != Name.none {
            return try createDropped(name, by: number, mode: mode, flags: flags, for: caller)
        }
        if name.bytes == Name.none { return try createTemporary(in: parent, mode: mode, flags: flags, for: caller) }
        let share = try shareOfOpenFiles(for: caller, patience: Self.shortPatience)
        let spot = try spot(parent, name, makes: true, for: caller)
        let uploaded = try entryName(name)
        let (record, node) = try refusing { () throws(LibraryError) in
            if let replaced = spot.replaced {
                return try library.makeReplacement(
                    uploaded,
                    for: replaced,
                    mode: mode,
                    umask: caller.umask,
                    by: uploader(caller)
                )
            }
            do throws(LibraryError) {
                return try library.makeFile(
                    spot.name,
                    in: spot.folder,
                    mode: mode,
                    umask: caller.umask,
                    isReplacement: spot.isReplacement,
                    requested: spot.requested,
                    by: uploader(caller)
                )
            } catch .nameTaken where flags & O_EXCL == 0 {
                // The library has made the name since the kernel looked it up: a second lookup finds the
                // file, and opens it.
                throw .replaced
            }
        }
        if spot.replaced != nil { lookupCounts.noteNameless(record.id) } else { tell(spot, of: record) }
        let isOfView = View(self.node(parent)) != nil
        let answer =
            isOfView
            ? unsure(record, name.bytes, in: self.node(parent)) : entry(record, named: spot.name, in: spot.folder)
        let isReplacement = spot.replaced != nil
        let mayMap = flags & O_ACCMODE == O_RDWR
        let opened = try opened(
            node,
            isWriting: true,
            flags: flags,
            isReplacement: isReplacement,
            mayMapForWriting: mayMap,
            share: share,
            for: caller
        )
        if isOfView, let passing = passing(name, in: parent, spot) {
            (opened.handle.object as? OpenFileHandle)?.passing.withLock { $0 = passing }
        }
        return (answer, opened)
    }

    /// Opens a file; an open for writing begins an upload.
    public func open(_ inode: InodeNumber, flags: Int32, for caller: Caller) throws(OperationFailure) -> Opened {
        let id = node(inode)
        let isWriting = flags & O_ACCMODE != O_RDONLY
        if let view = View(id) {
            guard !isWriting, !view.isDirectory else { throw OperationFailure(LibraryError.readOnly) }
            if case .capabilityFile(let number) = view { return try openSigned(number, flags: flags, for: caller) }
            let share = try shareOfOpenFiles(for: caller)
            var content: [UInt8]?
            if view == .statistics { content = statistics() }
            if case .job(let asset) = view { content = try job(asset) ?? [] }
            if case .work(let work) = view {
                content = try refusing { () throws(LibraryError) in try library.job(of: work) }
            }
            if case .fetch(let id) = view { content = try fetchJob(id, for: caller).text }
            if case .group(let folder) = view {
                content = try refusing { () throws(LibraryError) in
                    try library.groupInformation(folder, for: uploader(caller))
                }
            }
            if case .information(let asset) = view {
                content = try information(of: resource(asset, for: caller), for: caller)
            }
            var version: VersionRecord?
            if case .version(let number) = view {
                version = try formerVersion(number, for: caller)
            }
            let journal: Journal = view == .events ? .events : .receipts
            var opened = Opened(OpenViewHandle(content, version, library.use(version), journal: journal, share: share))
            opened.isDirect = true
            opened.needsNoFlush = true
            return opened
        }
        if !isAgent(caller), staleNames.sendsBack(caller.pid, from: id) { throw .lookAgain }
        let share = try shareOfOpenFiles(for: caller)
        let isTruncating = flags & O_TRUNC != 0
        // This comes first, because the open is tried again when it had to wait for the commit.
        if isTruncating { try refusing { () throws(LibraryError) in try library.settleBeforeLoss(of: id) } }
        if isWriting || isTruncating {
            let appends = isWriting && flags & O_APPEND != 0 && !isTruncating
            try refusing { () throws(LibraryError) in try library.refuseOpening(id, appends: appends) }
        }
        let node = try arriving(
            at: id,
            isChanging: isWriting || isTruncating,
            isTruncating: isTruncating,
            for: caller
        ) { (insists) throws(OperationFailure) in
            // POSIX leaves O_RDONLY with O_TRUNC undefined, Linux truncates: an upload of its own, since this
            // handle cannot write.
            if !isWriting, isTruncating {
                try truncate(id, to: 0, share, insists: insists, for: caller)
                try dropPrivileges(of: id, caller)
            }
            return try refusing { () throws(LibraryError) in
                try library.open(
                    id,
                    forWriting: isWriting,
                    isTruncating: isWriting && isTruncating,
                    isReplacement: isWriting && resourceLookups.end(caller.pid, id),
                    insists: insists,
                    mayMap: flags & O_ACCMODE == O_RDWR,
                    by: uploader(caller)
                )
            }
        }
        do throws(OperationFailure) {
            if isWriting, isTruncating {
                try refusing { () throws(LibraryError) in try library.truncate(node, to: 0, isOpening: true) }
                try dropPrivileges(of: node.id, caller)
            }
            if !isWriting, flags & 0o1000000 /* O_NOATIME */ == 0, !isAgent(caller),
                library.noteAccess(to: node, accessTimes)
            {
                // While the file's pages are cached, only this makes the kernel ask for the attributes again.
                kernel.withLock { $0 }?.invalidateAttributes(inode)
            }
            let (counts, isSeen) =
                isWriting
                ? (false, false) : isAgent(caller) ? (false, true) : counts(node.id, flags: flags, for: caller)
            // > PROT_WRITE […] requires that the file be open for reading and writing — mmap(2)
            var opened = try opened(
                node,
                isWriting: isWriting,
                flags: flags,
                reader: counts ? caller.uid : nil,
                mayMapForWriting: flags & O_ACCMODE == O_RDWR,
                share: share,
                for: caller
            )
            // A reader whose downloads count must send its reads to the daemon.
            if isSeen, opened.backing == nil { opened.keepsCache = false }
            if !isWriting, opened.backing == nil, opened.keepsCache { push(node, of: inode) }
            if isWriting, let handle = opened.handle.object as? OpenFileHandle,
                let name = nameBehindView(of: node.id, for: caller)
            {
                handle.viewed.withLock { $0 = .modified(name.name, in: name.folder) }
                handle.isModified.store(isTruncating, ordering: .relaxed)
            }
            return opened
        } catch {
            library.close(node, wasWriting: isWriting)
            throw error
        }
    }

    /// The size from which passthrough pays: the file takes more than one read.
    private static let passthroughSize: Int64 = 128 << 10

    /// Decides how the kernel treats an open. All opens of a node must agree, and the first one decides:
    ///
    /// - *passthrough*, for large files that are read: the kernel reads the blob itself. Writes come to the
    ///   daemon nevertheless.
    /// - else readers use the page cache, which stays right because every change of the bytes goes through
    ///   the kernel, and writers send every write to the daemon, so that the bytes are hashed as they come.
    func opened(
        _ node: OpenNode,
        isWriting: Bool,
        flags: Int32,
        isReplacement: Bool = false,
        reader: UInt32? = nil,
        mayMapForWriting: Bool = true,
        share: UserShare,
        for caller: Caller
    ) throws(OperationFailure) -> Opened {
        let kernel = kernel.withLock { $0 }
        let handle = OpenFileHandle(
            node: node,
            isWriting: isWriting,
            flags: flags,
            mayMapForWriting: isWriting && mayMapForWriting,
            isReplacement: isReplacement,
            reader: reader,
            share: share
        )
        var opened = Opened(handle)
        opened.isDirect = isWriting && kernel?.allowsMappingDirectFiles ?? false
        opened.keepsCache = !library.wasHealed(node)
        opened.needsNoFlush = !isWriting
        opened.backing = node.attachment.withLock { attachment in
            if let backing = attachment as? BackingFile { return backing }
            guard !isWriting, let kernel, kernel.allowsPassthrough, node.content.size >= Self.passthroughSize,
                let file = library.bind(node), let backing = kernel.back(file.descriptor)
            else { return nil }
            attachment = backing
            return backing
        }
        if opened.backing == nil, library.takeStale(node.id) { opened.keepsCache = false }
        if isWriting, mayMapForWriting, opened.backing != nil {
            try refusing { () throws(LibraryError) in try library.prepareForMapping(node) }
        }
        return opened
    }

    /// Reads from the working file, which all handles of a node share.
    public func read(
        _ handle: FileHandle,
        offset: Int64,
        count: Int,
        for caller: Caller
    ) throws(OperationFailure) -> ReadReply {
        guard let open = handle.object as? OpenFileHandle else {
            let view = handle.object as? OpenViewHandle
            if let version = view?.version {
                return .bytes(
                    try refusing { () throws(LibraryError) in
                        try library.read(version, at: offset, count: count)
                    }
                )
            }
            if let content = view?.content {
                return .bytes(offset < content.count ? Array(content[Int(offset)...].prefix(count)) : [])
            }
            let journal = view?.journal ?? .receipts
            return .bytes(try reading { try $0.bytes(of: journal, from: offset, count: count) })
        }
        let shared = try refusing { () throws(LibraryError) in
            try library.readShared(open.node, at: offset, count: count)
        }
        if let shared {
            if open.reader != nil { open.bytesRead.add(Int64(shared.count), ordering: .relaxed) }
            return .bytes(shared)
        }
        let (file, size) = open.node.content
        guard let file, offset < size else { return .bytes([]) }
        if open.reader != nil { open.bytesRead.add(min(Int64(count), size - offset), ordering: .relaxed) }
        return .file(file.descriptor, owner: file, offset: offset, count: min(count, Int(size - offset)))
    }

    /// Writes to the working file.
    ///
    /// For a synchronous write the kernel sends no fsync, so `isSynchronous` asks for one.
    public func write(
        _ handle: FileHandle,
        offset: Int64,
        bytes: UnsafeRawBufferPointer,
        isSynchronous: Bool,
        for caller: Caller
    ) throws(OperationFailure) {
        let open = try writable(handle)
        try willWrite(open, for: caller)
        try refusing { () throws(LibraryError) in try unsafe library.write(bytes, at: offset, to: open.node) }
        try makeDurable(open, isWanted: isSynchronous)
        open.isModified.store(true, ordering: .relaxed)
    }

    /// Syncs a change through a descriptor that waits for each change: O_SYNC, O_DSYNC, `-o sync`.
    func makeDurable(_ open: OpenFileHandle, isWanted: Bool = false) throws(OperationFailure) {
        guard isWanted || open.isSynchronous || isSynchronous else { return }
        try refusing { () throws(LibraryError) in try library.synchronize(open.node) }
    }

    /// Refuses writes to a fixed file, and drops privileges of the file before the first write of a handle.
    ///
    /// > the set-user-ID and set-group-ID bits of the file […] are cleared when a file is written by an
    /// > unprivileged user — write(2)
    ///
    /// Capabilities are dropped for every writer.
    func willWrite(_ open: OpenFileHandle, for caller: Caller) throws(OperationFailure) {
        try refusing { () throws(LibraryError) in try library.refuseWriting(to: open.node.id) }
        guard open.mayHavePrivileges.exchange(false, ordering: .relaxed) else { return }
        try dropPrivileges(of: open.node.id, caller)
    }

    private func dropPrivileges(of id: NodeID, _ caller: Caller) throws(OperationFailure) {
        var changes = AssetLibrary.AttributeChanges()
        if caller.uid != 0 {
            let record = try record(id)
            changes.dropsPrivileges = record.mode & 0o6000 != 0
            changes.mayKeepSetgid = record.mode & 0o2000 == 0 || caller.isMember(of: record.gid)
        }
        changes.dropsCapabilities = library.mayHaveCapabilities(id)
        guard changes.dropsPrivileges || changes.dropsCapabilities else { return }
        let record = try refusing { () throws(LibraryError) in try library.setAttributes(of: id, changes) }
        kernel.withLock { $0 }?.invalidateAttributes(record.id.inode)
    }

    /// Commits the upload at close(2).
    public func flush(_ handle: FileHandle, for caller: Caller) throws(OperationFailure) {
        guard let open = handle.object as? OpenFileHandle, open.isWriting else { return }
        do throws(LibraryError) {
            try library.flush(open.node)
            if open.isModified.exchange(false, ordering: .relaxed), let happening = open.viewed.withLock({ $0 }) {
                library.tell(happening)
            }
            if open.isReplacement { library.awaitTold() }
        } catch {
            if case .refused = error { noteRefusal(open.node.id) }
            throw OperationFailure(error)
        }
    }

    /// Notifies the kernel of a file whose upload was rejected: it is deleted, or has its former version
    /// back.
    private func noteRefusal(_ id: NodeID) {
        guard let record = try? reading({ try $0.node(id) }) else { return }
        noteRemoval(record)
        guard record.links > 0 else { return }
        // The attributes are invalidated at once: the size has changed, and the agent may be late on a busy
        // machine.
        kernel.withLock { $0 }?.invalidateAttributes(inode(id))
        library.tell(.content(id))
        library.awaitTold()
    }

    /// Makes the file's bytes and name, and all earlier changes, durable.
    public func fsync(_ handle: FileHandle, for caller: Caller) throws(OperationFailure) {
        guard let open = handle.object as? OpenFileHandle else { return }
        try refusing { () throws(LibraryError) in try library.synchronize(open.node) }
    }

    /// Closes a handle.
    public func release(_ handle: FileHandle) {
        guard let open = handle.object as? OpenFileHandle else { return }
        if let reader = open.reader, open.bytesRead.load(ordering: .relaxed) >= max(1, open.node.content.size) {
            library.noteDownload(of: open.node.id, by: reader)
        }
        library.close(open.node, wasWriting: open.isWriting)
        tell(open.passing.withLock { $0 })
        if let name = open.dropped { releaseDropped(name, open.node.id) }
        if open.isWriting, library.hasPolicies, let record = try? reading({ try $0.node(open.node.id) }) {
            // The last commit happened in this close, and may have rejected the upload.
            noteRemoval(record)
        }
        // Mappings of a passthrough file change it without a request.
        if open.isWriting, open.node.attachment.withLock({ $0 != nil }) {
            kernel.withLock { $0 }?.invalidateAttributes(open.node.id.inode)
        }
    }

    func writable(_ handle: FileHandle) throws(OperationFailure) -> OpenFileHandle {
        guard let open = handle.object as? OpenFileHandle, open.isWriting else {
            throw OperationFailure(.badFileDescriptor)
        }
        return open
    }
}
