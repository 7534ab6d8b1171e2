public import AssetModel
internal import Synchronization

/// The clock for expiry: the machine's, except that it never goes back, so that setting the clock back
/// restores no expired file.
///
/// ## Concurrency
/// `last` is held for a moment only.
public final class ExpiryClock: Sendable {
    private let time: @Sendable () -> Timestamp
    private let last: RankedMutex<(time: Timestamp, instant: ContinuousClock.Instant)>

    init(_ time: @escaping @Sendable () -> Timestamp) {
        self.time = time
        last = RankedMutex(.leaf, (time(), .now))
    }

    /// The present; after the clock was set back, the time that it would have shown otherwise.
    public var now: Timestamp {
        let (told, instant) = (time(), ContinuousClock.now)
        return last.withLock { last in
            let least = last.time.advanced(by: instant - last.instant)
            last = (max(told, least, last.time), instant)
            return last.time
        }
    }
}
