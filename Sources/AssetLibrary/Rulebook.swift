internal import AssetModel
internal import Catalog
internal import Synchronization

/// What holds in one folder: what it says itself, and what it inherits.
final class FolderRules: Sendable {
    /// Who said something.
    enum Origin {
        /// The mount's options.
        case mount
        /// A folder, by its path; `preset` where it named one that says so.
        case folder(path: String, preset: String?)
    }

    /// What a folder and all below it may hold.
    struct Quota {
        let folder: NodeID
        let limit: ByteCount
        /// Whether it takes nothing of what is in the trash or a former content, because another user has moved the folder under it.
        var isSparing = false
    }

    let folder: NodeID
    /// Where the folder is below `folders/`; empty for that itself.
    let path: String
    /// The folder and those above it.
    let ancestors: [NodeID]
    /// What the folders' names say about all that is in them.
    let placeClass: NameClass
    let policy: Policy
    /// What was said, by key, and by whom.
    let settings: [PolicyKey: (value: String, origin: Origin)]
    /// Where `SUBTREE` begins: the folder that named the scope.
    let scopeFolder: NodeID
    /// The folder that said whether files may be let stay; nil where the mount's options have.
    let autostoreFolder: NodeID?
    let quotas: [Quota]

    fileprivate init(
        _ folder: NodeID,
        path: String,
        ancestors: [NodeID],
        placeClass: NameClass,
        policy: Policy,
        settings: [PolicyKey: (value: String, origin: Origin)],
        scopeFolder: NodeID,
        autostoreFolder: NodeID?,
        quotas: [Quota]
    ) {
        self.folder = folder
        self.path = path
        self.ancestors = ancestors
        self.placeClass = placeClass
        self.policy = policy
        self.settings = settings
        self.scopeFolder = scopeFolder
        self.autostoreFolder = autostoreFolder
        self.quotas = quotas
    }

    /// Which of the folders that are in no other this one is, or is in.
    var root: NodeID { ancestors.last ?? folder }

    /// The class of a file's name in this folder.
    func nameClass(of name: EntryName) -> NameClass {
        let own = NameClass(ofFile: name, isStrict: policy.mayRefuseOrRename)
        guard own == .final, placeClass == .final else { return own == .final ? placeClass : own }
        if policy.junkNames.contains(where: { $0.matches(name) }) { return .junk }
        return policy.temporaryNames.contains { $0.matches(name) } ? .temporary : .final
    }

    /// Whether a quota is this folder's, or of one above it.
    func holds(_ quota: Quota) -> Bool { quotas.contains { $0.folder == quota.folder } }

    /// Whether a quota makes room of what is in the trash, or a former content, of this folder.
    func mayTrim(_ quota: Quota) -> Bool { quotas.contains { $0.folder == quota.folder && !$0.isSparing } }

    /// Whether an upload may lose its name when it ends, or get another.
    var mayChangeNames: Bool { policy.mayRefuseOrRename || !quotas.isEmpty || root == .alternatives }

    /// The path of something in this folder.
    func path(of name: EntryName) -> String { path.isEmpty ? name.description : "\(path)/\(name)" }
}

/// A name in a folder, with what holds there.
struct Place {
    let name: EntryName
    let rules: FolderRules
    var parent: NodeID { rules.folder }
    /// Whether what is written there is an upload.
    var isFinal: Bool { rules.nameClass(of: name) == .final }
    /// For people.
    var path: String { rules.path(of: name) }
}

/// The rules of folders: asked for at every upload, and changed only when a folder gets another name or says something else.
///
/// ## Concurrency
/// Called from within operations of the catalog; `folders` takes no other lock.
final class Rulebook: Sendable {
    private let folders = Mutex<(rules: [NodeID: FolderRules], bytes: Int)>(([:], 0))
    /// How many folders' rules are kept, and how many bytes of them.
    private static let limit = (count: 4096, bytes: 16 << 20)
    /// What the mount's options say.
    private let defaults: [(key: PolicyKey, value: String)]
    /// The policy where no folder says anything.
    let base: Policy
    private let isPlainNow = Atomic(true)
    private let isSilentNow = Atomic(true)
    private let mayScanNow = Atomic(false)
    private let mayScreenNow = Atomic(false)
    /// By which lives are counted.
    let clock: LifeClock
    /// How long a name that was given up keeps its asset.
    let saving: Duration
    let kernelAttributes: KernelAttributes

