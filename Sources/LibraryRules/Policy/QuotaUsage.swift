public import AssetModel
public import Catalog
internal import LibraryStorage
internal import Synchronization

/// How many bytes folders hold, by kind, each with all folders below it.
///
/// The bytes are counted once, and then updated by the changes that the catalog notes, so that neither a move
/// of a folder nor a new quota counts anything again. A file that has two names counts twice. Bytes that are
/// removed when room is needed, the trash and former versions, are distinguished from those that stay; former
/// versions that `user.policy.versions` keeps belong to the latter.
///
/// ## Concurrency
/// Called from within catalog operations; `state` takes no other lock.
public final class FolderUsage: Sendable {
    /// The bytes that a folder holds.
    public struct Held: Sendable {
        /// The bytes of each kind.
        public fileprivate(set) var bytes: [UsageKind: Int64] = [:]
        /// The bytes of former versions that are never pruned.
        public fileprivate(set) var kept: Int64 = 0

        /// The bytes of all kinds.
        public var total: Int64 { bytes.values.reduce(0, +) }
        /// The bytes that can be removed to make room for uploads.
        public var reclaimable: Int64 { (bytes[.trash] ?? 0) + (bytes[.formerContents] ?? 0) - kept }
        /// The bytes that an upload must fit beside.
        public var staying: Int64 { total - reclaimable }
    }

    /// The bytes of each folder with all folders below it; folders that hold nothing are left out.
    public struct Totals: Sendable {
        fileprivate var bytes: [NodeID: [UsageKind: Int64]] = [:]

        fileprivate subscript(folder: NodeID) -> [UsageKind: Int64]? { bytes[folder] }

        fileprivate mutating func add(_ added: Int64, of kind: UsageKind, to folders: [NodeID]) {
            for folder in folders {
                let sum = (bytes[folder]?[kind] ?? 0) + added
                bytes[folder, default: [:]][kind] = sum == 0 ? nil : sum
                if bytes[folder]?.isEmpty == true { bytes[folder] = nil }
            }
        }
    }

    private struct State {
        var totals = Totals()
        /// The former parents of removed folders, as long as these hold something.
        var heirs: [NodeID: NodeID] = [:]
        /// The bytes of former versions that are never pruned, of folders with a quota for which that was
        /// computed.
        var kept: [NodeID: Int64] = [:]
        /// The plans for pruning folders that have exceeded their quotas.
        var plans: [NodeID: ReclaimPlan] = [:]
        /// The bytes that a folder held when it was last trimmed.
        var trimmed: [NodeID: Int64] = [:]
        /// Folders whose usage was computed for a quota.
        var asked: Set<NodeID> = []
        var isTracking = false
        /// How many catalog operations may have changed something since the last `settle`.
        var unsettled = 0
    }

    private let state = RankedMutex(.leaf, State())

    /// After how many operations their changes are settled, so that no operation has many to settle.
    private static let settlingInterval = 64

    /// Counts nothing before `begin`.
    public init() {}

    /// Whether any folder has, or had since the library was opened, a quota, so that changes are noted.
    public var isTracking: Bool { state.withLock { $0.isTracking } }

    /// Counts all present bytes, for the first folder that has a quota.
    public func count(_ records: Records, _ rulebook: Rulebook) throws -> Totals {
        var totals = Totals()
        for record in try records.usage(below: .folders) {
            totals.add(record.bytes, of: record.kind, to: try chain(of: record.folder, records, rulebook))
        }
        return totals
    }

    /// Begins with the bytes that have been counted; the catalog notes all changes since.
    public func begin(with totals: Totals) { state.withLock { ($0.totals, $0.isTracking) = (totals, true) } }

