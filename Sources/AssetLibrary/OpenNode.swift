public import AssetModel
public import BlobStore
internal import Catalog
internal import LibraryRules
public import LibraryStorage
public import Synchronization

#if ASSETFS_PTHREAD_MUTEX
public import PthreadMutex
#endif

/// An open file: one working file, which all its handles read and write.
///
/// ## Concurrency
/// `upload` serialises changes of the file's bytes and is held across system calls; `shown` holds the values
/// that readers need, and is locked for a moment only. Order: `upload` → `AssetLibrary.openNodes` → `shown`.
/// An operation of the catalog may be begun while `upload` is held.
public final class OpenNode: Sendable {
    /// The file's node number.
    public let id: NodeID
    let shown: RankedMutex<Shown>
    let upload: RankedMutex<Upload>
    let isUnlinked = Atomic(false)
    /// Whether the bytes written to the file belong to its asset in the trash, where the file has lost its
    /// last name.
    let isKept = Atomic(false)
    /// The time of the last access, and that of the last change before the file was opened; nil for a file
    /// that this open has made.
    let access = RankedMutex<(last: Timestamp, changed: Timestamp)?>(.leaf, nil)
    /// Whether one of the handles belongs to `MappedFiles`; changed and read under `AssetLibrary.openNodes`.
    let isWatched = Atomic(false)
    /// `Upload.isBound`, for readers without the lock.
    let isBound = Atomic(false)
    /// The preserved file of the name, where this node takes the writes to that name in its place; 0 where it
    /// does not.
    let original = Atomic<Int64>(0)
    /// The user of the last open for writing.
    let writer = Atomic<UInt32>(0)
    /// The number of times that the file was closed to users while it was open, and how many of these changes
    /// are durable.
    let closings = Atomic(0)
    let durableClosings = Atomic(0)
    /// Whether a user other than the writer has set mode, owner, group or access list since the upload began.
    let isChangedByOther = Atomic(false)
    /// The number of handles that may be mapped for writing.
    public let mappers = Atomic(0)
    /// The number of handles, and a share that stands for the last of them while the file is open without
    /// any: its commit is deferred, or it is still mapped.
    private let handles = RankedMutex<(count: Int, last: (any AnyObject & Sendable)?)>(.leaf, (0, nil))
    /// An object that the caller of the library keeps with the open file; released with the last handle.
    public let attachment = RankedMutex<(any AnyObject & Sendable)?>(.attachment, nil)

    /// The state that readers need.
    struct Shown {
        /// Whether the state was read from the catalog; before that the other values mean nothing.
        var isLoaded = false
        /// The working file; nil while the file is empty.
        var file: OpenFile?
        var size: Int64 = 0
        /// The blob at the last commit of an upload; nil while the file is empty.
        var blob: ShownBlob?
        var digest: Digest? { blob?.digest }
        /// Whether another node is bound to the same blob, so that `file` may not be trusted.
        var isShared = false
        /// Whether `file` is a blob that a copy within the library shows: the blob's blocks count for the
        /// first upload.
        var isCopied = false
        /// Whether mappings change the file without a request, so that its size and time on the disk are the
        /// right ones.
        var isMapped = false
        /// The time of the last write, unless the catalog has it already or a program has set another time
        /// since.
        var modified: Timestamp?
        /// The time of the last write by a clock that cannot be set.
        var written: ContinuousClock.Instant?
    }

