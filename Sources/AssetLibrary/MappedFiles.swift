internal import AssetModel
internal import Synchronization

/// Nodes without a handle that stay open because a mapping of their file may be left.
///
/// Nothing tells when a mapping of a bound file ends, so that it is asked for: at once, and then less and less often.
///
/// ## Concurrency
/// `nodes` is held for a moment only and takes no other lock. Whether a handle belongs here is `OpenNode.isWatched`.
final class MappedFiles: Sendable {
    /// Each has one handle that belongs here.
    private let nodes = Mutex<[NodeID: OpenNode]>([:])
    private let pause = Mutex(MappedFiles.pauses.shortest)
    let worker = Worker()

    /// The pauses between two looks.
    static let pauses = (shortest: Duration.milliseconds(10), longest: Duration.seconds(1))

    func add(_ node: OpenNode) {
        nodes.withLock { $0[node.id] = node }
        pause.withLock { $0 = Self.pauses.shortest }
    }

    /// The time until the next look, twice as long as the one before.
    func nextPause() -> Duration {
        pause.withLock { pause in
            defer { pause = min(pause * 2, Self.pauses.longest) }
            return pause
        }
    }

    func remove(_ node: OpenNode) {
        nodes.withLock { nodes in
            // Another object may stand for the same number by now.
            if nodes[node.id] === node { nodes[node.id] = nil }
        }
    }

    var all: [OpenNode] { nodes.withLock { Array($0.values) } }
}

extension AssetLibrary {
    /// Keeps a bound node whose last handle has gone, with that handle, until no mapping of its file is left.
    func keepWhileMapped(_ node: OpenNode) {
        mapped.add(node)
        guard !endMapping(of: node) else { return }
        mapped.worker.wake()
    }

    /// Lets go of a node that is not mapped any more, or that has other handles, which come here again.
    /// - Returns: whether it has been let go of.
    private func endMapping(of node: OpenNode) -> Bool {
        let outcome = unbind(node, besides: 0)
        guard outcome != .isReferenced else { return false }
        let (isGone, isLast) = openNodes.withLock { nodes -> (Bool, Bool) in
            guard let found = nodes[node.id], found.node === node, node.isWatched.load(ordering: .relaxed) else {
                return (true, false)
            }
            // The other handles have gone meanwhile.
            if found.handles == 1, node.isBound.load(ordering: .relaxed) { return (false, false) }
            node.isWatched.store(false, ordering: .relaxed)
            nodes[node.id] = found.handles > 1 ? (found.node, found.handles - 1) : nil
            mapped.remove(node)
            return (true, found.handles == 1)
        }
        if isLast { extraction.wake() }
        return isGone
    }

    /// Looks at all nodes that may be mapped.
    /// - Returns: when to look again; nil where none is left.
    func watchMappings() -> Duration? {
        var isAnyLeft = false
        for node in mapped.all where !endMapping(of: node) { isAnyLeft = true }
        return isAnyLeft ? mapped.nextPause() : nil
    }

    /// Ends the binding of a file that is about to be opened for writing, if nothing but the watch over its mappings holds it: else
    /// the first change would copy it.
    func unbindForWriting(_ node: OpenNode) {
        if node.isBound.load(ordering: .relaxed) { _ = unbind(node, besides: 1) }
    }
}
