internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// Scrubbing: all blobs are read and compared with their SHA-256, slowly once per period, or as fast as the
// disk allows on request. A corrupt blob is never returned (EIO) and is reported; a new upload of its content
// repairs it. Nothing is removed.
extension AssetLibrary {
    /// The time between two records of the progress: a crash costs no more than reading that part again.
    private static let recordingPause = Duration.seconds(10)
    /// How old a library must be before its first pass: freshly written blobs are intact.
    private static let firstAge = Duration.seconds(6 * 3600)
    private static let batch = 64

    func startScrub() {
        runRepeating("scrub", on: scrub.worker) { $0.scrubWhatIsDue() }
        scrub.worker.wake()
    }

    /// Quarantines the blobs that the catalog records as corrupt, when the library is opened.
    func loadDamage() throws {
        let (state, damage) = try catalog.read { (try $0.scrub(), try $0.damage()) }
        scrub.state.withLock { $0.record = state }
        for record in damage { if let digest = record.digest { blobs.mark(digest, isDamaged: true) } }
    }

    /// Requests a scrub of all blobs, now.
    func requestScrub(_ name: String, on id: NodeID, _ value: [UInt8], by uploader: Uploader) throws(LibraryError) {
        guard value == [0x31] else { throw .invalid("\(name) is 1, or nothing happens.") }
        try read { records in
            guard id == .folders, let node = try records.node(id) else {
                throw LibraryError.invalid("\(name) is for folders/, and has all contents of the library compared.")
            }
            try uploader.refuseUnlessOwner(of: node, name)
        }
        scrub.state.withLock { $0.isRequested = true }
        scrub.worker.wake()
    }

    // MARK: Passes

    /// Continues the pass under way, or begins one that is due.
    /// - Returns: when to check again, if no pass is requested before.
    private func scrubWhatIsDue() -> Duration? {
        do throws(LibraryError) {
            while !isClosing.isSet {
                let (record, isRequested) = scrub.state.withLock { ($0.record, $0.isRequested) }
                let isUnderWay = record.began != nil
                if !isRequested, !isUnderWay {
                    guard let due = scrubDue() else { return nil }
                    // The clock may be set meanwhile.
                    if due > clock.now { return .seconds(600) }
                }
                if isRequested || record.began == nil {
                    var new = ScrubRecord()
                    (new.began, new.finished) = (clock.now, record.finished)
                    // Blobs added during the pass are left to the next one, or the pass might never end.
                    new.last = try read { try $0.lastBlob() }
                    try setScrub(new) {
                        $0.isHurried = isRequested; $0.isRequested = false
                    }
                }
                try runPass()
            }
        } catch {
            log.error("The contents could not be compared: \(error)")
            return .seconds(3600)
        }
        return nil
    }

    /// Returns when the next pass is due without a request: six hours after the library was made, or a period
    /// after the last pass; nil for never.
    func scrubDue() -> Timestamp? {
        guard let period = scrub.period else { return nil }
        let finished = scrub.state.withLock { $0.record.finished }
        return finished.map { period.added(to: $0) } ?? storage.directory.made.advanced(by: Self.firstAge)
    }

    private func setScrub(_ record: ScrubRecord, _ body: (inout Scrub.State) -> Void = { _ in }) throws(LibraryError) {
        try write { try $0.setScrub(record) }
        scrub.state.withLock { state in
            state.record = record
            body(&state)
        }
    }

    /// Runs one scrub pass; returns when it is complete, the mount ends, or a new pass is requested.
    private func runPass() throws(LibraryError) {
        var record = scrub.state.withLock { $0.record }
        var (recorded, pause, share) = (ContinuousClock.now, Pause(), BackgroundShare())
        while true {
            let position = record.position
            let blobs = try read { try $0.blobs(after: position, limit: Self.batch) }.filter {
                $0.id.rawValue <= record.last.rawValue
            }
            for blob in blobs {
                guard let digest = blob.digest else { continue }
                if !isScrubRequested {
                    pause.take(until: isClosing)
                    _ = activity.awaitTurn(&share, until: isClosing)
                }
                let finding = inspect(digest, size: blob.size, &share)
                if isClosing.isSet || scrub.state.withLock({ $0.isRequested }) { return try setScrub(record) }
                try note(finding, of: blob.id, digest, size: blob.size)
                record.position = blob.id
                if case .postponed = finding {
                    record.skipped += 1
                } else {
                    record.contents += 1
                    record.bytes += blob.size
                }
                scrub.state.withLock { $0.record = record }
            }
            if blobs.isEmpty { break }
            if recorded.duration(to: .now) > Self.recordingPause {
                try setScrub(record)
                recorded = .now
            }
        }
        record.finished = clock.now
        record.began = nil
        try setScrub(record) { $0.isHurried = false }
        let count = try read { try $0.damageCount() }
        if record.contents > 0 {
            log.notice(
                "\(record.contents.counted("content was", "contents were")) compared with the SHA-256, \(record.skipped) could not be read now; damaged: \(count)."
            )
        }
    }

