public import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import Logging
internal import MetadataExtraction
internal import Synchronization

// What files say themselves: found out when their uploads have ended, in the order of those, or when somebody asks.
extension AssetLibrary {
    func startExtraction() {
        for thread in extraction.threads {
            thread.worker.start(delay: .zero) { [weak self] in self?.extractAll(thread) }
        }
        extraction.sweeper.start(delay: .seconds(1)) { [weak self] in self?.sweepExtraction() }
        errands.start()
        // Files that could not be looked into because the disk took no changes are not left for a minute when it does.
        groupCommit.whenAgain.set { [weak self] in
            guard let self else { return }
            extraction.state.withLock { $0.unavailable = nil }
            extraction.wake()
            extraction.hurry()
            isDiskBack.store(true, ordering: .relaxed)
            commitSoon()
        }
        extraction.wake()
        extraction.hurry()
        extraction.sweeper.wake()
    }

    /// Looks into contents until there is none that is due.
    private func extractAll(_ thread: ExtractionQueue.Thread) {
        let (pace, examiner) = (thread.pace, thread.examiner)
        var share = BackgroundShare()
        while !isClosing.isSet, extraction.state.withLock({ $0.unavailable == nil }) {
            do throws(LibraryError) {
                if pace == .atOnce { try hurryMore() }
                guard try dueCount(pace, limit: thread.least) == thread.least else { return }
                // A further thread whose workers have yet to begin leaves the contents that requests wait for to the first, which begins
                // those that its content needs. The content that a thread takes up tells why its workers cannot begin.
                if pace == .atOnce, thread.least > 1 { try? examiner.prepare() }
                if pace == .whenQuiet, !activity.awaitTurn(&share, until: isClosing) { return }
                guard let record = try takeDue(pace) else { return }
                extraction.state.withLock { $0.busy = .now }
                // Who waits for it is answered also where nothing could be found out.
                defer {
                    extraction.end(record.blob, at: pace)
                    extraction.answer { blob, _ in blob == record.blob }
                }
                try extract(record, by: examiner)
            } catch {
                log.error("What files say could not be recorded; it is tried again in a minute: \(error)")
                extraction.state.withLock { $0.unavailable = (.now, "\(error)") }
                extraction.sweeper.wake()
                return
            }
        }
    }

    /// Puts contents before all others that requests wait for, where those of the same users before them are done.
    private func hurryMore() throws(LibraryError) {
        let more = extraction.moreToHurry()
        guard !more.isEmpty else { return }
        try write { records in
            for blob in more { try records.hurryExtraction(of: blob, at: .now) }
        }
    }

    /// From so many on they are looked into at once.
    private static let many = 8

    /// Counts contents that are due, up to a limit: for threads that requests wait for, those that come before all others.
    private func dueCount(_ pace: ExtractionQueue.Pace, limit: Int) throws(LibraryError) -> Int {
        try read { try $0.dueExtractions(isHurried: pace == .atOnce, by: .now, limit: limit).count }
    }

    /// The next content that is due, which no thread is looking into and no program writes to.
    private func takeDue(_ pace: ExtractionQueue.Pace) throws(LibraryError) -> ExtractionRecord? {
        try read { records in
            // Those that others are looking into come first, and some may be open: rarely more than a few.
            for limit in [20, 10_000] {
                let due = try records.dueExtractions(isHurried: pace == .atOnce, by: .now, limit: limit)
                // For a few files one worker is enough.
                if pace == .whenQuiet, due.count >= Self.many { extraction.wake(all: true) }
                for record in due {
                    if pace == .whenQuiet, try isBeingWritten(record.blob, records) { continue }
                    if extraction.begin(record.blob, at: pace) { return record }
                }
                if due.count < limit { break }
            }
            return nil
        }
    }

    private func isBeingWritten(_ blob: BlobID, _ records: Records) throws -> Bool {
        for (asset, _) in try records.assets(showing: blob) {
            for id in try records.nodes(showing: asset) {
                // A lock that somebody holds is one who is writing; it must not be waited for in here.
                guard let node = openNode(id) else { continue }
                if node.upload.withLockIfAvailable({ $0.writers > 0 }) ?? true { return true }
            }
        }
        return false
    }

