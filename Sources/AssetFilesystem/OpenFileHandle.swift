internal import AssetLibrary
internal import Synchronization

/// One open file: what open(2) answered.
final class OpenFileHandle: Sendable {
    let node: OpenNode
    let isWriting: Bool
    /// The file that was opened, where what is written is to be another one.
    let original: OpenNode?
    /// Whether writes go to the end, wherever the kernel takes that to be.
    let appends = Atomic(false)
    /// Whether a write through this handle has yet to take set-id bits and capabilities from the file.
    let mayHavePrivileges: Atomic<Bool>

    init(node: OpenNode, isWriting: Bool, original: OpenNode? = nil) {
        self.node = node
        self.original = original
        self.isWriting = isWriting
        mayHavePrivileges = Atomic(isWriting)
    }
}

/// One open directory, or the receipts.
final class OpenViewHandle: Sendable {}
