internal import AssetModel
internal import FUSE
internal import Synchronization

/// Opens whose uploads get a file of their own: what their programs do to the file that they have opened, by its descriptor, is meant
/// for that.
///
/// ## Concurrency
/// `state` is held for a moment only and takes no other lock.
final class Diversions: Sendable {
    private struct Diversion {
        let node: NodeID
        let process: Int32
    }

    private let state = Mutex<[NodeID: [Diversion]]>([:])

    /// An open of `file` writes to `node`.
    func add(_ node: NodeID, from file: NodeID, by caller: Caller) {
        let process = caller.process
        state.withLock { $0[file, default: []].append(Diversion(node: node, process: process)) }
    }

    /// The open has ended.
    func remove(_ node: NodeID, from file: NodeID) {
        state.withLock { state in
            state[file]?.removeAll { $0.node == node }
            if state[file]?.isEmpty == true { state[file] = nil }
        }
    }

    /// What a process that has `file` open writes to in its stead.
    func node(for file: NodeID, _ caller: Caller) -> NodeID? {
        let diversions = state.withLock { $0.isEmpty ? nil : $0[file] }
        guard let diversions else { return nil }
        let process = caller.process
        return diversions.last { $0.process == process }?.node
    }
}
