internal import AssetLibrary
internal import AssetModel
internal import FUSE

/// The directories and files of the mount that are not in the catalog: the root and the views.
enum View: Hashable, Sendable {
    case root
    case uploads
    case receipts
    case events
    case jobs
    /// Counts of the mount's work.
    case statistics
    /// The removed files that can be restored.
    case trash
    /// All assets, by their numbers.
    case resources
    /// Signed paths.
    case signed
    /// Queries.
    case search
    /// The state of the extraction of an asset.
    case job(AssetID)
    /// The state of a maintenance job, which concerns no single asset.
    case work(AssetLibrary.Work)
    /// The state of a URL import.
    case fetch(Int64)
    /// An asset: its file, and its other directories.
    case resource(AssetID)
    /// An asset's alternative files.
    case alternatives(AssetID)
    /// An asset's former versions.
    case versions(AssetID)
    /// The description of an asset, as JSON.
    case information(AssetID)
    /// A former version.
    case version(VersionID)
    /// The members of a group, as JSON.
    case group(NodeID)
    /// A signed path.
    case capability(Int64)
    /// The file that a signed path lets every user read.
    case capabilityFile(Int64)
    /// The results of a query.
    case query(Int64)
    /// A result's link, with a number that depends on the path: the kernel caches the target of a link.
    case result(AssetID, path: UInt16)

    /// The kind of a view.
    ///
    /// In a view's number it stands above the bits for asset or version; the numbers of the catalog never
    /// reach that high.
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
        case 18: self = .statistics
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
        case .statistics: NodeID(rawValue: 18)
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

    /// Whether the view shows assets by their numbers.
    var isOfAssets: Bool {
        switch self {
        case .resources, .resource, .alternatives, .versions, .information, .version: true
        default: false
        }
    }

    /// Whether the view is `signed/`, or a signed path.
    var isSigned: Bool {
        switch self {
        case .signed, .capability: true
        default: false
        }
    }

    /// Whether the view is `search/`, or a query.
    var isOfSearch: Bool {
        switch self {
        case .search, .query: true
        default: false
        }
    }

    /// Whether files may be made in the view.
    var holdsFiles: Bool {
        switch self {
        case .resource, .alternatives, .capability: true
        default: false
        }
    }

    /// Whether the view's entries change without a request through the kernel.
    var changesByItself: Bool { self != .root && self != .uploads }

    /// The fixed entries of a directory of the views, in order; the position, counted from 1, is the cookie.
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
                (".stats", View.statistics.id),
            ]
        default: []
        }
    }

    /// The permissions: receipts and jobs name files in folders that not every user may read; from the trash
    /// each user takes their own files.
    var mode: UInt32 {
        switch self {
        case .root, .uploads: 0o040755
        // A user with a token may see the job behind it, if it is their own.
        case .jobs: 0o041733
        // With read permission inotify(7) would report other users' queries.
        case .signed, .search: 0o040711
        case .trash, .resources: 0o041777
        case .receipts, .events, .statistics, .job, .fetch, .work: 0o100600
        // The mode of the asset's file is used instead.
        case .resource, .alternatives, .versions: 0o040755
        case .information, .version, .group, .capabilityFile: 0o100444
        case .capability, .query: 0o040555
        case .result: 0o120777
        }
    }

    /// The numbers of nodes that are in the catalog, except for the roots: all others belong to views.
    static let catalogNodes = UInt64(NodeID.firstInCatalog)...UInt64((Int64(1) << Kind.shift) - 1)

    /// A number that belongs to no view and no node: see `AssetFilesystem.standIn`.
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
        // The entry exists, and is not listed.
        if self == .root, name.bytes.elementsEqual("signed".utf8) { return View.signed.id }
        return entries.first { Array($0.name.utf8) == name.bytes }?.node
    }
}
