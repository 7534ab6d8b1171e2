public import AssetModel
internal import BlobStore
internal import Glibc
internal import Catalog
internal import LibraryRules
public import LibraryStorage
public import Logging
internal import MetadataExtraction
internal import Synchronization

/// An open library: the tree, the assets and the upload pipeline, without a kernel.
///
/// ## Concurrency
/// Every method may be called from any thread. Lock order: `OpenNode.upload` → the catalog → `openNodes` →
/// `OpenNode.shown`. `ContentStore.names` comes between `upload` and `shown`; the catalog is not used
/// under it. Within a catalog operation `upload` is only tried. `waiting`, `settler`, `committer` are held
/// for a moment only.
public final class AssetLibrary: Sendable {
    let storage: Storage
    let attributeShares: AttributeShares
    let openNodes = RankedMutex<[NodeID: (node: OpenNode, handles: Int)]>(.openNodes, [:])
    let mapped = MappedFiles()
    /// Files that mappings have changed without invalidating the kernel's page cache.
    let stalePages = NodeSet()
    /// How many nodes are bound to a file that the kernel reads.
    let boundCount = Atomic(0)
    /// Whether the layout of a file's data may differ from that of its blob's file.
    let mayHaveLayouts = Atomic(false)
    let rulebook: Rulebook
    let freeNumbers = FreeNumbers()
    let usage = FolderUsage()
    let herald = Herald()
    /// The last refusal of a rename: node, folder, name and time.
    let lastRefusal = RankedMutex<(NodeID, NodeID, EntryName, ContinuousClock.Instant)?>(.leaf, nil)
    let typeDetector = Examiner()
    let editor: Editor
    let errands = SlowRequestQueue()
    let extraction: ExtractionQueue
    let refusedAttributes = RefusedAttributes()
    let screenings = Screenings()
    let scanner: MalwareScanner
    let vacancies: Vacancies
    let kernelAttributes: KernelAttributes
    let formerOwners = FormerOwners()
    private let verdicts = Atomic(0)
    /// Deferred commits, by file; each file is kept open.
    let waiting = RankedMutex<[NodeID: Waiting]>(.leaf, [:])
    /// Files without a name that were written to and closed; each is kept open until the kernel forgets it.
    let namelessNodes = RankedMutex<Set<NodeID>>(.leaf, [])
    /// Whether any file may have flags of chattr(1).
    let mayHaveFlags = Atomic(false)
    /// Files that were created without a name and may be given one.
    let linkableNodes = RankedMutex<Set<NodeID>>(.leaf, [])
    let settler = BackgroundWorker()
    /// Threads for commits that read for long, so that one does not delay others.
    let longSettlers = [BackgroundWorker(), BackgroundWorker(), BackgroundWorker()]
    /// Runs requests again that have waited for a commit.
    let resumptions = SlowRequestQueue(threads: 3)
    /// Runs searches, and the listing of directories of which most users may see little.
    let longReads = SlowRequestQueue(threads: 3)
    /// How long users' requests wait while they hold locks of the kernel.
    let momentShares = MomentShares(exempt: [0, getuid()])
    /// Runs requests whose commit asks the scanner.
    let scans = SlowRequestQueue(threads: 4)
    let verdictWaiters = VerdictWaiters()
    /// The users of the latest long commits, the last one at the end.
    let settledUsers = RankedMutex<[UInt32]>(.leaf, [])
    /// Removes expired assets, old versions and unused blobs.
    let sweeper = BackgroundWorker()
    let sweep = Sweep()
    /// Makes room where the disk is full.
    let roomMaker = BackgroundWorker()
    let collections = Collections()
    /// A shell command that is run for each event.
    let eventCommand: String?
    private let eventTeller = BackgroundWorker()
    /// The position up to which events are on stable storage.
    let durableEvents = Atomic<Int64>(0)
    /// The settings for fetching URLs; nil where fetching is off.
    let fetchSettings: FetchSettings?
    let fetches = Fetches()
    let counters = Counters()
    let accessTimes = AccessTimes()
    let scrub: Scrub
    let verification = Verification()
    /// Whether the last copy of the catalog could not be made.
    let hasSnapshotFailed = Atomic(false)
    /// Whether the disk has accepted writes again after an error, and no commit has followed since.
    let isDiskBack = Atomic(false)
    /// Migrates blobs to other stores.
    let mover = Mover()
    let searching: Searching
    private let searchWorker = BackgroundWorker()
    /// The key of signed paths, once it has been read.
    let signingKey = RankedMutex<[UInt8]?>(.service, nil)
    private let md5Worker = BackgroundWorker()
    /// Computes MD5s that requests wait for.
    let md5Requests = MD5Requests()
    /// How many bytes of interrupted uploads the recovery commits before the mount; the rest of them waits.
    let recoveryBudget = Atomic<Int64>(256 << 20)
    /// How many bytes commits may still read when the library is closed: some two seconds' worth.
    let closingBudget = Atomic<Int64>(2 << 30)

