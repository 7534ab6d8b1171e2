internal import AssetModel
internal import LibraryStorage
internal import Synchronization

// The order of long deferred commits, so that one user's files do not delay those of all others.
extension AssetLibrary {
    /// Returns the long commit that runs next.
    ///
    /// Commits that requests wait for come first; of these, those of the user with the fewest threads
    /// reading, then of the user served the longest time ago, and then the smallest. A user has all threads
    /// but one at most, and all but two at most run commits that ask the scanner, which may hang.
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

    /// Notes that a long commit is run for a file's writer.
    func noteSettling(for node: OpenNode) {
        let uid = node.writer.load(ordering: .relaxed)
        settledUsers.withLock { users in
            users.removeAll { $0 == uid }
            users.append(uid)
            if users.count > 64 { users.removeFirst() }
        }
    }
}
