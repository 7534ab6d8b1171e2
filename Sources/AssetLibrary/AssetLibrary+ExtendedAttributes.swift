public import AssetModel
internal import Catalog
public import LibraryRules
public import LibraryStorage

// Extended attributes: those that users and programs set, kept byte for byte; fields; access control lists.
extension AssetLibrary {
    /// The condition of setxattr(2) on the attribute's existence.
    public enum Presence: Sendable {
        /// It may exist or not.
        case any
        /// It must not exist (XATTR_CREATE).
        case absent
        /// It must exist (XATTR_REPLACE).
        case present
    }

    /// Returns the value of an extended attribute, as `reader` may see it.
    ///
    /// Attributes that the kernel requests of every file, and that few files have, need no query of the
    /// catalog.
    /// - Throws: `.noSuchAttribute` if it is not set, `.unsupportedAttribute` for an unsupported name.
    public func extendedAttribute(
        _ name: [UInt8],
        of id: NodeID,
        for reader: Uploader = Uploader(),
        isUnwanted: () -> Bool = { false }
    ) throws(LibraryError) -> [UInt8] {
        let text = String(decoding: name, as: UTF8.self)
        guard kernelAttributes.mayHave(text, id) else { throw .noSuchAttribute }
        let value: [UInt8]?
        switch AttributeName(name) {
        case .unsupported: throw .unsupportedAttribute(text)
        case .nameless: throw Self.nameless(text)
        case .policy(let key): value = try policy(key, of: id, for: reader).map { Array($0.utf8) }
        case .flag(let flag): value = try read { try $0.flag(flag, of: id).map { $0 ? [0x31] : [0x30] } }
        case .computed(let key): value = try computedBytes(key, of: id, for: reader, isUnwanted: isUnwanted)
        case .action: value = nil
        case .life(let attribute): value = try life(attribute, of: id).map { Array($0.utf8) }
        case .alternateStore: value = try store(of: id).map { Array($0.utf8) }
        case .accessList:
            // A private file gives rights to its owner alone, regardless of its list.
            value = try read { records in
                try records.node(id)?.access?.isPrivate == true ? nil : records.extendedAttribute(name, of: id)
            }
        case .free, .defaultList: value = try read { try $0.extendedAttribute(name, of: id) }
        case .field, .rating, .mediaType: value = try fieldAttribute(name, of: id)
        }
        guard let value else { throw .noSuchAttribute }
        return value
    }

    /// Returns the names of the extended attributes that have been set, and of the fields found in the file
    /// itself.
    ///
    /// Computed ones are left out: copying tools would try to set them. A user that may not read the file or
    /// folder gets no names in `user.`. If `hidesFound`, which is called only where it matters, the names of
    /// fields that only the file itself has are left out.
    public func extendedAttributeNames(
        of id: NodeID,
        for reader: Uploader = Uploader(),
        hidesFound: () -> Bool = { false }
    ) throws(LibraryError) -> [[UInt8]] {
        try read { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            let names = try attributeNames(of: node, hidesFound: hidesFound, records)
            guard try !names.isEmpty && !allows(4, to: reader, on: id, records) else { return names }
            return names.filter { !$0.starts(with: Array("user.".utf8)) }
        }
    }

    private func attributeNames(
        of node: NodeRecord,
        hidesFound: () -> Bool,
        _ records: Records
    ) throws -> [[UInt8]] {
        let id = node.id
        let isPrivate = node.access?.isPrivate == true
        let own =
            try records.ownAttributeNames(of: id).filter {
                !AttributeName.isError($0) && $0 != Array(KernelAttributes.flags.utf8)
                    && !(isPrivate && $0 == Array(KernelAttributes.accessList.utf8))
            } + lifeNames(of: node, records)
        if node.isFolder {
            return own + (try records.policies(of: id).map { Array("user.policy.\($0.key)".utf8) })
        }
        guard let asset = node.asset else { return own }
        // Fields come first: a tool that sets names in this order sets a desktop's name last, which the
        // field's own name would displace.
        var fields = try records.fields(of: asset).filter {
            $0.isOwn ? $0.attribute == nil : $0.field.isListedWhenExtracted
        }
        if fields.contains(where: { !$0.isOwn }), hidesFound() { fields.removeAll { !$0.isOwn } }
        let listed =
            try fields.map { AttributeName.bytes(of: $0.field) }
            + records.desktopNames(of: asset).map { Array($0.utf8) }
        return listed + own.filter { !listed.contains($0) }
    }

