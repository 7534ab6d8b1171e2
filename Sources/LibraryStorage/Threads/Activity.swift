internal import AssetModel
internal import Glibc
internal import Synchronization

/// A measure of a mount's load, for background work that waits while users upload and read.
///
/// A mount is quiet if, for the time of `pause`, no upload has ended and it has received fewer than 10
/// requests a second that change or read files, and fewer than 50 that read names and attributes. So a
/// program that polls a file's attributes every second does not hold up background work.
///
/// ## Concurrency
/// Requests are counted without a lock, by `noteUpload` and by the source that `observe` sets; `window` is
/// held briefly.
public final class Activity: Sendable {
    /// The number of requests that changed or read files, and of those that read names and attributes.
    public typealias Counts = (uses: UInt, looks: UInt)

    private struct Window {
        var quietSince = ContinuousClock.now
        var counted = ContinuousClock.now
        var counts: Counts = (0, 0)
        var uploads: UInt = 0
    }

    /// How long a mount must be quiet before background work begins.
    private let pause: Duration
    /// How long background work waits for a quiet mount before it takes its share of a busy mount's time.
    private let patience: Duration
    private let uploads = Atomic<UInt>(0)
    private let source = Hook<Void, Counts>()
    private let window = RankedMutex(.leaf, Window())

    private static let mostUses: UInt = 10
    private static let mostLooks: UInt = 50
    /// The interval at which a waiting thread checks again, in microseconds.
    private static let step: useconds_t = 50_000

    /// Creates a measure that calls a mount quiet after `pause`, and shares a busy mount's time after
    /// `patience`.
    public init(pause: Duration = .seconds(1), patience: Duration = .seconds(10)) {
        (self.pause, self.patience) = (pause, patience)
    }

    /// Counts requests besides uploads; `counts` returns their numbers so far.
    public func observe(_ counts: @escaping @Sendable () -> Counts) { source.set(counts) }

    /// Counts an upload.
    public func noteUpload() { uploads.wrappingAdd(1, ordering: .relaxed) }

    /// Returns whether the mount has been quiet for long enough.
    func isQuiet() -> Bool {
        let (counts, uploads) = (source() ?? (0, 0), uploads.load(ordering: .relaxed))
        let now = ContinuousClock.now
        return window.withLock { window in
            // Only the total since the last look is known: all of these requests may have come just now.
            let (uses, looks) = (counts.uses &- window.counts.uses, counts.looks &- window.counts.looks)
            if uploads != window.uploads || uses >= Self.mostUses || looks >= Self.mostLooks {
                window = Window(quietSince: now, counted: now, counts: counts, uploads: uploads)
            } else if window.counted.duration(to: now) >= .seconds(1) {
                (window.counted, window.counts) = (now, counts)
            }
            return window.quietSince.duration(to: now) >= pause
        }
    }

    /// Waits until background work may take its next step: until the mount is quiet, or the work's share of a
    /// busy mount's time is due.
    /// - Returns: false once `flag` is set, so that the work must end.
    public func awaitTurn(_ share: inout BackgroundShare, until flag: CancellationFlag) -> Bool {
        share.endStep(at: .now, patience)
        while !flag.isSet {
            if isQuiet() || share.isDue(at: .now) {
                share.beginStep(at: .now)
                return true
            }
            _ = usleep(Self.step)
        }
        return false
    }
}

/// The share of a busy mount's time for one kind of background work: a twentieth of one processor's.
public struct BackgroundShare: Sendable {
    private static let part = 20

    /// The time at which the next step may begin although the mount is not quiet.
    private var next: ContinuousClock.Instant?
    private var began: ContinuousClock.Instant?

    /// Makes a share of which nothing is used.
    public init() {}

    /// Returns whether a step may begin at a time although the mount is not quiet.
    public func isDue(at time: ContinuousClock.Instant) -> Bool { next.map { $0 <= time } ?? false }

    mutating func beginStep(at time: ContinuousClock.Instant) { began = time }

    /// Notes the end of a step; before the first step, sets it due after `patience`.
    mutating func endStep(at time: ContinuousClock.Instant, _ patience: Duration) {
        if let start = began.take() {
            next = time + start.duration(to: time) * (Self.part - 1)
        } else if next == nil {
            next = time + patience
        }
    }
}
