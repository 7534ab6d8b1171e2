public import AssetModel
public import Catalog
internal import LibraryRules
public import LibraryStorage
internal import Synchronization

/// A change that the kernel has to be notified of, because no request of the kernel made it.
public enum Happening: Sendable {
    /// A file got a name.
    case appeared(EntryName, in: NodeID, node: NodeID)
    /// A file lost a name; the name belongs to the successor now, if there is one.
    case vanished(EntryName, in: NodeID, node: NodeRecord, successor: NodeID? = nil)
    /// A folder was renamed within its parent.
    case moved(EntryName, to: EntryName, in: NodeID, node: NodeID)
    /// A name in a view that the kernel knows by a system call does not stay, or a missing name exists now.
    case shown(EntryName, in: NodeID, isThere: Bool)
    /// A file was written to through another name.
    case modified(EntryName, in: NodeID)
    /// A cached name, or its cache lifetime, may be wrong.
    case changed(EntryName, in: NodeID)
    /// A file's attributes differ from those that the kernel got last.
    case attributes(NodeID)
    /// The kernel's cached pages of a file may be wrong although its size and time are unchanged.
    case content(NodeID)
    /// A file without a name is not in the trash, or no longer: it is deleted when the kernel has forgotten
    /// it and no handle is open.
    case lost(NodeID)
}

/// Receives changes that no request of the kernel has made.
public protocol Observer: AnyObject, Sendable {
    /// Prepares for a change before the kernel is notified, on the thread that has made it; returns at once.
    func willHear(_ happening: Happening)
    /// Notifies the kernel of changes, in this order; returns when all possible notifications are done.
    /// - Returns: the time after which it has to be called again in any case.
    func heard(_ happenings: [Happening]) -> Duration?
    /// Makes a running call of `heard` return soon, and each later one at once.
    func stopHearing()
}

/// Notifies an observer of changes, on its own thread: the observer waits until another process has notified
/// the kernel.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Herald: Sendable {
    private struct State {
        weak var observer: (any Observer)?
        var happenings: [Happening] = []
        /// The number of changes handed over, and of those that the observer has handled.
        var asked = 0
        var told = 0
        /// The waiting threads, each with the number of handled changes that it waits for.
        var waiters: [(event: Signal, count: Int)] = []
    }

    /// The number of threads that may wait at once: the other threads serve the requests that a notification
    /// needs.
    private static let waiterLimit = 4

    private let state = RankedMutex(.leaf, State())
    private let worker = BackgroundWorker()

    /// Starts the thread.
    func start(_ observer: any Observer) {
        state.withLock { $0.observer = observer }
        worker.startRepeating(delay: .zero) { [weak self] in self?.tellAll() }
    }

    /// Stops the observer and the thread.
    func stop() {
        state.withLock { $0.observer }?.stopHearing()
        worker.stop()
    }

    /// Queues a change for the observer.
    /// - Returns: whether there is an observer.
    @discardableResult
    func tell(_ happening: Happening) -> Bool {
        guard let observer = state.withLock({ $0.observer }) else { return false }
        observer.willHear(happening)
        state.withLock { state in
            state.happenings.append(happening)
            state.asked += 1
        }
        worker.wake()
        return true
    }

    private func tellAll() -> Duration? {
        let (observer, happenings) = state.withLock { state in
            defer { state.happenings = [] }
            return (state.observer, state.happenings)
        }
        let pause = observer?.heard(happenings)
        state.withLock { state in
            state.told += happenings.count
            for waiter in state.waiters where waiter.count <= state.told { waiter.event.send() }
            state.waiters.removeAll { $0.count <= state.told }
        }
        return pause
    }

    /// Waits until all changes so far are handled, for at most 100 ms: the observer may have to wait for the
    /// caller.
    ///
    /// A thread on which no request depends, `isOwn`, waits for at most 5 s.
    func awaitTold(isOwn: Bool = false) {
        let event = state.withLock { state -> Signal? in
            guard state.told < state.asked, state.observer != nil, isOwn || state.waiters.count < Self.waiterLimit
            else { return nil }
            let event = Signal()
            state.waiters.append((event, state.asked))
            return event
        }
        guard let event else { return }
        event.wait(milliseconds: isOwn ? 5000 : 100)
        state.withLock { $0.waiters.removeAll { $0.event === event } }
    }
}

extension AssetLibrary {
    /// Registers an observer for changes without a request, and keeps only a weak reference to it.
    public func observe(_ observer: any Observer) { herald.start(observer) }

    /// Stops all threads that serve requests or notify the observer; returns when no request waits and no
    /// notification is under way.
    public func stopObserving() {
        isClosing.set()
        sweeper.stop()
        extraction.stop()
        errands.stop()
        // A request that waits for a commit is answered before the session ends.
        verdictWaiters.resumeAll()
        resumptions.stop()
        longReads.stop()
        scans.stop()
        md5Requests.stop()
        herald.stop()
    }

    /// Waits until the kernel is notified of all changes so far, or for a short time: for a program that
    /// continues through another path.
    public func awaitTold() { herald.awaitTold() }

    /// Notifies the observer of a change that was made through another name than the changed one.
    public func tell(_ happening: Happening) {
        switch happening {
        case .appeared(let name, let folder, _), .vanished(let name, let folder, _, _), .changed(let name, let folder):
            freeNumbers.free(name, in: folder)
        case .moved(let name, let other, let folder, _):
            for name in [name, other] { freeNumbers.free(name, in: folder) }
        case .shown, .modified, .attributes, .content, .lost: break
        }
        herald.tell(happening)
    }

    /// Invalidates the kernel's cached entry for a name.
    func tellOfName(_ name: EntryName, in folder: NodeID) { tell(.changed(name, in: folder)) }

    /// Returns the names that lead to a folder, from a folder that has none.
    public func path(of folder: NodeID) throws(LibraryError) -> (root: NodeID, names: [EntryName]) {
        try read { try $0.path(of: folder) }
    }

    /// Whether any folder, or the mount, has a policy for uploads.
    public var hasPolicies: Bool { !rulebook.isPlain }

    /// Returns whether names in a folder may change without a request, because a commit may reject an upload
    /// or give it another name.
    public func mayChangeNames(in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isPlain { return false }
        return try read { try rulebook.of(folder, $0).mayChangeNames }
    }

    /// Returns whether a file may lose its name without a request, or have another one when the kernel
    /// assumes that it was renamed: while the file is written, and under a temporary name.
    public func mayChangeName(_ name: EntryName, of file: NodeRecord, in folder: NodeID) throws(LibraryError) -> Bool {
        if rulebook.isSilent { return false }
        let place = try read { try rulebook.place(name, in: folder, $0) }
        let policy = place.rules.policy
        // The file's commit gives it an expiry.
        if file.asset == nil, policy.life != nil || policy.isTemporary { return true }
        return place.rules.mayChangeNames && (!place.isFinal || isBeingWritten(file.id))
    }

    /// Returns whether a handle may write to a file at the moment.
    public func isBeingWritten(_ id: NodeID) -> Bool {
        guard let node = openNode(id) else { return false }
        // A thread that holds the lock is changing the file.
        return node.upload.withLockIfAvailable { $0.writers > 0 || $0.isDirty } ?? true
    }
}
