internal import AssetModel
internal import Glibc
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

extension AssetLibrary {
    /// How long a request for an attribute waits for the lock of a file whose commit is deferred.
    private static let lockPatience = Duration.seconds(2)

    /// Returns whether a commit has much to read; nil while another thread holds the file's lock.
    func hasLongCommit(_ node: OpenNode) -> Bool? {
        node.upload.withLockIfAvailable { upload in
            !isLost(node) && upload.bytesToRead(node.content.size) > Self.quickBytes
        }
    }

    /// Runs a deferred commit at once if it reads little; else the attributes of the last commit remain.
    ///
    /// RELEASE holds the file's lock for a moment after close(2) has returned, so a held lock is waited for,
    /// but not for as long as a long copy may hold it.
    func settleIfQuick(_ id: NodeID) throws(LibraryError) {
        let end = ContinuousClock.now + Self.lockPatience
        while let deferred = waiting.withLock({ $0[id] }), !deferred.isScanned, let node = openNode(id) {
            if let isLong = hasLongCommit(node) { return isLong ? () : try finish(node) }
            guard .now < end else { return }
            _ = usleep(200)
        }
    }
}
