public import SystemPackage

/// A refusal: what the caller sees as errno, and why, for the log.
public struct OperationFailure: Error, Sendable {
    /// What the system call fails with.
    public let errno: Errno
    /// The whole sentence, where errno does not say it all.
    public let cause: String?

    /// Describes a refusal.
    public init(_ errno: Errno, cause: String? = nil) {
        self.errno = errno
        self.cause = cause
    }
}
