internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import Synchronization

/// Redirects opens for writing to another file than the one that has the name.
///
/// An open of a file whose name is preserved is answered with ESTALE: then open(2) looks the name up once
/// more, without trusting the kernel's cache, and that thread gets the file for the new bytes. So the writer
/// has a file of its own in every respect, and no other thread ever sees it under the name.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class Detours: Sendable {
    /// One open in progress.
    struct Detour {
        /// The file that the program asked for.
        var file: NodeID
        let isTruncating: Bool
        /// The file to be opened instead, once the name has been looked up.
        var node: NodeID?
        /// Whether the looked-up name lets the file be written to.
        var isAllowed = false
        /// The end of the redirect: the kernel looks a name up again at once, but a busy disk may delay the
        /// answer.
        fileprivate var deadline = ContinuousClock.now + .seconds(3)
    }

    private let state = Mutex<[Int32: Detour]>([:])

    /// Makes a thread look its name up again.
    ///
    /// A thread that was redirected before and looked up nothing does not open by a path; it is not
    /// redirected again.
    func begin(_ thread: Int32, to file: NodeID, isTruncating: Bool) {
        state.withLock { state in
            let isStuck = state[thread].map { $0.file == file && $0.node == nil } ?? false
            state[thread] = isStuck ? nil : Detour(file: file, isTruncating: isTruncating)
        }
    }

    /// Removes and returns the files whose threads have not opened them in time.
    func leftBehind() -> [NodeID] {
        state.withLock { state in
            guard !state.isEmpty else { return [] }
            let old = state.filter { $0.value.deadline < .now }
            for (thread, _) in old { state[thread] = nil }
            return old.values.compactMap(\.node)
        }
    }

    /// Returns the redirect of a thread, if it has one.
    func find(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0[thread].flatMap { $0.deadline > .now ? $0 : nil } }
    }

    /// Records that the name has been looked up.
    func update(_ thread: Int32, _ detour: Detour) {
        var detour = detour
        detour.deadline = .now + .seconds(5)
        state.withLock { $0[thread] = detour }
    }

    /// Ends the redirect of a thread that opens a file.
    /// - Returns: the redirect.
    func end(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0.removeValue(forKey: thread) }
    }
}

extension AssetFilesystem {
    /// Runs `body`, which opens a file, if the thread may write to it or only reads; otherwise redirects the
    /// thread.
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
        // The target of a redirect is held by this open from here on, and deleted when the kernel forgets it.
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

    /// Redirects a thread to another file, where the file that has the name is to be preserved.
    private func detourIfKept(_ id: NodeID, isTruncating: Bool, for caller: Caller) throws(OperationFailure) {
        guard library.hasPolicies, let record = try reading({ try $0.node(id) }) else { return }
        // The target of one thread's redirect is not opened by another.
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

    /// Deletes the targets of redirects whose threads never opened them.
    private func abandon(_ nodes: [NodeID]) {
        for node in nodes { library.letGo(node) }
        forgetNow(nodes)
    }

    /// Returns the file that a redirected thread gets for a name; nil where it gets the ordinary one.
    func detoured(
        _ record: NodeRecord,
        _ name: EntryName,
        in folder: NodeID,
        for caller: Caller
    ) throws(OperationFailure) -> Entry? {
        guard var detour = detours.find(caller.pid), record.isFile else { return nil }
        // The retried path walk looks up only the last component for files: another file has got the name
        // meanwhile.
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

    /// Allows a redirected thread to write to the file itself, independent of its folder's policy: it looked
    /// the name up in the asset's directory.
    func allowDetour(to file: NodeID, for caller: Caller) {
        guard var detour = detours.find(caller.pid), detour.file == file else { return }
        detour.isAllowed = true
        detours.update(caller.pid, detour)
    }

    /// Returns whether a caller may make names in a folder by its mode; with an access control list the group
    /// bits are the upper limit for all users and groups in it.
    private func mayMakeNames(in folder: NodeRecord, _ caller: Caller) -> Bool {
        let hasList = library.hasAccessList(folder.id)
        return caller.uid == 0 || folder.permissions(of: caller.uid) { hasList || caller.isMember(of: $0) } & 3 == 3
    }
}
