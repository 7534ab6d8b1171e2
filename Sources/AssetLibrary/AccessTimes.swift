public import AssetModel
internal import Catalog
internal import LibraryStorage
internal import Logging
internal import Synchronization

/// The rule by which the time of the last access to a file changes — mount(8).
public enum AccessTimeRule: Sendable {
    /// > Access time is only updated if the previous access time was earlier than or equal to the current
    /// > modify or change time, or … more than 1 day old
    case relative
    /// Each open for reading sets it.
    case strict
    /// Only a program sets it.
    case never
}

/// Access times that the catalog does not have yet.
///
/// An open for reading costs one comparison; the catalog gets the time some seconds later.
///
/// ## Concurrency
/// `times` is held briefly; `count` spares readers the lock while no time is pending.
final class AccessTimes: Sendable {
    private let times = RankedMutex<[NodeID: Timestamp]>(.leaf, [:])
    private let count = Atomic(0)
    let worker = BackgroundWorker()

    /// The delay after which pending times are recorded together.
    static let delay = Duration.seconds(5)
    /// The age from which on `relative` changes an access time in any case.
    static let longest = Duration.seconds(86_400)

    func set(_ time: Timestamp, of node: NodeID) {
        let isFirst = times.withLock { times in
            times[node] = time
            count.store(times.count, ordering: .releasing)
            return times.count == 1
        }
        if isFirst { worker.wake() }
    }

    /// Discards a node's pending time, because a program has set another.
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

    /// Discards recorded times, except those that have changed since.
    func remove(_ recorded: [NodeID: Timestamp]) {
        times.withLock { times in
            for (node, time) in recorded where times[node] == time { times[node] = nil }
            count.store(times.count, ordering: .releasing)
        }
    }
}

extension AssetLibrary {
    /// Updates the access time of a file that is opened for reading, as `rule` demands.
    /// - Returns: whether the time has changed.
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

    /// Returns the last access time of a node, if the catalog does not have it yet.
    public func accessTime(of id: NodeID) -> Timestamp? { accessTimes.time(of: id) }

    /// Records the pending access times in the catalog.
    func recordAccessTimes() {
        let times = accessTimes.all()
        guard !times.isEmpty else { return }
        do throws(LibraryError) {
            try write { records in
                for (node, time) in times { try records.setAccessTime(of: node, to: time) }
            }
            accessTimes.remove(times)
        } catch {
            // A failure loses access times only.
            accessTimes.remove(times)
            if !isClosing.isSet { log.notice("Times of access could not be recorded: \(error)") }
        }
    }
}
