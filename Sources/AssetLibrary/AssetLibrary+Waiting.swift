public import AssetModel
internal import BlobStore
internal import LibraryRules
internal import LibraryStorage
internal import Logging
internal import Synchronization
internal import SystemPackage

// Deferred commits. A program that restores or edits a large file may open, write and close it a thousand
// times; reading the whole file at each close, and copying it before the next write, would take hours. Such a
// commit runs when the file has been quiet for a moment, when a request needs it, and within a minute at the
// latest. A long one reads the file on its own thread without any lock; a change, the loss of its name, and
// the mount's end cancel it.
extension AssetLibrary {
    /// How long a file must not have been written to.
    private static let quiet = Duration.seconds(2)
    /// How long a commit is deferred at most for that.
    private static let patience = Duration.seconds(60)
    /// Up to so many bytes a commit reads on the thread of a request: some 5 ms.
    static let quickBytes: Int64 = 8 << 20
    /// Up to so many bytes of holes a request for an attribute waits for: less than a second.
    private static let askedBytes: Int64 = 1 << 30

    /// A deferred commit.
    struct Waiting {
        /// The time of the deferral.
        let since: ContinuousClock.Instant
        /// The user number of the last writer.
        let uid: UInt32
        /// Whether the close has been answered with success, so that no policy may refuse the upload any
        /// more.
        var isAnswered: Bool
        /// Whether a request waits for the commit.
        var isWanted = false
        /// Whether the commit asks the scanner, which may hang.
        var isScanned = false
        /// Whether a thread reads the file for the commit.
        var isRunning = false
        /// How often the commit has failed, and the last error.
        var failures = 0
        var error: LibraryError?
        /// The earliest time of the next attempt after a failure.
        var notBefore: ContinuousClock.Instant?
    }

    /// Defers the commit of a node, and keeps the node open until then.
    ///
    /// Called under the node's `upload`, so that no deferred commit is dropped while it is requested again.
    func postpone(_ node: OpenNode, isAnswered: Bool = true) {
        let isScanned = !isAnswered && rulebook.mayScan
        let isNew = waiting.withLock { waiting in
            guard waiting[node.id] == nil else {
                if isAnswered { waiting[node.id]?.isAnswered = true }
                if isScanned { waiting[node.id]?.isScanned = true }
                return false
            }
            waiting[node.id] = Waiting(since: .now, uid: node.writer.load(ordering: .relaxed), isAnswered: isAnswered)
            waiting[node.id]?.isScanned = isScanned
            return true
        }
        guard isNew else { return }
        diagnosis.note(.deferred, "node \(node.id): the commit is deferred")
        _ = retain(node.id)
        settler.wake()
    }

    /// Runs the deferred commits that are due, and wakes the threads for long ones.
    func settleWaiting() {
        do throws(LibraryError) {
            try giveUpPurged()
        } catch {
            log.error("Files that were removed before their verdict could not be looked at: \(error)")
        }
        for (id, node) in due() where !isLong(node) {
            guard claim(id) else { continue }
            settle(id, node)
        }
        verdictWaiters.giveUp(.now)
        if !due().isEmpty { for worker in longSettlers { worker.wake() } }
        if hasWaiting { settler.wake() }
    }

    /// Runs long commits in the order of `nextLong`; with `onlyForData`, not those of mostly sparse files.
    func settleLong(onlyForData: Bool) {
        while !isClosing.isSet {
            let long = due().filter {
                isLong($0.node) && (!onlyForData || !isMostlyHoles($0.node, besides: Self.askedBytes))
            }
            guard let (id, node) = nextLong(of: long) else { return }
            guard claim(id) else { continue }
            noteSettling(for: node)
            let isWanted = waiting.withLock { $0[id]?.isWanted ?? false }
            BackgroundThread.setPriority(isWanted ? 0 : 10)
            do throws(LibraryError) {
                guard try prepareVerdict(on: node, isWanted: isWanted) else {
                    // The file has changed meanwhile: it is read again when it is quiet.
                    waiting.withLock { waiting in
                        waiting[id]?.isRunning = false
                        waiting[id]?.notBefore = .now + Self.quiet
                    }
                    continue
                }
                settle(id, node)
            } catch {
                putOff(id, because: error)
            }
        }
    }

