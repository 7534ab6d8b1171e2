internal import CLinux
internal import Glibc
public import SystemPackage

/// Starts `assetfs-worker names`, which works in a mount with ordinary system calls until the socket is closed.
///
/// The first message is the path of the mountpoint with a NUL at its end.
/// - Parameters:
///   - device: The mount's device as MAJOR:MINOR; on any other it touches nothing.
///   - socket: A SOCK_SEQPACKET socket that it serves, and its only descriptor but standard error.
/// - Returns: the number of its process; nil where assetfs-worker is not installed.
/// - Throws: what posix_spawn(3) returns.
public func startNamesWorker(
    device: String,
    socket: FileDescriptor
) throws(Errno) -> Int32? {
    guard let program = WorkerProcess.program else { return nil }
    return try spawn(
        program,
        [program, "names", device],
        environment: [],
        inOwnGroup: true,
        descriptors: [socket.rawValue, nil, nil]
    )
}
