internal import AssetModel
internal import Catalog
internal import Synchronization

/// How many bytes folders hold, by kind, each with all that is below it: counted once, and then kept up to date by what the catalog notes
/// of changes, so that neither a move of a folder nor a new quota has anything counted again.
///
/// A file that has two names counts twice. What goes by itself when room is needed, the trash and former contents, is told apart from
/// what stays; a former content that `user.policy.versions` keeps is of the latter kind.
///
/// ## Concurrency
/// Called from within operations of the catalog; `state` takes no other lock.
final class FolderUsage: Sendable {
    /// What a folder holds.
    struct Held {
        fileprivate(set) var bytes: [UsageKind: Int64] = [:]
        /// Former contents that are not to go.
        fileprivate(set) var kept: Int64 = 0

        var total: Int64 { bytes.values.reduce(0, +) }
        /// What makes room for uploads when there is none.
        var reclaimable: Int64 { (bytes[.trash] ?? 0) + (bytes[.formerContents] ?? 0) - kept }
        /// What an upload must find room beside.
        var staying: Int64 { total - reclaimable }
    }

    private struct State {
        /// What each folder holds with all below it; none that holds nothing.
        var totals: [NodeID: [UsageKind: Int64]] = [:]
        /// Where folders were that are removed, as long as they hold something.
        var heirs: [NodeID: NodeID] = [:]
        /// Former contents that are not to go, of folders with a quota for which that was asked.
        var kept: [NodeID: Int64] = [:]
        /// What may go of folders that have held too much.
        var plans: [NodeID: ReclaimPlan] = [:]
        /// What a folder held when it was last trimmed.
        var trimmed: [NodeID: Int64] = [:]
        /// Folders for whose quota it was asked what they hold.
        var asked: Set<NodeID> = []
        var isTracking = false
        /// How many operations of the catalog may have changed something since the last `settle`.
        var unsettled = 0

        mutating func add(_ bytes: Int64, of kind: UsageKind, to folders: [NodeID]) {
            for folder in folders {
                let sum = (totals[folder]?[kind] ?? 0) + bytes
                totals[folder, default: [:]][kind] = sum == 0 ? nil : sum
                if totals[folder]?.isEmpty == true { totals[folder] = nil }
            }
        }
    }

    private let state = Mutex(State())

    /// After so many operations what they have changed is taken up, so that nothing has much to take up at once.
    private static let settlingInterval = 64

    /// Whether any folder has, or had since the library was opened, a quota, so that changes are noted.
    var isTracking: Bool { state.withLock { $0.isTracking } }

    /// Begins to note changes, and counts all that there is, where the first folder has a quota.
    func begin(_ records: Records, _ rulebook: Rulebook) throws {
        guard try !isTracking && records.hasQuotas() else { return }
        try records.trackUsage()
        let all = try records.usage(below: .folders)
        state.withLock { $0.isTracking = true }
        for record in all {
            let folders = try chain(of: record.folder, records, rulebook)
            state.withLock { $0.add(record.bytes, of: record.kind, to: folders) }
        }
    }

