internal import AssetLibrary
internal import AssetModel
internal import FUSE

/// The directories and files of the mount that no one made: the root and the views.
enum View: Hashable, Sendable {
    case root
    case uploads
    case receipts
    case jobs
    /// What was removed and can be taken back.
    case trash
    /// The state of the work on an asset.
    case job(AssetID)

    /// Nodes above this number are jobs'; the catalog never comes as far.
    private static let firstJob: Int64 = 1 << 60

    init?(_ node: NodeID) {
        switch node.rawValue {
        case 1: self = .root
        case 3: self = .uploads
        case 4: self = .receipts
        case 5: self = .jobs
        case 6: self = .trash
        case let number where number > Self.firstJob: self = .job(AssetID(rawValue: number - Self.firstJob))
        default: return nil
        }
    }

    var id: NodeID {
        switch self {
        case .root: NodeID(rawValue: 1)
        case .uploads: NodeID(rawValue: 3)
        case .receipts: NodeID(rawValue: 4)
        case .jobs: NodeID(rawValue: 5)
        case .trash: NodeID(rawValue: 6)
        case .job(let asset): NodeID(rawValue: Self.firstJob + asset.rawValue)
        }
    }

    var isDirectory: Bool {
        switch self {
        case .root, .uploads, .jobs, .trash: true
        case .receipts, .job: false
        }
    }

    /// Whether what it shows changes without anybody having asked for that through the kernel.
    var changesByItself: Bool { self != .root && self != .uploads }

    /// What a directory of the views always shows, in order; the position, counted from 1, is the cookie.
    var entries: [(name: String, node: NodeID)] {
        switch self {
        case .root: [("folders", .folders), ("trash", View.trash.id), ("uploads", View.uploads.id)]
        case .uploads: [("receipts.jsonl", View.receipts.id), ("jobs", View.jobs.id)]
        case .receipts, .jobs, .trash, .job: []
        }
    }

    /// Permissions: receipts and jobs name files in folders that not everybody may read; from the trash everybody takes what is theirs.
    var mode: UInt32 {
        switch self {
        case .root, .uploads: 0o040755
        case .jobs: 0o040700
        case .trash: 0o041777
        case .receipts, .job: 0o100600
        }
    }

    static let jobSuffix = ".json"

    func node(named name: EntryName) -> NodeID? {
        if self == .jobs {
            let text = String(decoding: name.bytes, as: UTF8.self)
            guard text.hasSuffix(Self.jobSuffix) else { return nil }
            return AssetLibrary.asset(ofJob: String(text.dropLast(Self.jobSuffix.count))).map { View.job($0).id }
        }
        return entries.first { Array($0.name.utf8) == name.bytes }?.node
    }
}