    private func extract(_ record: ExtractionRecord, by examiner: Examiner) throws(LibraryError) {
        let found = try read { records in
            (
                try records.assets(showing: record.blob), try records.digest(of: record.blob),
                try records.size(of: record.blob)
            )
        }
        guard let name = found.0.first?.name, let digest = found.1, let size = found.2 else {
            // What is no asset's content any more is nobody's to wait for; it is queued again when it comes back.
            return try write { records in
                if try records.assets(showing: record.blob).isEmpty { try records.deleteExtraction(of: record.blob) }
            }
        }
        let findings: Findings?
        let problem: String?
        do throws(Examiner.Failure) {
            let file: OpenFile
            do throws(BlobStoreError) { file = try openBlob(digest, size: size) } catch { throw .file("\(error)") }
            let found = try examiner.examine(file.descriptor, extension: Self.extension(of: name))
            // A program may have changed it under us, in which case it is no blob any more.
            guard let again = try? openBlob(digest, size: size), (try? file.isSame(as: again)) == true else { return }
            (findings, problem) = (found, found.problem)
        } catch {
            switch error {
            case .file(let reason): (findings, problem) = (nil, reason)
            // A worker that had just begun is given up when the library is closed.
            case .unavailable(let reason): return isClosing.isSet ? () : noteUnavailable(reason)
            }
        }
        // What has been given up is looked into by the next mount.
        if problem != nil, isClosing.isSet { return }
        try record.finish(findings, problem, in: self)
    }

    /// Opens a blob: in the library's own folder while nobody gives its name to another file, elsewhere without holding up anybody.
    func openBlob(_ digest: Digest, size: Int64, evenIfDamaged: Bool = false) throws(BlobStoreError) -> OpenFile {
        let own = try sharedBlobs.withLock { _ throws(BlobStoreError) in
            try blobs.openOwn(digest, size: size, evenIfDamaged: evenIfDamaged)
        }
        if let own { return own }
        return try blobs.open(digest, size: size, evenIfDamaged: evenIfDamaged)
    }

    static func `extension`(of name: [UInt8]) -> String {
        guard let dot = name.lastIndex(of: 0x2E) else { return "" }
        return String(decoding: name[(dot + 1)...], as: UTF8.self)
    }

    private func noteUnavailable(_ reason: String) {
        let isNew = extraction.state.withLock { state in
            defer { state.unavailable = (.now, reason) }
            return state.unavailable == nil
        }
        guard isNew else { return }
        log.error("No file can be looked into, so that descriptions stay what people have said: \(reason)")
        extraction.answer { _, _ in true }
    }

    /// Lets go those who have waited long enough, and idle workers; has what is due later done then.
    private func sweepExtraction() {
        let now = ContinuousClock.now
        extraction.giveUp(now)
        md5Requests.giveUp(now)
        let (isIdle, isWaitedFor, mayRetry) = extraction.state.withLock { state in
            let mayRetry = state.unavailable.map { now - $0.since > ExtractionQueue.pause } ?? false
            if mayRetry { state.unavailable = nil }
            let isIdle = state.running.allSatisfy(\.value.isEmpty)
            return (isIdle && now - state.busy > ExtractionQueue.rest, !state.waiters.isEmpty, mayRetry)
        }
        if isIdle {
            for examiner in extraction.threads.map(\.examiner) + [typeDetector] { examiner.rest() }
            editor.rest()
        }
        let next = try? read { try $0.nextExtraction() }
        if mayRetry || next.flatMap({ $0 })?.rawValue ?? .max <= Timestamp.now.rawValue {
            extraction.wake()
            extraction.hurry()
        }
        if !isIdle || isWaitedFor || md5Requests.hasWaiters || (next.flatMap { $0 }) != nil {
            extraction.sweeper.wake()
        }
    }

    // MARK: Waiting

