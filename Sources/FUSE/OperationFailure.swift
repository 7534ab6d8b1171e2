public import SystemPackage

/// A refusal: what the caller sees as errno, and why, for the log.
public struct OperationFailure: Error, Sendable {
    /// What the system call fails with.
    public let errno: Errno
    /// The whole sentence, where errno does not say it all.
    public let cause: String?
    /// Where the operation is only to be tried again later, has a function of that user called then, once, on any thread; `errno` is for
    /// a caller that does not wait.
    public let awaiting: (@Sendable (_ uid: UInt32, @escaping @Sendable () -> Void) -> Void)?

    /// Describes a refusal.
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
