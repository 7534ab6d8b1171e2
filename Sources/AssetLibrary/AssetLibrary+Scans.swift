internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// A scanner may take long, or hang. Requests that ask it have threads of their own, never all of them for one
// user.
extension AssetLibrary {
    /// Runs a user's `work`, which may ask the scanner, once, on a thread of the scans.
    /// - Returns: false where the library is being closed and no work is begun.
    public func runScan(for uid: UInt32, _ work: @escaping @Sendable () -> Void) -> Bool {
        scans.run(for: uid, work)
    }

    /// Whether the commit of an open file may ask the scanner.
    public func isScanned(_ node: OpenNode) -> Bool {
        guard rulebook.mayScan else { return false }
        // A held lock belongs to a writer or a commit.
        guard let aim = node.upload.withLockIfAvailable({ $0.aim }) else { return true }
        return isScanned(node.id, aim)
    }

    func isScanned(_ id: NodeID, _ aim: OpenNode.Aim?) -> Bool {
        guard rulebook.mayScan, let place = try? read({ try placeToScreen(id, aim, $0) }) else { return false }
        return place.rules.policy.scan != .off
    }

    /// Refuses to ask a scanner, which may hang, while the library is being closed.
    ///
    /// The rest of the closing commits the upload, or the next mount.
    func refuseScanAtEnd(of node: OpenNode) throws(LibraryError) {
        if isClosing.isSet, isScanned(node) { throw .interrupted }
    }
}
