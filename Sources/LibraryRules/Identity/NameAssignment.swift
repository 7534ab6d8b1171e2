public import AssetModel
public import Catalog
internal import LibraryStorage

// Decides which asset a file shows. An asset stays with its name: a file that gets the name shows the asset,
// and the asset's former blob is kept as a former version.

/// The assignment of a name to a file.
public struct Arrival {
    /// The name, and the folder it is in.
    public var place: Place
    /// The name.
    public var name: EntryName { place.name }
    /// The folder.
    public var parent: NodeID { place.parent }
    /// Whether the name is final, temporary or junk.
    public var nameClass = NameClass.final
    /// Whether the version that the name had is kept, however short a time it stood: it is replaced through
    /// `resources/ID/`.
    public var isReplacement = false
    /// The name that the file loses with the assignment, if any.
    public var formerly: (parent: NodeID, name: EntryName)?
    /// Whether the former name may come to have the asset back, so that the asset must not be deleted.
    public var mayBeAside = false
    /// The search for files with the same blob as this one.
    public var equal = EqualFiles()
    /// The user that gives the name.
    public let uploader: Uploader
    /// The number of the user that gives the name.
    public var uid: UInt32 { uploader.uid }
    /// Whether an upload to the file is under way, so that its bytes are not complete.
    public let isUnderWay: Bool
    /// The earliest time at which a program that saves the file now may have begun.
    public let savingBegan: Timestamp
    /// The requested name, where it was taken and stays as it is.
    public var requested: EntryName?
    /// The asset that had the blob before, where the name is to show that asset.
    public var existing: AssetID?
    /// The scanner's finding in the file.
    public var infection: String?
    /// Whether a refusal of this name has its receipt already.
    public var isRepeated = false

    /// Describes how a file gets a name.
    public init(
        place: Place,
        nameClass: NameClass = .final,
        isReplacement: Bool = false,
        formerly: (parent: NodeID, name: EntryName)? = nil,
        mayBeAside: Bool = false,
        equal: EqualFiles = EqualFiles(),
        uploader: Uploader,
        isUnderWay: Bool,
        savingBegan: Timestamp,
        requested: EntryName? = nil,
        existing: AssetID? = nil,
        infection: String? = nil,
        isRepeated: Bool = false
    ) {
        self.place = place
        self.nameClass = nameClass
        self.isReplacement = isReplacement
        self.formerly = formerly
        self.mayBeAside = mayBeAside
        self.equal = equal
        self.uploader = uploader
        self.isUnderWay = isUnderWay
        self.savingBegan = savingBegan
        self.requested = requested
        self.existing = existing
        self.infection = infection
        self.isRepeated = isRepeated
    }

    /// Returns whether an asset was made by the present saving; one whose time lies in the future, because
    /// the clock was set back, was not.
    func isYoung(_ created: Timestamp) -> Bool { created > savingBegan && created <= .now }
}

/// The asset that a name has, or had within the window.
public struct Heritage: Sendable {
    /// The asset.
    public let asset: AssetID
    /// The file that shows it.
    public let former: NodeRecord?
    /// The asset's owner: the owner of the file that had the name, or the user that made an asset without
    /// a file.
    public let owner: UInt32
    /// The rights of the file that had the name; nil where the asset has had no file.
    public var rights: FileRights?
    /// The users with read access to the file that had the name; nil where only `rights` are known.
    public var standing: Standing?
    /// The asset of the file that this file replaced when it was put aside.
    public var displaced: AssetID?

    /// Describes an asset that a file may take over.
    public init(
        asset: AssetID,
        former: NodeRecord?,
        owner: UInt32,
        rights: FileRights? = nil,
        standing: Standing? = nil,
        displaced: AssetID? = nil
    ) {
        self.asset = asset
        self.former = former
        self.owner = owner
        self.rights = rights
        self.standing = standing
        self.displaced = displaced
    }
}

