internal import AssetModel
internal import Catalog
internal import LibraryStorage

// Diagnosis for operators: counts of the library's work, and the names of the steps of background work.
extension AssetLibrary {
    /// The counts since the library was opened, and the present lengths of its queues, by name and in order.
    public var statistics: [(name: String, number: Int)] {
        let present = [
            "files.open": openNodes.withLock { $0.count }, "uploads.waiting": waiting.withLock { $0.count },
            "catalog.uncommitted": catalog.changeCount, "queues.attributes": errands.count,
            "queues.lists": longReads.count, "queues.resumptions": resumptions.count, "queues.scans": scans.count,
        ]
        return diagnosis.all.merging(present) { $1 }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Counts and logs a new file, whose upload begins.
    func noteMade(_ id: NodeID, as name: EntryName, in folder: NodeID, by uid: UInt32) {
        diagnosis.note(.begun, "node \(id): made as \(Shown.name(name.bytes)) in folder \(folder) by user \(uid)")
    }

    /// Logs the version that a file without an asset became by a final name.
    func notePublication(_ version: VersionID?, of id: NodeID) {
        if let version { diagnosis.note(nil, "node \(id): published as version \(version.rawValue) by its new name") }
    }

    /// Has a worker run a step of background work `delay` after each wake.
    func run(
        _ step: String,
        on worker: BackgroundWorker,
        delay: Duration = .zero,
        body: @escaping @Sendable (AssetLibrary) -> Void
    ) {
        runRepeating(step, on: worker, delay: delay) {
            body($0)
            return nil
        }
    }

    /// Has a worker run a step of background work `delay` after each wake, and again after the time that the
    /// step returns.
    func runRepeating(
        _ step: String,
        on worker: BackgroundWorker,
        delay: Duration = .zero,
        body: @escaping @Sendable (AssetLibrary) -> Duration?
    ) {
        worker.startRepeating(delay: delay) { [weak self] in
            guard let self else { return nil }
            return diagnosis.run(step) { body(self) }
        }
    }
}