    /// Returns the deferred commits that are due and that no thread is running.
    private func due() -> [(id: NodeID, node: OpenNode)] {
        let now = ContinuousClock.now
        return waiting.withLock({ $0 }).compactMap { (id, entry) in
            guard !entry.isRunning, entry.notBefore.map({ $0 <= now }) ?? true, let node = openNode(id) else {
                return nil
            }
            let written = node.shown.withLock { $0.written }
            let isDue = entry.isWanted || now - entry.since > Self.patience
            return isDue || written.map({ now - $0 > Self.quiet }) ?? true ? (id, node) : nil
        }
    }

    /// Whether a request waits for another commit that no thread is running: then this reading gives way.
    private func isOtherWanted(than id: NodeID) -> Bool {
        waiting.withLock { waiting in
            !(waiting[id]?.isWanted ?? false)
                && waiting.contains { $1.isWanted && !$1.isRunning && $1.notBefore == nil }
        }
    }

    /// Whether the bytes written to a file are of no use, because it has lost its name.
    func isLost(_ node: OpenNode) -> Bool {
        node.isUnlinked.load(ordering: .relaxed) && !node.isKept.load(ordering: .relaxed)
    }

    func claim(_ id: NodeID) -> Bool {
        waiting.withLock { waiting in
            guard waiting[id]?.isRunning == false else { return false }
            waiting[id]?.isRunning = true
            return true
        }
    }

    /// Whether a commit has more to read than a request may wait for on its thread.
    func isLong(_ node: OpenNode) -> Bool {
        if waiting.withLock({ $0[node.id]?.isScanned ?? false }) { return true }
        // A held lock belongs to a writer, or to a commit under way: the caller asks again.
        return hasLongCommit(node) ?? true
    }

    /// Reads a file for its commit, without a lock.
    /// - Returns: false where the file has changed meanwhile, so that the result is useless.
    private func prepareVerdict(on node: OpenNode, isWanted: Bool) throws(LibraryError) -> Bool {
        let size = node.content.size
        let job = try node.upload.withLock {
            upload throws(LibraryError) -> (StagedFile, ChangeCount, Int, Bool, OpenNode.Aim?, UInt32)? in
            try noticeMappedChanges(&upload, of: node)
            guard upload.isDirty, let staged = upload.staged, size > 0 else { return nil }
            let changes = upload.digest.changes
            return (staged, changes, changes.value, upload.isBound, upload.aim, upload.uploader.uid)
        }
        guard let (staged, changes, count, isBound, aim, uid) = job else { return true }
        let viewers = [Screenings.Viewer.user(uid), .file(node.id)]
        let place =
            rulebook.mayScreen
            ? try read { try placeToScreen(node.id, aim, $0) }.flatMap { looksInto($0) ? $0 : nil } : nil
        let isCancelled = {
            self.isClosing.isSet || changes.value != count || self.isLost(node)
                || !isWanted && self.isOtherWanted(than: node.id)
        }
        do throws(BlobStoreError) {
            var (source, since): (StagedFile, Timestamp?) = (staged, nil)
            if isBound {
                try takeSpace(staged.file.measure().blocks * 512)
                (source, since) = try copyBoundFile(staged, size: size, isCancelled: isCancelled)
            }
            let digest = try Digest(reading: source.file, size: size, isCancelled: isCancelled)
            let findings = place.map { look(into: source.file, digest, at: $0, for: viewers) }
            return node.upload.withLock { upload in
                guard upload.digest.changes === changes, changes.value == count, upload.isBound == isBound else {
                    return false
                }
                if isBound { (upload.candidate, upload.unmappedSince) = ((source, count), since) }
                upload.digest.take(digest, size: size)
                if let findings { screenings.note(findings, of: digest, for: viewers) }
                return true
            }
        } catch {
            if case .io(.interrupted, _) = error {
                // A file that has lost its name needs no commit.
                return isLost(node)
            }
            throw LibraryError(error)
        }
    }

