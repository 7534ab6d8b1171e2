public import AssetModel
public import BlobStore
internal import Catalog
public import Synchronization

#if ASSETFS_PTHREAD_MUTEX
public import PthreadMutex
#endif

/// A file that is open: one working file, which all its handles read and write.
///
/// ## Concurrency
/// `upload` serialises what changes the content and is held across system calls; `shown` is what readers need, held for a moment
/// only. Order: `upload` → `AssetLibrary.openNodes` → `shown`; the catalog comes after `upload` and takes none of them.
public final class OpenNode: Sendable {
    /// The file's number.
    public let id: NodeID
    let shown: Mutex<Shown>
    let upload: Mutex<Upload>
    let isUnlinked = Atomic(false)
    /// Whether what was written to the file is for its asset in the trash, where it has lost its last name.
    let isKept = Atomic(false)
    /// The time of the last access, and that of the last change before the file was opened; nil of a file that this open has made.
    let access = Mutex<(last: Timestamp, changed: Timestamp)?>(nil)
    /// Whether one handle is that of the watch over mappings; changed and read under `AssetLibrary.openNodes`.
    let isWatched = Atomic(false)
    /// `Upload.isBound`, for readers without the lock.
    let isBound = Atomic(false)
    /// The file that has the name and stays, where this is for what is written under it; 0 where it is not.
    let original = Atomic<Int64>(0)
    /// Who has opened the file for writing last.
    let writer = Atomic<UInt32>(0)
    /// How often the file was closed to users while it was open, and how many of these changes are durable.
    let closings = Atomic(0)
    let durableClosings = Atomic(0)
    /// Whether another user than the one who writes has set mode, owner, group or access list since the upload began.
    let isChangedByOther = Atomic(false)
    /// How many handles may be mapped for writing.
    public let mappers = Atomic(0)
    /// How many handles there are, and what stands for the last of them while the file is open without any: its verdict waits, or
    /// it is mapped still.
    private let handles = Mutex<(count: Int, last: (any AnyObject & Sendable)?)>((0, nil))
    /// What the user of the library keeps with the open file; gone with its last handle.
    public let attachment = Mutex<(any AnyObject & Sendable)?>(nil)

    /// What a reader sees.
    struct Shown {
        /// Whether the catalog has been asked; before that the rest means nothing.
        var isLoaded = false
        /// The working file; nil while the content is empty.
        var file: OpenFile?
        var size: Int64 = 0
        /// What the content was at the last verdict; nil while it is empty.
        var digest: Digest?
        /// Whether another node is bound to the same blob, so that `file` may not be trusted.
        var isShared = false
        /// Whether `file` is a blob that a copy within the library shows: its blocks are those of the first upload.
        var isCopied = false
        /// Whether mappings change the file without a request, so that its size and time on the disk are the right ones.
        var isMapped = false
        /// When the content was last written, unless the catalog knows already or a program has set another time since.
        var modified: Timestamp?
        /// The same by a clock that nobody sets.
        var written: ContinuousClock.Instant?
    }

