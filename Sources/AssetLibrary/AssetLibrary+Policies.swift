internal import AssetModel
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import Synchronization

// Folder policies, and the flags by which users override them for single assets.
extension AssetLibrary {
    /// Returns a policy that is set on a folder; with `effective`, all policies in force in it, or in a
    /// file's folder, as JSON.
    func policy(_ key: String, of id: NodeID, for reader: Uploader) throws(LibraryError) -> String? {
        try read { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            if key == "effective" {
                guard let folder = node.isFolder ? id : try shownEntry(of: id, for: reader, records)?.parent else {
                    return nil
                }
                return String(decoding: try rulebook.of(folder, records).effective.bytes, as: UTF8.self)
            }
            return node.isFolder ? try records.policies(of: id).first { $0.key == key }?.value : nil
        }
    }

    func setPolicy(
        _ key: String,
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        by uploader: Uploader
    ) throws(LibraryError) {
        guard let key = PolicyKey(rawValue: key) else {
            throw .invalid("There is no policy “\(Shown.value(key))”; there are \(PolicyKey.choices).")
        }
        guard let text = String(validating: value, as: UTF8.self), !text.contains("\0") else {
            throw .invalid("user.policy.\(key.rawValue) cannot have this value: it is not text.")
        }
        do throws(Policy.Objection) {
            var policy = Policy()
            try policy.apply(key, text)
        } catch {
            throw .invalid("user.policy.\(key.rawValue) cannot be “\(Shown.value(text))”: \(error.reason).")
        }
        _ = try write { records -> PolicyChange in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            guard node.isFolder else { throw LibraryError.invalid("user.policy.\(key.rawValue) is a folder's to say.") }
            try refuseUnlessEntitled(uploader, to: key, of: node, records)
            let isThere = try records.policies(of: id).contains { $0.key == key.rawValue }
            if isThere, presence == .absent { throw LibraryError.attributeExists }
            if !isThere, presence == .present { throw LibraryError.noSuchAttribute }
            try refusePolicy(key, of: id, value, by: uploader.uid, records)
            if key == .temporaryNames || key == .junkNames { try makeAssetsOfWaiting(id, records) }
            // The bytes are counted before the change, so that their folders' paths are climbed once.
            let counted = key == .quota && !usage.isTracking ? try usage.count(records, rulebook) : nil
            try records.addLinks(0, to: id, at: .now)
            if counted != nil { try records.trackUsage() }
            try records.setPolicy(key, of: id, to: text, by: uploader.uid)
            return PolicyChange(key: key, counted: counted, presence: try rulebook.presence(records))
        } then: {
            note($0)
        }
    }

    /// The consequences of a policy's change for memory.
    private struct PolicyChange {
        let key: PolicyKey
        /// The bytes of all folders, where a folder got the first quota.
        var counted: FolderUsage.Totals?
        let presence: Rulebook.Presence
    }

    private func note(_ change: PolicyChange) {
        rulebook.forgetPolicies(having: change.presence)
        if let counted = change.counted { usage.begin(with: counted) }
        // The prunable bytes are summed up again.
        if change.key == .versions || change.key == .preset { usage.forgetKept() }
    }

    func removePolicy(_ key: String, of id: NodeID, by uploader: Uploader) throws(LibraryError) {
        _ = try write { records in
            guard let key = PolicyKey(rawValue: key) else { throw LibraryError.noSuchAttribute }
            if let node = try records.node(id) { try refuseUnlessEntitled(uploader, to: key, of: node, records) }
            guard try records.policies(of: id).contains(where: { $0.key == key.rawValue }) else {
                throw LibraryError.noSuchAttribute
            }
            try records.deletePolicy(key, of: id)
            try records.addLinks(0, to: id, at: .now)
            return PolicyChange(key: key, presence: try rulebook.presence(records))
        } then: {
            note($0)
        }
    }

    /// The reason of refusals like Uploadcare's AutostoreDisabledError.
    static let autostoreIsDisabled = """
        autostore is disabled here (user.policy.autostore), so that files go after 24 hours unless the folder's owner, or root, lets them stay.
        """

    /// Whether a user may store a file that expires unless it is stored.
    func mayStore(_ id: NodeID, _ uploader: Uploader, _ records: Records) throws -> Bool {
        guard uploader.uid != 0, !rulebook.isSilent, let node = try records.node(id), let asset = node.asset,
            !node.isPlacedByOther, try records.asset(asset)?.unstoredUntil != nil
        else { return true }
        guard let folder = try records.anyEntry(of: id)?.parent ?? records.trashed(asset)?.parent,
            try records.node(folder) != nil
        else { return false }
        return try mayLetStay(in: folder, uploader, records)
    }

    private func mayLetStay(in folder: NodeID, _ uploader: Uploader, _ records: Records) throws -> Bool {
        let rules = try rulebook.of(folder, records)
        guard uploader.uid != 0, !rules.policy.autostores else { return true }
        return try rules.autostoreFolder.flatMap { try records.node($0) }?.uid == uploader.uid
    }

    /// Refuses a policy to all users but the folder's owner and root: like the folder's mode, its policies
    /// decide about other users' files in it.
    private func refuseUnlessEntitled(
        _ uploader: Uploader,
        to key: PolicyKey,
        of folder: NodeRecord,
        _ records: Records
    ) throws {
        try uploader.refuseUnlessOwner(of: folder, "user.policy.\(key.rawValue)")
        guard key == .autostore else { return }
        guard try mayLetStay(in: folder.id, uploader, records) else {
            throw LibraryError.notPermitted("user.policy.autostore cannot be changed here: \(Self.autostoreIsDisabled)")
        }
    }

    /// Sets whether an asset is stored, or whether its embedded metadata are ignored.
    func setFlag(
        _ flag: AttributeName.AssetFlag,
        _ name: String,
        of id: NodeID,
        to value: [UInt8],
        by uploader: Uploader
    ) throws(LibraryError) {
        guard value == [0x30] || value == [0x31] else { throw .invalid("\(name) is 0 or 1.") }
        let isOn = value == [0x31]
        try settleIfQuick(id)
        let end = clock.now.advanced(bySeconds: Policy.temporaryLife)
        let nodes = try write { records -> [NodeID] in
            if flag == .stored, let node = try records.node(id) { try uploader.refuseUnlessOwner(of: node, name) }
            if flag == .stored, isOn, try !mayStore(id, uploader, records) {
                throw LibraryError.notPermitted("\(name) cannot be 1: \(Self.autostoreIsDisabled)")
            }
            let asset = try records.assetToChange(of: id, for: name)
            switch flag {
            case .stored:
                // An asset that has an explicit expiry keeps it.
                if !isOn, try records.asset(asset)?.expires != nil { return [] }
                try records.setUnstored(of: asset, until: isOn ? nil : end)
            case .noEXIF: try records.setIgnoresEmbedded(isOn, of: asset)
            }
            try records.addLinks(0, to: id, at: .now)
            let event = flag == .stored && isOn ? Event.stored : .informationUpdated
            try records.append(event, of: asset, at: try rulebook.path(of: asset, records), by: uploader.uid) {
                if event != .stored { $0.add("changed", [name]) }
            }
            return flag == .stored ? try records.nodes(showing: asset) : []
        }
        try tellOfNames(of: nodes)
        sweeper.wake()
    }
}
