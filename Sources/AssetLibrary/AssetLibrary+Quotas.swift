public import AssetModel
internal import Catalog
internal import Glibc
public import LibraryRules
public import LibraryStorage
internal import Logging

// Quotas. Bytes of the trash, and of former versions that may be pruned, never stop an upload.
extension AssetLibrary {
    /// Returns a refusal if an upload would make a folder exceed its quota.
    func quotaRefusal(_ submission: Submission, _ records: Records) throws -> UploadRejection? {
        let others = submission.otherGrowth
        guard submission.growth > 0 || others.contains(where: { $0.bytes > 0 }) else { return nil }
        let own = try exceededQuota(of: submission.place.rules, for: submission.uploader, records) { quota in
            let other = others.first { $0.quota.folder == quota.folder }?.bytes ?? 0
            if submission.countedIn?.holds(quota) == true {
                return submission.growth + submission.kept - submission.content.size + other
            }
            let bytes = submission.growth - submission.leaving + other
            return bytes > 0 ? bytes : nil
        }
        if let own { return own }
        let place = Set(try rulebook.quotas(of: submission.place.rules, records).map(\.folder))
        return try others.lazy.filter { $0.bytes > 0 && !place.contains($0.quota.folder) }.compactMap { other in
            try exceeds(other.quota, by: other.bytes, for: submission.uploader, records)
        }.first
    }

    /// Returns the quotas that count a file's other names than that of an upload's place, with the number of
    /// those names.
    func countedNames(
        of node: NodeRecord,
        _ aim: OpenNode.Aim?,
        besides place: Place?,
        _ records: Records
    ) throws -> [(quota: FolderRules.Quota, count: Int)] {
        guard usage.isTracking, aim == nil, node.links > 1 else { return [] }
        var counted: [(quota: FolderRules.Quota, count: Int)] = []
        for entry in try records.entriesNaming(node.id) {
            if let place, (entry.parent, entry.name) == (place.parent, place.name) { continue }
            for quota in try rulebook.quotas(of: rulebook.of(entry.parent, records), records) {
                if let index = counted.firstIndex(where: { $0.quota.folder == quota.folder }) {
                    counted[index].count += 1
                } else {
                    counted.append((quota, 1))
                }
            }
        }
        return counted
    }

    /// Returns the refusal by the first quota, of a folder or a folder above it, that would be exceeded.
    ///
    /// `growth` returns the bytes that a quota's folder gains; nil leaves out that quota.
    func exceededQuota(
        of rules: FolderRules,
        for uploader: Uploader,
        _ records: Records,
        _ growth: (FolderRules.Quota) -> Int64?
    ) throws -> UploadRejection? {
        guard usage.isTracking else { return nil }
        for quota in try rulebook.quotas(of: rules, records) {
            // A file whose bytes count already, under a temporary name, is refused its final name where the
            // folder holds too much.
            if let bytes = growth(quota), let refusal = try exceeds(quota, by: bytes, for: uploader, records) {
                return refusal
            }
        }
        return nil
    }

    /// Returns the refusal if a quota's folder may not hold some more bytes.
    private func exceeds(
        _ quota: FolderRules.Quota,
        by bytes: Int64,
        for uploader: Uploader,
        _ records: Records
    ) throws -> UploadRejection? {
        let held = try usage.of(quota.folder, records, rulebook)
        let (sum, overflow) = held.staying.addingReportingOverflow(bytes)
        return overflow || sum > quota.limit.bytes ? try quotaRefusal(quota, held, for: uploader, records) : nil
    }

    /// Returns the refusal that a user gets where a quota would be exceeded.
    func quotaRefusal(
        _ quota: FolderRules.Quota,
        _ held: FolderUsage.Held,
        for uploader: Uploader,
        _ records: Records
    ) throws -> UploadRejection {
        let path = try rulebook.of(quota.folder, records).path
        return .quota(quota.limit, of: path, try mayKnowUsage(of: quota, uploader, records) ? held : nil)
    }

