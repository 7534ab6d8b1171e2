internal import AssetLibrary
internal import AssetModel
internal import FUSE

/// The directories and files of the mount that no one made: the root and the views.
enum View: Hashable, Sendable {
    case root
    case uploads
    case receipts
    case events
    case jobs
    /// What was removed and can be taken back.
    case trash
    /// All assets, by their numbers.
    case resources
    /// Signed paths.
    case signed
    /// Queries.
    case search
    /// The state of the work on an asset.
    case job(AssetID)
    /// The state of work that is on no single asset.
    case work(AssetLibrary.Work)
    /// The state of a URL that is fetched.
    case fetch(Int64)
    /// An asset: its file, and what belongs to it.
    case resource(AssetID)
    /// An asset's alternative files.
    case alternatives(AssetID)
    /// An asset's former contents.
    case versions(AssetID)
    /// All that is known of an asset, as JSON.
    case information(AssetID)
    /// A former content.
    case version(VersionID)
    /// What a group consists of, as JSON.
    case group(NodeID)
    /// A signed path.
    case capability(Int64)
    /// The file that a signed path lets everybody read.
    case capabilityFile(Int64)
    /// What a query finds.
    case query(Int64)
    /// A link to something that was found, and a number that is another for another path: the kernel keeps where a link leads.
    case result(AssetID, path: UInt16)

    /// What a view is of.
    ///
    /// In its number it stands above the bits that say whose asset or version; the catalog never comes as far.
    private enum Kind: Int64 {
        case job = 0x10
        case resource, alternatives, versions, information, version, group, capability, capabilityFile, query, result,
            fetch

        static let shift: Int64 = 56

        func id(_ rest: Int64) -> NodeID { NodeID(rawValue: rawValue << Self.shift | rest) }
    }

    /// Assets have no higher numbers: see `AssetLibrary.makeResource`.
    private static let assetBits: Int64 = 40

    init?(_ node: NodeID) {
        switch node.rawValue {
        case 1: self = .root
        case 3: self = .uploads
        case 4: self = .receipts
        case 5: self = .jobs
        case 6: self = .trash
        case 7: self = .resources
        case 12: self = .signed
        case 13: self = .search
        case 14: self = .events
        case 15: self = .work(.scrub)
        case 16: self = .work(.stores)
        case 17: self = .work(.verify)
        case let number where number >> Kind.shift > 0:
            let rest = number & (1 << Kind.shift - 1)
            let asset = AssetID(rawValue: rest)
            switch Kind(rawValue: number >> Kind.shift) {
            case .job: self = .job(asset)
            case .resource: self = .resource(asset)
            case .alternatives: self = .alternatives(asset)
            case .versions: self = .versions(asset)
            case .information: self = .information(asset)
            case .version: self = .version(VersionID(rawValue: rest))
            case .group: self = .group(NodeID(rawValue: rest))
            case .capability: self = .capability(rest)
            case .capabilityFile: self = .capabilityFile(rest)
            case .query: self = .query(rest)
            case .fetch: self = .fetch(rest)
            case .result:
                let number = rest & (1 << Self.assetBits - 1)
                self = .result(AssetID(rawValue: number), path: UInt16(truncatingIfNeeded: rest >> Self.assetBits))
            case nil: return nil
            }
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
        case .resources: NodeID(rawValue: 7)
        case .signed: NodeID(rawValue: 12)
        case .search: NodeID(rawValue: 13)
        case .events: NodeID(rawValue: 14)
        case .work(.scrub): NodeID(rawValue: 15)
        case .work(.stores): NodeID(rawValue: 16)
        case .work(.verify): NodeID(rawValue: 17)
        case .job(let asset): Kind.job.id(asset.rawValue)
        case .resource(let asset): Kind.resource.id(asset.rawValue)
        case .alternatives(let asset): Kind.alternatives.id(asset.rawValue)
        case .versions(let asset): Kind.versions.id(asset.rawValue)
        case .information(let asset): Kind.information.id(asset.rawValue)
        case .version(let version): Kind.version.id(version.rawValue)
        case .group(let folder): Kind.group.id(folder.rawValue)
        case .capability(let number): Kind.capability.id(number)
        case .capabilityFile(let number): Kind.capabilityFile.id(number)
        case .query(let number): Kind.query.id(number)
        case .fetch(let number): Kind.fetch.id(number)
        case .result(let asset, let path): Kind.result.id(Int64(path) << Self.assetBits | asset.rawValue)
        }
    }

    var isDirectory: Bool { mode & 0o170000 == 0o040000 }

    /// Whether it shows assets by their numbers.
    var isOfAssets: Bool {
        switch self {
        case .resources, .resource, .alternatives, .versions, .information, .version: true
        default: false
        }
    }

    /// Whether it is `signed/`, or a signed path.
    var isSigned: Bool {
        switch self {
        case .signed, .capability: true
        default: false
        }
    }

    /// Whether it is `search/`, or a query.
    var isOfSearch: Bool {
        switch self {
        case .search, .query: true
        default: false
        }
    }

    /// Whether files may be made in it.
    var holdsFiles: Bool {
        switch self {
        case .resource, .alternatives, .capability: true
        default: false
        }
    }

    /// Whether what it shows changes without anybody having asked for that through the kernel.
    var changesByItself: Bool { self != .root && self != .uploads }

    /// What a directory of the views always shows, in order; the position, counted from 1, is the cookie.
    var entries: [(name: String, node: NodeID)] {
        switch self {
        case .root:
            [
                ("collections", .collections), ("folders", .folders), ("resources", View.resources.id),
                ("search", View.search.id), ("trash", View.trash.id),
                ("uploads", View.uploads.id),
            ]
        case .uploads:
            [
                ("receipts.jsonl", View.receipts.id), ("events.jsonl", View.events.id), ("jobs", View.jobs.id),
            ]
        default: []
        }
    }

    /// Permissions: receipts and jobs name files in folders that not everybody may read; from the trash everybody takes what is theirs.
    var mode: UInt32 {
        switch self {
        case .root, .uploads: 0o040755
        // Who has a token may see what it is of, if it is theirs.
        case .jobs: 0o041733
        // Who could read it could have inotify(7) tell of the queries of others.
        case .signed, .search: 0o040711
        case .trash, .resources: 0o041777
        case .receipts, .events, .job, .fetch, .work: 0o100600
        // As those of the asset's file.
        case .resource, .alternatives, .versions: 0o040755
        case .information, .version, .group, .capabilityFile: 0o100444
        case .capability, .query: 0o040555
        case .result: 0o120777
        }
    }

    /// The numbers of nodes that are in the catalog, but for the roots: all others are those of views.
    static let catalogNodes = UInt64(NodeID.firstInCatalog)...UInt64((Int64(1) << Kind.shift) - 1)

    /// A number that is no view's and no node's: see `AssetFilesystem.standIn`.
    static let standIn = NodeID(rawValue: 0x7F << Kind.shift)

    static let jobSuffix = ".json"

    func node(named name: EntryName) -> NodeID? {
        if self == .jobs {
            let text = String(decoding: name.bytes, as: UTF8.self)
            guard text.hasSuffix(Self.jobSuffix) else { return nil }
            let token = String(text.dropLast(Self.jobSuffix.count))
            return AssetLibrary.Work(rawValue: token).map { View.work($0).id }
                ?? AssetLibrary.asset(ofJob: token).map { View.job($0).id }
        }
        // It is there, and not listed.
        if self == .root, name.bytes.elementsEqual("signed".utf8) { return View.signed.id }
        return entries.first { Array($0.name.utf8) == name.bytes }?.node
    }
}
