import FUSE
internal import LibraryStorage
import Logging

/// The debug lines about requests of the kernel.
enum RequestLog {
    /// Returns the function that logs each answered request; nil where these lines are not written.
    static func observer(_ log: Logger) -> (@Sendable (ServedRequest) -> Void)? {
        let log = log.of(.fuse)
        guard log.isDebugging else { return nil }
        return { request in
            let answer = request.errno.map { "\($0)" } ?? "done"
            log.debug(
                "\(request.operation) on node \(request.node.rawValue) by user \(request.uid), process \(request.pid), in \(request.duration.shown): \(answer)\(request.isTaken ? "" : ", and the kernel did not take the answer")"
            )
        }
    }
}
