import Dispatch
import Glibc
@testable import LibraryStorage
import Synchronization
import Testing

@testable import AssetLibrary

struct BackgroundThreadTests {
    @Test(.timeLimit(.minutes(1)))
    func `a thread that is woken far more often than it comes to run can be stopped`() {
        // While the thread is busy it does not read its pipe, which has room for 65,536 messages.
        let thread = BackgroundThread(delay: .zero) {
            usleep(1_500_000)
            return nil
        }
        thread.wake()
        usleep(100_000)
        for _ in 0..<100_000 { thread.wake() }
        thread.stop()
    }

    @Test(.timeLimit(.minutes(1)))
    func `wakes before a run begins make one run, and one after that another`() {
        let (began, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let runs = Atomic(0)
        let thread = BackgroundThread(delay: .milliseconds(200)) {
            runs.add(1, ordering: .relaxed)
            began.signal()
            mayEnd.wait()
            return nil
        }
        for _ in 0..<1000 { thread.wake() }
        began.wait()
        for _ in 0..<1000 { thread.wake() }
        mayEnd.signal()
        began.wait()
        mayEnd.signal()
        thread.stop()
        #expect(runs.load(ordering: .relaxed) == 2)
    }
}
