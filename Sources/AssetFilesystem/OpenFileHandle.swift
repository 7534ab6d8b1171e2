internal import AssetLibrary
internal import Catalog
internal import Synchronization

/// One open file: what open(2) answered.
final class OpenFileHandle: Sendable {
    let node: OpenNode
    let isWriting: Bool
    /// Whether a write through this handle has yet to take set-id bits and capabilities from the file.
    let mayHavePrivileges: Atomic<Bool>

    init(node: OpenNode, isWriting: Bool) {
        self.node = node
        self.isWriting = isWriting
        mayHavePrivileges = Atomic(isWriting)
    }
}

/// One open directory, or file of a view.
final class OpenViewHandle: Sendable {
    /// What a reader is shown; nil for the receipts, which grow.
    let content: [UInt8]?
    /// The former content that a reader is shown.
    let version: VersionRecord?

    init(_ content: [UInt8]? = nil, _ version: VersionRecord? = nil) {
        self.content = content
        self.version = version
    }
}
