internal import Glibc
internal import Synchronization

/// Knows how busy a mount is, so that background work waits while users upload and read.
///
/// A mount is quiet when, for as long as `pause`, no upload has ended, and it was sent fewer than 10 requests a second that change or read
/// files, and fewer than 50 that look at names and attributes. So a program that asks for a file's state each second holds up nothing.
///
/// ## Concurrency
/// Requests are counted without a lock, by `noteUpload` and where `observe` says; `window` is held for a moment only.
public final class Activity: Sendable {
    /// How many requests there have been that change or read files, and how many that look at names and attributes.
    public typealias Counts = (uses: UInt, looks: UInt)

    private struct Window {
        var quietSince = ContinuousClock.now
        var counted = ContinuousClock.now
        var counts: Counts = (0, 0)
        var uploads: UInt = 0
    }

    /// How long a mount must be quiet before background work begins.
    private let pause: Duration
    /// How long background work waits for that before it takes its share of a busy mount's time.
    private let patience: Duration
    private let uploads = Atomic<UInt>(0)
    private let source = Hook<Void, Counts>()
    private let window = Mutex(Window())

    private static let mostUses: UInt = 10
    private static let mostLooks: UInt = 50
    /// How often a thread that waits looks again.
    private static let step: useconds_t = 50_000

    /// Calls a mount quiet after `pause`; a busy one's time is shared after `patience`.
    public init(pause: Duration = .seconds(1), patience: Duration = .seconds(10)) {
        (self.pause, self.patience) = (pause, patience)
    }

    /// Has requests counted besides uploads; `counts` returns how many there have been.
    public func observe(_ counts: @escaping @Sendable () -> Counts) { source.set(counts) }

    /// Counts an upload.
    func noteUpload() { uploads.wrappingAdd(1, ordering: .relaxed) }

    /// Whether the mount has been quiet for long enough.
    func isQuiet() -> Bool {
        let (counts, uploads) = (source() ?? (0, 0), uploads.load(ordering: .relaxed))
        let now = ContinuousClock.now
        return window.withLock { window in
            // Of many requests in a long time it is not known when they came: it may have been just now.
            let (uses, looks) = (counts.uses &- window.counts.uses, counts.looks &- window.counts.looks)
            if uploads != window.uploads || uses >= Self.mostUses || looks >= Self.mostLooks {
                window = Window(quietSince: now, counted: now, counts: counts, uploads: uploads)
            } else if window.counted.duration(to: now) >= .seconds(1) {
                (window.counted, window.counts) = (now, counts)
            }
            return window.quietSince.duration(to: now) >= pause
        }
    }

    /// Waits until background work may take its next step: when the mount is quiet, or after its share of the time of a busy one.
    /// - Returns: false where `flag` is set, so that nothing more is to be done.
    func awaitTurn(_ share: inout BackgroundShare, until flag: Flag) -> Bool {
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

/// The part of a busy mount's time that one kind of background work gets: a twentieth of a processor's.
struct BackgroundShare {
    private static let part = 20

    /// When the next step may begin though the mount is not quiet.
    private var next: ContinuousClock.Instant?
    private var began: ContinuousClock.Instant?

    func isDue(at time: ContinuousClock.Instant) -> Bool { next.map { $0 <= time } ?? false }

    mutating func beginStep(at time: ContinuousClock.Instant) { began = time }

    /// Notes that a step has ended, or that there was none yet: then the first comes after `patience`.
    mutating func endStep(at time: ContinuousClock.Instant, _ patience: Duration) {
        if let start = began.take() {
            next = time + start.duration(to: time) * (Self.part - 1)
        } else if next == nil {
            next = time + patience
        }
    }
}