    /// Runs a deferred commit, on a thread that has claimed it.
    func settle(_ id: NodeID, _ node: OpenNode) {
        do throws(LibraryError) {
            try node.upload.withLock { upload throws(LibraryError) in
                do throws(LibraryError) {
                    try finish(&upload, of: node)
                } catch .refused {
                    // The refusal is in the log, and a writer that still waits gets it as its answer.
                } catch .notFound where upload.aim != nil {
                    noteNoPlace(&upload, of: node)
                }
                // Still under the lock, so that a later writer defers anew, and keeps the node open.
                waiting.withLock { _ = $0.removeValue(forKey: id) }
                if upload.writers == 0 { dropNameless(&upload, of: node) }
            }
            verdictWaiters.resume(id)
            release(node)
        } catch {
            putOff(id, because: error)
        }
    }

    /// Defers a commit that has failed, longer each time; the log has the first failure and then each tenth.
    private func putOff(_ id: NodeID, because error: LibraryError) {
        if case .pending = error {
            // The commit waits for that of the file that it replaces.
            return waiting.withLock { waiting in
                waiting[id]?.isRunning = false
                waiting[id]?.notBefore = .now + Self.quiet
            }
        }
        let failures = waiting.withLock { waiting -> Int in
            guard var entry = waiting[id] else { return 0 }
            entry.isRunning = false
            entry.failures += 1
            entry.error = error
            entry.notBefore = .now + min(.seconds(60), .seconds(1 << min(entry.failures, 6)))
            waiting[id] = entry
            return entry.failures
        }
        if failures % 10 == 1 { log.error("The upload to node \(id) could not be ended and is kept: \(error)") }
        verdictWaiters.resume(id)
    }

    /// Whether any commit is deferred.
    var hasWaiting: Bool { waiting.withLock { !$0.isEmpty } }

    /// Whether a file's commit is deferred.
    func isWaiting(_ id: NodeID) -> Bool { waiting.withLock { $0[id] != nil } }

    /// Whether a file has bytes of an earlier open that no version has yet, because their commit is deferred.
    public func mayLoseBytes(of id: NodeID) -> Bool {
        guard hasWaiting, isWaiting(id), let node = openNode(id) else { return false }
        return node.upload.withLockIfAvailable { $0.writers == 0 || $0.lastOpening != $0.openings } ?? true
    }

    /// Whether reading the holes of a file takes longer than reading its data and so many bytes.
    func isMostlyHoles(_ node: OpenNode, besides bytes: Int64) -> Bool {
        let (file, size) = node.content
        let data = (try? file?.measure().blocks).map { $0 * 512 } ?? size
        return size - min(data, size) > data + bytes
    }

    // MARK: Requests that wait

    /// Returns the error for a request that needs a long commit; the request is tried again after the commit.
    ///
    /// Must be called while the commit is deferred.
    func pending(_ id: NodeID) -> LibraryError {
        if isClosing.isSet { return .interrupted }
        let failure = waiting.withLock { waiting -> LibraryError? in
            waiting[id]?.isWanted = true
            return waiting[id]?.error
        }
        if let failure { return failure }
        for worker in longSettlers { worker.wake() }
        return .pending(
            PendingCommit { [self] uid, resume in
                let resume = resuming(for: uid, resume)
                if !whenSettled(id, giveUp: nil, resume) { resume() }
            }
        )
    }

