public import AssetModel
public import Synchronization

/// A lock with its place in the order of locks.
public struct RankedMutex<Value: ~Copyable>: ~Copyable, Sendable {
    @usableFromInline let rank: LockRank
    @usableFromInline let mutex: Mutex<Value>

    /// Makes a lock for a value.
    @inlinable
    public init(_ rank: LockRank = .leaf, _ value: consuming sending Value) {
        self.rank = rank
        mutex = Mutex(value)
    }

    /// Waits for the lock, and gives its value to `body`.
    @inlinable
    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        rank.enter()
        defer { rank.leave() }
        return try mutex.withLock(body)
    }

    /// Gives the lock's value to `body`, unless another thread holds it; returns nil then.
    @inlinable
    public borrowing func withLockIfAvailable<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result? {
        rank.enter(isTried: true)
        defer { rank.leave() }
        return try mutex.withLockIfAvailable(body)
    }
}