    /// Opens a library and creates it if there is none; finishes or clears uploads that a crash interrupted.
    ///
    /// `saving` is how long a vacated name keeps its asset for a file that takes the name again; `scrubbing`,
    /// how often all blobs are compared with their SHA-256, nil for only on request; `time`, the time for
    /// expiry. `activity` tells when background work may run. `policies` are in force where no folder sets
    /// others. `scanner` is the socket of clamd, and `onEvent` a shell command that is run for each event.
    /// `fetching` has the settings for fetching URLs; nil turns it off. `stores` are further folders for
    /// blobs, besides those that the library knows.
    public init(
        at path: String,
        log: Logger,
        saving: Duration = .seconds(15),
        activity: Activity = Activity(),
        policies: [(key: PolicyKey, value: String)] = [],
        scanner socket: String = "/run/clamav/clamd.ctl",
        onEvent command: String? = nil,
        fetching: FetchSettings? = nil,
        stores: [(name: String, path: String)] = [],
        scrubbing period: Period? = Period("P30D"),
        time: @escaping @Sendable () -> Timestamp = { .now }
    ) throws(OpenLibraryError) {
        vacancies = Vacancies(window: saving)
        scanner = MalwareScanner(socketPath: socket)
        eventCommand = command
        fetchSettings = fetching
        scrub = Scrub(every: period)
        let layout = try LibraryDirectory(path: path)
        if layout.formerMode != nil || layout.closedCount > 0 {
            let mode =
                layout.formerMode.map { "had mode \(PrivateFolder.text($0))" } ?? "had files with rights of others"
            log.notice(
                "The library \(path) \(mode), and others could read what is in it; it has mode 700 now, and files and folders in it were closed, \(layout.closedCount) in all."
            )
        }
        do {
            let storage = try Storage(in: layout, log: log, activity: activity, time: time)
            self.storage = storage
            let isClosing = storage.isClosing
            extraction = ExtractionQueue(isStopped: isClosing)
            editor = Editor { isClosing.isSet }
            attributeShares = AttributeShares(disk: try storage.blobs.statistics())
            searching = Searching(path: layout.searchPath, log: log)
            let (catalog, clock) = (storage.catalog, storage.clock)
            let attributes = try catalog.read { try KernelAttributes($0) }
            kernelAttributes = attributes
            mayHaveLayouts.store(try catalog.read { try $0.hasLayouts() }, ordering: .relaxed)
            mayHaveFlags.store(attributes.isInUse(KernelAttributes.flags), ordering: .relaxed)
            rulebook = try catalog.read {
                try Rulebook(defaults: policies, clock: clock, saving: saving, attributes, $0)
            }
            if try catalog.read({ try $0.hasQuotas() }) {
                _ = try catalog.write {
                    try $0.trackUsage()
                    return try usage.count($0, rulebook)
                } then: {
                    usage.begin(with: $0)
                }
            }
            prepareSearch()
            try catalog.write { try $0.insertMissingRoots() }
            if try catalog.read({ try !$0.sharedAcrossOwners().isEmpty }) {
                try catalog.write { try $0.separateFormerSharing() }
            }
            let (folders, sealed) = try catalog.read { (try $0.folders(below: .collections), try $0.groups()) }
            collections.begin(with: folders, sealed: sealed)
            try prepareStores(stores)
            try loadDamage()
            try prepareEventHook()
            try groupCommit.commit()
            KillPoint.rootsCommitted.reach()
            try layout.finish()
            try moveSigningKey()
            try recover()
            try removeAllExpired()
        } catch {
            layout.abandon()
            switch error {
            case let error as OpenLibraryError: throw error
            case BlobStoreError.noSpace: throw .noSpace(path: path)
            case let error as CatalogError where error.isNoSpace: throw .noSpace(path: path)
            case let error as CatalogError where error.isDamage:
                throw .catalogDamaged(path: path, reason: error.description)
            case LibraryError.noSpace: throw .noSpace(path: path)
            default: throw .failed(path: path, reason: "\(error)")
            }
        }
        storage.startCommitting { [weak self] () throws(LibraryError) in try self?.commitInBackground() }
        run("deferred_commits", on: settler, delay: .seconds(1)) { $0.settleWaiting() }
        for (number, worker) in longSettlers.enumerated() {
            run("long_commits", on: worker) { $0.settleLong(onlyForData: number > 0) }
        }
        resumptions.start()
        longReads.start()
        scans.start()
        md5Requests.start()
        runRepeating("mappings", on: mapped.worker) { $0.watchMappings() }
        // The recovery has deferred the commits of interrupted uploads.
        if hasWaiting { settler.wake() }
        run("room", on: roomMaker) { $0.makeRequestedRoom() }
        space.reliever.set { [weak self] in self?.makeRoom($0) ?? false }
        runRepeating("sweep", on: sweeper) { $0.sweepNow() }
        run("search_index", on: searchWorker, delay: .seconds(1)) { $0.updateSearchIndexInBackground() }
        if fetchSettings != nil {
            for worker in fetches.workers {
                runRepeating("fetches", on: worker) { $0.fetchAll() }
                worker.wake()
            }
        }
        run("access_times", on: accessTimes.worker, delay: AccessTimes.delay) { $0.recordAccessTimes() }
        run("clicks", on: counters.worker, delay: .seconds(10)) { $0.recordCounts() }
        durableEvents.store((try? read { try $0.size(of: .events) }) ?? 0, ordering: .relaxed)
        run("event_command", on: eventTeller) { $0.tellEvents() }
        run("md5", on: md5Worker) { $0.computeMD5s() }
        runRepeating("moves", on: mover.worker) { $0.moveWhatIsDue() }
        for worker in [sweeper, md5Worker, searchWorker, mover.worker] { worker.wake() }
        if eventCommand != nil { eventTeller.wake() }
        startScrub()
        startChecker()
        startExtraction()
    }

