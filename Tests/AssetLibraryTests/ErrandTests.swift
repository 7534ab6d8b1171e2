import Foundation
@testable import LibraryStorage
import Synchronization
import Testing

@testable import AssetLibrary

struct ErrandTests {
    @Test(.timeLimit(.minutes(1)))
    func `users have their errands done in turn, and none has all threads`() {
        let errands = SlowRequestQueue(threads: 2)
        let (gate, isDone) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let done = Mutex<[UInt32]>([])
        // All are queued before a thread begins, so that their order is fixed.
        for uid in [1, 1, 1, 1] as [UInt32] {
            _ = errands.run(for: uid) {
                gate.wait()
                done.withLock { $0.append(uid) }
                isDone.signal()
            }
        }
        errands.start()
        // The first errand of user 1 holds one of two threads; the others of user 1 wait for it.
        for uid in [2, 2, 3] as [UInt32] {
            _ = errands.run(for: uid) {
                done.withLock { $0.append(uid) }
                isDone.signal()
            }
        }
        for _ in 0..<3 { isDone.wait() }
        #expect(done.withLock { $0.sorted() } == [2, 2, 3])
        for _ in 0..<4 { gate.signal() }
        for _ in 0..<4 { isDone.wait() }
        #expect(done.withLock { $0.count } == 7)
        errands.stop()
    }
}
