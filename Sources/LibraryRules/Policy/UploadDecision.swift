public import AssetModel
internal import Catalog
public import LibraryStorage
internal import Synchronization

// Decides by a policy about an upload that gets a name. All checks run within the transaction that publishes,
// so that of two equal uploads at once one is first.

/// An upload that is to get a name.
public struct Submission {
    /// The requested name, in its folder.
    public let place: Place
    /// The bytes.
    public let content: Content
    /// The user.
    public let uploader: Uploader
    /// The assets whose next version the upload may be: it is no duplicate of them.
    public let own: [AssetID]
    /// Whether the name belongs to another file, which an upload does not replace.
    public let isTaken: Bool
    /// The number of bytes by which the upload makes the folder grow.
    public let growth: Int64
    /// The bytes by which folders with quotas grow because of the file's other names.
    public var otherGrowth: [FolderRules.Growth] = []
    /// The folder in which the bytes count already, for a file with a temporary name.
    public var countedIn: FolderRules?
    /// The bytes that go to the folder `countedIn` in exchange for the upload.
    public var leaving: Int64 = 0
    /// The bytes of a former version that the upload adds to the folder `countedIn` for good.
    public var kept: Int64 = 0
    /// Whether the upload came by a drop box, whose uploader does not see the result.
    public var isDropped = false
    /// The search for files with the same blob, which may take several steps.
    public let equal: EqualFiles
    /// The owner of the file, where that is another user, whose file would get the values of another asset.
    public var owner: Uploader?

    /// Describes an upload that is to get a name.
    public init(
        place: Place,
        content: Content,
        uploader: Uploader,
        own: [AssetID],
        isTaken: Bool,
        growth: Int64,
        otherGrowth: [FolderRules.Growth] = [],
        countedIn: FolderRules? = nil,
        leaving: Int64 = 0,
        kept: Int64 = 0,
        isDropped: Bool = false,
        equal: EqualFiles,
        owner: Uploader? = nil
    ) {
        self.place = place
        self.content = content
        self.uploader = uploader
        self.own = own
        self.isTaken = isTaken
        self.growth = growth
        self.otherGrowth = otherGrowth
        self.countedIn = countedIn
        self.leaving = leaving
        self.kept = kept
        self.isDropped = isDropped
        self.equal = equal
        self.owner = owner
    }
}

/// The digest and size of an upload.
public struct Content: Sendable {
    /// The SHA-256; nil for an empty file, or where the decision may not depend on it.
    public let digest: Digest?
    /// The number of bytes.
    public let size: Int64

    /// Describes bytes by their digest and number.
    public init(
        digest: Digest?,
        size: Int64
    ) {
        self.digest = digest
        self.size = size
    }
}

/// The uploading user.
public struct Uploader: Sendable {
    /// The user's number.
    public let uid: UInt32
    /// The number of the user's group.
    public let gid: UInt32
    /// The groups that an absent user is known to be in; nil for a user whose request is being answered.
    private let known: [UInt32]?
    private let supplementary: SupplementaryGroups?

    /// Names a user without a request: such a user has only the rights that do not depend on unknown groups.
    ///
    /// No group follows from the user's files: a folder with the set-group-ID bit gives its own. `groups` are
    /// those of a request that the user has made; files that the user makes have the group `gid`.
    public init(absent uid: UInt32, gid: UInt32, knownIn groups: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        known = groups
        supplementary = nil
    }

    /// Names a user and a group; root by default.
    ///
    /// `groups` reads the supplementary groups; nil where they cannot be learnt. It is called where one
    /// decides, and once: the process may have ended later, and a request may ask for many files.
    public init(
        uid: UInt32 = 0,
        gid: UInt32 = 0,
        groups: @escaping @Sendable () -> Set<UInt32>? = { nil }
    ) {
        self.uid = uid
        self.gid = gid
        known = nil
        supplementary = SupplementaryGroups(groups)
    }

    /// The supplementary groups of a process, read when they are first asked for.
    private final class SupplementaryGroups: Sendable {
        private let groups = RankedMutex<Set<UInt32>?>(.leaf, nil)
        private let read: @Sendable () -> Set<UInt32>?

        init(_ read: @escaping @Sendable () -> Set<UInt32>?) { self.read = read }

        func contains(_ group: UInt32) -> Bool {
            groups.withLock { groups in
                if groups == nil { groups = read() }
                return groups?.contains(group) ?? false
            }
        }
    }

    /// Returns whether the user is in a group; root is in all.
    public func isMember(of group: UInt32) -> Bool {
        if uid == 0 { return true }
        return known?.contains(group) ?? (gid == group || supplementary?.contains(group) == true)
    }

    /// Returns the permission bits that the user has by some rights.
    public func permissions(by rights: FileRights) -> UInt32 {
        if known != nil { return rights.certainPermissions(of: uid, isKnown: isMember(of:)) }
        return rights.permissions(of: uid, isMember: isMember(of:))
    }
}

/// The decision about an upload.
public enum Judgement: Sendable {
    /// The upload is published under its name.
    case accept
    /// The upload is published under another name, because its own is taken.
    case rename(EntryName)
    /// The bytes are there already, under the name or one with a number.
    case unchanged(AssetID)
    /// The name, or the one with the next free number, shows the asset that has the blob.
    case existing(AssetID, EntryName)
    /// The upload is rejected.
    case refuse(UploadRejection)
}
