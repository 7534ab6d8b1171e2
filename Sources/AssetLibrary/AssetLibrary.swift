public import AssetModel
internal import BlobStore
internal import Glibc
public import Catalog
public import Logging
internal import MetadataExtraction
internal import Synchronization

/// An open library: the tree, the assets and the upload pipeline, without a kernel.
///
/// ## Concurrency
/// Every method may be called from any thread. Lock order: `OpenNode.upload` → `sharedBlobs` → `openNodes` → `OpenNode.shown`,
/// `boundBlobs`; then the catalog, which takes none of ours. `waiting`, `settler` and `committer` are held for a moment only.
public final class AssetLibrary: Sendable {
    /// The records.
    ///
    /// `AssetFilesystem` reads them; changes go through this type.
    public let catalog: Catalog
    let blobs: BlobStore
    /// Where what nobody waits for is told.
    public let log: Logger
    let space: SpaceReserve
    let attributeShares: AttributeShares
    let openNodes = Mutex<[NodeID: (node: OpenNode, handles: Int)]>([:])
    /// Blobs that an open node is bound to.
    let boundBlobs = Mutex<Set<Digest>>([])
    let mapped = MappedFiles()
    /// Files that mappings have changed behind the kernel's page cache.
    let stalePages = NodeSet()
    /// How many nodes are bound to a file that the kernel reads.
    let boundCount = Atomic(0)
    /// Whether the data of a file may lie elsewhere than in its content's own file.
    let mayHaveLayouts = Atomic(false)
    /// Held while a blob's name goes to another file, and by those who read a bound blob by its name.
    let sharedBlobs = Mutex<Void>(())
    let rulebook: Rulebook
    let freeNumbers = FreeNumbers()
    let usage = FolderUsage()
    let herald = Herald()
    /// The last refusal of a rename: what, and to where.
    let lastRefusal = Mutex<(NodeID, NodeID, EntryName, ContinuousClock.Instant)?>(nil)
    let typeDetector = Examiner()
    let editor: Editor
    let errands = Errands()
    let extraction: ExtractionQueue
    let refusedAttributes = RefusedAttributes()
    let screenings = Screenings()
    let scanner: MalwareScanner
    let vacancies: Vacancies
    let kernelAttributes: KernelAttributes
    let formerOwners = FormerOwners()
    /// How busy the mount is.
    public let activity: Activity
    private let verdicts = Atomic(0)
    /// Files whose verdict waits, and since when; each is kept open.
    let waiting = Mutex<[NodeID: Waiting]>([:])
    /// Files without a name that were written to and are closed; each is kept open until the kernel forgets it.
    let namelessNodes = Mutex<Set<NodeID>>([])
    /// Whether any file may have flags of chattr(1).
    let mayHaveFlags = Atomic(false)
    /// Files that were made without a name and may be given one.
    let linkableNodes = Mutex<Set<NodeID>>([])
    let settler = Worker()
    /// Threads for verdicts that read for long, so that one holds up no other.
    let longSettlers = [Worker(), Worker(), Worker()]
    /// Runs requests again that have waited for a verdict.
    let resumptions = Errands(threads: 3)
    /// Runs searches, and the listing of what most users may see little of.
    let longReads = Errands(threads: 3)
    /// How long users' requests wait that hold locks of the kernel.
    let momentShares = MomentShares(exempt: [0, getuid()])
    /// Runs requests whose verdict asks the scanner.
    let scans = Errands(threads: 4)
    let verdictWaiters = VerdictWaiters()
    /// For whom long verdicts were had, the last one last.
    let settledUsers = Mutex<[UInt32]>([])
    /// By which lives are counted.
    let clock: LifeClock
    /// Removes what goes by itself.
    let sweeper = Worker()
    let sweep = Sweep()
    /// Makes room where the disk is full.
    let roomMaker = Worker()
    let collection = Collection()
    let collections = Collections()
    /// A line of shell that is told of each event.
    let eventCommand: String?
    private let eventTeller = Worker()
    /// Up to where events are on stable storage.
    let durableEvents = Atomic<Int64>(0)
    /// How URLs are fetched; nil where they are not.
    let fetchSettings: FetchSettings?
    let fetches = Fetches()
    let counters = Counters()
    let accessTimes = AccessTimes()
    let scrub: Scrub
    let verification = Verification()
    /// Whether the last copy of the catalog could not be made.
    let hasSnapshotFailed = Atomic(false)
    /// Whether the disk has taken what it did not take before, and no commit has followed since.
    let isDiskBack = Atomic(false)
    /// Moves contents to other stores.
    let mover = Mover()
    let searching: Searching
    private let searchWorker = Worker()
    /// What signed paths are signed with, once it has been asked for.
    let signingKey = Mutex<[UInt8]?>(nil)
    private let md5Worker = Worker()
    /// Computes MD5s that requests wait for.
    let md5Requests = MD5Requests()
    let isClosing: Flag
    /// How many bytes uploads that a crash has interrupted may have before the rest of them waits until the mount is there.
    let recoveryBudget = Atomic<Int64>(256 << 20)
    /// How many bytes verdicts may still read when the library is closed: some two seconds' worth.
    let closingBudget = Atomic<Int64>(2 << 30)
    let layout: LibraryLayout
    let groupCommit: GroupCommit
    private let committer: Worker

