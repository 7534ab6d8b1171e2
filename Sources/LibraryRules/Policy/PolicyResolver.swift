public import AssetModel
public import Catalog
public import LibraryStorage
internal import Synchronization

/// The effective policy of one folder: its own settings and those that it inherits.
public final class FolderRules: Sendable {
    /// The source of a setting.
    public enum Origin: Sendable {
        /// The options of the mount.
        case mount
        /// A folder, by its path; `preset` where the folder named a preset that has the setting.
        case folder(path: String, preset: String?)
    }

    /// A limit on the bytes that a folder may hold with all below it.
    public struct Quota: Sendable {
        /// The folder with the setting.
        public let folder: NodeID
        /// The bytes that it may hold.
        public let limit: ByteCount
        /// Whether the quota removes nothing from the trash and no former versions, because another user has
        /// moved the folder below it.
        var isSparing = false
    }

    /// The bytes by which a folder with a quota grows.
    public struct Growth: Sendable {
        /// The quota.
        public let quota: Quota
        /// The bytes; fewer than 0 where the folder shrinks.
        public let bytes: Int64

        /// Describes the growth of a folder.
        public init(quota: Quota, bytes: Int64) { (self.quota, self.bytes) = (quota, bytes) }
    }

    /// The folder.
    public let folder: NodeID
    /// The folder's path below `folders/`; empty for `folders/` itself.
    public let path: String
    /// The folder and all folders above it.
    public let ancestors: [NodeID]
    /// The class that the folders' names give to all files in them.
    let placeClass: NameClass
    /// The effective settings.
    public let policy: Policy
    /// The settings by key, each with its source.
    public let settings: [PolicyKey: (value: String, origin: Origin)]
    /// The folder that set the scope, where `SUBTREE` begins.
    public let scopeFolder: NodeID
    /// The folder that set whether files may be stored; nil where the mount's options did.
    public let autostoreFolder: NodeID?
    /// The quotas in force.
    public let quotas: [Quota]

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

    /// The topmost folder above this one, or the folder itself where it has none above.
    public var root: NodeID { ancestors.last ?? folder }

    /// Returns the class of a file's name in this folder.
    public func nameClass(of name: EntryName) -> NameClass {
        let own = NameClass(ofFile: name, isStrict: policy.mayRefuseOrRename)
        guard own == .final, placeClass == .final else { return own == .final ? placeClass : own }
        if policy.junkNames.contains(where: { $0.matches(name) }) { return .junk }
        return policy.temporaryNames.contains { $0.matches(name) } ? .temporary : .final
    }

    /// Returns whether a quota belongs to this folder or to one above it.
    public func holds(_ quota: Quota) -> Bool { quotas.contains { $0.folder == quota.folder } }

    /// Returns whether a quota may remove trash and former versions of this folder to make room.
    public func mayTrim(_ quota: Quota) -> Bool { quotas.contains { $0.folder == quota.folder && !$0.isSparing } }

    /// Whether an upload may lose its name at its commit, or get another.
    public var mayChangeNames: Bool { policy.mayRefuseOrRename || !quotas.isEmpty || root == .alternatives }

    /// Returns the path of a name in this folder.
    public func path(of name: EntryName) -> String { path.isEmpty ? name.description : "\(path)/\(name)" }
}

/// A name in a folder, with the folder's effective policy.
public struct Place: Sendable {
    /// The name.
    public let name: EntryName
    /// The folder's effective policy.
    public let rules: FolderRules

    /// Names a place in a folder whose policy is known.
    public init(
        name: EntryName,
        rules: FolderRules
    ) {
        self.name = name
        self.rules = rules
    }
    /// The folder.
    public var parent: NodeID { rules.folder }
    /// Whether a file written under this name is an upload.
    public var isFinal: Bool { rules.nameClass(of: name) == .final }
    /// The path in messages to users.
    public var path: String { rules.path(of: name) }
}

/// The effective policies of folders: read at every upload, and changed only when a folder is renamed, moved,
/// or gets another setting.
///
/// ## Concurrency
/// Called from within operations of the catalog; `folders` takes no other lock.
public final class Rulebook: Sendable {
    private let folders = RankedMutex<(rules: [NodeID: FolderRules], bytes: Int)>(.leaf, ([:], 0))
    /// The limits of the cache: folders, and bytes of their paths and ancestors.
    private static let limit = (count: 4096, bytes: 16 << 20)
    /// The settings of the mount's options.
    private let defaults: [(key: PolicyKey, value: String)]
    /// The policy where no folder has a setting.
    public let base: Policy
    private let isPlainNow = Atomic(true)
    private let isSilentNow = Atomic(true)
    private let mayScanNow = Atomic(false)
    private let mayScreenNow = Atomic(false)
    /// The clock for expiry.
    public let clock: ExpiryClock
    /// The window for which a name that was given up keeps its asset.
    public let saving: Duration
    /// The index of rare attributes.
    public let kernelAttributes: KernelAttributes

    /// Reads whether any folder has a policy; `defaults` are the settings of the mount's options.
    public init(
        defaults: [(key: PolicyKey, value: String)],
        clock: ExpiryClock,
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
        note(try presence(records))
    }