    // MARK: One blob

    /// The result of verifying a blob.
    enum Finding {
        /// The bytes have the blob's digest.
        case sound
        /// The blob is corrupt: the reason, and the file that was read, if there is one.
        case damaged(String, OpenFile?)
        /// The file was changed, or could not be read to its end because the mount ends.
        case postponed
    }

    /// Verifies a blob with the bytes on the disk, past the page cache.
    ///
    /// A disk that fails once may only have been late: the second failure counts.
    func inspect(_ digest: Digest, size: Int64, _ share: inout BackgroundShare) -> Finding {
        let first = inspectOnce(digest, size: size, &share)
        return first.isUnreadable ? inspectOnce(digest, size: size, &share).finding : first.finding
    }

    private func inspectOnce(
        _ digest: Digest,
        size: Int64,
        _ share: inout BackgroundShare
    ) -> (finding: Finding, isUnreadable: Bool) {
        func open() throws(BlobStoreError) -> OpenFile { try contents.open(digest, size: size, evenIfDamaged: true) }
        var read: OpenFile?
        do throws(BlobStoreError) {
            // A program may change the file that was opened; then the file that has its name now is read.
            for _ in 0..<3 {
                let file = try open()
                read = file
                let found = try digestOnDisk(of: file, size: size, &share)
                guard try file.isSame(as: open()) else { continue }
                return (found == digest ? .sound : .damaged("Its bytes have the SHA-256 \(found).", file), false)
            }
            return (.postponed, false)
        } catch {
            // A store whose disk has gone is not corrupt.
            if isClosing.isSet || noticeVanishedStores() { return (.postponed, false) }
            switch error {
            case .missing: return (.damaged("Its file is missing.", nil), false)
            case .damaged(_, let expected, let found):
                return (.damaged("Its file has \(found.counted("byte")) instead of \(expected).", nil), false)
            case .io(let number, _) where Self.errorsOfDisks.contains(number):
                return (.damaged("Its file cannot be read: \(number).", read), true)
            // The blob's store may be attached later, and a scarce resource may be available then.
            default: return (.postponed, false)
            }
        }
    }

    /// Returns the SHA-256 of a file's bytes on the disk: at once for a requested pass, otherwise while the
    /// mount is quiet.
    private func digestOnDisk(
        of file: OpenFile,
        size: Int64,
        _ share: inout BackgroundShare
    ) throws(BlobStoreError) -> Digest {
        if isScrubRequested { return try Digest(readingFromDisk: file, size: size) { isClosing.isSet } }
        let before = share
        let (result, after) = IdleThread.run { () -> (Result<Digest, BlobStoreError>, BackgroundShare) in
            var (pause, share) = (Pause(), before)
            let result = Result { () throws(BlobStoreError) in
                try Digest(readingFromDisk: file, size: size) {
                    guard !isScrubRequested else { return isClosing.isSet }
                    pause.take(until: isClosing)
                    return !activity.awaitTurn(&share, until: isClosing)
                }
            }
            return (result, share)
        }
        share = after
        return try result.get()
    }

    /// The errors that mean lost bytes: EIO, and EBADMSG and EUCLEAN (117) of filesystems with checksums.
    private static let errorsOfDisks: [Errno] = [.ioError, .badMessage, Errno(rawValue: 117)]

    /// Records the result of a verification, and reports it if it is new.
    func note(_ finding: Finding, of blob: BlobID, _ digest: Digest, size: Int64) throws(LibraryError) {
        switch finding {
        case .postponed: return
        case .sound:
            guard try read({ try $0.damage(of: blob) }) != nil else { return }
            blobs.mark(digest, isDamaged: false)
            try noteHealing(of: digest)
        case .damaged:
            // Read once more, because the memory that the bytes came through may have been at fault.
            var share = BackgroundShare()
            guard case .damaged(let reason, let file) = inspect(digest, size: size, &share) else { return }
            // From here on no upload can repair the blob; one may have done so before.
            guard blobPins.claimForDeletion([digest]) == [digest] else { return }
            defer { blobPins.releaseClaim(of: [digest]) }
            let present = try? contents.open(digest, size: size, evenIfDamaged: true)
            if let present, (try? file?.isSame(as: present)) != true { return }
            try noteDamage(of: blob, digest, reason)
        }
    }