extension Records {
    /// Decides which asset a file shows under the name that it gets.
    ///
    /// - Returns: the version that has the file's blob, if it is published by this call.
    public func arrive(
        _ node: NodeRecord,
        _ arrival: Arrival,
        _ heritage: Heritage?,
        _ rulebook: Rulebook
    ) throws -> VersionID? {
        guard node.isFile else { return nil }
        var node = node
        var heritage = heritage
        let isOfOther = heritage.map { $0.owner != node.uid } ?? false
        if let existing = arrival.existing, try isOwned(existing, with: node, by: arrival.uploader) {
            let place = arrival.place
            // The asset that another owner's file showed is restored for that owner alone.
            let former = isOfOther ? nil : heritage?.asset
            try show(existing, by: node, insteadOf: former ?? node.asset, at: place, rulebook)
            let digest = try node.blob.flatMap { try self.digest(of: $0) }
            let content = Content(digest: digest, size: node.size)
            try append(.existing, of: existing, at: place, by: arrival.uid, content, arrival.requested)
            return nil
        }
        if let former = heritage?.former, let before = former.formerAsset, let shared = heritage?.asset,
            try nodes(showing: shared).contains(where: { $0 != former.id && $0 != node.id })
        {
            // The former file showed the asset of another file, which does not pass to the name's next file.
            if isOfOther {
                heritage = nil
            } else {
                let own = try ownAsset(insteadOf: shared, before, for: former, named: arrival.name, at: .now)
                heritage = Heritage(
                    asset: own,
                    former: nil,
                    owner: former.uid,
                    rights: heritage?.rights,
                    standing: heritage?.standing
                )
            }
        }
        try inheritPlacing(of: heritage?.former, by: &node, arrival)
        if let heritage, heritage.asset != node.asset {
            // Before the new file's fields become the asset's.
            try leaveDuplicatesBehind(
                of: heritage.asset,
                by: node,
                besides: heritage.former?.id,
                isChanging: arrival.isUnderWay,
                at: .now
            )
            if isOfOther {
                try leave(heritage, to: node, at: arrival.place, rulebook)
            } else if let former = heritage.former, former.id != node.id, former.asset == heritage.asset,
                former.links > 0
            {
                let owners = try followers(of: former, to: node, arrival, rulebook)
                let left = try moveCollectionNames(from: former, to: node, of: owners)
                if left.links > 0 { try split(left, reusing: heritage.displaced, rulebook) }
            }
            try rulebook.keepRights(of: heritage, for: node, arrival, self)
            if isOfOther { try takeFromOwner(heritage, for: node, at: arrival.place, rulebook) }
            try takeOver(heritage.asset, by: &node, named: arrival, rulebook)
        } else if node.asset != nil || arrival.nameClass != .final {
            return nil
        }
        guard !arrival.isUnderWay else {
            // A crash before its commit must not leave the file with a blob that the asset does not have.
            try recordUnpublished(node.id)
            return nil
        }
        let digest = try node.blob.flatMap { try self.digest(of: $0) }
        let isNew = node.asset == nil
        let publish = try Publish(
            node,
            at: arrival.place,
            by: arrival.uid,
            digest: digest,
            requested: arrival.requested,
            infection: arrival.infection,
            isReplacement: arrival.isReplacement,
            lifeFrom: rulebook.clock.now,
            rulebook,
            self
        )
        // The new file gets the present values of another owner's asset, which its uploader may read. A user
        // that only moves the file sets no values.
        if isNew, let existing = arrival.existing, [0, node.uid].contains(arrival.uid) {
            try copyMissingFields(of: existing, to: publish.asset)
        }
        return publish.version
    }

