internal import CLinux
internal import Glibc
public import SystemPackage

/// Starts `assetfs-worker names`, which works in a mount with ordinary system calls until the socket is
/// closed.
///
/// The first message is the path of the mountpoint with a NUL at its end.
/// - Parameters:
/// - Parameters:
///  - device: The mount's device as MAJOR:MINOR; in any other mount it does nothing.
///  - socket: A SOCK_SEQPACKET socket for its requests, its only descriptor besides standard error.
/// - Returns: the number of its process; nil where assetfs-worker is not installed.
/// - Throws: the error of posix_spawn(3).
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
