internal import AssetModel
internal import BlobStore
internal import Catalog
internal import Glibc
internal import LibraryRules
internal import LibraryStorage
internal import LibraryVerification
internal import Logging
internal import Synchronization
internal import SystemPackage

// Checks of a mounted library read a copy of its catalog: they see one moment, and block no request.
extension AssetLibrary {
    func startChecker() {
        runRepeating("verification", on: verification.worker) { library in
            if let isThorough = library.verification.takeRequest() { library.verifyNow(isThorough: isThorough) }
            return library.takeSnapshotWhenDue()
        }
        verification.worker.wake()
    }

    /// Requests a check of the library.
    func requestVerification(
        _ name: String,
        on id: NodeID,
        _ value: [UInt8],
        by uploader: Uploader
    ) throws(LibraryError) {
        let text = String(decoding: value, as: UTF8.self)
        guard ["1", "deep"].contains(text) else { throw .invalid("\(name) is 1 or deep, or nothing happens.") }
        try read { records in
            guard id == .folders, let node = try records.node(id) else {
                throw LibraryError.invalid("\(name) is for folders/, and has the library checked.")
            }
            try uploader.refuseUnlessOwner(of: node, name)
        }
        verification.state.withLock { $0.requested = text == "deep" || $0.requested == true }
        verification.worker.wake()
    }

    private func verifyNow(isThorough: Bool) {
        let folder = SnapshotFolder(of: path)
        let copy = "\(folder.path)/verify.sqlite"
        do throws(LibraryError) {
            unsafe _ = mkdir(folder.path, 0o700)
            try refuseWithoutRoom()
            try copyCatalog(to: copy) { !isClosing.isSet }
            defer { unsafe _ = unlink(copy) }
            let report = check(copy, isThorough: isThorough)
            guard report.isComplete || report.count > 0 else { return verification.end(with: nil, at: clock.now) }
            verification.end(with: report, at: clock.now)
            if report.count > 0 { log.error("\(report.count) faults were found; “assetfs verify” names them.") }
        } catch {
            var report = CheckReport()
            report.add("verify", "The library could not be checked: \(error)", advice: "Try again.")
            verification.end(with: report, at: clock.now)
        }
    }

    private func check(_ copy: String, isThorough: Bool) -> CheckReport {
        let verification = verification
        var check = LibraryCheck(isThorough: isThorough) { [isClosing] in isClosing.isSet }
        check.progress = { percent in verification.state.withLock { $0.percent = percent } }
        do throws(CatalogError) {
            let closed = try ClosedCatalog(path: copy)
            check.check(closed)
            let stored = StoredBlobs(at: [path] + storePaths)
            check.check(stored, of: closed) { digest, _ in
                (try? read { try $0.blob(digest) }) != nil
            } compare: { digest, size in
                compare(digest, size)
            }
            try closed.close()
        } catch {
            check.note(error)
        }
        check.checkFiles(of: path, isMounted: true)
        check.checkSnapshots(of: path)
        do throws(LibraryError) {
            try checkStaging(&check)
            try checkIndex(&check)
        } catch {
            if !isClosing.isSet { check.add("verify", "Not all could be looked at: \(error)", advice: "Try again.") }
        }
        return check.report
    }

    /// Verifies a blob on the disk; if the file is changed meanwhile, the file that has its name then is
    /// read.
    private func compare(_ digest: Digest, _ size: Int64) -> LibraryCheck.State {
        do throws(BlobStoreError) {
            for _ in 0..<3 {
                let file = try contents.open(digest, size: size, evenIfDamaged: true)
                let found = try Digest(readingFromDisk: file, size: size) { isClosing.isSet }
                guard try file.isSame(as: contents.open(digest, size: size, evenIfDamaged: true)) else { continue }
                return found == digest ? .whole : .faulty("Its bytes have the SHA-256 \(found).")
            }
            return .unknown
        } catch {
            if isClosing.isSet { return .unknown }
            if case .absent = error { return .unknown }
            return .faulty("Its file cannot be read: \(error)")
        }
    }

    /// Returns the state of the check under way, or of the last one; a JSON object on one line.
    func verificationJob() -> [UInt8] {
        verification.state.withLock { state in
            let status =
                state.requested != nil
                ? "waiting" : state.isRunning ? "progress" : state.report.count > 0 ? "error" : "success"
            return state.report.json(status: status) { object in
                object.add("finished", state.finished?.description)
                if state.isRunning { object.add("percent", state.percent) }
            }.bytes + [0x0A]
        }
    }
}

/// The state of the checks of a mounted library.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Verification: Sendable {
    struct State {
        /// Whether a requested check is to be thorough; nil where none is requested that has not begun yet.
        var requested: Bool?
        var isRunning = false
        var percent: Int64 = 0
        /// The findings of the last check.
        var report = CheckReport()
        var finished: Timestamp?
    }

    let state = RankedMutex(.leaf, State())
    let worker = BackgroundWorker()

    /// Whether a check is requested or running.
    var isUnderWay: Bool { state.withLock { $0.requested != nil || $0.isRunning } }

    /// Begins a requested check; returns whether it is to be thorough, and nil where none is requested.
    func takeRequest() -> Bool? {
        state.withLock { state in
            guard let request = state.requested else { return nil }
            (state.requested, state.isRunning, state.percent) = (nil, true, 0)
            return request
        }
    }

    /// Ends a check; one that the end of the mount has cut short has no report.
    func end(with report: CheckReport?, at time: Timestamp) {
        state.withLock { state in
            state.isRunning = false
            guard let report else { return }
            (state.report, state.finished) = (report, time)
        }
    }
}