    /// Returns whether a user may see the usage of a folder with a quota, which includes files in closed
    /// folders below it and in the trash.
    private func mayKnowUsage(of quota: FolderRules.Quota, _ reader: Uploader, _ records: Records) throws -> Bool {
        try reader.uid == 0 || reader.uid == getuid() || records.node(quota.folder)?.uid == reader.uid
    }

    /// Refuses attributes of a file or folder for which a quota has no room.
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

    /// Returns how many bytes that stay, not trash or prunable versions, a file or folder has in a folder
    /// with `rules`, where it is or is to be.
    ///
    /// Alternative files, attributes and former versions of a file with several names count where one of the
    /// names is; with `folder`, they are left out if that is not the folder's name.
    func movedBytes(
        _ node: NodeRecord,
        from folder: NodeID? = nil,
        under rules: FolderRules,
        _ records: Records
    ) throws -> Int64 {
        let isKept = rules.policy.versions.keepsAll
        if node.isFolder {
            let total = try usage.total(below: node.id, records, rulebook)
            let kept = try usage.kept(in: node.id, ifInherited: isKept, records, rulebook)
            return [.files, .alternatives, .attributes].reduce(kept) { $0 + (total[$1] ?? 0) }
        }
        let counting = try folder.flatMap { try records.countingFolder(of: $0) }
        let brought = try records.usage(of: node).filter {
            counting == nil || $0.folder == counting
        }.filter {
            switch $0.kind {
            case .alternatives, .attributes: true
            case .formerContents: isKept
            default: false
            }
        }
        return brought.reduce(node.size) { $0 + $1.bytes }
    }

    /// Prunes trashed assets and former versions of folders that exceed their quotas.
    ///
    /// Those of the user with the most bytes go first, as `ReclaimPlan` orders them. Each user's recent ones,
    /// which a saving program may still need, go last.
    private func trimToQuotas(_ quotas: [FolderRules.Quota], _ records: Records) throws -> [Trimming] {
        try quotas.compactMap { quota in
            let held = try usage.of(quota.folder, records, rulebook)
            let excess = held.total - quota.limit.bytes
            guard excess > 0, held.reclaimable > 0 else { return nil }
            let known = usage.plan(of: quota.folder)
            let plan = try known ?? planTrimming(quota, records)
            var trimming = Trimming(quota: quota, plan: plan, missing: excess, excess: excess)
            try trim(&trimming, records)
            if trimming.missing > 0 {
                // Items that the plan left out may count for this folder by now.
                trimming.plan = try planTrimming(quota, records)
                try trim(&trimming, records)
            }
            return trimming
        }
    }

    /// The removal of bytes that a folder holds beyond its quota.
    private struct Trimming {
        let quota: FolderRules.Quota
        var plan: ReclaimPlan
        /// The bytes that are still to be removed, of those at the beginning.
        var missing: Int64
        let excess: Int64
        var hasFreed: Bool { missing < excess }
        /// The paths that have left the trash.
        var paths: [String] = []
    }

    private func trim(_ trimming: inout Trimming, _ records: Records) throws {
        let quota = trimming.quota
        while true {
            let (some, isEnd) = try records.reclaimable(
                after: &trimming.plan.position,
                mounter: getuid(),
                limit: Self.sweepBatch
            )
            trimming.plan.add(try some.filter { try counts($0, for: quota, records) })
            if isEnd { break }
        }
        let recent = clock.now.advanced(by: .zero - rulebook.saving)
        while trimming.missing > 0, let (item, _) = trimming.plan.next(before: recent, orRecent: true) {
            trimming.plan.drop(item)
            guard try counts(item, for: quota, records), let purged = try remove(item, records) else { continue }
            trimming.missing -= item.bytes
            trimming.paths += purged
        }
    }

