internal import AssetModel
internal import LibraryStorage
internal import Synchronization

/// Nodes without a handle that stay open because a mapping of their file may exist.
///
/// The kernel does not report the end of a mapping of a bound file, so it is polled for: at once, and then
/// less and less often.
///
/// ## Concurrency
/// `nodes` is held for a moment only and takes no other lock. `OpenNode.isWatched` says whether one of a
/// node's handles belongs here.
final class MappedFiles: Sendable {
    /// The watched nodes, each with one handle that belongs here.
    private let nodes = RankedMutex<[NodeID: OpenNode]>(.leaf, [:])
    private let pause = RankedMutex(.leaf, MappedFiles.pauses.shortest)
    let worker = BackgroundWorker()

    /// The limits of the pause between two polls.
    static let pauses = (shortest: Duration.milliseconds(10), longest: Duration.seconds(1))

    func add(_ node: OpenNode) {
        nodes.withLock { $0[node.id] = node }
        pause.withLock { $0 = Self.pauses.shortest }
    }

    /// Returns the time until the next poll, twice as long as the one before.
    func nextPause() -> Duration {
        pause.withLock { pause in
            defer { pause = min(pause * 2, Self.pauses.longest) }
            return pause
        }
    }

    func remove(_ node: OpenNode) {
        nodes.withLock { nodes in
            // Another object may have the same number by now.
            if nodes[node.id] === node { nodes[node.id] = nil }
        }
    }

    var all: [OpenNode] { nodes.withLock { Array($0.values) } }
}

extension AssetLibrary {
    /// Keeps a bound node open after its last handle, with that handle, until no mapping of its file is left.
    func keepWhileMapped(_ node: OpenNode) {
        mapped.add(node)
        guard !endMapping(of: node) else { return }
        mapped.worker.wake()
    }

    /// Releases a node that is no longer mapped, or that has other handles, which come here again when they
    /// are closed.
    /// - Returns: whether it was released.
    private func endMapping(of node: OpenNode) -> Bool {
        let outcome = unbind(node, besides: 0)
        guard outcome != .isReferenced else { return false }
        let (isGone, isLast) = openNodes.withLock { nodes -> (Bool, Bool) in
            guard let found = nodes[node.id], found.node === node, node.isWatched.load(ordering: .relaxed) else {
                return (true, false)
            }
            // The other handles were closed meanwhile.
            if found.handles == 1, node.isBound.load(ordering: .relaxed) { return (false, false) }
            node.isWatched.store(false, ordering: .relaxed)
            nodes[node.id] = found.handles > 1 ? (found.node, found.handles - 1) : nil
            mapped.remove(node)
            return (true, found.handles == 1)
        }
        if isLast { noteUnused(node) }
        return isGone
    }

    /// Notes that no handle uses a node any more: it shows no blob, whose metadata may be extracted now.
    func noteUnused(_ node: OpenNode) {
        node.shown.withLock { $0.blob }?.end()
        extraction.wake()
    }

    /// Polls all nodes that may be mapped.
    /// - Returns: the time until the next poll; nil where no node is left.
    func watchMappings() -> Duration? {
        var isAnyLeft = false
        for node in mapped.all where !endMapping(of: node) { isAnyLeft = true }
        return isAnyLeft ? mapped.nextPause() : nil
    }

    /// Unbinds a file that is about to be opened for writing, if only the handle of the watch over its
    /// mappings holds it: otherwise the first change would copy it.
    func unbindForWriting(_ node: OpenNode) {
        if node.isBound.load(ordering: .relaxed) { _ = unbind(node, besides: 1) }
    }
}