    /// Has `isReady` called when it is known what an attribute's value is, or after ten seconds; the file comes before all others.
    /// - Returns: false where it is known already, and `isReady` is not called.
    public func awaitExtraction(
        for name: [UInt8],
        of id: NodeID,
        by uid: UInt32,
        isReady: @escaping @Sendable () -> Void
    ) -> Bool {
        let field: Field?
        switch AttributeName(name) {
        case .field(let some) where some.isExtracted || some == .charset: field = some
        case .rating: field = .rank
        case .mediaType: field = nil
        case .computed(let key) where Self.foundKeys.contains(key) || key == "info": field = nil
        default: return false
        }
        guard !isClosing.isSet else { return false }
        do throws(LibraryError) {
            let found = try read { records -> BlobID? in
                // What a person has said is known.
                if let field, let asset = try records.node(id)?.asset, try records.isSaid(field, of: asset) {
                    return nil
                }
                return try records.waitingBlob(of: id)
            }
            guard let blob = found, extraction.mayBeAwaited(blob) else { return false }
            let waiter = ExtractionQueue.Waiter(uid: uid, deadline: .now + ExtractionQueue.patience, isReady: isReady)
            let isHurried = extraction.add(waiter, for: blob)
            // Looked at again, because it may have become known before anybody knew that somebody waits.
            let isWaiting = try write { records in
                guard try records.waitingBlob(of: id) == blob else { return false }
                if isHurried { try records.hurryExtraction(of: blob, at: .now) }
                return true
            }
            guard isWaiting else {
                extraction.answer { $0 == blob && $1.deadline <= waiter.deadline }
                return true
            }
            if isHurried { extraction.hurry() } else { extraction.wake(all: true) }
            extraction.sweeper.wake()
            return true
        } catch {
            return false
        }
    }

    // MARK: Beginning again

    /// Goes back to what the file says itself: looks into it once more, and then forgets what people have said.
    func reprocess(_ id: NodeID, _ name: String, _ value: [UInt8]) throws(LibraryError) {
        guard value == [0x31] else { throw .invalid("\(name) is 1, or nothing happens.") }
        try settleIfQuick(id)
        try write { records in
            if let asset = try records.node(id)?.asset, try records.ignoresEmbedded(asset) {
                throw LibraryError.invalid(
                    "\(name): user.asset.no_exif is 1, so that what the file says itself is left alone; set that to 0 first."
                )
            }
            let asset = try records.assetToChange(of: id, for: name)
            // Of nothing there is nothing to be found out.
            guard let blob = try records.currentBlob(of: asset) else { return }
            try records.setReverts(true, of: asset)
            try records.hurryExtraction(of: blob, again: true, at: .now)
            try records.addLinks(0, to: id, at: .now)
        }
        extraction.hurry()
        extraction.sweeper.wake()
    }
}

extension ExtractionRecord {
    /// When a failure is tried again; a file that has failed so often is left alone until somebody asks for it.
    private static let delays: [Int64] = [60, 600, 3600, 86_400]

    /// Records what was found, in one transaction with what follows from it.
    fileprivate func finish(_ findings: Findings?, _ problem: String?, in library: AssetLibrary) throws(LibraryError) {
        let now = Timestamp.now
        let delay = problem == nil || attempts >= Self.delays.count ? nil : Self.delays[Int(attempts)]
        let text = findings.map { String(decoding: $0.json.bytes, as: UTF8.self) }
        try library.write { records in
            // Two threads may have looked into it.
            guard try records.isWaiting(blob) else { return }
            let assets = try records.assets(showing: blob)
            try records.setFindings(
                of: blob,
                text,
                error: problem,
                retry: delay.map { now.advanced(bySeconds: $0) },
                at: now
            )
            for (asset, _) in assets where try records.reverts(asset) {
                // What people have said is kept where nothing has come in its place.
                if problem == nil { try records.revertFields(of: asset) }
                try records.setReverts(false, of: asset)
            }
            for (asset, _) in assets {
                let path = try library.rulebook.path(of: asset, records)
                try records.append(.informationUpdated, of: asset, at: path) {
                    $0.add("status", problem == nil ? "ready" : "failed")
                }
            }
        }
        if let problem, attempts == 0 {
            library.log.notice("What the content \(blob.rawValue) says could not be read: \(problem)")
        }
    }
}

extension Records {
    /// The blob that a file shows, if it is yet to be looked into.
    fileprivate func waitingBlob(of id: NodeID) throws -> BlobID? {
        guard let asset = try node(id)?.asset, let blob = try currentBlob(of: asset) else { return nil }
        // Without a row it has come back from where nobody looks.
        return try extraction(of: asset).map { $0.state == .waiting } ?? true ? blob : nil
    }
}