    /// The state of an upload: untouched, dirty, or committed and then untouched again.
    struct Upload: ~Copyable {
        /// The number of handles that can write.
        var writers = 0
        /// The number of times that the file was opened for writing, and that number at the last change.
        var openings = 0
        var lastOpening = 0
        /// The private file behind `shown.file`; nil while that is a blob, which is never written to.
        var staged: StagedFile?
        /// Whether bytes changed since the last commit.
        var isDirty = false
        /// Whether the only change is O_TRUNC at opening: the program is about to write.
        var isOnlyTruncated = false
        /// Whether the file was made and has not been committed yet.
        var isNew = false
        /// Whether the catalog has a record of the upload's staged file.
        var isRecorded = false {
            didSet { if !isRecorded { given = nil } }
        }
        /// A recorded file that became a blob before its commit failed: it keeps its name as long as the
        /// catalog names it.
        var given: StagedFile?
        /// The catalog's record of the upload, where `isRecorded`.
        var recorded: InterruptedUpload?
        /// The version that this upload made: a later commit replaces it, however many descriptors are
        /// closed.
        var version: VersionID?
        var digest = SequentialDigest()
        /// The rotation in degrees against the uploaded picture, where that is the only change.
        var rotation: Int64?
        /// Whether the kernel reads the working file itself (passthrough).
        var isBound = false
        /// The bound file's time of modification since which no mapping has changed it; nil where that is
        /// unknown.
        var unmappedSince: Timestamp?
        /// The value of `digest.changes` when a mapping was found to have changed the bytes, if that is why
        /// the upload is dirty.
        var mappedAt: Int?
        /// A copy of the bound file that is to become the blob, made while `upload` was not held; dropped at
        /// the next change.
        var candidate: (file: StagedFile, changes: Int)?
        /// The writing user.
        var uploader = Uploader()
        /// The destination of the upload, where the file does not have that name: the name of a preserved
        /// file, or one that a rejected upload has lost.
        var aim: Aim?
        /// Whether a file without a name is about to get its first one, so that its bytes have to be ready.
        var isLinking = false
        /// Whether the file was made by an open that still lasts.
        var isBorn = false
        /// The file's record at the beginning of the upload.
        var before: NodeRecord?
        /// The users with read access to the asset's present version when it was first changed; nil where
        /// there is none, and before the first change.
        var standing: Standing?
        /// Whether the writer has already had a successful answer, so that no policy may reject the upload
        /// any more.
        var isAnswered = false
        /// The refusal of a write beyond the allowed size; the next commit reports it.
        var exceeded: UploadRejection?
        /// The asset that had the same bytes already, where the last commit found one.
        var unchanged: AssetID?
        /// The reason why the last commit rejected the upload.
        var refusal: UploadRejection?
        /// The rejected bytes of a file that has its former version back: a descriptor that is still open may
        /// go on writing to them.
        var refused: (staged: StagedFile, size: Int64)?
        /// Whether the file was opened for writing through `resources/ID/`.
        var isReplacement = false
        /// The name that a new file was made under in `resources/ID/`, where its destination has another
        /// name.
        var requested: EntryName?
        /// The size that the file may reach, and the refusal of a write beyond it.
        var limit: (size: Int64, refusal: UploadRejection)?
    }

    /// The destination of an upload.
    struct Aim {
        let parent: NodeID
        let name: EntryName
        /// The asset whose next version the upload becomes, where it is one, and the name that it was
        /// uploaded under.
        var replacing: (asset: AssetID, uploaded: EntryName)?
        /// Whether the upload came through `resources/ID/`, so that its uploader needs write permission for
        /// the present file at the commit.
        var isByNumber = false
        /// Whether the upload came by a signed path: then the file belongs to the owner of its folder.
        var isDropped = false
    }

    init(id: NodeID) {
        self.id = id
        shown = RankedMutex(.content, Shown())
        upload = RankedMutex(.upload, Upload())
    }

    /// Counts a new handle.
    public func noteOpened() {
        let former = handles.withLock { handles in
            handles.count += 1
            return handles.last.take()
        }
        _ = former
    }

    /// Counts a closed handle; the file keeps `share` while it is open without handles.
    public func noteClosed(_ share: (any AnyObject & Sendable)?) {
        handles.withLock { handles in
            handles.count -= 1
            if handles.count == 0 { handles.last = share }
        }
    }

    /// Whether a shared mapping through the kernel's page cache may have bytes that are not written back yet.
    public var mayHaveUnwrittenPages: Bool {
        mappers.load(ordering: .relaxed) > 0 && !isBound.load(ordering: .relaxed)
    }

    /// Whether another node is bound to the same blob, so that only `AssetLibrary.readShared` reads the right
    /// bytes.
    public var isShared: Bool { shown.withLock { $0.isShared } }

    /// The working file and the file's size; no file while the file is empty.
    public var content: (file: OpenFile?, size: Int64) { shown.withLock { ($0.file, $0.size) } }
}

extension OpenNode.Upload {
    mutating func addWriter(_ uploader: Uploader) {
        writers += 1
        openings += 1
        self.uploader = uploader
        // A rejection of earlier bytes does not concern the new writer.
        (refusal, refused, exceeded) = (nil, nil, nil)
    }
}
