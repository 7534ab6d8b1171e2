internal import AssetModel
internal import BlobStore
internal import Catalog
internal import LibraryRules
internal import LibraryStorage
internal import MetadataExtraction
internal import Synchronization

/// Caches the types and scan results of files by digest, because a scan and a type check may take long.
///
/// A result for one user's file is valid for that user and that file alone: an immediate answer would tell
/// another user that the bytes are in the library.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Screenings: Sendable {
    /// The known results for a digest.
    struct Findings: Sendable {
        var type: Result<String, Examiner.Failure>?
        /// The virus name; nil for a clean file.
        var infection: Result<String?, MalwareScanner.Failure>?
    }

    /// The user or file that a result is valid for.
    enum Viewer: Hashable {
        case user(UInt32)
        case file(NodeID)
    }

    private struct Key: Hashable {
        let digest: Digest
        let viewer: Viewer
    }

    private struct State {
        var known: [Key: (findings: Findings, at: ContinuousClock.Instant)] = [:]
        /// Digests that a thread is examining for a user, independent of the end of the user's request.
        var asked: Set<Key> = []
        /// The time at which each user's last wait ended without a result.
        var disappointed: [UInt32: ContinuousClock.Instant] = [:]
    }

    /// The time for which a scanner's result is valid.
    private static let lifetime = Duration.seconds(3600)
    private static let failureLifetime = Duration.seconds(10)
    private static let limit = 8192
    private let state = RankedMutex(.leaf, State())

    /// Returns the known results of a digest for a user and a file.
    func findings(of digest: Digest, for viewers: [Viewer]) -> Findings {
        state.withLock { state in
            viewers.reduce(into: Findings()) { found, viewer in
                guard let known = state.known[Key(digest: digest, viewer: viewer)], .now - known.at < Self.lifetime
                else { return }
                // A scanner that did not answer may answer by now.
                let isFresh = .now - known.at <= Self.failureLifetime
                let (type, infection) = (known.findings.type, known.findings.infection)
                if isFresh || type?.isSuccess == true { found.type = found.type ?? type }
                if isFresh || infection?.isSuccess == true { found.infection = found.infection ?? infection }
            }
        }
    }

    /// Records results for a user and a file, and keeps the known ones that they do not replace.
    func note(_ findings: Findings, of digest: Digest, for viewers: [Viewer]) {
        state.withLock { state in
            if state.known.count >= Self.limit { state.known = [:] }
            for viewer in viewers {
                let key = Key(digest: digest, viewer: viewer)
                var known = state.known[key]?.findings ?? Findings()
                if let type = findings.type { known.type = type }
                if let infection = findings.infection { known.infection = infection }
                state.known[key] = (known, .now)
            }
        }
    }

    /// Notes that a thread examines a digest for a user.
    /// - Returns: false where a thread is examining it for the user already.
    func begin(_ digest: Digest, by uid: UInt32) -> Bool {
        state.withLock { $0.asked.insert(Key(digest: digest, viewer: .user(uid))).inserted }
    }

    func end(_ digest: Digest, by uid: UInt32) {
        state.withLock { _ = $0.asked.remove(Key(digest: digest, viewer: .user(uid))) }
    }

    /// Returns whether a user may wait for a moment: not within a second after a wait without a result.
    func mayWait(_ uid: UInt32) -> Bool {
        state.withLock { $0.disappointed[uid].map { .now - $0 > .seconds(1) } ?? true }
    }

    /// Notes that a user has waited without a result.
    func noteWait(_ uid: UInt32) {
        state.withLock { state in
            if state.disappointed.count >= Self.limit { state.disappointed = [:] }
            state.disappointed[uid] = .now
        }
    }
}

extension AssetLibrary {
    /// Returns whether a policy may need the type or a scan of a file that has this name, or gets another one
    /// in the folder.
    func looksInto(_ place: Place) -> Bool {
        let policy = place.rules.policy
        return policy.scan != .off || Self.needsType(policy)
    }

    private static func needsType(_ policy: Policy) -> Bool {
        policy.forbiddenTypes.needsContent || policy.allowedTypes?.needsContent == true
    }

    /// Returns the place whose policy decides about type and scan: that of the final name, or the folder of a
    /// temporary one, which may become final.
    func placeToScreen(_ id: NodeID, _ aim: OpenNode.Aim?, _ records: Records) throws -> Place? {
        if let place = try destination(of: id, aim, records) { return place.isFinal ? place : nil }
        guard aim == nil else { return nil }
        return try temporaryPlace(of: id, records)
    }

