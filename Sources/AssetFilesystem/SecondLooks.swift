internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import LibraryStorage
internal import SystemPackage
internal import Synchronization

/// Threads that tried to open for writing a file that had lost its name between the kernel's lookup and the
/// open.
///
/// The first attempt is answered with ESTALE, and the kernel walks the path once more: to the file that has
/// the name now, or to none. An attempt that still leads to a file without a name does not open by a path, or
/// has lost the race twice, and succeeds.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class SecondLooks: Sendable {
    private struct Look {
        let until = ContinuousClock.now + .seconds(10)
        /// Whether the path leads through the trash, where files cannot be written to.
        var isInTrash = false
    }

    private let state = Mutex<[Int32: Look]>([:])

    /// Records that a thread has to look its path up again.
    func begin(_ thread: Int32) {
        state.withLock { state in
            // Drops threads that have found no file, and so never came back.
            if state.count >= 64 { state = state.filter { $0.value.until > .now } }
            state[thread] = Look()
        }
    }

    /// Records that a thread has looked up a name in the trash.
    func noteTrash(_ thread: Int32) {
        state.withLock { if !$0.isEmpty { $0[thread]?.isInTrash = true } }
    }

    /// Ends a thread's second lookup.
    /// - Returns: nil if there was none; otherwise whether it led through the trash.
    func end(_ thread: Int32) -> Bool? {
        state.withLock { state in
            guard !state.isEmpty, let look = state.removeValue(forKey: thread), look.until > .now else { return nil }
            return look.isInTrash
        }
    }
}

extension AssetFilesystem {
    /// Runs `body`, which opens a file to change it, after the thread has looked its path up again.
    ///
    /// `body` gets whether to open the file even if it has no name.
    func lookingAgain<Value>(
        at id: NodeID,
        isTruncating: Bool,
        for caller: Caller,
        _ body: (_ insists: Bool) throws(OperationFailure) -> Value
    ) throws(OperationFailure) -> Value {
        var isInTrash = secondLooks.end(caller.pid)
        // The kernel numbers all threads of another pid namespace 0, so that a second lookup cannot be
        // distinguished from a first.
        if caller.pid == 0 {
            isInTrash = aliases.withLock { $0[id]?.contains { $0.view == View.trash.id } ?? false }
        }
        guard isInTrash == false else {
            do throws(OperationFailure) {
                return try body(false)
            } catch {
                guard error.errno == OperationFailure.lookAgain.errno else { throw error }
                if isInTrash == true { throw OperationFailure(LibraryError.readOnly) }
                secondLooks.begin(caller.pid)
                if library.hasPolicies { detours.begin(caller.pid, to: id, isTruncating: isTruncating) }
                throw error
            }
        }
        let value = try body(true)
        // Without its asset the file is deleted with the kernel's last reference.
        if let record = try? reading({ try $0.node(id) }) { noteRemoval(record) }
        return value
    }
}

extension AssetFilesystem {
    /// Makes and opens a file without a name, to which linkat(2) may give one: O_TMPFILE.
    func createTemporary(
        in parent: InodeNumber,
        mode: UInt32,
        flags: Int32,
        for caller: Caller
    ) throws(OperationFailure) -> (Entry, Opened) {
        // The name of a file that is put into a view decides its meaning.
        guard View(node(parent)) == nil else { throw OperationFailure(.notSupportedOnSocket) }
        let share = try shareOfOpenFiles(for: caller, patience: Self.shortPatience)
        let (record, node) = try refusing { () throws(LibraryError) in
            try library.makeTemporary(in: self.node(parent), mode: mode, umask: caller.umask, by: uploader(caller))
        }
        lookupCounts.noteNameless(record.id)
        return (unsure(record), try opened(node, isWriting: true, flags: flags, share: share, for: caller))
    }
}