    /// Returns a plan of all reclaimable bytes of a folder and the folders below it, by user.
    private func planTrimming(_ quota: FolderRules.Quota, _ records: Records) throws -> ReclaimPlan {
        var plan = ReclaimPlan(\.bytes)
        plan.position = try records.reclaimableEnd()
        let all = try records.reclaimable(below: quota.folder, mounter: getuid())
        let counting = try all.filter { try counts($0, for: quota, records) }
        plan.add(counting.sorted { ($0.since, $0.asset.rawValue) < ($1.since, $1.asset.rawValue) })
        return plan
    }

    /// Whether an item counts for a quota and may be removed to make room in it.
    private func counts(_ item: ReclaimableRecord, for quota: FolderRules.Quota, _ records: Records) throws -> Bool {
        try counts(item.asset, for: quota, areVersions: item.kind != .trash, records)
    }

    /// Whether an asset's bytes count for a quota; with `areVersions`, only versions that may be pruned.
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

    /// Enforces the quotas of the folders that a file has entered, or in which it was replaced.
    ///
    /// A failure is logged; the sweeper enforces them later.
    func keepQuotas(around file: NodeID) {
        guard usage.isTracking else { return }
        settleUsage()
        do throws(LibraryError) {
            try keepQuotas { records in
                guard let folder = try records.anyEntry(of: file)?.parent else { return [] }
                return try rulebook.quotas(of: rulebook.of(folder, records), records)
            }
        } catch {
            log.warning("The quotas of folders could not be looked at: \(error)")
        }
    }

    /// Enforces the quotas of all folders whose usage has been computed, also where no upload asks for it.
    func keepAllQuotas() throws(LibraryError) {
        guard usage.isTracking else { return }
        try keepQuotas { records in
            try usage.asked.compactMap { folder in
                try rulebook.of(folder, records).quotas.first { $0.folder == folder }
            }
        }
    }

    private func keepQuotas(_ quotas: (Records) throws -> [FolderRules.Quota]) throws(LibraryError) {
        // Reads first: a catalog operation that changes nothing would still be committed.
        let exceeded = try read { records in
            try quotas(records).compactMap { quota in
                let held = try usage.of(quota.folder, records, rulebook)
                return held.total > quota.limit.bytes && held.reclaimable > 0 ? (quota: quota, bytes: held.total) : nil
            }
        }.filter { usage.beginTrimming($0.quota.folder, holding: $0.bytes) }.map(\.quota)
        if exceeded.isEmpty { return }
        let trimmed: [Trimming]
        do throws(LibraryError) {
            trimmed = try write {
                try trimToQuotas(exceeded, $0)
            } then: {
                for trimming in $0 {
                    usage.keep(trimming.plan, of: trimming.quota.folder)
                    if trimming.hasFreed { usage.noteTrimmed(trimming.quota.folder) }
                }
            }
        } catch {
            // Nothing was removed, though there may be something: the next time tries it.
            for quota in exceeded { usage.noteTrimmed(quota.folder) }
            throw error
        }
        for path in trimmed.flatMap(\.paths) {
            log.notice("Removed \(path) from the trash for good, to make room within a quota.")
        }
        if !trimmed.isEmpty { sweeper.wake() }
        settleUsage()
    }

    /// Returns how many bytes an upload replaces, which the folder then no longer holds.
    ///
    /// The result is 0 where they are kept as a former version that is never pruned.
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

    /// Returns the quotas in force in a folder, its own included, with their usage if the user may know it.
    ///
    /// The result is nil where there is no quota.
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

    /// Returns the value of `user.asset.info` of a folder; nil for other nodes, and without a quota.
    func quotaInformation(of id: NodeID, for reader: Uploader, _ records: Records) throws -> JSONObject? {
        guard usage.isTracking, try records.node(id)?.isFolder == true,
            let quotas = try quotas(of: id, for: reader, records)
        else { return nil }
        var information = JSONObject()
        information.add("quotas", quotas)
        return information
    }
}

extension AssetLibrary {
    /// Whether a user may create a file that has no folder, and so counts for the library's root.
    ///
    /// `folder` is an asset's own directory; nil stands for a new asset.
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
