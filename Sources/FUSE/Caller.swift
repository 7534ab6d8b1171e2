/// The process that asks.
public struct Caller: Sendable {
    /// Its filesystem user id.
    public let uid: UInt32
    /// Its filesystem group id.
    public let gid: UInt32
    /// Its thread id; 0 when the kernel itself asks, as in RELEASE.
    public let pid: Int32

    /// Names a caller.
    public init(uid: UInt32, gid: UInt32, pid: Int32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
    }
}
