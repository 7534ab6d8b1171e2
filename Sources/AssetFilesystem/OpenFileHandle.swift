internal import AssetLibrary
internal import AssetModel
internal import Catalog
internal import FUSE
internal import Glibc
internal import LibraryStorage
internal import Synchronization

/// One open file, as answered to open(2).
final class OpenFileHandle: Sendable {
    let node: OpenNode
    let isWriting: Bool
    /// Whether each write waits for the disk: O_SYNC or O_DSYNC of open(2).
    let isSynchronous: Bool
    /// Whether a write through this handle has yet to remove set-id bits and capabilities from the file.
    let mayHavePrivileges: Atomic<Bool>

    /// Whether the file takes the name of another file at its commit.
    let isReplacement: Bool
    /// The name that the file was made under by a signed path.
    let dropped: SignedPaths.Name?
    /// The user whose download counts, if all of the file is read; nil where none counts.
    let reader: UInt32?
    /// The number of bytes that were read.
    let bytesRead = Atomic<Int64>(0)
    /// The notification for a folder's watchers after a change through a handle that was opened by an asset's
    /// number.
    let viewed = Mutex<Happening?>(nil)
    /// The passing name by which a view's watchers know the file, and which is gone when the file is closed;
    /// with the name that the file has then.
    let passing = Mutex<Passing?>(nil)
    /// Whether bytes were written through this handle since the last close(2).
    let isModified = Atomic(false)

    /// Whether a program may map the file for writing through this handle.
    private let mayMapForWriting: Bool
    /// The opener's place among the open files.
    private let share: UserShare?
    /// The pin of the token of the signed path that the file was opened by.
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
    /// The name that the file gets there instead, where there was none.
    let other: EntryName?
}

/// One open directory, or file of a view.
final class OpenViewHandle: Sendable {
    /// The bytes for readers; nil for a journal, which grows.
    let content: [UInt8]?
    /// The former version for readers.
    let version: VersionRecord?
    /// The pin of that version's blob while the handle is open.
    private let use: BlobPin?
    /// The journal for readers.
    let journal: Journal
    /// The assets that the view showed when it was opened.
    let list: ListedAssets?
    /// The pin of the query or token by which the view was opened.
    private let pin: Numbering.Pin?
    /// Whether the kernel caches the listing, for all descriptors of the directory with this property.
    let isListingKept: Bool
    /// The opener's place among the open files.
    private let share: UserShare

    init(
        _ content: [UInt8]? = nil,
        _ version: VersionRecord? = nil,
        _ use: BlobPin? = nil,
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