    /// Returns the temporary name of a file that has no other.
    func temporaryPlace(of id: NodeID, _ records: Records) throws -> Place? {
        guard let entry = try records.anyEntry(of: id) else { return nil }
        let place = try rulebook.place(entry.name, in: entry.parent, records)
        return place.rules.nameClass(of: place.name) == .temporary ? place : nil
    }

    /// Returns whether a file's commit needs its type or a scan.
    func isScreened(_ id: NodeID, _ aim: OpenNode.Aim?) -> Bool {
        guard rulebook.mayScreen else { return false }
        return (try? read { try placeToScreen(id, aim, $0).map(looksInto) }) ?? true
    }

    /// Determines the type of a file and scans it, as far as a folder's policy asks.
    func look(
        into file: OpenFile,
        _ digest: Digest,
        at place: Place,
        for viewers: [Screenings.Viewer]
    ) -> Screenings.Findings {
        let policy = place.rules.policy
        let known = screenings.findings(of: digest, for: viewers)
        var findings = Screenings.Findings()
        if Self.needsType(policy), known.type?.isSuccess != true {
            do throws(Examiner.Failure) {
                findings.type = .success(try typeDetector.type(of: file.descriptor))
            } catch {
                findings.type = .failure(error)
            }
        }
        if policy.scan != .off, known.infection?.isSuccess != true {
            do throws(MalwareScanner.Failure) {
                findings.infection = .success(try scanner.scan(file.descriptor))
            } catch {
                findings.infection = .failure(error)
            }
        }
        return findings
    }

    /// Examines a written file before its commit and without its lock: a write(2) would wait for that lock,
    /// and with it a rename(2), for which the kernel holds a lock that all users need.
    func screenAhead(_ node: OpenNode) throws(LibraryError) {
        guard rulebook.mayScreen else { return }
        let size = node.content.size
        let job = node.upload.withLock { upload -> (StagedFile, Digest, Place, ChangeCount, Int, UInt32)? in
            guard upload.isDirty, !upload.isOnlyTruncated, !upload.isBound, let staged = upload.staged, size > 0,
                upload.bytesToRead(size) <= Self.quickBytes, (try? staged.file.measure().size) == size,
                let found = try? read({ try placeToScreen(node.id, upload.aim, $0) }), looksInto(found),
                let digest = try? upload.digest.digest(of: staged.file, size: size)
            else { return nil }
            upload.digest.take(digest, size: size)
            let (changes, uid) = (upload.digest.changes, upload.uploader.uid)
            return (staged, digest, found, changes, changes.value, uid)
        }
        guard let (staged, digest, place, changes, count, uid) = job else { return }
        let viewers = [Screenings.Viewer.user(uid), .file(node.id)]
        let findings = look(into: staged.file, digest, at: place, for: viewers)
        node.upload.withLock { upload in
            // The examined bytes may have changed meanwhile.
            guard upload.digest.changes === changes, changes.value == count, !upload.isBound else { return }
            screenings.note(findings, of: digest, for: viewers)
        }
    }

    /// Refuses a name whose policy needs a type or scan that is not known yet, and starts the examination.
    ///
    /// The kernel holds a folder's lock meanwhile, so the request waits for a moment only.
    func refuseUnscreened(_ content: Content, of id: NodeID, at place: Place, by uid: UInt32) throws(LibraryError) {
        guard let digest = content.digest, content.size > 0, looksInto(place) else { return }
        let policy = place.rules.policy
        let viewers = [Screenings.Viewer.user(uid), .file(id)]
        func isKnown() -> Bool {
            let known = screenings.findings(of: digest, for: viewers)
            return (known.type != nil || !Self.needsType(policy)) && (known.infection != nil || policy.scan == .off)
        }
        if isKnown() { return }
        if isClosing.isSet { throw .interrupted }
        if screenings.begin(digest, by: uid) {
            let isBegun = scans.run(for: uid) { [self] in
                defer { screenings.end(digest, by: uid) }
                let found = try? contents.withBlob(digest, size: content.size) {
                    look(into: $0, digest, at: place, for: viewers)
                }
                guard let found else { return }
                screenings.note(found, of: digest, for: viewers)
            }
            if !isBegun { screenings.end(digest, by: uid) }
        }
        if screenings.mayWait(uid) {
            for _ in 0..<Self.moments {
                pauseForAMoment()
                if isKnown() { return }
            }
            screenings.noteWait(uid)
        }
        let error = LibraryError.occupied("The file is being looked into; try again in a while.")
        refusedAttributes.note(error, of: id, for: uid)
        throw error
    }
}

extension Result {
    fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
