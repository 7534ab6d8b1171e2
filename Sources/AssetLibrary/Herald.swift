public import AssetModel
public import Catalog
internal import Glibc
internal import Synchronization

/// A change that no request of the kernel has made.
public enum Happening: Sendable {
    /// A file came to have a name.
    case appeared(EntryName, in: NodeID, node: NodeID)
    /// A file lost a name, which another file has now if there is a successor.
    case vanished(EntryName, in: NodeID, node: NodeRecord, successor: NodeID? = nil)
    /// A folder changed its name within the folder that it is in.
    case moved(EntryName, to: EntryName, in: NodeID, node: NodeID)
    /// A name in a view, which the kernel knows by a system call, does not stay; or one has come there for which there was none.
    case shown(EntryName, in: NodeID, isThere: Bool)
    /// A file was written to by another name.
    case modified(EntryName, in: NodeID)
    /// A cached name, or how long it may be cached, may be wrong.
    case changed(EntryName, in: NodeID)
    /// A file's attributes are others than those that were answered.
    case attributes(NodeID)
    /// A file's cached content may be wrong though its size and time are what they were.
    case content(NodeID)
    /// A file without a name is not in the trash, or not any more: it goes when nobody refers to it.
    case lost(NodeID)
}

/// Hears of changes that no request of the kernel has made.
public protocol Observer: AnyObject, Sendable {
    /// Learns of a change before it is told, on the thread that has made it; returns at once.
    func willHear(_ happening: Happening)
    /// Tells the kernel of changes, in this order; returns when it is told of what it can be told.
    /// - Returns: after what time to be called again in any case.
    func heard(_ happenings: [Happening]) -> Duration?
    /// Has a running `heard` return soon, and each later one at once.
    func stopHearing()
}

/// Tells an observer of changes, on a thread of its own: the observer waits until another process has told the kernel.
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
        /// The writing ends of pipes of threads that wait until so many are told.
        var waiters: [Int32: Int] = [:]
    }

    /// At most so many threads wait at once: the kernel is told with the help of the others.
    private static let waiterLimit = 4

    private let state = Mutex(State())
    private let worker = Worker()

    /// Begins.
    func start(_ observer: any Observer) {
        state.withLock { $0.observer = observer }
        worker.startRepeating(delay: .zero) { [weak self] in self?.tellAll() }
    }

    /// Ends.
    func stop() {
        state.withLock { $0.observer }?.stopHearing()
        worker.stop()
    }

    /// Has the observer told of a change.
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
            for (pipe, count) in state.waiters where count <= state.told {
                var byte: UInt8 = 1
                unsafe _ = write(pipe, &byte, 1)
                state.waiters[pipe] = nil
            }
        }
        return pause
    }

    /// Returns when all is told that has happened, at the latest after 100 ms: the observer may have to wait for the caller.
    ///
    /// A thread for which no request waits, `isOwn`, has more time.
    func awaitTold(isOwn: Bool = false) {
        guard state.withLock({ $0.told < $0.asked && $0.observer != nil }) else { return }
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let (reading, writing) = (ends[0], ends[1])
        let waits = state.withLock { state in
            guard state.told < state.asked, isOwn || state.waiters.count < Self.waiterLimit else { return false }
            state.waiters[writing] = state.asked
            return true
        }
        if waits {
            var event = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            unsafe _ = poll(&event, 1, isOwn ? 5000 : 100)
            state.withLock { $0.waiters[writing] = nil }
        }
        for end in ends { _ = close(end) }
    }
}

extension AssetLibrary {
    /// Has an observer told of what happens by itself; it is not kept alive.
    public func observe(_ observer: any Observer) { herald.start(observer) }

    /// Returns when the observer is told nothing any more, and nobody waits.
    public func stopObserving() {
        isClosing.set()
        sweeper.stop()
        extraction.stop()
        errands.stop()
        // A request that waits for a verdict is answered before the session ends.
        verdictWaiters.resumeAll()
        resumptions.stop()
        longReads.stop()
        scans.stop()
        md5Requests.stop()
        herald.stop()
    }

    /// Returns when what has happened is told, or soon after: for a program that goes on by another path.
    public func awaitTold() { herald.awaitTold() }

    /// Has the observer told of a change that was made by another name than the one that is changed.
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

    /// Has a name looked up anew.
    func tellOfName(_ name: EntryName, in folder: NodeID) { tell(.changed(name, in: folder)) }

    /// The names that lead to a folder, from a folder that has none.
    public func path(of folder: NodeID) throws(LibraryError) -> (root: NodeID, names: [EntryName]) {
        try read { try $0.path(of: folder) }
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
