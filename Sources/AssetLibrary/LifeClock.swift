internal import AssetModel
internal import Synchronization

/// The time by which lives are counted: the machine's, except that it never goes back, so that setting the clock brings nothing back.
///
/// ## Concurrency
/// `last` is held for a moment only.
final class LifeClock: Sendable {
    private let time: @Sendable () -> Timestamp
    private let last: Mutex<(time: Timestamp, instant: ContinuousClock.Instant)>

    init(_ time: @escaping @Sendable () -> Timestamp) {
        self.time = time
        last = Mutex((time(), .now))
    }

    /// The present; after the clock was set back, what it would have been.
    var now: Timestamp {
        let (told, instant) = (time(), ContinuousClock.now)
        return last.withLock { last in
            let least = last.time.advanced(by: instant - last.instant)
            last = (max(told, least, last.time), instant)
            return last.time
        }
    }
}
