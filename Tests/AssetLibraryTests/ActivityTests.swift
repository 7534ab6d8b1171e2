import AssetModel
import Catalog
import Foundation
@testable import LibraryStorage
import Synchronization
import TestSupport
import Testing

@testable import AssetLibrary

/// Background work defers to uploads and readers, and still makes progress.
@Suite struct ActivityTests {
    private static let never = Duration.seconds(1_000_000)

    private func state(of node: NodeID, in library: AssetLibrary) throws -> ExtractionState? {
        try library.read { records in try records.node(node)?.asset.flatMap { try records.extraction(of: $0) }?.state }
    }

    @Test func `a value that a request waits for is found out at once, and no other, though the mount is not quiet`()
        throws
    {
        try withLibrary(activity: Activity(pause: Self.never, patience: Self.never)) { library, _ in
            let (wanted, other) = (try library.upload("a.txt", "one"), try library.upload("b.txt", "two"))
            let isReady = DispatchSemaphore(value: 0)
            let isAwaited = library.awaitExtraction(for: Array("user.asset.mime_type".utf8), of: wanted.id, by: 7) {
                isReady.signal()
            }
            #expect(isAwaited)
            isReady.wait()
            #expect(try state(of: wanted.id, in: library) == .ready)
            #expect(try state(of: other.id, in: library) == .waiting)
        }
    }

    @Test func `contents that requests of one user wait for all come before others`() throws {
        try withLibrary(activity: Activity(pause: Self.never, patience: Self.never)) { library, _ in
            let files = try (0..<40).map { try library.upload("\($0).txt", "text \($0)") }
            let isReady = DispatchSemaphore(value: 0)
            for file in files {
                #expect(
                    library.awaitExtraction(for: Array("user.asset.mime_type".utf8), of: file.id, by: 7) {
                        isReady.signal()
                    }
                )
            }
            for _ in files { isReady.wait() }
            #expect(try files.allSatisfy { try state(of: $0.id, in: library) == .ready })
        }
    }

    @Test func `a mount can be asked whether it is quiet as often as one likes`() async {
        // Runs on a small stack, which calls would overflow if they became deeper with each round.
        await withCheckedContinuation { ended in
            let thread = Thread {
                let activity = Activity(pause: .zero)
                activity.observe { (1, 1) }
                for _ in 0..<20_000 { _ = activity.isQuiet() }
                ended.resume()
            }
            thread.stackSize = 256 << 10
            thread.start()
        }
    }

    @Test func `a mount that is never quiet gets its background work done`() throws {
        try withLibrary(activity: Activity(pause: Self.never, patience: .zero)) { library, _ in
            let file = try library.upload("a.txt", "one")
            while try state(of: file.id, in: library) != .ready { usleep(10_000) }
            while try library.read({ try !$0.blobsWithoutMD5(after: BlobID(rawValue: 0), limit: 1).isEmpty }) {
                usleep(10_000)
            }
            while try library.read({ try $0.firstSearchChange() }) != nil { usleep(10_000) }
        }
    }

    @Test func `many requests hold background work up, and few do not`() {
        let requests = Mutex<Activity.Counts>((0, 0))
        let activity = Activity(pause: .milliseconds(1), patience: Self.never)
        activity.observe { requests.withLock { $0 } }
        func isQuiet(after change: (inout Activity.Counts) -> Void) -> Bool {
            while !activity.isQuiet() { usleep(1000) }
            requests.withLock { change(&$0) }
            return activity.isQuiet()
        }
        #expect(
            isQuiet {
                $0.uses += 9; $0.looks += 49
            }
        )
        #expect(!isQuiet { $0.uses += 1000 })
        #expect(!isQuiet { $0.looks += 1000 })
        #expect(!isQuiet { _ in activity.noteUpload() })
        var share = BackgroundShare()
        let isOver = CancellationFlag()
        #expect(activity.awaitTurn(&share, until: isOver))
        isOver.set()
        #expect(!activity.awaitTurn(&share, until: isOver))
    }

    @Test func `a busy mount's share is a twentieth of the time`() {
        var share = BackgroundShare()
        let start = ContinuousClock.now
        share.endStep(at: start, .seconds(10))
        #expect(!share.isDue(at: start + .seconds(9)))
        #expect(share.isDue(at: start + .seconds(10)))
        share.beginStep(at: start + .seconds(10))
        share.endStep(at: start + .seconds(11), .seconds(10))
        #expect(!share.isDue(at: start + .seconds(29)))
        #expect(share.isDue(at: start + .seconds(30)))
        // Work that is due stays due until a step is taken.
        share.endStep(at: start + .seconds(31), .seconds(10))
        #expect(share.isDue(at: start + .seconds(31)))
    }

    @Test func `what is compared for the first time has been there for hours`() throws {
        let now = Mutex(Timestamp.now)
        try withLibrary(activity: Activity(pause: .zero), time: { now.withLock { $0 } }) { library, path in
            _ = try library.upload("a.txt", "one")
            let due = library.storage.directory.made.advanced(by: .seconds(6 * 3600))
            #expect(library.scrubDue() == due)
            #expect(due > Timestamp.now.advanced(by: .seconds(5 * 3600)))
            now.withLock { $0 = due }
            library.scrub.worker.wake()
            while library.scrub.state.withLock({ $0.record.finished }) == nil { usleep(10_000) }
            #expect(library.scrub.state.withLock { $0.record.contents } == 1)
        }
    }
}