    /// How long a change waits for others before all are committed; with the commit itself that is less than a second.
    private static let commitDelay = Duration.milliseconds(500)

    /// Opens a library and makes it if there is none; finishes or clears what a crash left.
    ///
    /// `saving` is how long a name that was given up keeps its asset for a file that takes the name again;
    /// `time` is what lives are counted by.
    /// `fetching` says how URLs are fetched, if they are;
    /// `onEvent` is a line of shell that is told of each event;
    /// `stores` are further folders that contents may be in, besides those that the library knows;
    /// `scrubbing` is how often all contents are compared with their SHA-256, nil for only when somebody asks;
    /// `activity` says when background work may be done;
    /// `policies` is what holds where no folder says otherwise; `scanner` is where clamd listens.
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
        self.log = log
        self.activity = activity
        let isClosing = Flag()
        self.isClosing = isClosing
        extraction = ExtractionQueue(isStopped: isClosing)
        editor = Editor { isClosing.isSet }
        vacancies = Vacancies(window: saving)
        let clock = LifeClock(time)
        self.clock = clock
        scanner = MalwareScanner(socketPath: socket)
        eventCommand = command
        fetchSettings = fetching
        scrub = Scrub(every: period)
        let layout = try LibraryLayout(path: path)
        self.layout = layout
        if layout.formerMode != nil || layout.closedCount > 0 {
            let mode =
                layout.formerMode.map { "had mode \(PrivateFolder.text($0))" } ?? "had files with rights of others"
            log.notice(
                "The library \(path) \(mode), and others could read what is in it; it has mode 700 now, and \(layout.closedCount) files and folders in it were closed."
            )
        }
        let committer = Worker()
        self.committer = committer
        do {
            blobs = try BlobStore(at: path)
            let disk = try blobs.statistics()
            attributeShares = AttributeShares(disk: disk)
            let reserve = SpaceReserve.part(of: disk)
            catalog = try Catalog(path: layout.catalogPath, isExpected: !layout.isNew, reserve: reserve) {
                committer.wake()
            }
            space = SpaceReserve(blobs: blobs, catalog: catalog)
            searching = Searching(path: layout.searchPath, log: log)
            groupCommit = GroupCommit(catalog: catalog, blobs: blobs, log: log)
            groupCommit.whenCommitted.set { layout.note($0) }
            let attributes = try catalog.read { try KernelAttributes($0) }
            kernelAttributes = attributes
            mayHaveLayouts.store(try catalog.read { try $0.hasLayouts() }, ordering: .relaxed)
            mayHaveFlags.store(attributes.isInUse(KernelAttributes.flags), ordering: .relaxed)
            rulebook = try catalog.read {
                try Rulebook(defaults: policies, clock: clock, saving: saving, attributes, $0)
            }
            try catalog.read { try usage.begin($0, rulebook) }
            prepareSearch()
            try catalog.write { try $0.insertMissingRoots() }
            if try catalog.read({ try !$0.sharedAcrossOwners().isEmpty }) {
                try catalog.write { try $0.separateFormerSharing() }
            }
            try catalog.read { try collections.load($0) }
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
        committer.start(delay: Self.commitDelay) { [weak self] in
            do throws(LibraryError) {
                try self?.commitInBackground()
            } catch  where error.isOfDisk {
                self?.committer.wake()
            } catch {
                // It is logged, and every later operation meets it again.
            }
        }
        settler.start(delay: .seconds(1)) { [weak self] in self?.settleWaiting() }
        for (number, worker) in longSettlers.enumerated() {
            worker.start(delay: .zero) { [weak self] in self?.settleLong(onlyForData: number > 0) }
        }
        resumptions.start()
        longReads.start()
        scans.start()
        md5Requests.start()
        mapped.worker.startRepeating(delay: .zero) { [weak self] in self?.watchMappings() }
        // What a crash has interrupted waits already.
        if hasWaiting { settler.wake() }
        roomMaker.start(delay: .zero) { [weak self] in self?.makeRequestedRoom() }
        space.reliever.set { [weak self] in self?.makeRoom($0) ?? false }
        sweeper.startRepeating(delay: .zero) { [weak self] in self?.sweepNow() }
        searchWorker.start(delay: .seconds(1)) { [weak self] in self?.updateSearchIndexInBackground() }
        if fetchSettings != nil {
            for worker in fetches.workers {
                worker.startRepeating(delay: .zero) { [weak self] in self?.fetchAll() }
                worker.wake()
            }
        }
        accessTimes.worker.start(delay: AccessTimes.delay) { [weak self] in self?.recordAccessTimes() }
        counters.worker.start(delay: .seconds(10)) { [weak self] in self?.recordCounts() }
        durableEvents.store((try? read { try $0.size(of: .events) }) ?? 0, ordering: .relaxed)
        eventTeller.start(delay: .zero) { [weak self] in self?.tellEvents() }
        md5Worker.start(delay: .zero) { [weak self] in self?.computeMD5s() }
        mover.worker.startRepeating(delay: .zero) { [weak self] in self?.moveWhatIsDue() }
        for worker in [sweeper, md5Worker, searchWorker, mover.worker] { worker.wake() }
        if eventCommand != nil { eventTeller.wake() }
        startScrub()
        startChecker()
        startExtraction()
    }

