internal import AssetModel
public import Logging

/// A part of a mount whose work `assetfs mount --debug` logs.
public enum DebugCategory: String, CaseIterable, Sendable {
    /// Each answered request of the kernel.
    case fuse
    /// The stages of each upload.
    case uploads
    /// Each commit of the catalog.
    case catalog
    /// The begin and the end of each step of background work.
    case background

    /// The key of a logger's metadata that names the category of its lines: a log handler decides by it
    /// whether debug lines are made.
    public static let key = "category"
}

extension Logger {
    /// Returns a logger for the lines of a category.
    public func of(_ category: DebugCategory) -> Logger {
        var logger = self
        logger[metadataKey: DebugCategory.key] = "\(category.rawValue)"
        return logger
    }

    /// Whether debug lines are written.
    public var isDebugging: Bool { logLevel <= .debug }
}

/// The counts of a mount's work, which `uploads/.stats` shows, and the debug lines about the same events.
///
/// Without `--debug` an event costs an addition in memory: no text is made and no clock is read.
///
/// ## Concurrency
/// `counts` is held for a moment only and takes no other lock.
public final class Diagnosis: Sendable {
    /// A kind of event that is counted; its raw value is the name of the count.
    public enum Event: String, CaseIterable, Sendable {
        /// A file is made, or opened for writing.
        case begun = "uploads.begun"
        /// The bytes of an upload are the file's content in the catalog.
        case committed = "uploads.committed"
        /// A policy has refused an upload or a name.
        case refused = "uploads.refused"
        /// The commit of an upload is deferred.
        case deferred = "uploads.deferred"
        /// A staged file has become a blob.
        case adopted = "blobs.adopted"
        /// The catalog has committed a transaction.
        case commits = "catalog.commits"
        /// An operation has changed the catalog, and its transaction is committed.
        case changes = "catalog.changes"
    }

    private let uploads, catalog, background: Logger
    private let counts = RankedMutex(
        .leaf,
        Dictionary(uniqueKeysWithValues: Event.allCases.map { ($0.rawValue, 0) })
    )

    init(_ log: Logger) {
        (uploads, catalog, background) = (log.of(.uploads), log.of(.catalog), log.of(.background))
    }

    /// Counts an event.
    public func count(_ event: Event) { add(1, to: event.rawValue) }

    /// Counts an event of an upload, if it is a counted one, and logs a line about it.
    public func note(_ event: Event?, _ line: @autoclosure () -> String) {
        if let event { count(event) }
        uploads.debug("\(line())")
    }

    /// Returns the time at which a commit begins; nil where no line needs it.
    func beginCommit() -> ContinuousClock.Instant? { catalog.isDebugging ? .now : nil }

    /// Counts and logs a commit of changes.
    func noteCommit(of changes: Int, since began: ContinuousClock.Instant?) {
        count(.commits)
        add(changes, to: Event.changes.rawValue)
        if let began { catalog.debug("committed changes: \(changes), in \(began.duration(to: .now).shown)") }
    }

    /// Runs a step of background work: counts it, and logs its begin and its end.
    public func run<Value>(_ step: String, _ body: () -> Value) -> Value {
        add(1, to: "background.\(step)")
        guard background.isDebugging else { return body() }
        let began = ContinuousClock.now
        background.debug("\(step) begins")
        defer { background.debug("\(step) ends after \(began.duration(to: .now).shown)") }
        return body()
    }

    private func add(_ number: Int, to name: String) { counts.withLock { $0[name, default: 0] += number } }

    /// The counts since the library was opened, by their names.
    public var all: [String: Int] { counts.withLock { $0 } }
}

extension Duration {
    /// The duration in milliseconds, to the microsecond: `0.042 ms`.
    public var shown: String {
        let microseconds = Int64(self / .microseconds(1))
        return "\(microseconds / 1000).\(String(1000 + microseconds % 1000).dropFirst()) ms"
    }
}
