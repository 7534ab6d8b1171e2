internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Synchronization

/// Opens for writing that are sent to another file than the one that has the name.
///
/// An open of a file whose name is to stay is answered with ESTALE: then open(2) looks the name up once more, without trusting
/// what the kernel remembers, and to that thread the answer is the file that its content is to go to. So the writer has a file of its own
/// in every respect, and nobody else ever sees it under the name.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class Detours: Sendable {
    /// One open under way.
    struct Detour {
        /// The file that was to be opened.
        var file: NodeID
        let isTruncating: Bool
        /// The file to be opened instead, once the name has been looked up.
        var node: NodeID?
        /// Whether the name that was looked up lets the file be written to.
        var isAllowed = false
        /// The kernel looks a name up again at once, but a busy disk may hold up the answer; after that a thread is on no detour.
        fileprivate var deadline = ContinuousClock.now + .seconds(3)
    }

    private let state = Mutex<[Int32: Detour]>([:])

    /// A thread is to look its name up again.
    ///
    /// If it has just been told so and has looked up nothing, it is not on its way by a path, and never will.
    func begin(_ thread: Int32, to file: NodeID, isTruncating: Bool) {
        state.withLock { state in
            let isStuck = state[thread].map { $0.file == file && $0.node == nil } ?? false
            state[thread] = isStuck ? nil : Detour(file: file, isTruncating: isTruncating)
        }
    }

    /// Files for which threads have not come, which are forgotten with this.
    func leftBehind() -> [NodeID] {
        state.withLock { state in
            guard !state.isEmpty else { return [] }
            let old = state.filter { $0.value.deadline < .now }
            for (thread, _) in old { state[thread] = nil }
            return old.values.compactMap(\.node)
        }
    }

    /// What a thread is about to open, if it was sent to look the name up.
    func find(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0[thread].flatMap { $0.deadline > .now ? $0 : nil } }
    }

    /// The name has been looked up.
    func update(_ thread: Int32, _ detour: Detour) {
        var detour = detour
        detour.deadline = .now + .seconds(5)
        state.withLock { $0[thread] = detour }
    }

    /// A thread opens a file: it looks for nothing any more.
    /// - Returns: the detour that it was on.
    func end(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0.removeValue(forKey: thread) }
    }
}

extension AssetFilesystem {
    /// Runs `body`, which opens a file, if the thread may write to it or does not want to; else sends it on its detour.
    func arriving<Value>(
        at id: NodeID,
        isChanging: Bool,
        isTruncating: Bool,
        for caller: Caller,
        _ body: (_ insists: Bool) throws(OperationFailure) -> Value
    ) throws(OperationFailure) -> Value {
        abandon(detours.leftBehind())
        let detour = detours.end(caller.pid)
        let isOwn = detour?.node == id
        if let node = detour?.node, !isOwn { abandon([node]) }
        // What a detour has led to is kept by this open from here on, and gone when the kernel forgets it.
        defer {
            if isOwn {
                library.letGo(id)
                lookupCounts.noteNameless(id)
            }
        }
        let isSent = isOwn || detour.map { $0.isAllowed && $0.file == id } ?? false
        if isChanging, !isSent { try detourIfKept(id, isTruncating: isTruncating, for: caller) }
        return try isChanging ? lookingAgain(at: id, isTruncating: isTruncating, for: caller, body) : body(false)
    }

    /// Sends a thread to another file, where what has the name is to stay.
    private func detourIfKept(_ id: NodeID, isTruncating: Bool, for caller: Caller) throws(OperationFailure) {
        guard library.hasPolicies, let record = try reading({ try $0.node(id) }) else { return }
        // A file that is somebody's detour is nobody else's.
        if library.original(of: id) != nil { throw .lookAgain }
        let kept = try refusing { () throws(LibraryError) in
            try library.keptNames(of: record, isTruncating: isTruncating)
        }
        guard !kept.isEmpty else { return }
        var mayMakeAny = false
        for (folder, _) in kept where mayMakeNames(in: try self.record(folder), caller) { mayMakeAny = true }
        guard mayMakeAny else { throw .mayNotMakeNames }
        guard caller.pid != 0 else { throw .unknownThread }
        detours.begin(caller.pid, to: id, isTruncating: isTruncating)
        throw .lookAgain
    }

    /// Files that nobody has come for.
    private func abandon(_ nodes: [NodeID]) {
        for node in nodes { library.letGo(node) }
        forgetNow(nodes)
    }

    /// The file that a thread which was sent to look a name up is to find under it.
    func detoured(
        _ record: NodeRecord,
        _ name: EntryName,
        in folder: NodeID,
        for caller: Caller
    ) throws(OperationFailure) -> Entry? {
        guard var detour = detours.find(caller.pid), record.isFile else { return nil }
        // Of files such a walk looks up the last component only: another has got the name meanwhile.
        if detour.file != record.id {
            if let node = detour.node { abandon([node]) }
            (detour.file, detour.node) = (record.id, nil)
        }
        if let node = detour.node { return unsure(try self.record(node)) }
        let isKept = try refusing { () throws(LibraryError) in
            try library.keepsContent(of: record, under: name, in: folder, isTruncating: detour.isTruncating)
        }
        guard isKept else {
            detour.isAllowed = true
            detours.update(caller.pid, detour)
            return nil
        }
        guard mayMakeNames(in: try self.record(folder), caller) else { throw .mayNotMakeNames }
        let mayRead = try refusing { () throws(LibraryError) in
            try library.mayRead(record.id, by: uploader(caller))
        }
        guard mayRead || detour.isTruncating else { throw .mayNotBegin }
        let made = try refusing { () throws(LibraryError) in
            try library.divert(record, under: name, in: folder, isEmpty: !mayRead, by: uploader(caller))
        }
        detour.node = made.id
        detours.update(caller.pid, detour)
        return unsure(made)
    }

    /// A thread that was sent to look a name up has done so where the file is to be written to, whatever its folder says: in the
    /// asset's directory.
    func allowDetour(to file: NodeID, for caller: Caller) {
        guard var detour = detours.find(caller.pid), detour.file == file else { return }
        detour.isAllowed = true
        detours.update(caller.pid, detour)
    }

    /// By the mode; with an access control list its group bits are the most that anybody named in it has.
    private func mayMakeNames(in folder: NodeRecord, _ caller: Caller) -> Bool {
        let hasList = library.hasAccessList(folder.id)
        return caller.uid == 0 || folder.permissions(of: caller.uid) { hasList || caller.isMember(of: $0) } & 3 == 3
    }
}
