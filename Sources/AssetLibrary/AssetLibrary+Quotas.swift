public import AssetModel
internal import Catalog
internal import Glibc
internal import Logging

// Room within quotas: what the trash and former contents take of one never stops an upload.
extension AssetLibrary {
    /// Whether an upload would make a folder hold more than it may.
    func quotaRefusal(_ submission: Submission, _ records: Records) throws -> Refusal? {
        guard submission.growth > 0 else { return nil }
        return try exceededQuota(of: submission.place.rules, for: submission.uploader, records) { quota in
            submission.growth - (submission.countedIn?.holds(quota) == true ? submission.content.size : 0)
        }
    }

    /// The first quota of a folder, or one above it, that would be exceeded by what `growth` says it gains; nil for nothing.
    func exceededQuota(
        of rules: FolderRules,
        for uploader: Uploader,
        _ records: Records,
        _ growth: (FolderRules.Quota) -> Int64?
    ) throws -> Refusal? {
        guard usage.isTracking else { return nil }
        for quota in try rulebook.quotas(of: rules, records) {
            guard let bytes = growth(quota) else { continue }
            let held = try usage.of(quota.folder, records, rulebook)
            let (sum, overflow) = held.staying.addingReportingOverflow(bytes)
            if overflow || sum > quota.limit.bytes { return try quotaRefusal(quota, held, for: uploader, records) }
        }
        return nil
    }

    /// Returns what a user is told where a quota would be exceeded.
    func quotaRefusal(
        _ quota: FolderRules.Quota,
        _ held: FolderUsage.Held,
        for uploader: Uploader,
        _ records: Records
    ) throws -> Refusal {
        let path = try rulebook.of(quota.folder, records).path
        return .quota(quota.limit, of: path, try mayKnowUsage(of: quota, uploader, records) ? held : nil)
    }

    /// Returns whether a user is told what a folder with a quota holds: files in closed folders below, and in the trash, count, too.
    private func mayKnowUsage(of quota: FolderRules.Quota, _ reader: Uploader, _ records: Records) throws -> Bool {
        try reader.uid == 0 || reader.uid == getuid() || records.node(quota.folder)?.uid == reader.uid
    }

    /// Refuses attributes of a file or folder for which the quota has no room.
    func refuseAttribute(
        of node: NodeRecord,
        growingBy bytes: Int64,
        by uploader: Uploader,
        _ records: Records
    ) throws {
        guard bytes > 0, usage.isTracking else { return }
        var folder = node.isFolder ? node.id : try records.anyEntry(of: node.id)?.parent
        if folder == nil, let asset = node.asset { folder = try records.countingFolder(ofAsset: asset) }
        guard let folder else { return }
        if let refusal = try exceededQuota(of: rulebook.of(folder, records), for: uploader, records, { _ in bytes }) {
            throw LibraryError.refused(refusal)
        }
    }

    /// How many bytes that stay a file or folder brings to where it is moved.
    func movedBytes(_ node: NodeRecord, _ records: Records) throws -> Int64 {
        if node.isFolder {
            let total = try usage.total(below: node.id, records, rulebook)
            return [.files, .alternatives, .attributes].reduce(0) { $0 + (total[$1] ?? 0) }
        }
        let brought = try records.usage(of: node).filter { $0.kind == .alternatives || $0.kind == .attributes }
        return brought.reduce(node.size) { $0 + $1.bytes }
    }

    /// Removes what is in the trash, and former contents, where a folder holds more than its quota: of the user with the most first, as
    /// `ReclaimPlan` has it, and last of each user what a program that saves may still want.
    func trimToQuotas(_ quotas: [FolderRules.Quota], _ records: Records) throws {
        guard usage.isTracking, !quotas.isEmpty else { return }
        for quota in quotas {
            let held = try usage.of(quota.folder, records, rulebook)
            let excess = held.total - quota.limit.bytes
            guard excess > 0, held.reclaimable > 0 else { continue }
            var missing = try trim(quota, by: excess, records)
            if missing > 0 {
                // What was passed over may have come here since.
                usage.forgetPlan(of: quota.folder)
                missing = try trim(quota, by: missing, records)
            }
            if missing < excess { usage.noteTrimmed(quota.folder) }
            sweeper.wake()
        }
        try usage.settle(records, rulebook)
    }

