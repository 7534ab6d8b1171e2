internal import Synchronization

/// A condition that is false until it is set.
public final class CancellationFlag: Sendable {
    private let value = Atomic(false)

    /// Whether it has been set.
    public var isSet: Bool { value.load(ordering: .relaxed) }

    /// Sets it for good.
    public func set() { value.store(true, ordering: .relaxed) }
}
