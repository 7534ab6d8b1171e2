internal import AssetLibrary
internal import AssetModel
internal import FUSE

/// The directories and files of the mount that no one made: the root and the views.
enum View: Int64, CaseIterable, Sendable {
    case root = 1
    case uploads = 3
    case receipts = 4

    init?(_ node: NodeID) { self.init(rawValue: node.rawValue) }

    var id: NodeID { NodeID(rawValue: rawValue) }

    var isDirectory: Bool { self != .receipts }

    /// What a directory of the views shows, in order; the position, counted from 1, is the cookie.
    var entries: [(name: String, node: NodeID)] {
        switch self {
        case .root: [("folders", .folders), ("uploads", View.uploads.id)]
        case .uploads: [("receipts.jsonl", View.receipts.id)]
        case .receipts: []
        }
    }

    func node(named name: EntryName) -> NodeID? {
        entries.first { Array($0.name.utf8) == name.bytes }?.node
    }
}
