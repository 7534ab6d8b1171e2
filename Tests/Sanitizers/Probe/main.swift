// Makes one error that a sanitizer must report, or one correct use that it must not report: `run.py` begins
// with each of them, built as the daemon is.
import Glibc
import ProbeInC

#if ASSETFS_PTHREAD_MUTEX
import PthreadMutex
#else
import Synchronization
#endif

/// Memory that two threads share.
@safe
private struct Shared: @unchecked Sendable {
    let numbers: UnsafeMutablePointer<Int>
}

private final class Locks: Sendable {
    let first = Mutex(0)
    let second = Mutex(0)
}

/// Runs `body` on a new thread, and returns the thread.
private func start(_ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(Start(body)).toOpaque()
    unsafe pthread_create(
        &thread,
        nil,
        { argument in
            if let argument = unsafe argument {
                unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
            }
            return nil
        },
        argument
    )
    return thread
}

private func onTwoThreads(_ body: @escaping @Sendable () -> Void) {
    for thread in [start(body), start(body)] { _ = pthread_join(thread, nil) }
}

private let shared = unsafe Shared(numbers: .allocate(capacity: 4))
unsafe shared.numbers.initialize(repeating: 0, count: 4)
private let locks = Locks()
switch CommandLine.arguments.dropFirst().first {
case "race": onTwoThreads { unsafe shared.numbers[0] += 1 }
case "race-in-c": probe_race()
case "inversion":
    _ = pthread_join(start { locks.first.withLock { _ in locks.second.withLock { $0 += 1 } } }, nil)
    _ = pthread_join(start { locks.second.withLock { _ in locks.first.withLock { $0 += 1 } } }, nil)
case "locked":
    onTwoThreads { locks.first.withLock { _ in unsafe shared.numbers[0] += 1 } }
case "overflow": unsafe print(shared.numbers[4])
case "overflow-in-c": print(probe_read_behind(4))
case "freed":
    unsafe shared.numbers.deallocate()
    unsafe print(shared.numbers[0])
case "inside": unsafe print(shared.numbers[3])
case "trap": unsafe print([shared.numbers[0]][4])
default: exit(64)
}
print("done")
