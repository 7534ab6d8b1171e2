/// A long commit that a request waits for.
public struct PendingCommit: Sendable {
    private let wait: @Sendable (UInt32, @escaping @Sendable () -> Void) -> Void

    /// Uses `wait`, which calls its second argument, once, when the request of the user that is its first
    /// argument is to be tried again.
    public init(_ wait: @escaping @Sendable (UInt32, @escaping @Sendable () -> Void) -> Void) { self.wait = wait }

    /// Calls `resume` once, on another thread, when the request of a user is to be tried again.
    public func whenDone(for uid: UInt32, _ resume: @escaping @Sendable () -> Void) { wait(uid, resume) }
}