    /// The number of commits of uploads so far.
    ///
    /// A caller that has read a record and finds the file not open must read it again if this number has
    /// grown.
    public var verdictCount: Int { verdicts.load(ordering: .acquiring) }

    func noteVerdict() {
        verdicts.wrappingAdd(1, ordering: .releasing)
        activity.noteUpload()
        extraction.wake()
    }

    private func commitInBackground() throws(LibraryError) {
        recordUnfinishedUploads()
        space.measureAnew()
        let events = eventCommand == nil ? nil : try read { try $0.size(of: .events) }
        try groupCommit.commit()
        try endFailedUploads()
        if let events { durableEvents.store(events, ordering: .relaxed) }
        // A worker that waits for a quiet mount is woken once until then.
        for worker in [sweeper, md5Worker, searchWorker] { worker.wake() }
        if events != nil { eventTeller.wake() }
        if blobs.hasAlternates { mover.worker.wake() }
    }

    /// Records in the file `lock`, for other processes that want the library, that its mount is ending.
    public func noteEnding() { storage.directory.note(.ending(getpid())) }

    /// The folders of the alternate stores that the catalog knows.
    public var storePaths: [String] { (try? read { try $0.stores().map(\.path) }) ?? [] }

    /// Ends all uploads, makes everything durable and releases the library.
    ///
    /// The file `lock` records whether all of it could be done.
    /// - Throws: where the last commit failed, or an upload could not be finished; the next mount tries that
    ///   again.
    public func close() throws(LibraryError) {
        noteEnding()
        KillPoint.closeBegun.reach()
        do throws(LibraryError) {
            try finishAll()
            storage.directory.note(.ended)
            KillPoint.endNoted.reach()
        } catch {
            storage.directory.note(.failed(error.description))
            throw error
        }
    }

    private func finishAll() throws(LibraryError) {
        isClosing.set()
        stopObserving()
        for worker in fetches.workers + [
            scrub.worker, verification.worker, mover.worker, counters.worker, accessTimes.worker, sweeper, roomMaker,
            md5Worker,
            searchWorker, eventTeller,
            settler, mapped.worker,
        ] + longSettlers {
            worker.stop()
        }
        storage.stopCommitting()
        var failure: LibraryError?
        var unfinished: (count: Int, reason: LibraryError)?
        for entry in openNodes.withLock({ Array($0.values) }) {
            do throws(LibraryError) {
                if try leaveForNextMount(entry.node) { continue }
                try finish(entry.node)
                // A staged file that equals a blob, or whose node has lost its name, only served its handles,
                // and goes with them.
                entry.node.upload.withLock { $0.staged = nil }
            } catch .refused {
                // The refusal is in the log, and the file has its former content.
                entry.node.upload.withLock { ($0.staged, $0.refused) = (nil, nil) }
            } catch {
                log.error(
                    "The upload to node \(entry.node.id) could not be ended; the next mount tries again: \(error)"
                )
                if let lost = keepForNextMount(entry.node) { failure = lost }
                unfinished = ((unfinished?.count ?? 0) + 1, unfinished?.reason ?? error)
            }
        }
        recordCounts()
        recordAccessTimes()
        KillPoint.uploadsEnded.reach()
        do throws(LibraryError) {
            // No reference to files without a name is left.
            let unlinked = try read { try $0.unlinkedNodes() }
            if !unlinked.isEmpty { try forget(unlinked) }
            try groupCommit.commit()
        } catch {
            failure = error
        }
        KillPoint.closeCommitted.reach()
        if failure == nil { takeSnapshotAtEnd() }
        // The index can be rebuilt, so that nothing is lost with it.
        do { try searching.index?.close() } catch { log.error("The search index could not be closed: \(error)") }
        KillPoint.indexClosed.reach()
        do { try catalog.close() } catch { throw failure ?? LibraryError(error) }
        KillPoint.catalogClosed.reach()
        if let failure { throw failure }
        if let unfinished { throw .unfinished(unfinished.count, "\(unfinished.reason)") }
    }

    /// Releases the library before it was used; a library that this open has created is removed.
    public func abandon() throws(LibraryError) {
        try close()
        storage.directory.abandon()
    }
}
