internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Glibc
internal import Synchronization

/// One open file: what open(2) answered.
final class OpenFileHandle: Sendable {
    let node: OpenNode
    let isWriting: Bool
    /// Whether each write waits for the disk: O_SYNC or O_DSYNC of open(2).
    let isSynchronous: Bool
    /// Whether a write through this handle has yet to take set-id bits and capabilities from the file.
    let mayHavePrivileges: Atomic<Bool>

    /// Whether another file loses its name to this one when it is complete.
    let isReplacement: Bool
    /// The name that it was made under by a signed path.
    let dropped: SignedPaths.Name?
    /// Whose reading counts, if all of it is read; nil where nobody's does.
    let reader: UInt32?
    /// How many bytes have been read.
    let bytesRead = Atomic<Int64>(0)
    /// What a folder's watchers are told of a change through a handle that was opened by an asset's number.
    let viewed = Mutex<Happening?>(nil)
    /// The name by which a view's watchers know the file, and which is gone when it is closed; with the one that it has there then.
    let passing = Mutex<Passing?>(nil)
    /// Whether anything was written through this handle since the last close(2).
    let isModified = Atomic(false)

    /// Whether a program may map the file for writing through this handle.
    private let mayMapForWriting: Bool
    /// The place of the user who has opened it.
    private let share: UserShare?
    /// Keeps the token of the signed path that it was opened by.
    private let pin: Numbering.Pin?

    init(
        node: OpenNode,
        isWriting: Bool,
        flags: Int32 = 0,
        mayMapForWriting: Bool = false,
        isReplacement: Bool = false,
        dropped: SignedPaths.Name? = nil,
        reader: UInt32? = nil,
        pin: Numbering.Pin? = nil,
        share: UserShare?
    ) {
        self.share = share
        self.pin = pin
        node.noteOpened()
        self.reader = reader
        self.mayMapForWriting = mayMapForWriting
        if mayMapForWriting { node.mappers.add(1, ordering: .relaxed) }
        self.node = node
        self.isWriting = isWriting
        isSynchronous = flags & O_DSYNC != 0
        self.isReplacement = isReplacement
        self.dropped = dropped
        mayHavePrivileges = Atomic(isWriting)
    }

    deinit {
        if mayMapForWriting { node.mappers.subtract(1, ordering: .relaxed) }
        node.noteClosed(share)
    }
}

/// A name under which a file was made in `resources/ID/`, and which does not stay.
struct Passing {
    let view: NodeID
    let name: EntryName
    /// The name that has come there instead, where there was none.
    let other: EntryName?
}

/// One open directory, or file of a view.
final class OpenViewHandle: Sendable {
    /// What a reader is shown; nil for a journal, which grows.
    let content: [UInt8]?
    /// The former content that a reader is shown.
    let version: VersionRecord?
    /// Keeps that as long as it is open.
    private let use: ContentUse?
    /// The journal that a reader is shown.
    let journal: Journal
    /// The assets that the view showed when it was opened.
    let list: ListedAssets?
    /// Keeps the query or the token by which it was come by.
    private let pin: Numbering.Pin?
    /// Whether the kernel caches the listing, for all descriptors of the directory that are like this one.
    let isListingKept: Bool
    /// The place of the user who has opened it.
    private let share: UserShare

    init(
        _ content: [UInt8]? = nil,
        _ version: VersionRecord? = nil,
        _ use: ContentUse? = nil,
        journal: Journal = .receipts,
        list: ListedAssets? = nil,
        pin: Numbering.Pin? = nil,
        isListingKept: Bool = false,
        share: UserShare
    ) {
        self.share = share
        self.isListingKept = isListingKept
        self.journal = journal
        self.list = list
        self.pin = pin
        self.content = content
        self.version = version
        self.use = use
    }
}