    private func trim(_ quota: FolderRules.Quota, by excess: Int64, _ records: Records) throws -> Int64 {
        var missing = excess
        var plan = try usage.takePlan(of: quota.folder) ?? planTrimming(quota, records)
        defer { usage.keep(plan, of: quota.folder) }
        while true {
            let (some, isEnd) = try records.reclaimable(
                after: &plan.position,
                mounter: getuid(),
                limit: Self.sweepBatch
            )
            plan.add(try some.filter { try counts($0, for: quota, records) })
            if isEnd { break }
        }
        let recent = clock.now.advanced(by: .zero - rulebook.saving)
        while missing > 0, let (item, _) = plan.next(before: recent, orRecent: true) {
            plan.drop(item)
            guard try counts(item, for: quota, records), let purged = try remove(item, records) else { continue }
            missing -= item.bytes
            for path in purged { log.notice("Removed \(path) from the trash for good, to make room within a quota.") }
        }
        return missing
    }

    /// Counts what may go of a folder and all below it, by user.
    private func planTrimming(_ quota: FolderRules.Quota, _ records: Records) throws -> ReclaimPlan {
        var plan = ReclaimPlan(\.bytes)
        plan.position = try records.reclaimableEnd()
        let all = try records.reclaimable(below: quota.folder, mounter: getuid())
        let counting = try all.filter { try counts($0, for: quota, records) }
        plan.add(counting.sorted { ($0.since, $0.asset.rawValue) < ($1.since, $1.asset.rawValue) })
        return plan
    }

    /// Whether something counts for a quota, and may go to make room in it.
    private func counts(_ item: ReclaimableRecord, for quota: FolderRules.Quota, _ records: Records) throws -> Bool {
        try counts(item.asset, for: quota, areVersions: item.kind != .trash, records)
    }

    /// Whether what an asset has counts for a quota; of former contents only those that may go.
    private func counts(
        _ asset: AssetID,
        for quota: FolderRules.Quota,
        areVersions: Bool = false,
        _ records: Records
    ) throws -> Bool {
        guard let folder = try records.countingFolder(ofAsset: asset), let rules = try? rulebook.of(folder, records)
        else { return false }
        guard rules.mayTrim(quota), !(areVersions && rules.policy.versions.keepsAll) else { return false }
        return try !records.isPlacedByOther(asset)
    }

    /// Keeps the quotas of the folders that a file has come to, or has been replaced in.
    ///
    /// What cannot be done now the sweeper does.
    func keepQuotas(around file: NodeID) {
        guard usage.isTracking else { return }
        do throws(LibraryError) {
            try keepQuotas { records in
                guard let folder = try records.anyEntry(of: file)?.parent else { return [] }
                return try rulebook.quotas(of: rulebook.of(folder, records), records)
            }
        } catch {
            log.warning("The quotas of folders could not be looked at: \(error)")
        }
    }

    /// Keeps the quotas of all folders that have been looked at: what no upload asks for.
    func keepAllQuotas() throws(LibraryError) {
        guard usage.isTracking else { return }
        try keepQuotas { records in
            try usage.asked.compactMap { folder in
                try rulebook.of(folder, records).quotas.first { $0.folder == folder }
            }
        }
    }

    private func keepQuotas(_ quotas: (Records) throws -> [FolderRules.Quota]) throws(LibraryError) {
        // Looked at first: a step of the catalog that changes nothing would still be committed.
        let exceeded = try read { records in
            try usage.settle(records, rulebook)
            return try quotas(records).filter { quota in
                let held = try usage.of(quota.folder, records, rulebook)
                return held.total > quota.limit.bytes && held.reclaimable > 0
                    && usage.beginTrimming(quota.folder, holding: held.total)
            }
        }
        if !exceeded.isEmpty { try write { try trimToQuotas(exceeded, $0) } }
    }