    /// Sets an extended attribute of up to 64 KiB.
    ///
    /// `mayKeepSetgid` says whether the caller may keep the set-group-ID bit of a file whose access list
    /// changes.
    /// - Throws: the reason, which `user.asset.error` of the file gives as well, until the user sets an
    ///   attribute of that file.
    public func setExtendedAttribute(
        _ name: [UInt8],
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence = .any,
        mayKeepSetgid: Bool = true,
        by uploader: Uploader = Uploader()
    ) throws(LibraryError) {
        do throws(LibraryError) {
            try set(name, of: id, to: value, presence, mayKeepSetgid: mayKeepSetgid, by: uploader)
            refusedAttributes.forget(id, of: uploader.uid)
        } catch {
            refusedAttributes.note(error, of: id, for: uploader.uid)
            throw error
        }
    }

    private func set(
        _ name: [UInt8],
        of id: NodeID,
        to value: [UInt8],
        _ presence: Presence,
        mayKeepSetgid: Bool,
        by uploader: Uploader
    ) throws(LibraryError) {
        guard value.count <= 65_536 else {
            throw .tooLong("The value has \(value.count.counted("byte")); 65536 are allowed.")
        }
        let text = String(decoding: name, as: UTF8.self)
        let attribute = AttributeName(name)
        try refuseFixed(id)
        try refuseUnlistable(name, attribute, of: id, by: uploader)
        try refuseGuess(attribute, text, of: id, by: uploader)
        try leaveTrash(id, by: uploader.uid)
        switch attribute {
        case .unsupported: throw .unsupportedAttribute(text)
        case .nameless: throw Self.nameless(text)
        case .policy(let key): return try setPolicy(key, of: id, to: value, presence, by: uploader)
        case .flag(let flag): return try setFlag(flag, text, of: id, to: value, by: uploader)
        case .computed(let key): return try setComputed(key, text, of: id, to: value, for: uploader)
        case .life(let attribute): return try setLife(attribute, text, of: id, to: value, presence, by: uploader)
        case .alternateStore: return try setStore(text, of: id, to: value, presence, by: uploader)
        case .action(let action): return try perform(action, text, on: id, value, by: uploader)
        case .field(let field): return try setFieldAttribute(name, field, of: id, to: value, presence, by: uploader)
        case .rating: return try setFieldAttribute(name, .rank, of: id, to: value, presence, by: uploader)
        case .free, .mediaType, .accessList, .defaultList: break
        }
        try space.take(Int64(value.count))
        let isFolder = try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            let former = try records.extendedAttribute(name, of: id)
            try presence.check(former != nil)
            let growth = former.map { value.count - $0.count } ?? name.count + value.count
            try refuseAttribute(of: node, growingBy: Int64(growth), by: uploader, records)
            try refuseAttributes(on: node, [(name, value)], by: uploader.uid, records)
            switch attribute {
            case .accessList:
                try refuseFormerOwner(of: node, by: uploader.uid)
                try setAccessList(of: node, to: value, mayKeepSetgid: mayKeepSetgid, by: uploader.uid, records)
            case .defaultList:
                guard AccessControlList(value) != nil else {
                    throw LibraryError.invalid("It is no access control list.")
                }
                try records.setExtendedAttribute(name, of: id, to: value, by: uploader.uid)
            default:
                try records.setExtendedAttribute(name, of: id, to: value, by: uploader.uid)
            }
            try records.addLinks(0, to: id, at: .now)
            return node.isFolder
        } then: { _ in
            // Before the end of a refused upload, which may give back its mode and owner.
            let isAccessList = text == KernelAttributes.accessList
            if isAccessList { noteRights(of: id, setBy: uploader.uid) }
            if !isAccessList || AccessControlList(value)?.isMode == false { kernelAttributes.add(text, id) }
        }
        if text == KernelAttributes.accessList { noteClosing(of: id, isFolder: isFolder) }
    }

    /// The maximum number of bytes that listxattr(2) returns, XATTR_LIST_MAX.
    private static let listLimit: Int64 = 65_536
    /// The part of it reserved for names that the check misses: fields found in a file, access and expiry,
    /// and names that several threads set at once.
    private static let listReserve: Int64 = 3072

    /// Refuses a new name if the list of all names would be too long to be read.
    private func refuseUnlistable(
        _ name: [UInt8],
        _ attribute: AttributeName,
        of id: NodeID,
        by uploader: Uploader
    ) throws(LibraryError) {
        switch attribute {
        case .free, .mediaType, .field, .rating, .policy: break
        default: return
        }
        let listed = try read { try $0.listedBytes(of: id) }
        guard listed + Int64(name.count) + 1 > Self.listLimit - Self.listReserve else { return }
        // The name of a field that only the file itself has exists for users that may read the file.
        let isReadable = try read { try allows(4, to: uploader, on: id, $0) }
        if try extendedAttributeNames(of: id, hidesFound: { !isReadable }).contains(name) { return }
        throw .noSpace(
            "\(String(decoding: name, as: UTF8.self)) cannot be set: all names together have \(listed) bytes, and no list can have more than \(Self.listLimit); remove others first."
        )
    }

    /// Returns the other names under which a field with several names is listed; none for the name of
    /// anything else.
    public func otherNames(besides name: [UInt8], of id: NodeID) -> [[UInt8]] {
        guard let field = AttributeName(name).field, case let all = AttributeName.names(of: field), all.count > 1
        else { return [] }
        // Few files have a desktop's name besides the field's own: one statement checks that.
        if name == AttributeName.bytes(of: field),
            (try? read { try $0.hasAttribute(Array(all.dropFirst()), orDesktopNameOf: field, on: id) }) == false
        {
            return []
        }
        let names = (try? extendedAttributeNames(of: id)) ?? []
        return names.filter { $0 != name && AttributeName($0).field == field }
    }

    private static func nameless(_ name: String) -> LibraryError {
        .invalid("“\(name)” is no attribute's name: nothing follows the namespace.")
    }

    /// Returns whether a request may have to wait for an attribute's value.
    public func mayAwait(_ name: [UInt8]) -> Bool {
        switch AttributeName(name) {
        case .computed, .field, .rating, .mediaType: true
        default: false
        }
    }

    /// Returns whether setting an attribute changes the file's content.
    public func changesContent(_ name: [UInt8]) -> Bool {
        if case .action(.rotate) = AttributeName(name) { true } else { false }
    }

    /// Removes an extended attribute.
    public func removeExtendedAttribute(
        _ name: [UInt8],
        of id: NodeID,
        by uploader: Uploader = Uploader()
    ) throws(LibraryError) {
        let attribute = AttributeName(name)
        let text = String(decoding: name, as: UTF8.self)
        try refuseFixed(id)
        try leaveTrash(id, by: uploader.uid)
        switch attribute {
        case .unsupported: throw .unsupportedAttribute(text)
        case .nameless: throw Self.nameless(text)
        case .life(let attribute): return try removeLife(attribute, text, of: id, by: uploader)
        case .policy(let key): return try removePolicy(key, of: id, by: uploader)
        case .alternateStore: return try removeStore(text, of: id, by: uploader)
        case .field(let field): return try removeFieldAttribute(name, field, of: id, by: uploader)
        case .rating: return try removeFieldAttribute(name, .rank, of: id, by: uploader)
        case .computed("error"): return try removeError(of: id, by: uploader)
        case .computed: throw .noSuchAttribute
        case .free, .mediaType, .accessList, .defaultList, .flag, .action: break
        }
        var isFolder = false
        try write { records in
            guard let node = try records.node(id) else { throw LibraryError.notFound }
            if case .accessList = attribute { try refuseFormerOwner(of: node, by: uploader.uid) }
            isFolder = node.isFolder
            guard try records.extendedAttribute(name, of: id) != nil else {
                // A list that says no more than the mode is not stored, and yet can be removed.
                switch attribute {
                case .accessList, .defaultList: return
                default: throw LibraryError.noSuchAttribute
                }
            }
            try records.deleteExtendedAttribute(name, of: id)
            try records.addLinks(0, to: id, at: .now)
        }
        if text == KernelAttributes.accessList { noteClosing(of: id, isFolder: isFolder) }
    }

    /// Forgets the reason of a user's last refusal; for root, the reasons of all users.
    private func removeError(of id: NodeID, by uploader: Uploader) throws(LibraryError) {
        let wasNoted = refusedAttributes.forget(id, of: uploader.uid)
        let wasKept = try write { records in
            let own = AttributeName.error(of: uploader.uid)
            let names = try records.extendedAttributeNames(of: id).filter {
                uploader.uid == 0 ? AttributeName.isError($0) : $0 == own
            }
            for name in names { try records.deleteExtendedAttribute(name, of: id) }
            if !names.isEmpty { try records.addLinks(0, to: id, at: .now) }
            return !names.isEmpty
        }
        guard wasNoted || wasKept else { throw .noSuchAttribute }
    }

    /// Accepts a computed attribute only with its present value, since copying tools set the attributes that
    /// they read.
    private func setComputed(
        _ key: String,
        _ name: String,
        of id: NodeID,
        to value: [UInt8],
        for reader: Uploader
    ) throws(LibraryError) {
        guard Self.computedKeys.contains(key) else { throw .invalid("There is no such key: \(name).") }
        guard try computedBytes(key, of: id, for: reader) == value else {
            throw .unsupported("\(name) is computed, and cannot be set to what it is not.")
        }
    }

    // MARK: Access control lists

    /// Applies the folder's default list, or else the umask, to a new node's mode.
    /// - Returns: the access control lists that the node gets.
    func inheritedLists(
        from parent: NodeID,
        for node: inout NodeRecord,
        umask: UInt32,
        _ records: Records
    ) throws -> [(name: String, list: [UInt8])] {
        // > umask is ignored if the parent directory has a default ACL — umask(2)
        guard !node.isSymbolicLink else { return [] }
        guard kernelAttributes.mayHave(KernelAttributes.defaultList, parent),
            let bytes = try records.extendedAttribute(Array(KernelAttributes.defaultList.utf8), of: parent),
            let handedDown = AccessControlList(bytes)
        else {
            node.mode &= ~(umask & 0o777)
            return []
        }
        let own = handedDown.inherited(by: node.mode)
        node.mode = node.mode & ~0o777 | own.permissions
        return (own.isMode ? [] : [(KernelAttributes.accessList, own.bytes)])
            + (node.isFolder ? [(KernelAttributes.defaultList, bytes)] : [])
    }

    func setList(_ name: String, of id: NodeID, to list: [UInt8], _ records: Records) throws {
        try records.setExtendedAttribute(Array(name.utf8), of: id, to: list)
        kernelAttributes.add(name, id)
    }

    /// Sets the mode by an access list, and keeps the list only if it says more than the mode.
    private func setAccessList(
        of node: NodeRecord,
        to value: [UInt8],
        mayKeepSetgid: Bool,
        by uid: UInt32,
        _ records: Records
    ) throws {
        guard let list = AccessControlList(value) else { throw LibraryError.invalid("It is no access control list.") }
        var node = node
        node.mode = node.mode & ~0o777 | list.permissions
        if !mayKeepSetgid { node.mode &= ~0o2000 }
        try records.updateAttributes(of: node)
        if list.isMode {
            try removeKernelAttribute(KernelAttributes.accessList, of: node.id, records)
        } else {
            let name = Array(KernelAttributes.accessList.utf8)
            try records.setExtendedAttribute(name, of: node.id, to: value, by: uid)
        }
    }

    /// Adapts a file's access list to a mode that chmod(2) sets.
    func changeAccessList(of id: NodeID, to mode: UInt32, _ records: Records) throws {
        guard kernelAttributes.mayHave(KernelAttributes.accessList, id),
            case let name = Array(KernelAttributes.accessList.utf8),
            let bytes = try records.extendedAttribute(name, of: id),
            let list = AccessControlList(bytes)
        else { return }
        try records.setExtendedAttribute(name, of: id, to: list.changed(to: mode).bytes)
    }

    func removeKernelAttribute(_ name: String, of id: NodeID, _ records: Records) throws {
        guard kernelAttributes.mayHave(name, id) else { return }
        try records.deleteExtendedAttribute(Array(name.utf8), of: id)
    }

    /// Returns whether a file or folder has an access control list that says more than its mode.
    public func hasAccessList(_ id: NodeID) -> Bool {
        (try? extendedAttribute(Array(KernelAttributes.accessList.utf8), of: id)) != nil
    }

    /// Returns whether a write may have to remove capabilities from a file.
    public func mayHaveCapabilities(_ id: NodeID) -> Bool { kernelAttributes.mayHave(KernelAttributes.capability, id) }
}

extension AssetLibrary.Presence {
    /// Compares the condition with the attribute's existence.
    /// - Throws: `.attributeExists` or `.noSuchAttribute` if it is not met.
    func check(_ isThere: Bool) throws(LibraryError) {
        if isThere, self == .absent { throw .attributeExists }
        if !isThere, self == .present { throw .noSuchAttribute }
    }
}