    /// How far the upload is: untouched, dirty, or committed and then untouched again.
    struct Upload: ~Copyable {
        /// Handles that can write.
        var writers = 0
        /// How often the file was opened for writing, and what that was at the last change.
        var openings = 0
        var lastOpening = 0
        /// The private file behind `shown.file`; nil while that is a blob, which nothing may write to.
        var staged: StagedFile?
        /// Whether bytes changed since the last verdict.
        var isDirty = false
        /// Whether all that happened to the bytes is that they were cut to nothing by opening: writing is about to begin.
        var isOnlyTruncated = false
        /// A file that was made and has had no verdict yet.
        var isNew = false
        /// Whether the catalog knows where the bytes are.
        var isRecorded = false {
            didSet { if !isRecorded { given = nil } }
        }
        /// A recorded file that became a blob before its verdict failed: it keeps its name as long as the catalog names it.
        var given: StagedFile?
        /// What the catalog knows of the upload besides, where `isRecorded`.
        var recorded: InterruptedUpload?
        /// The version that this upload made: a later commit replaces it, however many descriptors are closed.
        var version: VersionID?
        var digest = SequentialDigest()
        /// By how many degrees the content is turned against what was uploaded, where that is all that has changed.
        var rotation: Int64?
        /// Whether the kernel reads the working file itself.
        var isBound = false
        /// The bound file's time of modification since when no mapping has changed it; nil where that cannot be told.
        var unmappedSince: Timestamp?
        /// What `digest.changes` was when a mapping was found to have changed the bytes, if that is why the upload is dirty.
        var mappedAt: Int?
        /// A copy of the bound file that is to become the blob, made while `upload` was not held; gone with the next change.
        var candidate: (file: StagedFile, changes: Int)?
        /// Who writes.
        var uploader = Uploader()
        /// The name that the content is to have, which the file has not: that of another file, which stays as it is, or one that a
        /// refused upload has lost.
        var aim: Aim?
        /// Whether a file without a name is about to be given its first one, so that it has to have its content.
        var isLinking = false
        /// Whether the file was made by an open that lasts.
        var isBorn = false
        /// What the file was when the upload began.
        var before: NodeRecord?
        /// Who could read the asset's present content when it was first changed; nil where there is none, and before that.
        var standing: Standing?
        /// Whether whoever wrote has been told that all is well, so that no policy may say otherwise any more.
        var isAnswered = false
        /// That the file was to become larger than it may; the next verdict says so.
        var exceeded: Refusal?
        /// The asset that had the content already, where the last verdict said so.
        var unchanged: AssetID?
        /// Why the last verdict refused the content.
        var refusal: Refusal?
        /// What was refused, of a file that has its former content back: a descriptor that is still open may write on.
        var refused: (staged: StagedFile, size: Int64)?
        /// Whether the file was opened for writing through `resources/ID/`.
        var isReplacement = false
        /// The name that a new file was made under in `resources/ID/`, where it has another.
        var requested: EntryName?
        /// How large the file may become, and what is said to who wants more.
        var limit: (size: Int64, refusal: Refusal)?
    }

    /// A name that an upload aims at.
    struct Aim {
        let parent: NodeID
        let name: EntryName
        /// Where it is to be an asset's next content: which, and the name that it was uploaded under.
        var replacing: (asset: AssetID, uploaded: EntryName)?
        /// Whether it comes through `resources/ID/`, so that its uploader must be allowed to write the present file at the verdict.
        var isByNumber = false
        /// Whether it came by a signed path: then the file is its folder's owner's.
        var isDropped = false
    }

    init(id: NodeID) {
        self.id = id
        shown = Mutex(Shown())
        upload = Mutex(Upload())
    }

    /// Notes that a handle is there.
    public func noteOpened() {
        let former = handles.withLock { handles in
            handles.count += 1
            return handles.last.take()
        }
        _ = former
    }

    /// Notes that a handle is gone; the file keeps what stood for it as long as it is open without any.
    public func noteClosed(_ share: (any AnyObject & Sendable)?) {
        handles.withLock { handles in
            handles.count -= 1
            if handles.count == 0 { handles.last = share }
        }
    }

    /// Whether a shared mapping through the kernel's page cache may have bytes that have not come here yet.
    public var mayHaveUnwrittenPages: Bool {
        mappers.load(ordering: .relaxed) > 0 && !isBound.load(ordering: .relaxed)
    }

    /// Whether another node is bound to the same blob, so that only `AssetLibrary.readShared` reads the right bytes.
    public var isShared: Bool { shown.withLock { $0.isShared } }

    /// The working file and the content's size; no file while the content is empty.
    public var content: (file: OpenFile?, size: Int64) { shown.withLock { ($0.file, $0.size) } }
}

extension OpenNode.Upload {
    mutating func addWriter(_ uploader: Uploader) {
        writers += 1
        openings += 1
        self.uploader = uploader
        // What was refused before is nothing to the newcomer.
        (refusal, refused, exceeded) = (nil, nil, nil)
    }
}
