internal import AssetModel
internal import Synchronization

// Which of the long verdicts that wait comes next, so that one user's files do not hold up all others'.
extension AssetLibrary {
    /// Picks the long verdict that comes next: those that requests wait for come first; of these the one of the user for whom the fewest
    /// threads read, then the one who has waited for the longest time, and then the smallest.
    ///
    /// One thread is left for others than the user who has all but it, and two for files that the scanner, which may hang, is not asked about.
    func nextLong(of long: [(id: NodeID, node: OpenNode)]) -> (id: NodeID, node: OpenNode)? {
        let entries = waiting.withLock { $0 }
        let recent = settledUsers.withLock { $0 }
        var running: [UInt32: Int] = [:]
        for entry in entries.values where entry.isRunning { running[entry.uid, default: 0] += 1 }
        func rank(_ one: (id: NodeID, node: OpenNode)) -> (Int, Int, Int, Int64) {
            guard let entry = entries[one.id] else { return (2, 0, 0, 0) }
            let turn = recent.lastIndex(of: entry.uid).map { $0 + 1 } ?? 0
            return (entry.isWanted ? 0 : 1, running[entry.uid] ?? 0, turn, one.node.content.size)
        }
        let most = longSettlers.count - 1
        let isScanning = entries.values.count { $0.isRunning && $0.isScanned } > longSettlers.count - 3
        return long.filter { one in
            guard let entry = entries[one.id] else { return true }
            return running[entry.uid] ?? 0 < most && !(isScanning && entry.isScanned)
        }.min { rank($0) < rank($1) }
    }

    /// Notes for whom a long verdict is had.
    func noteSettling(for node: OpenNode) {
        let uid = node.writer.load(ordering: .relaxed)
        settledUsers.withLock { users in
            users.removeAll { $0 == uid }
            users.append(uid)
            if users.count > 64 { users.removeFirst() }
        }
    }
}