    /// How many bytes an upload takes the place of, so that the folder does not hold them besides; none where they are kept as a former
    /// content that is not to go.
    func growthBase(
        of node: NodeRecord,
        _ aim: OpenNode.Aim?,
        _ rules: FolderRules,
        _ present: VersionID?,
        _ records: Records
    ) throws -> Int64 {
        let replaced = try replacedSize(by: node, aim, records)
        let isKept = rules.policy.versions.keepsAll && present == nil && (aim?.replacing != nil || node.asset != nil)
        return isKept ? 0 : replaced
    }

    /// Returns the quotas that hold in a folder, its own among them, and to those who may know it how much of each is used; nil where
    /// there is none.
    func quotas(of folder: NodeID, for reader: Uploader, _ records: Records) throws -> [JSONObject]? {
        guard usage.isTracking else { return nil }
        let quotas = try rulebook.of(folder, records).quotas
        if quotas.isEmpty { return nil }
        return try quotas.map { quota in
            var object = JSONObject()
            object.add("folder", "/" + (try rulebook.of(quota.folder, records).path))
            object.add("limit", quota.limit.bytes)
            guard try mayKnowUsage(of: quota, reader, records) else { return object }
            let held = try usage.of(quota.folder, records, rulebook)
            object.add("held", held.total)
            for kind in UsageKind.allCases { object.add(kind.key, held.bytes[kind] ?? 0) }
            return object
        }
    }

    /// The value of `user.asset.info` of a folder; nil for what is none, or has no quota.
    func quotaInformation(of id: NodeID, for reader: Uploader, _ records: Records) throws -> JSONObject? {
        guard usage.isTracking, try records.node(id)?.isFolder == true,
            let quotas = try quotas(of: id, for: reader, records)
        else { return nil }
        var information = JSONObject()
        information.add("quotas", quotas)
        return information
    }
}

extension UsageKind {
    /// Its name in JSON.
    var key: String {
        switch self {
        case .files: "files"
        case .formerContents: "former_contents"
        case .trash: "trash"
        case .alternatives: "alternatives"
        case .attributes: "attributes"
        }
    }
}

extension Refusal {
    /// `held` is nil for a user who is not told what the folder holds.
    static func quota(_ limit: ByteCount, of path: String, _ held: FolderUsage.Held?) -> Refusal {
        let folder = path.isEmpty ? "The library" : "The folder “\(path)”"
        guard let held else {
            let owner = path.isEmpty ? "the user who has mounted it" : "its owner"
            return Refusal(
                kind: .quota,
                sentence:
                    "\(folder) may hold \(limit) and has no room for this; remove files of yours, or ask \(owner) for more room."
            )
        }
        func bytes(_ kind: UsageKind) -> Int64 { held.bytes[kind] ?? 0 }
        var parts = ["files \(bytes(.files))"]
        if bytes(.alternatives) > 0 { parts.append("alternative files \(bytes(.alternatives))") }
        if bytes(.attributes) > 0 { parts.append("attributes \(bytes(.attributes))") }
        if held.kept > 0 { parts.append("former contents that user.policy.versions keeps \(held.kept)") }
        var sentence = "\(folder) may hold \(limit), and holds in bytes: \(parts.joined(separator: ", ")); "
        sentence += "remove some of these, or raise user.policy.quota."
        if held.kept > 0 { sentence += " Former contents make room where user.policy.versions is not “all”." }
        if held.reclaimable > 0 {
            sentence +=
                " The \(held.reclaimable) bytes of the trash and of former contents make room by themselves and are not counted here."
        }
        return Refusal(kind: .quota, sentence: sentence)
    }
}

extension AssetLibrary {
    /// Whether a user may make what has no folder, and so counts for the library's root; nil for a new asset, else in an asset's own
    /// directory.
    public func mayFill(_ folder: NodeID?, by uploader: Uploader) throws(LibraryError) -> Bool {
        if uploader.uid == 0 { return true }
        return try read { records in
            if let folder {
                guard try rulebook.of(folder, records).root == .unfiled else { return true }
                if try records.node(folder)?.uid == uploader.uid { return true }
            }
            return try allows(2, to: uploader, on: .folders, records)
        }
    }
}