    /// The library's folder.
    public var path: String { layout.path }

    /// Returns when everything that was acknowledged before the call is on stable storage.
    public func commit() throws(LibraryError) { try groupCommit.commit() }

    /// Does so, and has a copy of the catalog get a step further.
    func commit(advancing copy: CatalogCopy) throws(LibraryError) { try groupCommit.commit(advancing: copy) }

    /// Grows with each verdict: who has read a record, and finds the file open no more, has to read again if this has grown.
    public var verdictCount: Int { verdicts.load(ordering: .acquiring) }

    func noteVerdict() {
        verdicts.wrappingAdd(1, ordering: .releasing)
        activity.noteUpload()
        extraction.wake()
    }

    /// Asks for a commit soon, for a change that the catalog does not see.
    func commitSoon() { committer.wake() }

    private func commitInBackground() throws(LibraryError) {
        recordUnfinishedUploads()
        space.measureAnew()
        let events = eventCommand == nil ? nil : try read { try $0.size(of: .events) }
        try groupCommit.commit()
        try endFailedUploads()
        if let events { durableEvents.store(events, ordering: .relaxed) }
        // Those that wait until the mount is quiet are woken once until then.
        for worker in [sweeper, md5Worker, searchWorker] { worker.wake() }
        if events != nil { eventTeller.wake() }
        if blobs.hasAlternates { mover.worker.wake() }
    }

    /// Records for others that want the library that its mount is going.
    public func noteEnding() { layout.note(.ending(getpid())) }

    /// The folders of the alternate stores that the catalog knows.
    public var storePaths: [String] { (try? read { try $0.stores().map(\.path) }) ?? [] }

    /// Ends all uploads, makes everything durable and lets go of the library.
    ///
    /// The file `lock` says whether all of it could be done.
    /// - Throws: where the last commit failed, or an upload could not be finished; the next mount tries that again.
    public func close() throws(LibraryError) {
        noteEnding()
        KillPoint.closeBegun.reach()
        do throws(LibraryError) {
            try finishAll()
            layout.note(.ended)
            KillPoint.endNoted.reach()
        } catch {
            layout.note(.failed(error.description))
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
            committer,
        ] + longSettlers {
            worker.stop()
        }
        var failure: LibraryError?
        var unfinished: (count: Int, reason: LibraryError)?
        for entry in openNodes.withLock({ Array($0.values) }) {
            do throws(LibraryError) {
                if try leaveForNextMount(entry.node) { continue }
                try finish(entry.node)
                // What is equal to a blob, or has lost its name, served its handles, and goes with them.
                entry.node.upload.withLock { $0.staged = nil }
            } catch .refused {
                // It is in the log, and the file is what it was.
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
            // Files without a name have no reference any more.
            let unlinked = try read { try $0.unlinkedNodes() }
            if !unlinked.isEmpty { try forget(unlinked) }
            try groupCommit.commit()
        } catch {
            failure = error
        }
        KillPoint.closeCommitted.reach()
        if failure == nil { takeSnapshotAtEnd() }
        // The index can be made anew, so that nothing is lost with it.
        do { try searching.index?.close() } catch { log.error("The search index could not be closed: \(error)") }
        KillPoint.indexClosed.reach()
        do { try catalog.close() } catch { throw failure ?? LibraryError(error) }
        KillPoint.catalogClosed.reach()
        if let failure { throw failure }
        if let unfinished { throw .unfinished(unfinished.count, "\(unfinished.reason)") }
    }

    /// Lets go of the library before it was used; one that this opening made is taken back.
    public func abandon() throws(LibraryError) {
        try close()
        layout.abandon()
    }

    /// Runs `body` on the records; what it throws becomes a `LibraryError`.
    public func read<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do { return try catalog.read(body) } catch { throw LibraryError(error) }
    }

    /// Runs `body`, which checks before it changes, on the records; what it throws becomes a `LibraryError`.
    func write<Value>(_ body: (Records) throws -> Value) throws(LibraryError) -> Value {
        do {
            return try catalog.write { records in
                let value = try body(records)
                try usage.settleSometimes(records, rulebook)
                return value
            }
        } catch {
            throw LibraryError(error)
        }
    }
}
