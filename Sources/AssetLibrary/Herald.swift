public import AssetModel
public import Catalog
internal import Glibc
internal import Synchronization

/// What happens without anybody having asked for it.
public enum Happening: Sendable {
    /// Whatever is known of a name, or of its absence, may be wrong.
    case changed(EntryName, in: NodeID)
    /// A file's attributes are others than those that were answered.
    case attributes(NodeID)
    /// A file without a name is not in the trash, or not any more: it goes when nobody refers to it.
    case lost(NodeID)
}

/// Hears of what happens by itself.
public protocol Observer: AnyObject, Sendable {
    /// What has happened, in this order.
    func heard(_ happenings: [Happening])
    /// Removes names whose time has come, as far as that is possible, as a program would: so that those who watch a folder hear of
    /// it. Called on the sweeper's thread, which alone finds such names.
    func remove(_ names: [ExpiredName])
}

/// A name whose time has come.
public struct ExpiredName: Sendable {
    /// The name.
    public let name: EntryName
    /// The folder it is in.
    public let folder: NodeID
    /// The names that lead to the folder, and the folder that they begin in.
    public let path: (root: NodeID, names: [EntryName])
}

/// Tells an observer what happens, on a thread of its own: the kernel takes a folder's lock to forget a name, and a request on that
/// folder may hold it while it waits for us.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Herald: Sendable {
    private struct State {
        weak var observer: (any Observer)?
        var happenings: [Happening] = []
        /// How many were to be told, and have been.
        var asked = 0
        var told = 0
    }

    private let state = Mutex(State())
    private let worker = Worker()

    /// Begins.
    func start(_ observer: any Observer) {
        state.withLock { $0.observer = observer }
        worker.start(delay: .zero) { [weak self] in self?.tellAll() }
    }

    /// Ends.
    func stop() { worker.stop() }

    /// Something has happened.
    /// - Returns: whether anybody is told.
    @discardableResult
    func tell(_ happening: Happening) -> Bool {
        let hasObserver = state.withLock { state in
            guard state.observer != nil else { return false }
            state.happenings.append(happening)
            state.asked += 1
            return true
        }
        if hasObserver { worker.wake() }
        return hasObserver
    }

    /// Who is told.
    var observer: (any Observer)? { state.withLock { $0.observer } }

    private func tellAll() {
        let (observer, happenings) = state.withLock { state in
            defer { state.happenings = [] }
            return (state.observer, state.happenings)
        }
        observer?.heard(happenings)
        state.withLock { $0.told += happenings.count }
    }

    /// Returns when all is told that has happened, or when that takes long: the observer may have to wait for who asks here.
    func awaitTold() {
        let end = ContinuousClock.now + .milliseconds(100)
        let asked = state.withLock { $0.asked }
        while state.withLock({ $0.told < asked && $0.observer != nil }), .now < end { _ = usleep(100) }
    }
}

extension AssetLibrary {
    /// Has an observer told of what happens by itself; it is not kept alive.
    public func observe(_ observer: any Observer) { herald.start(observer) }

    /// Returns when the observer is told nothing any more, and nobody waits.
    public func stopObserving() {
        isClosing.set()
        // It asks the mount, which must still answer.
        sweeper.stop()
        extraction.stop()
        errands.stop()
        // A request that waits for a verdict is answered before the session ends.
        verdictWaiters.resumeAll()
        resumptions.stop()
        md5Requests.stop()
        herald.stop()
    }

    /// Returns when what has happened is told, or soon after: for a program that goes on by another path.
    public func awaitTold() { herald.awaitTold() }

    /// Whatever the kernel has of a name may be wrong.
    public func tellOfName(_ name: EntryName, in folder: NodeID) {
        freeNumbers.free(name, in: folder)
        herald.tell(.changed(name, in: folder))
    }

    /// Whether any folder, or the mount, says anything about uploads.
    public var hasPolicies: Bool { !rulebook.isPlain }

    /// Whether names in a folder may change by themselves, because uploads may be refused or get another name when they are complete.
    public func mayChangeNames(in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return false }
        return try read { try rulebook.of(folder, $0).mayChangeNames }
    }

    /// Whether a file may lose its name by itself, or have another's when the kernel believes that it has moved it: while it is
    /// written, and under a temporary name.
    public func mayChangeName(_ name: EntryName, of file: NodeRecord, in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isSilent { return false }
        let place = try read { try rulebook.place(name, in: folder, $0) }
        let policy = place.rules.policy
        // With its verdict it comes to have an end.
        if file.asset == nil, policy.life != nil || policy.isTemporary { return true }
        return place.rules.mayChangeNames && (!place.isFinal || isBeingWritten(file.id))
    }

    /// Whether anybody may write to a file at the moment.
    public func isBeingWritten(_ id: NodeID) -> Bool {
        guard let node = openNode(id) else { return false }
        // Whoever holds the lock is at it.
        return node.upload.withLockIfAvailable { $0.writers > 0 || $0.isDirty } ?? true
    }
}
