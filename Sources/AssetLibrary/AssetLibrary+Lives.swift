public import AssetModel
internal import Catalog
internal import LibraryRules
public import LibraryStorage

// The access level and expiry of assets, as extended attributes. A file that is no asset yet keeps them for
// its asset.
extension AssetLibrary {
    func life(_ attribute: AttributeName.Life, of id: NodeID) throws(LibraryError) -> String? {
        try read { records in
            guard let node = try records.node(id), node.isFile else { return nil }
            let asset = try node.asset.flatMap { try records.asset($0) }
            switch attribute {
            case .access: return node.access?.name
            case .accessLevel: return node.access.map { "\($0.level)" }
            case .ttl: return asset?.life
            case .expires: return try asset?.expires.map(\.description) ?? records.waitingExpiry(of: id)
            }
        }
    }

    func setLife(
        _ attribute: AttributeName.Life,
        _ name: String,
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        by uploader: Uploader
    ) throws(LibraryError) {
        let text = String(decoding: value, as: UTF8.self)
        let now = clock.now
        var (access, deadline) = (Access?.none, Timestamp?.none)
        switch attribute {
        case .access, .accessLevel:
            access = Access(text)
            if access == nil { throw .invalid("\(name) cannot be “\(Shown.value(text))”: it is \(Access.choices).") }
        case .ttl:
            guard let period = Period(text) else {
                throw .invalid(
                    "\(name) cannot be “\(Shown.value(text))”: it is an ISO 8601 period from P1D to P1Y, such as P3M."
                )
            }
            deadline = period.endOfLife(from: now)
            if deadline == nil {
                throw .outOfRange("\(name) cannot be \(Shown.value(text)): lives are from P1D to P1Y.")
            }
        case .expires:
            deadline = Timestamp(text)
            guard let deadline else {
                throw .invalid("\(name) cannot be “\(Shown.value(text))”: it is a time such as 2027-01-31T12:00:00Z.")
            }
            guard deadline > now else { throw .outOfRange("\(name) cannot be \(Shown.value(text)): that has passed.") }
        }
        try settleIfQuick(id)
        try change(attribute, name, of: id, by: uploader, until: deadline, presence.check) {
            (node, mayStore, records) in
            guard let deadline else { return try records.setAccess(of: node, to: access) }
            guard let asset = node.asset else {
                let bytes = Array(deadline.description.utf8)
                return try records.setExtendedAttribute(AttributeName.expires, of: id, to: bytes)
            }
            // An explicit deadline replaces the default expiry of assets that no user has stored.
            if mayStore { try records.setUnstored(of: asset, until: nil) }
            try records.setDeadline(of: asset, to: deadline, saidAs: attribute == .ttl ? text.uppercased() : nil)
        }
    }

    func removeLife(
        _ attribute: AttributeName.Life,
        _ name: String,
        of id: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        try settleIfQuick(id)
        try change(attribute, name, of: id, by: uploader, Presence.present.check) { (node, mayStore, records) in
            switch attribute {
            case .access, .accessLevel: try records.setAccess(of: node, to: nil)
            case .ttl, .expires:
                try records.deleteExtendedAttribute(AttributeName.expires, of: id)
                guard let asset = node.asset else { return }
                if mayStore { try records.setUnstored(of: asset, until: nil) }
                try records.setDeadline(of: asset, to: nil)
            }
        }
    }

    /// Changes an attribute of a file, and has the kernel look up its names again: it caches them until their
    /// former expiry.
    private func change(
        _ attribute: AttributeName.Life,
        _ name: String,
        of id: NodeID,
        by uploader: Uploader,
        until deadline: Timestamp? = nil,
        _ check: (_ isSet: Bool) throws(LibraryError) -> Void,
        _ body: (NodeRecord, _ mayStore: Bool, Records) throws -> Void
    ) throws(LibraryError) {
        let (nodes, listed) = try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            guard node.isFile else {
                let policy = attribute.isAccess ? "access" : "ttl"
                throw LibraryError.invalid(
                    "\(name) is for files; a folder says what new ones get with user.policy.\(policy)."
                )
            }
            try uploader.refuseUnlessOwner(of: node, name)
            let isSet =
                try attribute.isAccess
                ? node.access != nil
                : node.asset.flatMap { try records.asset($0)?.expires } != nil || records.waitingExpiry(of: id) != nil
            try check(isSet)
            let mayStore = try attribute.isAccess || mayStore(id, uploader, records)
            if !mayStore, let deadline, let asset = node.asset, let end = try records.asset(asset)?.unstoredUntil,
                deadline > end
            {
                throw LibraryError.notPermitted("\(name) cannot be beyond \(end): \(Self.autostoreIsDisabled)")
            }
            try body(node, mayStore, records)
            if let node = try records.node(id) { try noteChange(of: node, name, by: uploader.uid, records) }
            try records.addLinks(0, to: id, at: .now)
            let nodes = try node.asset.map { try records.nodes(showing: $0) } ?? [id]
            let isHidden = try records.node(id)?.access?.isHidden == true
            // The kernel drops a listing that it has cached when it sees another time of the folder.
            let listed =
                isHidden == (node.access?.isHidden == true)
                ? [] : Set(try nodes.flatMap { try records.entriesNaming($0) }.map(\.parent))
            for folder in listed { try records.touchFolder(folder, at: .now) }
            return (nodes, listed)
        }
        if attribute.isAccess { for node in nodes { noteClosing(of: node, isFolder: false) } }
        for folder in listed { herald.tell(.attributes(folder)) }
        try tellOfNames(of: nodes)
        sweeper.wake()
    }

    /// Has the kernel look up the names of files again.
    func tellOfNames(of nodes: [NodeID]) throws(LibraryError) {
        for entry in try read({ records in try nodes.flatMap { try records.entriesNaming($0) } }) {
            tellOfName(entry.name, in: entry.parent)
        }
    }

    /// Returns the names of the attributes for access, expiry and store, where a user or a folder has set
    /// them.
    ///
    /// The default expiry of an unstored asset is not listed: a copy would keep it for ever.
    func lifeNames(of node: NodeRecord, _ records: Records) throws -> [[UInt8]] {
        var names: [[UInt8]] = []
        if node.access != nil { names.append(AttributeName.access) }
        if node.expires != nil, let asset = node.asset, try records.asset(asset)?.deadline != nil {
            names.append(AttributeName.expires)
        }
        if let asset = node.asset, try records.store(of: asset) != 0 { names.append(AttributeName.store) }
        return names
    }

    /// Returns whether setting an attribute changes the visibility of a file to other users.
    public func changesVisibility(_ name: [UInt8]) -> Bool {
        if case .life(let life) = AttributeName(name) { life.isAccess } else { false }
    }

    /// Returns a file and all others that show its asset.
    public func filesSharing(_ id: NodeID) throws(LibraryError) -> [NodeID] {
        try read { records in try records.node(id)?.asset.map { try records.nodes(showing: $0) } ?? [id] }
    }

    /// The present time of the clock that measures expiry.
    public var lifeTime: Timestamp { clock.now }
}
