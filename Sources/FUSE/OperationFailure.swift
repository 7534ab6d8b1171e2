public import SystemPackage

/// A failed operation: its errno for the caller, and its cause for the log.
public struct OperationFailure: Error, Sendable {
    /// The errno of the system call.
    public let errno: Errno
    /// A whole sentence, if errno is not enough.
    public let cause: String?
    /// Set if the operation is only to be tried again later: calls a function of that user then, once, on any
    /// thread; `errno` is for a caller that does not wait.
    public let awaiting: (@Sendable (_ uid: UInt32, @escaping @Sendable () -> Void) -> Void)?

    /// Creates a failure.
    public init(
        _ errno: Errno,
        cause: String? = nil,
        awaiting: (@Sendable (_ uid: UInt32, @escaping @Sendable () -> Void) -> Void)? = nil
    ) {
        self.errno = errno
        self.cause = cause
        self.awaiting = awaiting
    }
}
