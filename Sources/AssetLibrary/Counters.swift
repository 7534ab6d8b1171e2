public import AssetModel
internal import Catalog
internal import LibraryStorage
internal import Logging
internal import Synchronization

/// The counts of opens and reads of files: OpenAsset's clicks and downloads.
///
/// They are counted in memory, and recorded when that delays no request.
///
/// ## Concurrency
/// `state` is held for a moment only.
final class Counters: Sendable {
    /// The kind of an access: an open, a read of the whole file, or a read past the page cache, which drops
    /// the file's pages.
    enum Kind { case click, download, look }

    private struct Key: Hashable {
        let node: NodeID
        let uid: UInt32
        let kind: Kind
    }

    private struct State {
        /// The time of each user's last count: opening a file again and again counts once.
        var recent: [Key: ContinuousClock.Instant] = [:]
        var filtered = ContinuousClock.now
        var pending: [AssetID: (clicks: Int64, downloads: Int64)] = [:]
    }

    private let state = RankedMutex(.leaf, State())
    let worker = BackgroundWorker()
    /// How long further accesses of a user are not counted.
    private static let pause = Duration.seconds(60)
    private static let limit = 100_000

    /// Whether an access of a user would count.
    func isNew(_ kind: Kind, _ node: NodeID, _ uid: UInt32) -> Bool {
        let last = state.withLock { $0.recent[Key(node: node, uid: uid, kind: kind)] }
        return last.map { .now - $0 > Self.pause } ?? true
    }

    /// Counts a click or download, at most once a minute per user.
    func note(_ kind: Kind, _ node: NodeID, of asset: AssetID, _ uid: UInt32) {
        let now = ContinuousClock.now
        let isFirst = state.withLock { state in
            if state.recent.count >= Self.limit, now - state.filtered > .seconds(1) {
                state.recent = state.recent.filter { now - $0.value < Self.pause }
                state.filtered = now
            }
            // More accesses within a minute are not made by users.
            if state.recent.count >= Self.limit { return false }
            state.recent[Key(node: node, uid: uid, kind: kind)] = now
            if kind == .look { return false }
            var counts = state.pending[asset] ?? (0, 0)
            if kind == .click { counts.clicks += 1 } else { counts.downloads += 1 }
            state.pending[asset] = counts
            return state.pending.count == 1
        }
        if isFirst { worker.wake() }
    }

    /// Returns the counts of an asset that are not recorded yet.
    func pending(of asset: AssetID) -> (clicks: Int64, downloads: Int64) {
        state.withLock { $0.pending[asset] } ?? (0, 0)
    }

    /// Takes back counts that could not be recorded.
    func giveBack(_ counts: [AssetID: (clicks: Int64, downloads: Int64)]) {
        state.withLock { state in
            for (asset, count) in counts {
                let present = state.pending[asset] ?? (0, 0)
                state.pending[asset] = (present.clicks + count.clicks, present.downloads + count.downloads)
            }
        }
    }

    func take() -> [AssetID: (clicks: Int64, downloads: Int64)] {
        state.withLock { state in
            defer { state.pending = [:] }
            return state.pending
        }
    }
}

extension AssetLibrary {
    /// Programs that read all files without a user looking at them.
    private static let readers: Set<String> = [
        "rsync", "restic", "borg", "borgbackup", "rclone", "tar", "bsdtar", "cpio", "duplicity", "kopia", "duplicati",
        "bacula-fd",
        "bareos-fd", "dsmc", "unison", "updatedb", "clamscan", "clamd", "baloo_file", "baloo_file_extr",
        "tracker-miner-f", "tracker-extract",
        "localsearch-3",
    ]

    /// Notes that a user opens a file for reading; `program` returns the name of the user's program, if it is
    /// known.
    /// - Returns: whether reading the whole file counts, and whether the reads are to bypass the page cache
    ///   for that, once a minute.
    public func noteOpen(of id: NodeID, by uid: UInt32, program: () -> String?) -> (counts: Bool, isSeen: Bool) {
        let (isClick, mayDownload) = (counters.isNew(.click, id, uid), counters.isNew(.download, id, uid))
        guard isClick || mayDownload, program().map({ !Self.readers.contains($0) }) ?? true else {
            return (false, false)
        }
        if isClick { note(.click, of: id, by: uid) }
        let isSeen = mayDownload && counters.isNew(.look, id, uid)
        if isSeen { note(.look, of: id, by: uid) }
        return (mayDownload, isSeen)
    }

    /// Notes that a user has read a file from start to end.
    public func noteDownload(of id: NodeID, by uid: UInt32) {
        if counters.isNew(.download, id, uid) { note(.download, of: id, by: uid) }
    }

    private func note(_ kind: Counters.Kind, of id: NodeID, by uid: UInt32) {
        // Looked up now, because another file may show the asset before the count is recorded. After an error
        // it is not counted.
        guard let asset = try? read({ try $0.node(id)?.asset }) else { return }
        counters.note(kind, id, of: asset, uid)
    }

    /// Records the counts.
    func recordCounts() {
        let counts = counters.take()
        guard !counts.isEmpty else { return }
        do throws(LibraryError) {
            try write { records in
                for (asset, count) in counts where try records.asset(asset) != nil {
                    try records.addVisits(of: asset, clicks: count.clicks, downloads: count.downloads)
                }
            }
        } catch .noSpace {
            counters.giveBack(counts)
            if !isClosing.isSet { counters.worker.wake() }
        } catch {
            if !isClosing.isSet { log.error("Clicks and downloads could not be recorded: \(error)") }
        }
    }

    /// Returns how often the files of an asset were opened, and read.
    func visits(of asset: AssetID, _ records: Records) throws -> (clicks: Int64, downloads: Int64) {
        let (recorded, pending) = (try records.visits(of: asset), counters.pending(of: asset))
        return (recorded.clicks + pending.clicks, recorded.downloads + pending.downloads)
    }
}
