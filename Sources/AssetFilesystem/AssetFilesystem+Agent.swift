public import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Logging
internal import Synchronization
internal import SystemPackage

// Notifies the kernel of changes that it has not made itself, and answers the requests of the agent, which
// makes the notifications.
extension AssetFilesystem: Observer {
    /// Records a file that has lost a name, before the program that caused it goes on.
    public func willHear(_ happening: Happening) {
        switch happening {
        // The kernel decides by cached attributes about opens: they must be gone before the request that has
        // changed them is answered.
        case .attributes(let node): kernel.withLock { $0 }?.invalidateAttributes(inode(node))
        case .vanished(_, _, let node, _) where agent != nil:
            staleNames.add(node.id)
            // With cached attributes the kernel would send no request on which the loss could be reported.
            kernel.withLock { $0 }?.invalidateAttributes(inode(node.id))
        default: break
        }
    }

    /// Notifies the kernel: of attributes by notifications, which take no lock, and of names by the agent.
    /// - Returns: the time after which to retry the notifications that failed now.
    public func heard(_ happenings: [Happening]) -> Duration? {
        guard let kernel = kernel.withLock({ $0 }) else { return nil }
        for happening in happenings {
            switch happening {
            case .shown(let name, let view, let isThere): perform(.shown(isThere: isThere), name, in: view, kernel)
            case .appeared(let name, let folder, let node):
                if let former = overtaken.withLock({ $0.removeValue(forKey: Alias(view: folder, name: name.bytes)) }) {
                    perform(.removal(of: former, successor: node), name, in: folder, kernel)
                }
                perform(.appearance(of: node), name, in: folder, kernel)
            case .vanished(let name, let folder, let node, let successor):
                perform(.removal(of: node, successor: successor), name, in: folder, kernel)
            case .moved(let name, let target, let folder, let node):
                perform(.move(to: target, of: node), name, in: folder, kernel)
            case .modified(let name, let folder): perform(.touch, name, in: folder, kernel)
            case .changed(let name, let folder): perform(.renewal, name, in: folder, kernel)
            case .attributes: break
            case .content(let node): reload(node, kernel)
            case .lost(let node): lose(node)
            }
        }
        guard let agent else { return nil }
        for folder in backlog.due(agent.hasEnded) {
            while let item = backlog.take(in: folder), carryOut(item, isNew: false) { backlog.noteSuccess(in: folder) }
        }
        return backlog.pause
    }

    /// Stops the agent.
    public func stopHearing() { agent?.stop() }

    /// Returns whether a request comes from the agent.
    func isAgent(_ caller: Caller) -> Bool { agent?.isAgent(caller.pid) ?? false }

    private func perform(
        _ kind: NotificationAgent.Work.Kind,
        _ name: EntryName,
        in folder: NodeID,
        _ kernel: Kernel
    ) {
        // With the new time of the folder the kernel drops its cached listing.
        kernel.invalidateAttributes(inode(folder))
        var item = Backlog.Item(kind: kind, name: name, folder: folder)
        if case .removal(let node, _) = kind { item.stale = node.id }
        _ = carryOut(item, isNew: true)
    }

