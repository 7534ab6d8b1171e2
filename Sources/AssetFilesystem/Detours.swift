internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Synchronization
internal import SystemPackage

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
        let file: NodeID
        let isTruncating: Bool
        /// The file to be opened instead, once the name has been looked up.
        var node: NodeID?
        /// Whether the name that was looked up lets the file be written to.
        var isAllowed = false
        fileprivate let deadline = ContinuousClock.now + .seconds(10)
    }

    private let state = Mutex<[Int32: Detour]>([:])

    /// A thread is to look its name up again.
    /// - Returns: files for which a thread has not come back.
    func begin(_ thread: Int32, to file: NodeID, isTruncating: Bool) -> [NodeID] {
        state.withLock { state in
            let old = state.filter { $0.key == thread || $0.value.deadline < .now }
            for (thread, _) in old { state[thread] = nil }
            state[thread] = Detour(file: file, isTruncating: isTruncating)
            return old.values.compactMap(\.node)
        }
    }

    /// What a thread is about to open, if it was sent to look the name up.
    func find(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0[thread].flatMap { $0.deadline > .now ? $0 : nil } }
    }

    /// The name has been looked up.
    func update(_ thread: Int32, _ detour: Detour) { state.withLock { $0[thread] = detour } }

    /// A thread opens a file: it looks for nothing any more.
    /// - Returns: the detour that it was on.
    func end(_ thread: Int32) -> Detour? {
        state.withLock { $0.isEmpty ? nil : $0.removeValue(forKey: thread) }
    }
}

extension AssetFilesystem {
    /// Sends an open for writing to another file, where what has the name is to stay.
    /// - Returns: whether the file may be written to.
    func mayWrite(_ id: NodeID, isTruncating: Bool, for caller: Caller) throws(OperationFailure) -> Bool {
        guard library.hasPolicies, let record = try reading({ try $0.node(id) }) else { return true }
        let kept = try refusing { () throws(LibraryError) in
            try library.keptNames(of: record, isTruncating: isTruncating)
        }
        guard !kept.isEmpty else { return true }
        // The content gets a name of its own, which only who may write to the folder can give.
        var mayMakeAny = false
        for (folder, _) in kept where mayMakeNames(in: try self.record(folder), caller) { mayMakeAny = true }
        guard mayMakeAny else { throw OperationFailure(.permissionDenied) }
        abandon(detours.begin(caller.pid, to: id, isTruncating: isTruncating))
        return false
    }

    /// A thread opens a file.
    /// - Returns: whether it was sent there, and to a file that is kept for it alone.
    func arrive(at id: NodeID, _ caller: Caller) -> (isSent: Bool, isKept: Bool) {
        guard let detour = detours.end(caller.pid) else { return (false, false) }
        if let node = detour.node, node != id { abandon([node]) }
        return (detour.node == id || detour.isAllowed && detour.file == id, detour.node == id)
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
        guard var detour = detours.find(caller.pid), detour.file == record.id else { return nil }
        if let node = detour.node { return unsure(try self.record(node)) }
        let isKept = try refusing { () throws(LibraryError) in
            try library.keepsContent(of: record, under: name, in: folder, isTruncating: detour.isTruncating)
        }
        guard isKept else {
            detour.isAllowed = true
            detours.update(caller.pid, detour)
            return nil
        }
        guard mayMakeNames(in: try self.record(folder), caller) else { throw OperationFailure(.permissionDenied) }
        let made = try refusing { () throws(LibraryError) in
            try library.divert(record, under: name, in: folder, uid: caller.uid, gid: caller.gid)
        }
        detour.node = made.id
        detours.update(caller.pid, detour)
        return unsure(made)
    }

    /// By the mode; with an access control list its group bits are the most that anybody named in it has.
    private func mayMakeNames(in folder: NodeRecord, _ caller: Caller) -> Bool {
        if caller.uid == 0 { return true }
        let shift: UInt32 = folder.uid == caller.uid ? 6 : caller.isMember(of: folder.gid) ? 3 : 0
        let hasList = (try? library.extendedAttribute(Array("system.posix_acl_access".utf8), of: folder.id)) != nil
        return folder.mode >> (hasList && shift == 0 ? 3 : shift) & 3 == 3
    }
}
