internal import AssetModel
internal import Catalog
internal import Synchronization

// A scanner may take long, or hang. Whatever asks it does so on threads for that, of which one user never has all.
extension AssetLibrary {
    /// Has a user's `work`, which may ask the scanner, done on a thread for that, once.
    /// - Returns: false where nothing is begun any more, because the library is being closed.
    public func runScan(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> Bool {
        scans.run(for: uid, work)
    }

    /// Whether the verdict on an open file may ask the scanner.
    public func isScanned(_ node: OpenNode) -> Bool {
        guard rulebook.mayScan else { return false }
        // A held lock is a writer's, or a verdict's.
        guard let aim = node.upload.withLockIfAvailable({ $0.aim }) else { return true }
        return isScanned(node.id, aim)
    }

    func isScanned(_ id: NodeID, _ aim: OpenNode.Aim?) -> Bool {
        guard rulebook.mayScan, let place = try? read({ try placeToScreen(id, aim, $0) }) else { return false }
        return place.rules.policy.scan != .off
    }

    /// Refuses to ask a scanner that may hang when the library is being closed: what is left has its verdict there, or at the next mount.
    func refuseScanAtEnd(of node: OpenNode) throws(LibraryError) {
        if isClosing.isSet, isScanned(node) { throw .interrupted }
    }
}