    /// Whether no setting for uploads exists, so that no policy has to be read for one.
    public var isPlain: Bool { isPlainNow.load(ordering: .relaxed) }

    /// Whether no setting exists at all.
    public var isSilent: Bool { isSilentNow.load(ordering: .relaxed) }

    /// Whether a setting for scanning exists.
    public var mayScan: Bool { mayScanNow.load(ordering: .relaxed) }

    /// Whether a setting exists that needs a file's type or a scan.
    public var mayScreen: Bool { mayScreenNow.load(ordering: .relaxed) }

    /// The kinds of settings that exist.
    public struct Presence {
        fileprivate let isPlain: Bool
        fileprivate let isSilent: Bool
        fileprivate let mayScan: Bool
        fileprivate let mayScreen: Bool
    }

    /// Returns which kinds of settings exist.
    public func presence(_ records: Records) throws -> Presence {
        let hasDefaults = defaults.contains(where: \.key.concernsUploads)
        let screens: [PolicyKey] = [.scan, .allowedTypes, .forbiddenTypes, .preset]
        return Presence(
            isPlain: try !hasDefaults && !records.hasPolicies(ofUploads: true),
            isSilent: try defaults.isEmpty && !records.hasPolicies(ofUploads: false),
            mayScan: try defaults.contains { $0.key == .scan } || records.hasFolders(saying: .scan),
            mayScreen: try defaults.contains { screens.contains($0.key) }
                || screens.contains { try records.hasFolders(saying: $0) }
        )
    }

    private func note(_ presence: Presence) {
        isPlainNow.store(presence.isPlain, ordering: .relaxed)
        isSilentNow.store(presence.isSilent, ordering: .relaxed)
        mayScanNow.store(presence.mayScan, ordering: .relaxed)
        mayScreenNow.store(presence.mayScreen, ordering: .relaxed)
    }

    /// Returns the effective policy of a folder.
    public func of(_ folder: NodeID, _ records: Records) throws -> FolderRules {
        if let known = folders.withLock({ $0.rules[folder] }) { return known }
        var climbed: [(id: NodeID, name: EntryName?)] = []
        var above: FolderRules?
        var next: NodeID? = folder
        // A loop and not a recursion, because the depth of a tree has no limit. The root has no entry, and
        // neither has a removed folder.
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
        // Assets without a folder count for the library's root.
        var quotas = try above?.quotas ?? (folder == .unfiled ? of(.folders, records).quotas : [])
        let path = Self.path(of: folder, named: name, below: above)
        if isPlacedByOther { for index in quotas.indices { quotas[index].isSparing = true } }
        // A value that another version accepted and this one does not is ignored.
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
        // Rules that contain a change are not kept, because the change may be undone yet.
        guard records.isUnchanged else { return rules }
        folders.withLock { folders in
            if folders.rules.count >= Self.limit.count || folders.bytes >= Self.limit.bytes { folders = ([:], 0) }
            folders.rules[folder] = rules
            folders.bytes += rules.path.utf8.count + rules.ancestors.count * 8
        }
        return rules
    }

    /// Returns a folder's path below `folders/`; or, with a leading slash, in the mount.
    private static func path(of folder: NodeID, named name: EntryName?, below above: FolderRules?) -> String {
        guard let name else { return folder == .unfiled ? "/resources" : folder == .collections ? "/collections" : "" }
        if above?.folder == .alternatives { return "/resources/\(name)/alternatives" }
        return above?.path(of: name) ?? name.description
    }

    /// Returns a name in a folder, with the folder's effective policy.
    public func place(_ name: EntryName, in parent: NodeID, _ records: Records) throws -> Place {
        Place(name: name, rules: try of(parent, records))
    }

    /// Returns the class of a name in a folder.
    public func nameClass(of name: EntryName, in parent: NodeID, _ records: Records) throws -> NameClass {
        try of(parent, records).nameClass(of: name)
    }

    /// Drops all cached policies, because a folder got another name or place, which may change the class of
    /// the files in it.
    public func forget() { folders.withLock { $0 = ([:], 0) } }

    /// Notes which kinds of settings exist after a change, and drops the cached policies.
    public func forgetPolicies(having presence: Presence) {
        note(presence)
        forget()
    }

    /// Moves an asset that has lost its last name to the trash, with its file, its former path and its expiry
    /// there.
    ///
    /// The entry stays for at least the window that a program may need for saving. The file that had the name
    /// is restored, unless by now it shows another asset or other bytes than the asset; then a node like it
    /// is.
    public func trash(_ asset: AssetID, like file: NodeRecord, from place: Place, _ records: Records) throws {
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

    /// Returns whether an entry of the trash can be restored by users, and is not kept only for the saving
    /// window.
    public func isRestorable(_ record: TrashRecord) -> Bool { record.until > record.trashed.advanced(by: saving) }

    /// Moves the asset of a node without a name to the trash, unless another node shows the asset.
    public func trashIfLost(_ node: NodeRecord, as name: EntryName, in parent: NodeID, _ records: Records) throws {
        guard node.links == 0, let asset = node.asset else { return }
        try trash(asset, like: node, from: place(name, in: parent, records), records)
    }
}
