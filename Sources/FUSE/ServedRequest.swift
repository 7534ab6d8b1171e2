internal import CFuse
public import SystemPackage

/// A request of the kernel that was answered.
public struct ServedRequest: Sendable {
    /// The operation, by libfuse's name.
    public let operation: StaticString
    /// The file or folder of the request; of an operation on a name, the folder.
    public let node: InodeNumber
    /// The user of the calling process.
    public let uid: UInt32
    /// The calling thread; 0 for requests of the kernel itself.
    public let pid: Int32
    /// The error of the answer; nil for success.
    public let errno: Errno?
    /// Whether the kernel took the answer: it does not where the caller has ended meanwhile.
    public let isTaken: Bool
    /// The time between the first attempt and the answer.
    public let duration: Duration
}

/// A request that is being served, and will be reported to the session's observer.
struct Observation: Sendable {
    private let observer: @Sendable (ServedRequest) -> Void
    private let operation: StaticString
    private let node: InodeNumber
    private let caller: (uid: UInt32, pid: Int32)
    private let began: ContinuousClock.Instant

    /// Begins to observe a request on the thread that has read it; nil without an observer.
    init?(
        _ request: fuse_req_t?,
        _ operation: StaticString,
        for observer: (@Sendable (ServedRequest) -> Void)?
    ) {
        guard let observer, let caller = unsafe request.flatMap({ unsafe Caller(of: $0) }) else { return nil }
        self.observer = observer
        self.operation = operation
        node = InodeNumber(rawValue: cfuse_served_node())
        self.caller = (caller.uid, caller.pid)
        began = .now
    }

    /// Reports the answer.
    func end(_ errno: Errno? = nil, isTaken: Bool = true) {
        observer(
            ServedRequest(
                operation: operation,
                node: node,
                uid: caller.uid,
                pid: caller.pid,
                errno: errno,
                isTaken: isTaken,
                duration: began.duration(to: .now)
            )
        )
    }
}
