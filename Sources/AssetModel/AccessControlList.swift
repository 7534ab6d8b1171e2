/// A POSIX access control list, as the kernel hands it over in `system.posix_acl_access` and `system.posix_acl_default`.
///
/// > The permissions of a file's owner class, group class and others, with entries for named users and groups — acl(5)
///
/// The kernel checks lists and asks them; what is kept here is how they follow a mode and a mode follows them, as
/// POSIX 1003.1e draft 17 says and Linux does.
public struct AccessControlList: Sendable, Equatable {
    /// Whom an entry is about; the raw values are the kernel's.
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
        /// Whom it is about.
        public let tag: Tag
        /// read 4, write 2, execute 1.
        public var permissions: UInt16
        /// The user or group; meaningless for the other tags.
        public let id: UInt32
    }

    /// The lines, in the order in which they came.
    public private(set) var items: [Item]

    /// The version that the kernel writes before the lines.
    private static let version: UInt32 = 2

    /// Reads the kernel's form.
    /// - Returns: nil when it is not one.
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
        // Without these three there is nothing that a mode could be made of.
        for tag in [Tag.owner, .group, .other] where items.count(where: { $0.tag == tag }) != 1 { return nil }
    }

    /// The kernel's form.
    public var bytes: [UInt8] {
        items.reduce(into: Self.version.littleEndianBytes) { result, item in
            result +=
                item.tag.rawValue.littleEndianBytes + item.permissions.littleEndianBytes + item.id.littleEndianBytes
        }
    }

    /// Whether the list says no more than a mode can.
    public var isMode: Bool { items.allSatisfy { [.owner, .group, .other].contains($0.tag) } }

    /// The groups that it names.
    public var groups: [UInt32] { items.filter { $0.tag == .namedGroup }.map(\.id) }

    /// The permission bits that stat(2) shows: the group's are the mask's where there is one.
    public var permissions: UInt32 {
        UInt32(self[.owner] << 6 | self[groupClass] << 3 | self[.other])
    }

    /// The permission bits that somebody has: those of the first that applies to them, of a group those of any that they are in.
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

    /// The permission bits that a user has whatever groups they are in besides those that are known.
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
        // One group more never takes what another gives: only the first takes the place of what others have.
        let alone = groups.map { $0.tag == .group ? group : $0.id }.map { own in
            permissions { isKnown($0) || $0 == own }
        }
        return alone.reduce(permissions(isKnown), &)
    }

    /// The list after chmod(2).
    public func changed(to mode: UInt32) -> AccessControlList {
        var result = self
        result[.owner] = UInt16(mode >> 6 & 7)
        result[groupClass] = UInt16(mode >> 3 & 7)
        result[.other] = UInt16(mode & 7)
        return result
    }

    /// What a new file gets from its folder's default list, of which its maker's mode leaves less.
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
