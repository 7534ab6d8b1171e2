/// The rights to a file at a moment: its owner, group, mode and access control list.
public struct FileRights: Sendable, Equatable {
    /// Owner.
    public let uid: UInt32
    /// Group.
    public let gid: UInt32
    /// The permission bits in effect: group and others have no rights to a private file.
    public let mode: UInt32
    /// The access control list in effect; nil where the mode is complete.
    public let list: AccessControlList?

    /// Creates rights.
    public init(uid: UInt32, gid: UInt32, mode: UInt32, list: AccessControlList?) {
        self.uid = uid
        self.gid = gid
        self.mode = mode & 0o777
        self.list = list
    }

    /// Reads the form of `bytes`.
    /// - Returns: nil if the bytes do not have it.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= 12 else { return nil }
        let rest = Array(bytes[12...])
        let list = rest.isEmpty ? nil : AccessControlList(rest)
        guard rest.isEmpty || list != nil else { return nil }
        self.init(
            uid: bytes.number(at: 0, count: 4),
            gid: bytes.number(at: 4, count: 4),
            mode: bytes.number(at: 8, count: 4),
            list: list
        )
    }

    /// The owner, group and mode as 32-bit little-endian numbers, and the list in the kernel's form.
    public var bytes: [UInt8] {
        uid.littleEndianBytes + gid.littleEndianBytes + mode.littleEndianBytes + (list?.bytes ?? [])
    }

    /// Returns the permission bits that a user has at least, in any groups besides the known ones.
    ///
    /// A class with fewer rights than others lowers the result for every user that may be in it.
    public func certainPermissions(of user: UInt32, isKnown: (_ group: UInt32) -> Bool) -> UInt32 {
        if user == 0 { return 7 }
        if let list { return list.certainPermissions(of: user, owner: uid, group: gid, isKnown: isKnown) }
        let (ofOwner, ofGroup, ofOthers) = (mode >> 6 & 7, mode >> 3 & 7, mode & 7)
        return user == uid ? ofOwner : isKnown(gid) ? ofGroup : ofGroup & ofOthers
    }

    /// Returns the permission bits of a user: read 4, write 2, execute 1; root has all.
    public func permissions(of user: UInt32, isMember: (_ group: UInt32) -> Bool) -> UInt32 {
        if user == 0 { return 7 }
        if let list { return list.permissions(of: user, owner: uid, group: gid, isMember: isMember) }
        return mode >> (user == uid ? 6 : isMember(gid) ? 3 : 0) & 7
    }
}