    /// Notifies the kernel of one change of a name; a new one goes behind those of its folder that wait.
    /// - Returns: false where the notification has to wait.
    private func carryOut(_ item: Backlog.Item, isNew: Bool) -> Bool {
        if isNew, backlog.append(item) { return false }
        var isMade = true
        if let agent, let path = path(of: item.folder) {
            let work = NotificationAgent.Work(kind: item.kind, name: item.name, folder: item.folder, path: path)
            switch agent.perform(work) {
            case .done, .stopped: break
            case .late(let pid):
                library.log.notice(
                    "The kernel has not been told of a name within 5 s, and is told later: a program holds its folder."
                )
                backlog.hold(item, until: pid)
                return false
            case .died:
                backlog.hold(item, until: nil)
                return false
            case .failed:
                // The state has changed meanwhile, or the folder cannot be written to; the cached name must
                // be right in any case.
                var names: [EntryName] = []
                switch item.kind {
                case .removal(let node, let successor):
                    names = [item.name]
                    if successor == nil { noteOvertaken(node, item.name, in: item.folder) }
                case .appearance: names = [item.name]
                case .move(let target, _): names = [item.name, target]
                case .shown, .renewal, .visit, .reload, .touch: break
                }
                for name in names {
                    let correction = Backlog.Item(kind: .renewal, name: name, folder: item.folder, stale: item.stale)
                    isMade = carryOut(correction, isNew: !isMade) && isMade
                }
                if !names.isEmpty { return isMade }
            }
        }
        if let stale = item.stale { staleNames.remove(stale) }
        return isMade
    }

    /// Records a file whose name another file has got before the watchers were notified of the loss: both are
    /// notified together later.
    private func noteOvertaken(_ node: NodeRecord, _ name: EntryName, in folder: NodeID) {
        guard let other = try? reading({ try $0.node(named: name, in: folder) }), other.isFile, other.id != node.id
        else { return }
        overtaken.withLock { overtaken in
            if overtaken.count >= 64 { overtaken = [:] }
            overtaken[Alias(view: folder, name: name.bytes)] = node
        }
    }

    /// Makes the kernel drop the cached pages of a file.
    private func reload(_ node: NodeID, _ kernel: Kernel) {
        kernel.invalidateAttributes(inode(node))
        guard let agent, let names = try? reading({ try $0.entriesNaming(node) }) else { return }
        for entry in names {
            guard let path = path(of: entry.parent) else { continue }
            let work = NotificationAgent.Work(kind: .reload, name: entry.name, folder: entry.parent, path: path)
            if case .done = agent.perform(work) { return }
        }
    }

    /// Makes the kernel look up a name in a view, so that it releases a node that has lost its last name.
    func visit(_ alias: Alias) {
        guard let agent, let path = path(of: alias.view),
            let name = try? EntryName(alias.name)
        else { return }
        _ = agent.perform(NotificationAgent.Work(kind: .visit, name: name, folder: alias.view, path: path))
    }

    /// Returns the names that lead from the root of the mount to a folder; nil where there is no such path.
    private func path(of folder: NodeID) -> [[UInt8]]? {
        func view(_ names: String...) -> [[UInt8]]? { rootView == .all ? names.map { Array($0.utf8) } : nil }
        switch View(folder) {
        case .trash: return view("trash")
        case .resource(let asset): return view("resources", "\(asset)")
        case .alternatives(let asset): return view("resources", "\(asset)", Self.alternativesName)
        case .some: return nil
        case nil: break
        }
        guard let (root, names) = try? library.path(of: folder) else { return nil }
        let path = names.map(\.bytes)
        switch root {
        case .folders: return (rootView == .all ? [Array("folders".utf8)] : []) + path
        case .collections: return view("collections").map { $0 + path }
        case .alternatives:
            guard let asset = path.first, let start = view("resources") else { return nil }
            return start + [asset, Array(Self.alternativesName.utf8)] + path.dropFirst()
        default: return nil
        }
    }

    // MARK: Answers

    /// Returns the answer to a lookup by the agent; nil where it gets the ordinary answer.
    ///
    /// A removed name still exists for the agent, so that it can unlink it; a new one does not exist yet, so
    /// that it can make it.
    func lookupOfAgent(_ name: EntryName, in folder: NodeID) throws(OperationFailure) -> Entry? {
        guard let work = agent?.current(in: folder) else { return nil }
        switch work.kind {
        case .removal(let node, let successor):
            guard name == work.name, try isNamed(name, in: folder, successor) else { return nil }
            return unsure((try? record(node.id)) ?? node)
        case .appearance(let node):
            if name == work.name, try isNamed(name, in: folder, node) { throw .missingForNow }
        case .move(let target, let node):
            guard try isNamed(work.name, in: folder, nil), try isNamed(target, in: folder, node) else { return nil }
            if name == work.name { return unsure(try record(node)) }
            if name == target { throw .missingForNow }
        case .shown(let isThere):
            guard name == work.name else { return nil }
            if isThere { throw .missingForNow }
            return standIn
        case .renewal, .visit, .reload, .touch: break
        }
        return nil
    }

