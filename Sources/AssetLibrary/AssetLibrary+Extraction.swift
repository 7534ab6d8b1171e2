public import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import MetadataExtraction
internal import Synchronization

// Metadata extraction: after uploads, in their order, or when a request needs a value.
extension AssetLibrary {
    func startExtraction() {
        for thread in extraction.threads {
            run("extraction", on: thread.worker) { $0.extractAll(thread) }
        }
        run("extraction_sweep", on: extraction.sweeper, delay: .seconds(1)) { $0.sweepExtraction() }
        errands.start()
        // Blobs that were left because the disk took no changes are examined once it does, not a minute
        // later.
        groupCommit.whenAgain.set { [weak self] in
            guard let self else { return }
            extraction.state.withLock { $0.unavailable = nil }
            extraction.wake()
            extraction.hurry()
            isDiskBack.store(true, ordering: .relaxed)
            commitSoon()
        }
        resumeExtractions()
        extraction.wake()
        extraction.hurry()
        extraction.sweeper.wake()
    }

    /// Extracts metadata from blobs until none is due.
    private func extractAll(_ thread: ExtractionQueue.Thread) {
        let (pace, examiner) = (thread.pace, thread.examiner)
        var share = BackgroundShare()
        while !isClosing.isSet, extraction.state.withLock({ $0.unavailable == nil }) {
            do throws(LibraryError) {
                if pace == .atOnce { try hurryMore() }
                guard try dueCount(pace, limit: thread.least) == thread.least else { return }
                // A further thread starts its workers before it takes a blob. Until then the first thread,
                // which starts only the workers that its blob needs, can take the blobs that requests wait
                // for. If the workers cannot start, the extraction of the blob that this thread takes gives
                // the reason.
                if pace == .atOnce, thread.least > 1 { try? examiner.prepare() }
                if pace == .whenQuiet, !activity.awaitTurn(&share, until: isClosing) { return }
                guard let record = try takeDue(pace) else { return }
                extraction.state.withLock { $0.busy = .now }
                // Waiting requests are answered even where the extraction has failed.
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

    /// Moves further blobs that requests wait for to the front of the queue, where earlier ones of their
    /// users are done.
    private func hurryMore() throws(LibraryError) {
        let more = extraction.moreToHurry()
        guard !more.isEmpty else { return }
        try write { records in
            for blob in more { try records.hurryExtraction(of: blob, at: .now) }
        }
    }

    /// The number of due blobs from which on all threads work.
    private static let many = 8

    /// Counts due blobs, up to a limit; at pace `atOnce` those that requests wait for.
    private func dueCount(_ pace: ExtractionQueue.Pace, limit: Int) throws(LibraryError) -> Int {
        try read { try $0.dueExtractions(isHurried: pace == .atOnce, by: .now, limit: limit).count }
    }

    /// Returns the next due blob that no thread is examining; at pace `whenQuiet`, none of a file that is
    /// open for writing.
    private func takeDue(_ pace: ExtractionQueue.Pace) throws(LibraryError) -> ExtractionRecord? {
        while let (record, hasMany) = try nextDue(pace) {
            // Another thread may have claimed it meanwhile; the next look leaves it out.
            guard extraction.begin(record.blob, at: pace) else { continue }
            // One worker is enough for a few files. A thread that finds nothing to take wakes no other: they
            // would wake each other for as long as the files are open.
            if hasMany { extraction.wake(all: true) }
            return record
        }
        return nil
    }

    /// Returns the next due blob, and whether all threads are to work.
    private func nextDue(
        _ pace: ExtractionQueue.Pace
    ) throws(LibraryError) -> (record: ExtractionRecord, hasMany: Bool)? {
        try read { records in
            // Blobs that other threads are examining come first, and some files may be open for writing:
            // rarely more than a few.
            for limit in [20, 10_000] {
                let due = try records.dueExtractions(isHurried: pace == .atOnce, by: .now, limit: limit)
                for (index, record) in due.enumerated() {
                    if pace == .whenQuiet, try isBeingWritten(record.blob, records) { continue }
                    if extraction.isTaken(record.blob, at: pace) { continue }
                    return (record, pace == .whenQuiet && due.count - index >= Self.many)
                }
                if due.count < limit { break }
            }
            return nil
        }
    }

    private func isBeingWritten(_ blob: BlobID, _ records: Records) throws -> Bool {
        for (asset, _) in try records.assets(showing: blob) {
            for id in try records.nodes(showing: asset) {
                // A held lock counts as a writer: it must not be waited for within a catalog operation.
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
            // No request waits for a blob that is no asset's content any more; it is queued again when an
            // asset has it again.
            return try write { records in
                if try records.assets(showing: record.blob).isEmpty { try records.deleteExtraction(of: record.blob) }
            }
        }
        let findings: Findings?
        let problem: String?
        do throws(Examiner.Failure) {
            let file: OpenFile
            do throws(BlobStoreError) { file = try contents.open(digest, size: size) } catch { throw .init(error) }
            let found = try examiner.examine(file.descriptor, extension: Self.extension(of: name))
            // A program may have changed the file during the extraction, so that it is not the blob any more.
            let isBlob: Bool
            do throws(BlobStoreError) {
                isBlob = try file.isSame(as: contents.open(digest, size: size))
            } catch {
                throw .init(error)
            }
            guard isBlob else { return }
            (findings, problem) = (found, found.problem)
        } catch {
            switch error {
            case .disk(let reason, let errno): return isClosing.isSet ? () : try postpone(record, reason, errno)
            case .file(let reason): (findings, problem) = (nil, reason)
            // Closing the library stops a worker that has just started.
            case .unavailable(let reason): return isClosing.isSet ? () : noteUnavailable(reason)
            }
        }
        // The next mount examines a file whose extraction was cut short.
        if problem != nil, isClosing.isSet { return }
        try record.finish(findings, problem, in: self)
        extraction.state.withLock { $0.postponed[record.blob] = nil }
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

    /// Ends waits that have lasted too long, stops idle workers, and wakes the threads for blobs that have
    /// become due.
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

    /// Calls `isReady` when an attribute's value is known, or after ten seconds, and moves the file to the
    /// front of the queue.
    /// - Returns: false if nothing is to be waited for; then `isReady` is not called.
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
                // A user-set value is known.
                if let field, let asset = try records.node(id)?.asset, try records.isSaid(field, of: asset) {
                    return nil
                }
                return try records.waitingBlob(of: id)
            }
            guard let blob = found, extraction.mayBeAwaited(blob) else { return false }
            let waiter = ExtractionQueue.Waiter(uid: uid, deadline: .now + ExtractionQueue.patience, isReady: isReady)
            let isHurried = extraction.add(waiter, for: blob)
            // Checked again, because the value may have become known before the waiter was added.
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

    /// Goes back to the metadata of the file itself: has it extracted again, and then deletes user-set
    /// fields.
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
            // An empty file has no metadata to extract.
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
    /// The delays in seconds before a failed extraction is tried again; after the last failure only a request
    /// has it tried again.
    private static let delays: [Int64] = [60, 600, 3600, 86_400]

    /// Records an extraction's result, in one transaction with its consequences.
    fileprivate func finish(_ findings: Findings?, _ problem: String?, in library: AssetLibrary) throws(LibraryError) {
        let now = Timestamp.now
        let delay = problem == nil || attempts >= Self.delays.count ? nil : Self.delays[Int(attempts)]
        let text = findings.map { String(decoding: $0.json.bytes, as: UTF8.self) }
        try library.write { records in
            // Two threads may have examined it.
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
                // User-set fields stay if the extraction has found nothing to replace them.
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
    /// Returns the blob that a file shows, if its metadata has yet to be extracted.
    fileprivate func waitingBlob(of id: NodeID) throws -> BlobID? {
        guard let asset = try node(id)?.asset, let blob = try currentBlob(of: asset) else { return nil }
        // A blob without a row has come back into use after its row was deleted.
        return try extraction(of: asset).map { $0.state == .waiting } ?? true ? blob : nil
    }
}
