public import AssetModel
internal import Catalog
internal import Logging
internal import Synchronization

/// When the time of the last access to a file moves — mount(8).
public enum AccessTimeRule: Sendable {
    /// > Access time is only updated if the previous access time was earlier than or equal to the current modify or change time, or
    /// > … more than 1 day old
    case relative
    /// At each open for reading.
    case strict
    /// Only when a program sets it.
    case never
}

/// Times of access that are not recorded yet.
///
/// A reader pays for a comparison; the catalog has the time some seconds later.
///
/// ## Concurrency
/// `times` is held for a moment only; `count` saves the lock where there is none.
final class AccessTimes: Sendable {
    private let times = Mutex<[NodeID: Timestamp]>([:])
    private let count = Atomic(0)
    let worker = Worker()

    /// How long a time waits for others.
    static let delay = Duration.seconds(5)
    /// A relative time that is older than this moves in any case.
    static let longest = Duration.seconds(86_400)

    func set(_ time: Timestamp, of node: NodeID) {
        let isFirst = times.withLock { times in
            times[node] = time
            count.store(times.count, ordering: .releasing)
            return times.count == 1
        }
        if isFirst { worker.wake() }
    }

    /// Forgets a node's time, because a program has set another.
    func remove(_ node: NodeID) {
        guard count.load(ordering: .acquiring) > 0 else { return }
        times.withLock { times in
            times[node] = nil
            count.store(times.count, ordering: .releasing)
        }
    }

    func time(of node: NodeID) -> Timestamp? {
        guard count.load(ordering: .acquiring) > 0 else { return nil }
        return times.withLock { $0[node] }
    }

    func all() -> [NodeID: Timestamp] { times.withLock { $0 } }

    /// Forgets times that are recorded, unless another has come since.
    func remove(_ recorded: [NodeID: Timestamp]) {
        times.withLock { times in
            for (node, time) in recorded where times[node] == time { times[node] = nil }
            count.store(times.count, ordering: .releasing)
        }
    }
}

extension AssetLibrary {
    /// Notes that a file is opened for reading; its time of access moves if `rule` says so.
    /// - Returns: whether it has moved.
    public func noteAccess(to node: OpenNode, _ rule: AccessTimeRule) -> Bool {
        guard rule != .never else { return false }
        let due = node.access.withLock { access -> Timestamp? in
            guard let (last, changed) = access else { return nil }
            let now = Timestamp.now
            let isOld = last <= changed || last < now.advanced(by: .zero - AccessTimes.longest)
            guard rule == .strict || isOld else { return nil }
            access = (now, changed)
            return now
        }
        if let due { accessTimes.set(due, of: node.id) }
        return due != nil
    }

    /// The time of the last access to a node, where the catalog does not have it yet.
    public func accessTime(of id: NodeID) -> Timestamp? { accessTimes.time(of: id) }

    /// Records the times of access that have come.
    func recordAccessTimes() {
        let times = accessTimes.all()
        guard !times.isEmpty else { return }
        do throws(LibraryError) {
            try write { records in
                for (node, time) in times { try records.setAccessTime(of: node, to: time) }
            }
            accessTimes.remove(times)
        } catch {
            // Nothing but times is lost.
            accessTimes.remove(times)
            if !isClosing.isSet { log.notice("Times of access could not be recorded: \(error)") }
        }
    }
}