    /// The file that stands for a name which the agent makes or removes in a view: a node of its own, so that
    /// the kernel changes its cache of no other node.
    private var standIn: Entry {
        let time = mounted.rawValue
        let attributes = Attributes(
            inode: View.standIn.inode,
            mode: 0o100444,
            linkCount: 1,
            uid: owner.uid,
            gid: owner.gid,
            size: 0,
            blocks: 0,
            accessed: time,
            modified: time,
            changed: time
        )
        return Entry(attributes: attributes, nameLifetime: .zero, attributesLifetime: .zero)
    }

    /// Answers the agent's unlink(2): succeeds if the name is gone, or belongs to the successor, and removes
    /// nothing.
    func unlinkByAgent(_ name: EntryName, in folder: NodeID) throws(OperationFailure) {
        guard let work = agent?.current(in: folder), work.name == name else { throw OperationFailure(.resourceBusy) }
        switch work.kind {
        case .removal(_, let successor) where try isNamed(name, in: folder, successor): break
        case .shown(isThere: false): break
        default: throw OperationFailure(.resourceBusy)
        }
        agent?.noteDone()
    }

    /// Answers the agent's mknod(2) with the file that has the name; makes nothing.
    func mknodByAgent(_ name: EntryName, in folder: NodeID) throws(OperationFailure) -> Entry {
        guard let work = agent?.current(in: folder), work.name == name else { throw OperationFailure(.fileExists) }
        let answer: Entry
        switch work.kind {
        case .appearance(let node) where try isNamed(name, in: folder, node):
            answer = entry(try record(node), named: name, in: folder)
        case .shown(isThere: true): answer = standIn
        default: throw OperationFailure(.fileExists)
        }
        agent?.noteDone()
        return answer
    }

    /// Answers the agent's rename(2): succeeds if the folder has the new name, and moves nothing.
    func renameByAgent(_ name: EntryName, to newName: EntryName, in folder: NodeID) throws(OperationFailure) {
        guard let work = agent?.current(in: folder), work.name == name,
            case .move(let target, let node) = work.kind, target == newName,
            try isNamed(name, in: folder, nil), try isNamed(newName, in: folder, node)
        else { throw OperationFailure(.resourceBusy) }
        agent?.noteDone()
    }

    /// Remembers that a thread has looked up an asset's own file by the asset's number, so that its next open
    /// counts as one by that name.
    func noteLookup(of name: EntryName, in folder: NodeID, _ node: NodeID, for caller: Caller) {
        guard caller.pid != 0 else { return }
        viewLookups.withLock { lookups in
            if lookups.count >= 64 { lookups.removeAll() }
            lookups[caller.pid] = (node, folder, name)
        }
    }

    /// Returns the name in a folder of a file that a thread opens by its asset's number; nil where it opens
    /// the file by another name.
    func nameBehindView(of node: NodeID, for caller: Caller) -> (folder: NodeID, name: EntryName)? {
        let found = viewLookups.withLock { $0.isEmpty ? nil : $0.removeValue(forKey: caller.pid) }
        return found.flatMap { $0.node == node ? ($0.folder, $0.name) : nil }
    }

    /// Returns whether a name in a folder belongs to a node; with nil, whether it is free.
    private func isNamed(_ name: EntryName, in folder: NodeID, _ node: NodeID?) throws(OperationFailure) -> Bool {
        try reading { try $0.node(named: name, in: folder)?.id } == node
    }
}
