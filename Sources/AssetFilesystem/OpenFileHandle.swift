internal import AssetLibrary
internal import Synchronization

/// One open file: what open(2) answered.
final class OpenFileHandle: Sendable {
    let node: OpenNode
    let isWriting: Bool
    /// Whether a write through this handle has yet to take set-id bits from the file.
    let mayHavePrivileges: Atomic<Bool>

    init(node: OpenNode, isWriting: Bool, uid: UInt32) {
        self.node = node
        self.isWriting = isWriting
        mayHavePrivileges = Atomic(isWriting && uid != 0)
    }
}

/// One open directory, or the receipts.
final class OpenViewHandle: Sendable {}