    /// Returns a folder and those for which counts what it has.
    private func chain(of folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> [NodeID] {
        if let heir = state.withLock({ $0.heirs[folder] }) { return try [folder] + chain(of: heir, records, rulebook) }
        let folders = try rulebook.of(folder, records).ancestors
        // What has no folder counts for the library's root.
        return folders.last == .unfiled ? folders + [.folders] : folders
    }

    /// What a folder with a quota holds; nothing is written, so that a refusal can follow.
    func of(_ folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> Held {
        var held = Held(bytes: try total(below: folder, records, rulebook))
        held.kept = try kept(in: folder, records, rulebook)
        for change in try records.usageChanges() where change.kind == .formerContents {
            let counts = try chain(of: change.folder, records, rulebook).contains(folder)
            if try counts && rulebook.keepsFormer(in: change.folder, records) { held.kept += change.bytes }
        }
        _ = state.withLock { $0.asked.insert(folder) }
        return held
    }

    /// Returns what a folder holds with all below it, by kind.
    func total(below folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> [UsageKind: Int64] {
        var total = state.withLock { $0.totals[folder] } ?? [:]
        for change in try records.usageChanges() where try chain(of: change.folder, records, rulebook).contains(folder)
        {
            total[change.kind, default: 0] += change.bytes
        }
        return total
    }

    /// Returns how much of a folder's former contents is not to go: of folders that say how many are kept, each part of the tree as it says.
    private func kept(in folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> Int64 {
        if let known = state.withLock({ $0.kept[folder] }) { return known }
        func former(_ folder: NodeID) -> Int64 { state.withLock { $0.totals[folder]?[.formerContents] } ?? 0 }
        var kept = try rulebook.keepsFormer(in: folder, records) ? former(folder) : 0
        for other in try records.foldersSayingVersions() + [.unfiled] where other != folder && former(other) != 0 {
            let above = try chain(of: other, records, rulebook).dropFirst()
            guard let parent = above.first, above.contains(folder) else { continue }
            switch (try rulebook.keepsFormer(in: other, records), try rulebook.keepsFormer(in: parent, records)) {
            case (true, false): kept += former(other)
            case (false, true): kept -= former(other)
            default: break
            }
        }
        state.withLock { $0.kept[folder] = kept }
        return kept
    }

    /// Takes up what has changed; this writes, and so comes after whatever may be refused.
    func settle(_ records: Records, _ rulebook: Rulebook) throws {
        guard isTracking else { return }
        // All is read before any of it counts: where the catalog cannot be read, the changes are there once more.
        let changes = try records.takeUsageChanges().map { ($0, try chain(of: $0.folder, records, rulebook)) }
        for (change, folders) in changes {
            state.withLock { state in
                state.add(change.bytes, of: change.kind, to: folders)
                // Asked for again, it is summed up again.
                if change.kind == .formerContents { for folder in folders { state.kept[folder] = nil } }
            }
        }
        state.withLock { state in
            state.unsettled = 0
            state.heirs = state.heirs.filter { state.totals[$0.key] != nil }
        }
    }

    /// Takes up what has changed now and then; called at the end of an operation that may have changed something.
    func settleSometimes(_ records: Records, _ rulebook: Rulebook) throws {
        let isDue = state.withLock { state in
            guard state.isTracking else { return false }
            state.unsettled += 1
            return state.unsettled >= Self.settlingInterval
        }
        if isDue { try settle(records, rulebook) }
    }

    /// Has what a folder holds count for another's folders; the folder is there already.
    func move(_ folder: NodeID, from former: NodeID, to parent: NodeID, _ records: Records, _ rulebook: Rulebook) throws
    {
        guard isTracking else { return }
        let (left, entered) = (try chain(of: former, records, rulebook), try chain(of: parent, records, rulebook))
        state.withLock { state in
            for (kind, bytes) in state.totals[folder] ?? [:] {
                state.add(-bytes, of: kind, to: left)
                state.add(bytes, of: kind, to: entered)
            }
            (state.kept, state.plans) = ([:], [:])
        }
    }

    /// Has what is still noted for a folder that is removed count for the one that it was in.
    func noteRemoval(of folder: NodeID, from parent: NodeID) {
        state.withLock { if $0.isTracking { $0.heirs[folder] = parent } }
    }

    /// A folder says something else about what may go.
    func forgetKept() { state.withLock { ($0.kept, $0.plans) = ([:], [:]) } }

    /// Takes what may go of a folder, unless that was counted too long ago.
    func takePlan(of folder: NodeID) -> ReclaimPlan? {
        let plan = state.withLock { $0.plans.removeValue(forKey: folder) }
        return plan.flatMap { .now - $0.begun < .seconds(600) ? $0 : nil }
    }

    /// Keeps what may go of a folder for the next time.
    func keep(_ plan: ReclaimPlan, of folder: NodeID) { state.withLock { $0.plans[folder] = plan } }

    /// Has what may go of a folder counted again.
    func forgetPlan(of folder: NodeID) { state.withLock { $0.plans[folder] = nil } }

    /// Whether a folder that holds too much is to be trimmed: not where that was of no use before.
    func beginTrimming(_ folder: NodeID, holding bytes: Int64) -> Bool {
        state.withLock { state in
            defer { state.trimmed[folder] = bytes }
            return state.trimmed[folder] != bytes
        }
    }

    /// Trimming a folder was of use.
    func noteTrimmed(_ folder: NodeID) { state.withLock { $0.trimmed[folder] = nil } }

    /// Folders for whose quota it was asked what they hold.
    var asked: [NodeID] { state.withLock { Array($0.asked) } }
}

extension Rulebook {
    /// Whether former contents of what is in a folder are not to go.
    fileprivate func keepsFormer(in folder: NodeID, _ records: Records) throws -> Bool {
        try of(folder, records).policy.versions.keepsAll
    }

    /// The quotas that hold for what is in a folder: of alternative files those of the folder that the asset's own file is in.
    func quotas(of rules: FolderRules, _ records: Records) throws -> [FolderRules.Quota] {
        guard rules.root == .alternatives, rules.folder != .alternatives else { return rules.quotas }
        guard let folder = try records.countingFolder(of: rules.folder), folder != rules.folder else { return [] }
        return try of(folder, records).quotas
    }
}