    /// Whether a file has a long deferred commit, but not one of mostly holes; `isReady` is then called after
    /// it, or after `ExtractionQueue.patience`.
    public func awaitVerdict(
        for name: [UInt8],
        on id: NodeID,
        isReady: @escaping @Sendable () -> Void
    ) -> Bool {
        guard hasWaiting, case .computed = AttributeName(name), isWaiting(id), let node = openNode(id), isLong(node),
            !isMostlyHoles(node, besides: Self.askedBytes), !isClosing.isSet
        else { return false }
        waiting.withLock { $0[id]?.isWanted = true }
        for worker in longSettlers { worker.wake() }
        return whenSettled(id, giveUp: .now + ExtractionQueue.patience, isReady)
    }

    /// Registers `resume` to be called after a deferred commit.
    /// - Returns: false where no commit is deferred any more, and `resume` is not called.
    func whenSettled(
        _ id: NodeID,
        giveUp: ContinuousClock.Instant?,
        _ resume: @escaping @Sendable () -> Void
    ) -> Bool {
        let number = verdictWaiters.add(id, giveUp: giveUp, resume)
        // Checked again, because the commit may have ended before the waiter was added.
        guard !isWaiting(id) || isClosing.isSet else { return true }
        return !verdictWaiters.remove(number, of: id)
    }
}

/// The requests that wait for commits.
///
/// ## Concurrency
/// `state` is held for a moment only; a waiter is resumed without it.
final class VerdictWaiters: Sendable {
    private struct Waiter {
        let number: Int
        let giveUp: ContinuousClock.Instant?
        let resume: @Sendable () -> Void
    }

    private let state = RankedMutex<(last: Int, waiters: [NodeID: [Waiter]])>(.leaf, (0, [:]))

    func add(_ id: NodeID, giveUp: ContinuousClock.Instant?, _ resume: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.last += 1
            state.waiters[id, default: []].append(Waiter(number: state.last, giveUp: giveUp, resume: resume))
            return state.last
        }
    }

    /// Removes a waiter.
    /// - Returns: whether it was there, and is not resumed.
    func remove(_ number: Int, of id: NodeID) -> Bool {
        state.withLock { state in
            guard let index = state.waiters[id]?.firstIndex(where: { $0.number == number }) else { return false }
            state.waiters[id]?.remove(at: index)
            if state.waiters[id]?.isEmpty == true { state.waiters[id] = nil }
            return true
        }
    }

    func resume(_ id: NodeID) { run(state.withLock { $0.waiters.removeValue(forKey: id) } ?? []) }

    /// Resumes requests that have waited long enough.
    func giveUp(_ now: ContinuousClock.Instant) {
        run(
            state.withLock { state in
                var due: [Waiter] = []
                for (id, waiters) in state.waiters {
                    let left = waiters.filter { $0.giveUp.map { $0 > now } ?? true }
                    due += waiters.filter { $0.giveUp.map { $0 <= now } ?? false }
                    state.waiters[id] = left.isEmpty ? nil : left
                }
                return due
            }
        )
    }

    func resumeAll() {
        run(
            state.withLock { state in
                defer { state.waiters = [:] }
                return state.waiters.values.flatMap { $0 }
            }
        )
    }

    private func run(_ waiters: [Waiter]) {
        for waiter in waiters { waiter.resume() }
    }
}

extension OpenNode.Upload {
    /// From this size on a commit may be too expensive for a close.
    private static var costlySize: Int64 { 1 << 20 }

    /// Whether a commit would read the whole file, or lead to a copy of it before the next write.
    func isCostly(_ size: Int64) -> Bool {
        guard size > Self.costlySize else { return false }
        return isBound || staged != nil && (version != nil || !digest.isComplete(for: size))
    }

    /// Returns how many bytes a commit reads of a file of this size.
    func bytesToRead(_ size: Int64) -> Int64 { staged == nil || digest.isComplete(for: size) ? 0 : size }
}
