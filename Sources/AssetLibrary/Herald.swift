public import AssetModel
internal import Synchronization

/// Hears of names that came, went or changed without anybody having asked for it by that name.
public protocol NameObserver: AnyObject, Sendable {
    /// Whatever is known of a name, or of its absence, may be wrong.
    func nameChanged(_ name: EntryName, in folder: NodeID)
}

/// Tells an observer of names, on a thread of its own: the kernel takes a folder's lock to forget a name, and a request on that folder
/// may hold it while it waits for us.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Herald: Sendable {
    private struct State {
        weak var observer: (any NameObserver)?
        var names: [(NodeID, EntryName)] = []
    }

    private let state = Mutex(State())
    private let worker = Worker()

    /// Begins.
    func start(_ observer: any NameObserver) {
        state.withLock { $0.observer = observer }
        worker.start(delay: .zero) { [weak self] in self?.tellAll() }
    }

    /// Ends.
    func stop() { worker.stop() }

    /// A name came, went or changed.
    func tell(_ name: EntryName, in folder: NodeID) {
        let hasObserver = state.withLock { state in
            guard state.observer != nil else { return false }
            state.names.append((folder, name))
            return true
        }
        if hasObserver { worker.wake() }
    }

    private func tellAll() {
        let (observer, names) = state.withLock { state in
            defer { state.names = [] }
            return (state.observer, state.names)
        }
        for (folder, name) in names { observer?.nameChanged(name, in: folder) }
    }
}

extension AssetLibrary {
    /// Has an observer told of names that change by themselves; it is not kept alive.
    public func observeNames(_ observer: any NameObserver) { herald.start(observer) }

    /// Returns when the observer is told nothing any more, and nobody waits.
    public func stopObserving() {
        isClosing.set()
        extraction.stop()
        errands.stop()
        herald.stop()
    }

    func tellOfName(_ name: EntryName, in folder: NodeID) {
        freeNumbers.free(name, in: folder)
        herald.tell(name, in: folder)
    }

    /// Whether any folder, or the mount, says anything about uploads.
    public var hasPolicies: Bool { !rulebook.isPlain }

    /// Whether names in a folder may change by themselves, because uploads may be refused or get another name when they are complete.
    public func mayChangeNames(in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return false }
        return try read { try rulebook.of(folder, $0).policy.mayRefuseOrRename }
    }

    /// Whether a file may lose its name by itself, or have another's when the kernel believes that it has moved it: while it is
    /// written, and under a temporary name.
    public func mayChangeName(_ name: EntryName, of id: NodeID, in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return false }
        let place = try read { try rulebook.place(name, in: folder, $0) }
        return place.rules.policy.mayRefuseOrRename && (!place.isFinal || isBeingWritten(id))
    }

    /// Whether anybody may write to a file at the moment.
    public func isBeingWritten(_ id: NodeID) -> Bool {
        guard let node = openNode(id) else { return false }
        // Whoever holds the lock is at it.
        return node.upload.withLockIfAvailable { $0.writers > 0 || $0.isDirty } ?? true
    }
}