    /// Returns a folder and all folders for which its bytes count.
    private func chain(of folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> [NodeID] {
        if let heir = state.withLock({ $0.heirs[folder] }) { return try [folder] + chain(of: heir, records, rulebook) }
        let folders = try rulebook.of(folder, records).ancestors
        // Files without a folder count for the library's root.
        return folders.last == .unfiled ? folders + [.folders] : folders
    }

    /// Returns the bytes of a folder with a quota; nothing is written, so that a refusal can follow.
    public func of(_ folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> Held {
        var held = Held(bytes: try total(below: folder, records, rulebook))
        held.kept = try kept(in: folder, records, rulebook)
        for change in try records.usageChanges() where change.kind == .formerContents {
            let counts = try chain(of: change.folder, records, rulebook).contains(folder)
            if try counts && rulebook.keepsFormer(in: change.folder, records) { held.kept += change.bytes }
        }
        _ = state.withLock { $0.asked.insert(folder) }
        return held
    }

    /// Returns the bytes of a folder with all folders below it, by kind.
    public func total(below folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> [UsageKind: Int64] {
        var total = state.withLock { $0.totals[folder] } ?? [:]
        for change in try records.usageChanges() where try chain(of: change.folder, records, rulebook).contains(folder)
        {
            total[change.kind, default: 0] += change.bytes
        }
        return total
    }

    /// Returns how many bytes of a folder's former versions are never pruned.
    ///
    /// Each part of the tree counts by the policy in force there.
    private func kept(in folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> Int64 {
        if let known = state.withLock({ $0.kept[folder] }) { return known }
        let isKept = try rulebook.keepsFormer(in: folder, records)
        let kept = try kept(in: folder, ifInherited: isKept, isSaid: false, records, rulebook)
        if records.isUnchanged { state.withLock { $0.kept[folder] = kept } }
        return kept
    }

    /// Returns how many bytes of a folder's former versions are never pruned, where the folder above keeps
    /// all versions, or prunes them.
    public func kept(
        in folder: NodeID,
        ifInherited isKept: Bool,
        _ records: Records,
        _ rulebook: Rulebook
    ) throws -> Int64 {
        try kept(in: folder, ifInherited: isKept, isSaid: true, records, rulebook)
    }

    /// Returns how many bytes of former versions are never pruned.
    ///
    /// `isInherited` says whether all are kept where no folder says anything; with `isSaid`, `folder` itself
    /// may say something else, and noted changes count, too.
    private func kept(
        in folder: NodeID,
        ifInherited isInherited: Bool,
        isSaid: Bool,
        _ records: Records,
        _ rulebook: Rulebook
    ) throws -> Int64 {
        func former(_ folder: NodeID) -> Int64 { state.withLock { $0.totals[folder]?[.formerContents] } ?? 0 }
        let saying = Set(try records.foldersSayingVersions() + [.unfiled])
        /// Returns whether versions in a folder below are kept, whose folders above are given.
        func isKept(_ below: NodeID, _ above: some Sequence<NodeID>) throws -> Bool {
            for one in [below] + above.prefix(while: { $0 != folder }) where one != folder && saying.contains(one) {
                return try rulebook.keepsFormer(in: one, records)
            }
            return isSaid && saying.contains(folder) ? try rulebook.keepsFormer(in: folder, records) : isInherited
        }
        var kept = try isKept(folder, []) ? former(folder) : 0
        for other in saying where other != folder && former(other) != 0 {
            let above = try chain(of: other, records, rulebook).dropFirst()
            guard let parent = above.first, above.contains(folder) else { continue }
            switch (try isKept(other, above), try isKept(parent, above.dropFirst())) {
            case (true, false): kept += former(other)
            case (false, true): kept -= former(other)
            default: break
            }
        }
        guard isSaid else { return kept }
        for change in try records.usageChanges() where change.kind == .formerContents {
            let above = try chain(of: change.folder, records, rulebook)
            if try above.contains(folder) && isKept(change.folder, above.dropFirst()) { kept += change.bytes }
        }
        return kept
    }

    /// A noted change, with the folders for which it counts.
    public struct Change: Sendable {
        fileprivate let record: UsageRecord
        fileprivate let folders: [NodeID]
    }

    /// Takes the noted changes out of the catalog; `settle` makes them count.
    public func takeChanges(_ records: Records, _ rulebook: Rulebook) throws -> [Change] {
        try records.takeUsageChanges().map {
            Change(record: $0, folders: try chain(of: $0.folder, records, rulebook))
        }
    }

    /// Makes changes count that have been taken out of the catalog.
    public func settle(_ changes: [Change]) {
        state.withLock { state in
            for change in changes {
                state.totals.add(change.record.bytes, of: change.record.kind, to: change.folders)
                guard change.record.kind == .formerContents else { continue }
                // Computed again when it is next needed.
                for folder in change.folders { state.kept[folder] = nil }
            }
            state.unsettled = 0
            state.heirs = state.heirs.filter { state.totals[$0.key] != nil }
        }
    }

    /// Notes an operation that may have changed something; returns whether the changes are to be settled.
    public func noteOperation() -> Bool {
        state.withLock { state in
            guard state.isTracking else { return false }
            state.unsettled += 1
            return state.unsettled >= Self.settlingInterval
        }
    }

    /// The move of a folder, with the folders above that have lost and gained its bytes.
    public struct Move: Sendable {
        fileprivate let folder: NodeID
        fileprivate let left: [NodeID]
        fileprivate let entered: [NodeID]
    }

    /// Returns the move of a folder between two others, for `note`; nil where no bytes are counted.
    public func move(
        of folder: NodeID,
        from former: NodeID,
        to parent: NodeID,
        _ records: Records,
        _ rulebook: Rulebook
    ) throws -> Move? {
        guard isTracking else { return nil }
        return Move(
            folder: folder,
            left: try chain(of: former, records, rulebook),
            entered: try chain(of: parent, records, rulebook)
        )
    }

    /// Moves a folder's bytes from its former parents to its new ones.
    public func note(_ move: Move) {
        state.withLock { state in
            for (kind, bytes) in state.totals[move.folder] ?? [:] {
                state.totals.add(-bytes, of: kind, to: move.left)
                state.totals.add(bytes, of: kind, to: move.entered)
            }
            (state.kept, state.plans) = ([:], [:])
        }
    }

    /// Makes changes that are still noted for a removed folder count for its former parent.
    public func noteRemoval(of folder: NodeID, from parent: NodeID) {
        state.withLock { if $0.isTracking { $0.heirs[folder] = parent } }
    }

    /// Drops the prunable bytes and the plans, after a change of policy.
    public func forgetKept() { state.withLock { ($0.kept, $0.plans) = ([:], [:]) } }

    /// Returns the plan for pruning a folder; nil where it is older than ten minutes.
    public func plan(of folder: NodeID) -> ReclaimPlan? {
        let plan = state.withLock { $0.plans[folder] }
        return plan.flatMap { .now - $0.begun < .seconds(600) ? $0 : nil }
    }

    /// Keeps the plan for pruning a folder for the next time.
    public func keep(_ plan: ReclaimPlan, of folder: NodeID) { state.withLock { $0.plans[folder] = plan } }

    /// Whether a folder over its quota is to be trimmed: not where that freed nothing at this usage before.
    public func beginTrimming(_ folder: NodeID, holding bytes: Int64) -> Bool {
        state.withLock { state in
            defer { state.trimmed[folder] = bytes }
            return state.trimmed[folder] != bytes
        }
    }

    /// Notes that trimming a folder has freed bytes, or could not be done.
    public func noteTrimmed(_ folder: NodeID) { state.withLock { $0.trimmed[folder] = nil } }

    /// Folders whose usage was computed for a quota.
    public var asked: [NodeID] { state.withLock { Array($0.asked) } }
}

extension Rulebook {
    /// Whether former versions of files in a folder are never pruned.
    fileprivate func keepsFormer(in folder: NodeID, _ records: Records) throws -> Bool {
        try of(folder, records).policy.versions.keepsAll
    }

    /// Returns the quotas in force for files in a folder.
    ///
    /// For alternative files they are those of the folder of the asset's own file.
    public func quotas(of rules: FolderRules, _ records: Records) throws -> [FolderRules.Quota] {
        guard rules.root == .alternatives, rules.folder != .alternatives else { return rules.quotas }
        guard let folder = try records.countingFolder(of: rules.folder), folder != rules.folder else { return [] }
        return try of(folder, records).quotas
    }
}