    init(
        defaults: [(key: PolicyKey, value: String)],
        clock: LifeClock,
        saving: Duration,
        _ kernelAttributes: KernelAttributes,
        _ records: Records
    ) throws {
        self.defaults = defaults
        var base = Policy()
        for (key, value) in defaults where key == .preset { try? base.apply(key, value) }
        for (key, value) in defaults where key != .preset { try? base.apply(key, value) }
        self.base = base
        self.clock = clock
        self.saving = saving
        self.kernelAttributes = kernelAttributes
        try readPolicies(records)
    }

    /// Whether nobody has said anything that an upload may fail by or be filed by, so that nothing need be asked.
    var isPlain: Bool { isPlainNow.load(ordering: .relaxed) }

    /// Whether nobody has said anything at all.
    var isSilent: Bool { isSilentNow.load(ordering: .relaxed) }

    /// Whether anything has been said about scanning.
    var mayScan: Bool { mayScanNow.load(ordering: .relaxed) }

    /// Whether anything has been said for which files are looked into.
    var mayScreen: Bool { mayScreenNow.load(ordering: .relaxed) }

    private func readPolicies(_ records: Records) throws {
        let hasDefaults = defaults.contains(where: \.key.concernsUploads)
        isPlainNow.store(try !hasDefaults && !records.hasPolicies(ofUploads: true), ordering: .relaxed)
        mayScanNow.store(
            try defaults.contains { $0.key == .scan } || records.hasFolders(saying: .scan),
            ordering: .relaxed
        )
        let screens: [PolicyKey] = [.scan, .allowedTypes, .forbiddenTypes, .preset]
        mayScreenNow.store(
            try defaults.contains { screens.contains($0.key) }
                || screens.contains { try records.hasFolders(saying: $0) },
            ordering: .relaxed
        )
        isSilentNow.store(try defaults.isEmpty && !records.hasPolicies(ofUploads: false), ordering: .relaxed)
    }

    /// What holds in a folder.
    func of(_ folder: NodeID, _ records: Records) throws -> FolderRules {
        if let known = folders.withLock({ $0.rules[folder] }) { return known }
        var climbed: [(id: NodeID, name: EntryName?)] = []
        var above: FolderRules?
        var next: NodeID? = folder
        // A loop: nobody knows how deep a tree is. The root has no entry, and neither has a folder that was removed.
        while let current = next {
            above = folders.withLock { $0.rules[current] }
            if above != nil { break }
            let entry = try records.anyEntry(of: current)
            climbed.append((current, entry?.name))
            next = entry?.parent
        }
        for (id, name) in climbed.reversed() { above = try rules(of: id, named: name, below: above, records) }
        guard let above else { throw LibraryError.notFound }
        return above
    }

