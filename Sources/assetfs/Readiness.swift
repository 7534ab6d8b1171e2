import CLinux
import Foundation
internal import LibraryStorage
import Synchronization
import SystemPackage

/// Checks whether a new mount answers, from a process beside the one that serves it.
final class Readiness: Sendable {
    private enum State {
        case asking
        case ready
        case failed(String)
    }
    private let state = Mutex(State.asking)
    private let end = DispatchSemaphore(value: 0)

    /// Starts the check; `ready` is called on the thread when the mount has answered.
    init(of mountpoint: FilePath, _ ready: @escaping @Sendable () -> Void) {
        Thread.detachNewThread { [self] in
            // The kernel never answers this from its caches, and a daemon that failed in the INIT exchange
            // never answers it.
            let number = unsafe mountpoint.withC { unsafe linux_statfs_in_child($0) }
            let answered = number == 0
            let reason = Errno(rawValue: number).description
            if answered, MountPoint.mounts(on: mountpoint).last?.isOurs == true {
                ready()
                state.withLock { $0 = .ready }
            } else {
                let failure = answered ? "another mount lies on it, or it was unmounted at once" : reason
                state.withLock { $0 = .failed(failure) }
                // This ends the mount as a user's signal would.
                kill(getpid(), SIGTERM)
            }
            end.signal()
        }
    }

    /// Waits for the result after the session has ended.
    /// - Returns: why the mount was never ready; nil where it was.
    func failure() -> String? {
        end.wait()
        return state.withLock { if case .failed(let reason) = $0 { reason } else { nil } }
    }
}
