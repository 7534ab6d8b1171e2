internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemPackage

// Whether the contents are still what they were when they were stored: all are read and compared with their SHA-256, slowly, once in a
// while, or as fast as the disk gives them when somebody asks. What is damaged is never given out (EIO), and told of; the same content,
// uploaded again, heals it. Nothing is removed.
extension AssetLibrary {
    /// Between two records of how far it has come: a crash costs no more than to read that again.
    private static let recordingPause = Duration.seconds(10)
    /// How old a library must be before its first pass: what has just been written is what it was.
    private static let firstAge = Duration.seconds(6 * 3600)
    private static let batch = 64

    func startScrub() {
        scrub.worker.startRepeating(delay: .zero) { [weak self] in self?.scrubWhatIsDue() }
        scrub.worker.wake()
    }

    /// Contents that were found to be damaged are known from the start.
    func loadDamage() throws {
        let (state, damage) = try catalog.read { (try $0.scrub(), try $0.damage()) }
        scrub.state.withLock { $0.record = state }
        for record in damage { if let digest = record.digest { blobs.mark(digest, isDamaged: true) } }
    }

    /// Somebody wants all contents to be compared, now.
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

    /// Goes on with the pass under way, or begins one that is due.
    /// - Returns: when to look again, if nobody asks before.
    private func scrubWhatIsDue() -> Duration? {
        do throws(LibraryError) {
            while !isClosing.isSet {
                let (record, isRequested) = scrub.state.withLock { ($0.record, $0.isRequested) }
                let isUnderWay = record.began != nil
                if !isRequested, !isUnderWay {
                    guard let due = scrubDue() else { return nil }
                    // The machine's clock may be set meanwhile.
                    if due > clock.now { return .seconds(600) }
                }
                if isRequested || record.began == nil {
                    var new = ScrubRecord()
                    (new.began, new.finished) = (clock.now, record.finished)
                    // What comes while it goes on is left to the next, or it might never end.
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

    /// When the next pass is due if no user asks for one: some hours after the library was made, or a period after the last; nil for never.
    func scrubDue() -> Timestamp? {
        guard let period = scrub.period else { return nil }
        let finished = scrub.state.withLock { $0.record.finished }
        return finished.map { period.added(to: $0) } ?? layout.made.advanced(by: Self.firstAge)
    }

    private func setScrub(_ record: ScrubRecord, _ body: (inout Scrub.State) -> Void = { _ in }) throws(LibraryError) {
        try write { try $0.setScrub(record) }
        scrub.state.withLock { state in
            state.record = record
            body(&state)
        }
    }

    /// Until all contents have been read, the mount ends, or somebody asks for another pass.
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
                "\(record.contents) contents were compared with their SHA-256, \(record.skipped) could not be read now; \(count) are damaged."
            )
        }
    }

    // MARK: One content

    /// What a look at a content has shown.
    enum Finding {
        /// It is what it was.
        case sound
        /// It is not, and why; the file that was read, if there is one.
        case damaged(String, OpenFile?)
        /// It was changed, or could not be read to its end, because the mount ends.
        case postponed
    }

    /// Reads a content from the disk, past what the page cache has of it.
    func inspect(_ digest: Digest, size: Int64, _ share: inout BackgroundShare) -> Finding {
        func open() throws(BlobStoreError) -> OpenFile { try openBlob(digest, size: size, evenIfDamaged: true) }
        var read: OpenFile?
        do throws(BlobStoreError) {
            // A program may change the file that was opened; then another has its name, which is to be read.
            for _ in 0..<3 {
                let file = try open()
                read = file
                let found = try digestOnDisk(of: file, size: size, &share)
                guard try file.isSame(as: open()) else { continue }
                return found == digest ? .sound : .damaged("Its bytes have the SHA-256 \(found).", file)
            }
            return .postponed
        } catch {
            // A store whose disk has gone is not damaged.
            if isClosing.isSet || noticeVanishedStores() { return .postponed }
            switch error {
            case .missing: return .damaged("Its file is missing.", nil)
            case .damaged(_, let expected, let found):
                return .damaged("Its file has \(found) bytes instead of \(expected).", nil)
            case .io(let number, _) where Self.errorsOfDisks.contains(number):
                return .damaged("Its file cannot be read: \(number).", read)
            // Its store may be there another time, and what is scarce now may not be then.
            default: return .postponed
            }
        }
    }

    /// The SHA-256 of what the disk has of a file: at once where a user waits for it, else when the mount is quiet.
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

    /// What says that bytes are lost: EIO; EBADMSG and EUCLEAN of filesystems that know.
    private static let errorsOfDisks: [Errno] = [.ioError, .badMessage, Errno(rawValue: 117)]

    /// Records what was found, and tells of what is new.
    func note(_ finding: Finding, of blob: BlobID, _ digest: Digest, size: Int64) throws(LibraryError) {
        switch finding {
        case .postponed: return
        case .sound:
            guard try read({ try $0.damage(of: blob) }) != nil else { return }
            blobs.mark(digest, isDamaged: false)
            try noteHealing(of: digest)
        case .damaged:
            // Read once more, because the memory that it came through may have been at fault.
            var share = BackgroundShare()
            guard case .damaged(let reason, let file) = inspect(digest, size: size, &share) else { return }
            // No upload heals it from here on; one may have.
            guard collection.beginRemoval(of: [digest]) == [digest] else { return }
            defer { collection.endRemoval(of: [digest]) }
            let present = try? openBlob(digest, size: size, evenIfDamaged: true)
            if let present, (try? file?.isSame(as: present)) != true { return }
            try noteDamage(of: blob, digest, reason)
        }
    }

    /// A content is not what it was.
    private func noteDamage(of blob: BlobID, _ digest: Digest, _ reason: String) throws(LibraryError) {
        let isNews = try write { records in
            // What nobody uses any more may be gone by now.
            guard try records.blob(digest) == blob, try records.damage(of: blob) != reason else { return false }
            try records.setDamage(of: blob, to: reason, at: .now)
            try append(.damaged, of: blob, digest, reason, records)
            return true
        }
        guard isNews else { return }
        blobs.mark(digest, isDamaged: true)
        log.error("Blob \(digest) is damaged: \(reason)")
    }

    /// A content is what it was again, or is in the library's own folder because its store is not there.
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

    /// Tells of all assets that have a content, or had it.
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

    // MARK: What people see

    /// How many files are named.
    private static let shownLimit = 1000

    /// Whether somebody has asked for the pass under way.
    var isScrubRequested: Bool { scrub.state.withLock { $0.isRequested || $0.isHurried } }

    /// The state of the pass under way, or of the last, and which files are damaged; a JSON object on one line.
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
            if count > 0 { job.add("error", "\(count) contents are damaged.") }
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

/// The pass that compares contents with their SHA-256.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Scrub: Sendable {
    struct State {
        /// How far it is, ahead of what is recorded.
        var record = ScrubRecord()
        /// Whether somebody wants one that has not begun yet.
        var isRequested = false
        /// Whether somebody waits for the one under way.
        var isHurried = false
    }

    let state = Mutex(State())
    let worker = Worker()
    /// From the end of one to the beginning of the next; nil for only when somebody asks.
    let period: Period?

    init(every period: Period?) { self.period = period }
}

/// What leaves a disk to others: nine tenths of the time.
struct Pause {
    private var last = ContinuousClock.now

    /// Waits nine times as long as it took since the last, a second at most.
    mutating func take(until flag: Flag) {
        let end = ContinuousClock.now + min(.seconds(1), last.duration(to: .now) * 9)
        while .now < end, !flag.isSet { _ = usleep(10_000) }
        last = .now
    }
}