    /// Records that a blob is corrupt, quarantines it, and logs it.
    private func noteDamage(of blob: BlobID, _ digest: Digest, _ reason: String) throws(LibraryError) {
        let isNews = try write { records in
            // An unused blob may have been removed by now.
            guard try records.blob(digest) == blob, try records.damage(of: blob) != reason else { return false }
            try records.setDamage(of: blob, to: reason, at: .now)
            try append(.damaged, of: blob, digest, reason, records)
            return true
        }
        guard isNews else { return }
        blobs.mark(digest, isDamaged: true)
        log.error("Blob \(digest) is damaged: \(reason)")
    }

    /// Records that a blob is intact again, or is in the library's own folder because its store is not there.
    func noteHealing(of digest: Digest) throws(LibraryError) {
        let isNew = try write { records in
            guard let blob = try records.blob(digest) else { return false }
            if blobs.holds(digest, in: 0) { try records.setStore(of: blob, to: 0) }
            if blobs.hasAlternates { try records.queueMove(of: blob, at: .now) }
            guard try records.damage(of: blob) != nil else { return false }
            try records.deleteDamage(of: blob)
            try append(.healed, of: blob, digest, nil, records)
            return true
        }
        if isNew { log.notice("Blob \(digest) is what it was again.") }
    }

    /// Appends an event for each asset of which a present or former version has a blob.
    private func append(
        _ event: Event,
        of blob: BlobID,
        _ digest: Digest,
        _ reason: String?,
        _ records: Records
    ) throws {
        for use in try records.uses(of: blob, limit: Self.shownLimit) {
            try records.append(event, of: use.asset, at: pathOrFormer(of: use.asset, records)) { line in
                line.add("sha256", digest.description)
                if use.isFormer { line.add("version", use.version) }
                line.add("reason", reason)
            }
        }
    }

    private func pathOrFormer(of asset: AssetID, _ records: Records) throws -> String? {
        try rulebook.path(of: asset, records) ?? records.trashed(asset)?.path
    }

    // MARK: Reports

    /// How many files a report names.
    private static let shownLimit = 1000

    /// Whether a user has requested the pass under way or the next one.
    var isScrubRequested: Bool { scrub.state.withLock { $0.isRequested || $0.isHurried } }

    /// Returns the state of the pass under way or the last one, with the corrupt files: a JSON object on one
    /// line.
    func scrubJob() throws(LibraryError) -> [UInt8] {
        let (record, isRequested) = scrub.state.withLock { ($0.record, $0.isRequested) }
        return try read { records in
            let count = try records.damageCount()
            var job = JSONObject()
            job.add("token", Work.scrub.rawValue)
            job.add("kind", "scrub")
            job.add(
                "status",
                isRequested ? "waiting" : record.began != nil ? "progress" : count > 0 ? "error" : "success"
            )
            if count > 0 { job.add("error", "\(count.counted("content is", "contents are")) damaged.") }
            job.add("began", record.began?.description)
            job.add("finished", record.finished?.description)
            if record.began != nil {
                job.add("percent", record.position.rawValue * 100 / max(1, record.last.rawValue))
            }
            job.add("contents", record.contents)
            job.add("bytes", record.bytes)
            job.add("skipped", record.skipped)
            job.add("damaged", count)
            var files: [JSONObject] = []
            for damage in try records.damage(limit: Self.shownLimit) where files.count < Self.shownLimit {
                for use in try records.uses(of: damage.blob, limit: Self.shownLimit - files.count) {
                    var file = JSONObject()
                    file.add("asset", use.asset.rawValue)
                    file.add("path", try pathOrFormer(of: use.asset, records))
                    if use.isFormer { file.add("version", use.version) }
                    file.add("sha256", damage.digest?.description)
                    file.add("reason", damage.reason)
                    file.add("found", damage.found.description)
                    files.append(file)
                }
            }
            job.add("damaged_files", files)
            return job.bytes + [0x0A]
        }
    }
}

/// The state of scrubbing.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Scrub: Sendable {
    struct State {
        /// The progress, ahead of the recorded one.
        var record = ScrubRecord()
        /// Whether a pass is requested that has not begun yet.
        var isRequested = false
        /// Whether the pass under way was requested by a user, and so runs at full speed.
        var isHurried = false
    }

    let state = RankedMutex(.leaf, State())
    let worker = BackgroundWorker()
    /// The time from the end of one pass to the beginning of the next; nil where passes run only on request.
    let period: Period?

    init(every period: Period?) { self.period = period }
}

/// A throttle that leaves nine tenths of a disk's time to other readers.
struct Pause {
    private var last = ContinuousClock.now

    /// Waits nine times as long as the work since the last wait took, a second at most.
    mutating func take(until flag: CancellationFlag) {
        let end = ContinuousClock.now + min(.seconds(1), last.duration(to: .now) * 9)
        while .now < end, !flag.isSet { _ = usleep(10_000) }
        last = .now
    }
}
