import Glibc
import Testing

@testable import AssetLibrary

struct BackgroundThreadTests {
    @Test(.timeLimit(.minutes(1)))
    func `a thread that is woken far more often than it comes to run can be stopped`() {
        // While it is busy nobody empties its pipe, which has room for 65,536 messages.
        let thread = BackgroundThread(delay: .zero) {
            usleep(1_500_000)
            return nil
        }
        thread.wake()
        usleep(100_000)
        for _ in 0..<100_000 { thread.wake() }
        thread.stop()
    }
}
