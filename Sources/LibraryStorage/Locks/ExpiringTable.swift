/// Values that expire some time after they were inserted; each insertion frees the memory of those that have
/// expired.
///
/// Of more than `limit` the oldest are removed first.
public struct ExpiringTable<Key: Hashable, Value> {
    private let window: Duration
    private let limit: Int
    private var values: [Key: (value: Value, deadline: ContinuousClock.Instant)] = [:]
    /// The keys in the order of insertion, from `oldest` on.
    ///
    /// A key whose value was replaced or removed has a deadline that is not the value's.
    private var order: [(key: Key, deadline: ContinuousClock.Instant)] = []
    private var oldest = 0

    /// Makes an empty table of values that expire after `window`; holds `limit` values at most.
    public init(window: Duration, limit: Int) {
        (self.window, self.limit) = (window, limit)
    }

    /// How many values take memory: those not expired, and those that have expired since the last insertion.
    public var count: Int { values.count }

    /// Returns a value that has not expired.
    public subscript(_ key: Key) -> Value? {
        values[key].flatMap { $0.deadline > .now ? $0.value : nil }
    }

    /// Returns the keys of the values for which `isWanted` is true.
    public func keys(where isWanted: (Value) -> Bool) -> [Key] { values.filter { isWanted($0.value.value) }.map(\.key) }

    /// Inserts a value for the window from now on, instead of the key's former one.
    public mutating func insert(_ value: Value, forKey key: Key, at now: ContinuousClock.Instant = .now) {
        prune(at: now)
        values[key] = (value, now + window)
        order.append((key, now + window))
    }

    /// Removes a value.
    /// - Returns: the value, also where it has expired.
    @discardableResult
    public mutating func removeValue(forKey key: Key) -> Value? { values.removeValue(forKey: key)?.value }

    private mutating func prune(at now: ContinuousClock.Instant) {
        while oldest < order.count, order[oldest].deadline <= now || order.count - oldest >= limit {
            let entry = order[oldest]
            if values[entry.key]?.deadline == entry.deadline { values[entry.key] = nil }
            oldest += 1
        }
        guard oldest > 0, oldest * 2 >= order.count else { return }
        order.removeFirst(oldest)
        oldest = 0
        // Both keep the capacity of their largest size.
        guard order.count * 8 < order.capacity else { return }
        order = order.map { $0 }
        values = Dictionary(uniqueKeysWithValues: values.map { ($0.key, $0.value) })
    }
}