    private func rules(
        of folder: NodeID,
        named name: EntryName?,
        below above: FolderRules?,
        _ records: Records
    ) throws -> FolderRules {
        var policy = above?.policy ?? Policy()
        var settings = above?.settings ?? [:]
        var scopeFolder = above?.scopeFolder ?? folder
        var autostoreFolder = above?.autostoreFolder
        var isPlacedByOther = false
        if !isSilent, above != nil { isPlacedByOther = try records.node(folder)?.isPlacedByOther ?? false }
        if isPlacedByOther { policy = policy.sparing(as: base) }
        // What has no folder counts for the library's root.
        var quotas = try above?.quotas ?? (folder == .unfiled ? of(.folders, records).quotas : [])
        let path = Self.path(of: folder, named: name, below: above)
        if isPlacedByOther { for index in quotas.indices { quotas[index].isSparing = true } }
        // A value that an older or newer version took and this one does not is as if it were not there.
        func apply(_ key: PolicyKey, _ value: String, _ origin: FolderRules.Origin) {
            guard (try? policy.apply(key, value)) != nil else { return }
            settings[key] = (value, origin)
            if key == .quota, case .folder = origin, let limit = ByteCount(value) {
                quotas.append(FolderRules.Quota(folder: folder, limit: limit))
            }
            if key == .scope { scopeFolder = folder }
            if key == .autostore, case .folder = origin { autostoreFolder = folder }
        }
        func applyAll(_ said: [(key: PolicyKey, value: String)], _ origin: (String?) -> FolderRules.Origin) {
            for (key, name) in said where key == .preset {
                apply(key, name, origin(nil))
                let preset = Preset.allCases.first { $0.rawValue == name.lowercased() }
                for (key, value) in preset?.settings ?? [] { apply(key, value, origin(name)) }
            }
            for (key, value) in said where key != .preset { apply(key, value, origin(nil)) }
        }
        if above == nil { applyAll(defaults) { _ in .mount } }
        if !isSilent {
            let said = try records.policies(of: folder).compactMap { key, value in
                PolicyKey(rawValue: key).map { (key: $0, value: value) }
            }
            applyAll(said) { .folder(path: path, preset: $0) }
        }
        let own = name.map(NameClass.init(ofFolder:)) ?? .final
        let rules = FolderRules(
            folder,
            path: path,
            ancestors: [folder] + (above?.ancestors ?? []),
            placeClass: above.map { $0.placeClass == .final ? own : $0.placeClass } ?? own,
            policy: policy,
            settings: settings,
            scopeFolder: scopeFolder,
            autostoreFolder: autostoreFolder,
            quotas: quotas
        )
        folders.withLock { folders in
            if folders.rules.count >= Self.limit.count || folders.bytes >= Self.limit.bytes { folders = ([:], 0) }
            folders.rules[folder] = rules
            folders.bytes += rules.path.utf8.count + rules.ancestors.count * 8
        }
        return rules
    }

    /// Where a folder is below `folders/`; or, beginning with a slash, in the mount.
    private static func path(of folder: NodeID, named name: EntryName?, below above: FolderRules?) -> String {
        guard let name else { return folder == .unfiled ? "/resources" : folder == .collections ? "/collections" : "" }
        if above?.folder == .alternatives { return "/resources/\(name)/alternatives" }
        return above?.path(of: name) ?? name.description
    }

    /// A name in a folder, with what holds there.
    func place(_ name: EntryName, in parent: NodeID, _ records: Records) throws -> Place {
        Place(name: name, rules: try of(parent, records))
    }

    /// The class of a name in a folder.
    func nameClass(of name: EntryName, in parent: NodeID, _ records: Records) throws -> NameClass {
        try of(parent, records).nameClass(of: name)
    }

    /// A folder got another name or place: what is in it may be of another class.
    func forget() { folders.withLock { $0 = ([:], 0) } }

    /// A folder says something else.
    func forgetPolicies(_ records: Records) throws {
        try readPolicies(records)
        forget()
    }

    /// The last name of an asset is removed: what can be taken back, from where, and until when.
    ///
    /// At least as long as a program that saves may need it. What comes back is the file that had the name, unless that shows another
    /// asset by now, or not the asset's content: then one like it.
    func trash(_ asset: AssetID, like file: NodeRecord, from place: Place, _ records: Records) throws {
        guard try !records.isShown(asset) else { return }
        let now = clock.now
        let newest = try records.newestVersion(of: asset)
        let isOwn = file.links == 0 && file.asset == asset && (newest == nil || newest?.blob == file.blob)
        let node = try isOwn ? file.id : records.insertTrashedNode(of: asset, like: file)
        let life = policy(for: file, at: place).trashLife?.added(to: now) ?? now
        try records.trash(
            asset,
            node,
            parent: place.parent,
            name: place.name,
            path: records.pathBytes(of: place),
            at: now,
            until: max(life, now.advanced(by: saving))
        )
        try records.append(.deleted, of: asset, at: place.path)
    }

    /// Whether something in the trash is there to be taken back, and not only for a program that saves.
    func isRestorable(_ record: TrashRecord) -> Bool { record.until > record.trashed.advanced(by: saving) }

    /// The asset of a node without a name goes to the trash, unless another node shows it.
    func trashIfLost(_ node: NodeRecord, as name: EntryName, in parent: NodeID, _ records: Records) throws {
        guard node.links == 0, let asset = node.asset else { return }
        try trash(asset, like: node, from: place(name, in: parent, records), records)
    }
}
