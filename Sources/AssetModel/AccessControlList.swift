/// A POSIX access control list, in the kernel's form of `system.posix_acl_access` and
/// `system.posix_acl_default`.
///
/// > The permissions of a file's owner class, group class and others, with entries for named users and groups
/// > — acl(5)
///
/// The kernel validates and evaluates lists; this type keeps a list and a mode consistent, as POSIX 1003.1e
/// draft 17 specifies and Linux does.
public struct AccessControlList: Sendable, Equatable {
    /// The class of users that an entry applies to; the raw values are the kernel's.
    public enum Tag: UInt16, Sendable {
        case owner = 0x01
        case user = 0x02
        case group = 0x04
        case namedGroup = 0x08
        case mask = 0x10
        case other = 0x20
    }

    /// One line of the list.
    public struct Item: Sendable, Equatable {
        /// The class of users that the line applies to.
        public let tag: Tag
        /// The sum of read 4, write 2, and execute 1.
        public var permissions: UInt16
        /// The user or group; meaningless for the other tags.
        public let id: UInt32
    }

    /// The lines, in their original order.
    public private(set) var items: [Item]

    /// The version number that the kernel writes before the lines.
    private static let version: UInt32 = 2

    /// Reads the kernel's form.
    /// - Returns: nil if the bytes are not a list.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= 4, (bytes.count - 4) % 8 == 0, bytes.number(at: 0, count: 4) == Self.version else {
            return nil
        }
        items = []
        for start in stride(from: 4, to: bytes.count, by: 8) {
            guard let tag = Tag(rawValue: UInt16(bytes.number(at: start, count: 2))) else { return nil }
            let permissions = UInt16(bytes.number(at: start + 2, count: 2))
            guard permissions <= 7 else { return nil }
            items.append(Item(tag: tag, permissions: permissions, id: bytes.number(at: start + 4, count: 4)))
        }
        // A mode consists of these three entries.
        for tag in [Tag.owner, .group, .other] where items.count(where: { $0.tag == tag }) != 1 { return nil }
    }

    /// The kernel's form.
    public var bytes: [UInt8] {
        items.reduce(into: Self.version.littleEndianBytes) { result, item in
            result +=
                item.tag.rawValue.littleEndianBytes + item.permissions.littleEndianBytes + item.id.littleEndianBytes
        }
    }

    /// Whether a mode can express the list.
    public var isMode: Bool { items.allSatisfy { [.owner, .group, .other].contains($0.tag) } }

    /// The groups that it names.
    public var groups: [UInt32] { items.filter { $0.tag == .namedGroup }.map(\.id) }

    /// The permission bits that stat(2) shows: those of the mask, if there is one, in place of the group's.
    public var permissions: UInt32 {
        UInt32(self[.owner] << 6 | self[groupClass] << 3 | self[.other])
    }

    /// Returns the permission bits of a user: those of the first entry that applies, and of groups those of
    /// all that the user is in.
    ///
    /// > Access check algorithm — acl(5)
    public func permissions(
        of uid: UInt32,
        owner: UInt32,
        group: UInt32,
        isMember: (_ group: UInt32) -> Bool
    ) -> UInt32 {
        if uid == owner { return UInt32(self[.owner]) }
        let mask = items.contains { $0.tag == .mask } ? self[.mask] : 7
        if let own = items.first(where: { $0.tag == .user && $0.id == uid }) { return UInt32(own.permissions & mask) }
        let groups = items.filter {
            $0.tag == .group && isMember(group) || $0.tag == .namedGroup && isMember($0.id)
        }
        if groups.isEmpty { return UInt32(self[.other]) }
        return UInt32(groups.reduce(0) { $0 | $1.permissions } & mask)
    }

    /// Returns the permission bits that a user has at least, in any groups besides the known ones.
    func certainPermissions(
        of uid: UInt32,
        owner: UInt32,
        group: UInt32,
        isKnown: (_ group: UInt32) -> Bool
    ) -> UInt32 {
        let groups = items.filter { $0.tag == .group || $0.tag == .namedGroup }
        func permissions(_ isMember: (_ group: UInt32) -> Bool) -> UInt32 {
            self.permissions(of: uid, owner: owner, group: group, isMember: isMember)
        }
        // One more group never removes a right that another group grants: only the first group replaces the
        // rights of others.
        let alone = groups.map { $0.tag == .group ? group : $0.id }.map { own in
            permissions { isKnown($0) || $0 == own }
        }
        return alone.reduce(permissions(isKnown), &)
    }

    /// Returns the list after chmod(2).
    public func changed(to mode: UInt32) -> AccessControlList {
        var result = self
        result[.owner] = UInt16(mode >> 6 & 7)
        result[groupClass] = UInt16(mode >> 3 & 7)
        result[.other] = UInt16(mode & 7)
        return result
    }

    /// Returns the list of a new file from its folder's default list, reduced by the mode given at its
    /// creation.
    public func inherited(by mode: UInt32) -> AccessControlList {
        changed(to: permissions & mode)
    }

    private var groupClass: Tag { items.contains { $0.tag == .mask } ? .mask : .group }

    private subscript(tag: Tag) -> UInt16 {
        get { items.first { $0.tag == tag }?.permissions ?? 0 }
        set {
            if let index = items.firstIndex(where: { $0.tag == tag }) { items[index].permissions = newValue }
        }
    }
}

extension [UInt8] {
    func number(at start: Int, count: Int) -> UInt32 {
        (0..<count).reduce(0) { $0 | UInt32(self[start + $1]) << (8 * UInt32($1)) }
    }
}

extension FixedWidthInteger {
    var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (8 * Self($0))) }
    }
}