    /// Makes a file show an asset; values that a user has set on the file override the asset's.
    private func takeOver(
        _ asset: AssetID,
        by node: inout NodeRecord,
        named arrival: Arrival,
        _ rulebook: Rulebook
    ) throws {
        let said = node.isAccessInherited ? nil : node.access
        if try trashed(asset) != nil {
            try append(.restored, of: asset, at: arrival.place.path, by: arrival.uid)
            try restore(asset)
        }
        try setAsset(of: node.id, to: asset)
        if let own = node.asset {
            try copyFields(of: own, to: asset)
            if let record = try self.asset(own), let deadline = record.deadline {
                try setDeadline(of: asset, to: deadline, saidAs: record.life)
            }
            let store = try self.store(of: own)
            if store != 0 { try setStore(of: asset, to: store) }
            if try !isShown(own) {
                // An asset that the saving itself has just made is deleted, unless it has had another version
                // since.
                if !arrival.mayBeAside, let created = try self.asset(own)?.created, arrival.isYoung(created),
                    try !hasItsOwn(own), try !formerVersions(of: own).contains(where: { $0.size > 0 })
                {
                    try deleteAsset(own)
                } else {
                    let (parent, name) = arrival.formerly ?? (arrival.parent, arrival.name)
                    try rulebook.trash(own, like: node, from: rulebook.place(name, in: parent, self), self)
                }
            }
        } else {
            try moveAttributesToFields(of: node.id, to: asset, arrival.place.rules.policy)
        }
        node.asset = asset
        if let said { try setAccess(of: node, to: said) }
    }

    /// Gives a file whose asset passes to another file an asset of its own, with the same fields; none where
    /// the file's name is not final.
    ///
    /// A backup that replaced another one of the same owner goes on with that one's asset; access and expiry
    /// are those of the file.
    private func split(_ node: NodeRecord, reusing displaced: AssetID?, _ rulebook: Rulebook) throws {
        guard let former = node.asset else { return }
        let now = Timestamp.now
        let name = try entriesNaming(node.id).first {
            try rulebook.nameClass(of: $0.name, in: $0.parent, self) == .final
        }?.name
        guard let name else {
            try setAsset(of: node.id, to: nil)
            try keepFields(of: former, on: node.id)
            return
        }
        let reused = try displaced.flatMap { try isOwn($0, of: node.uid) ? $0 : nil }
        if let reused { try keepStanding(ofTrashed: reused) }
        let asset = try reused ?? insertAsset(uid: node.uid, name: name, like: node, at: now)
        if reused == nil {
            try copyFields(of: former, to: asset)
        } else {
            try restore(asset)
            try setDeadline(of: asset, to: nil)
            try setAccess(of: asset, like: node)
        }
        try copyLife(of: former, to: asset)
        try setAsset(of: node.id, to: asset)
        _ = try insertVersion(of: asset, blob: node.blob, size: node.size, uid: node.uid, name: name, at: now)
    }

    /// Returns whether an asset that no name shows is a user's to restore.
    private func isOwn(_ asset: AssetID, of uid: UInt32) throws -> Bool {
        guard let file = try trashed(asset)?.node.flatMap({ try self.node($0) }) else { return false }
        return try file.uid == uid && !isShown(asset)
    }

    /// Passes on the fields that wait on a file without an asset when another file takes its name.
    public func passOnFields(of former: NodeRecord, to node: NodeRecord) throws {
        guard former.asset == nil, former.isFile, node.isFile else { return }
        for waiting in try waitingFields(of: former.id) {
            if let asset = node.asset {
                let isSaid = try ownFields(of: asset).contains { $0.field == waiting.field }
                if try !isSaid && desktopValues(of: waiting.field, of: asset).isEmpty { try give(waiting, to: asset) }
            } else if try waitingField(waiting.field, of: node.id) == nil {
                try keep(waiting, on: node.id)
            }
        }
    }

    /// Makes the fields and the expiry that were set on a file before it had an asset the asset's own.
    public func moveAttributesToFields(of node: NodeID, to asset: AssetID, _ policy: Policy) throws {
        for waiting in try waitingFields(of: node) {
            try give(waiting, to: asset)
            try delete(waiting, on: node)
        }
        if let value = try extendedAttribute(AttributeName.expires, of: node) {
            if policy.autostores { try setUnstored(of: asset, until: nil) }
            try setDeadline(of: asset, to: Timestamp(String(decoding: value, as: UTF8.self)))
            try deleteExtendedAttribute(AttributeName.expires, of: node)
        }
        if let value = try extendedAttribute(AttributeName.store, of: node) {
            try setStore(of: asset, to: Int64(String(decoding: value, as: UTF8.self)) ?? 0)
            try deleteExtendedAttribute(AttributeName.store, of: node)
        }
    }
}
