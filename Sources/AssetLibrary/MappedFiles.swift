internal import AssetModel
internal import Synchronization

/// Nodes without a handle that stay open because a mapping of their file may be left.
///
/// Nothing tells when a mapping of a bound file ends, so that it is asked for: at once, and then less and less often.
///
/// ## Concurrency
/// `nodes` is held for a moment only and takes no other lock.
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

    /// Whether one handle of a node belongs here.
    func has(_ id: NodeID) -> Bool { nodes.withLock { $0[id] != nil } }

    /// - Returns: whether it was there.
    func remove(_ node: OpenNode) -> Bool {
        nodes.withLock { nodes in
            // Another object may stand for the same number by now.
            guard nodes[node.id] === node else { return false }
            nodes[node.id] = nil
            return true
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
        guard unbind(node, besides: 1) != .isReferenced else { return false }
        if mapped.remove(node) { release(node) }
        return true
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
        guard node.isBound.load(ordering: .relaxed), mapped.has(node.id) else { return }
        _ = unbind(node, besides: 2)
    }
}
