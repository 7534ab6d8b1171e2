internal import AssetModel
internal import Catalog
internal import Synchronization

/// How many bytes folders with a quota hold, by kind: counted once, and then kept up to date by what the catalog notes of changes.
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

        mutating func add(_ record: UsageRecord, isKept: Bool, _ sign: Int64 = 1) {
            bytes[record.kind, default: 0] += sign * record.bytes
            if isKept { kept += sign * record.bytes }
        }
    }

    private struct State {
        var held: [NodeID: Held] = [:]
        /// What may go of folders that have held too much.
        var plans: [NodeID: ReclaimPlan] = [:]
        /// What a folder held when it was last trimmed.
        var trimmed: [NodeID: Int64] = [:]
        var isTracking = false
    }

    private let state = Mutex(State())

    /// Whether any folder has a quota, so that changes are noted.
    var isTracking: Bool { state.withLock { $0.isTracking } }

    /// Begins or ends noting changes, as there are folders with a quota or not; forgets what has been counted.
    func restart(_ records: Records) throws {
        let hasQuotas = try records.hasQuotas()
        if isTracking { try records.endTrackingUsage() }
        if hasQuotas { try records.trackUsage() }
        state.withLock { $0 = State(isTracking: hasQuotas) }
    }

    /// What a folder holds; nothing is written, so that a refusal can follow.
    func of(_ folder: NodeID, _ records: Records, _ rulebook: Rulebook) throws -> Held {
        var pending = Held()
        for change in try records.usageChanges() where try rulebook.counts(change.folder, for: folder, records) {
            pending.add(change, isKept: try rulebook.keeps(change, records))
        }
        var held: Held
        if let known = state.withLock({ $0.held[folder] }) {
            held = known
        } else {
            held = Held()
            for record in try records.usage(below: folder) {
                held.add(record, isKept: try rulebook.keeps(record, records))
            }
            for (kind, bytes) in pending.bytes { held.bytes[kind, default: 0] -= bytes }
            held.kept -= pending.kept
            state.withLock { $0.held[folder] = held }
        }
        for (kind, bytes) in pending.bytes { held.bytes[kind, default: 0] += bytes }
        held.kept += pending.kept
        return held
    }

    /// Takes up what has changed; this writes, and so comes after whatever may be refused.
    func settle(_ records: Records, _ rulebook: Rulebook) throws {
        guard isTracking else { return }
        let changes = try records.takeUsageChanges()
        for change in changes {
            guard let rules = try? rulebook.of(change.folder, records) else { continue }
            let isKept = try rulebook.keeps(change, records)
            state.withLock { state in
                for quota in rules.quotas { state.held[quota.folder]?.add(change, isKept: isKept) }
            }
        }
    }

    /// A folder was moved: all is counted again when it is asked for.
    func forget() { state.withLock { ($0.held, $0.plans) = ([:], [:]) } }

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

    /// Folders whose contents have been counted.
    var counted: [NodeID] { state.withLock { Array($0.held.keys) } }
}

extension Rulebook {
    /// Whether what a folder has itself counts for another folder's quota.
    fileprivate func counts(_ folder: NodeID, for other: NodeID, _ records: Records) throws -> Bool {
        guard let rules = try? of(folder, records) else { return false }
        return rules.quotas.contains { $0.folder == other }
    }

    fileprivate func keeps(_ record: UsageRecord, _ records: Records) throws -> Bool {
        record.kind == .formerContents && (try? of(record.folder, records))?.policy.versions.keepsAll == true
    }

    /// The quotas that hold for what is in a folder: of alternative files those of the folder that the asset's own file is in.
    func quotas(of rules: FolderRules, _ records: Records) throws -> [FolderRules.Quota] {
        guard rules.root == .alternatives, rules.folder != .alternatives else { return rules.quotas }
        guard let folder = try records.countingFolder(of: rules.folder), folder != rules.folder else { return [] }
        return try of(folder, records).quotas
    }
}
