import AssetModel
import Catalog
import Foundation
import Glibc
@testable import LibraryRules
@testable import LibraryStorage
import Synchronization
import TestSupport
import Testing

@testable import AssetLibrary

/// A library may have very many files with one content; a commit reads them page by page.
@Suite(.serialized)
struct EqualFilesTests {
    /// Counts the library's reads of the clock, one for each equal file that can expire; at the tenth of them
    /// another thread reads from the catalog.
    private final class Watch: Sendable {
        private let state = Mutex<(isCounting: Bool, looked: Int, lookedBefore: Int?)>((false, 0, nil))
        let library = Mutex<AssetLibrary?>(nil)
        private let isRead = DispatchSemaphore(value: 0)

        func begin() { state.withLock { $0.isCounting = true } }

        func look() -> Timestamp {
            let isTenth = state.withLock { state in
                guard state.isCounting else { return false }
                state.looked += 1
                return state.looked == 10
            }
            if isTenth, let library = library.withLock({ $0 }) { readBeside(library) }
            return .now
        }

        /// Starts a thread that reads from the catalog, and returns when it waits for the catalog.
        private func readBeside(_ library: AssetLibrary) {
            let isThere = DispatchSemaphore(value: 0)
            let task = Mutex("")
            Thread.detachNewThread { [self] in
                task.withLock {
                    $0 = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")) ?? ""
                }
                isThere.signal()
                _ = try? library.read { _ in state.withLock { $0.lookedBefore = $0.looked } }
                isRead.signal()
            }
            isThere.wait()
            let path = "/proc/" + task.withLock { $0 } + "/stat"
            var asleep = 0
            while asleep < 5 {
                let line = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ") S"
                asleep = line.contains(") S") ? asleep + 1 : 0
                usleep(2000)
            }
        }

        /// Returns the number of files that the library had read when the other thread got the catalog, and
        /// the total.
        func end() -> (before: Int, all: Int) {
            isRead.wait()
            return state.withLock { ($0.lookedBefore ?? 0, $0.looked) }
        }
    }

    private func folder(_ name: String, in library: AssetLibrary) throws -> NodeID {
        let record = NodeRecord(mode: 0o040755, uid: 7, gid: 8, now: .now)
        return try library.make(try EntryName(name), in: .folders, record, umask: 0, by: Uploader(uid: 7, gid: 8)).id
    }

    private func say(_ key: String, _ value: String, on folder: NodeID, of library: AssetLibrary) throws {
        try library.setExtendedAttribute(Array("user.policy.\(key)".utf8), of: folder, to: Array(value.utf8))
    }

    private func upload(_ name: String, in folder: NodeID, of library: AssetLibrary) throws -> NodeID {
        let (record, node) = try library.makeFile(
            try EntryName(name),
            in: folder,
            mode: 0o644,
            by: Uploader(uid: 7, gid: 8)
        )
        try library.put("equal", in: node)
        defer { library.close(node, wasWriting: true) }
        try library.flush(node)
        return record.id
    }

    @Test(arguments: [false, true])
    func `others use the catalog while a verdict looks at equal files that do not count`(isMoved: Bool) throws {
        let watch = Watch()
        try withLibrary(time: { watch.look() }) { library, _ in
            let (temporary, shown) = (try folder("temporary", in: library), try folder("shown", in: library))
            // A file that is uploaded to stay must not become an asset that expires.
            try say("store", "0", on: temporary, of: library)
            for number in 0..<600 { _ = try upload("\(number).txt", in: temporary, of: library) }
            let last = try upload("last.txt", in: shown, of: library)
            try say("duplicates", "RETURN_EXISTING", on: shown, of: library)
            try say("scope", "ENTIRE_PORTAL", on: shown, of: library)
            if isMoved { _ = try upload("new.part", in: shown, of: library) }
            watch.library.withLock { $0 = library }
            watch.begin()
            if isMoved {
                _ = try library.move(
                    try EntryName("new.part"),
                    in: shown,
                    to: try EntryName("new.txt"),
                    in: shown,
                    .replace,
                    by: Uploader(uid: 7, gid: 8)
                )
            } else {
                _ = try upload("new.txt", in: shown, of: library)
            }
            let looked = watch.end()
            watch.library.withLock { $0 = nil }
            #expect(looked.all >= 600)
            #expect(looked.before <= 300, "\(looked)")
            // The matching file comes after the expiring ones.
            let assets = try library.read { records in
                let new = try records.node(named: EntryName("new.txt"), in: shown)
                return (try records.node(last)?.asset, new?.asset)
            }
            #expect(assets.0 != nil && assets.0 == assets.1)
        }
    }

    @Test func `a duplicate is refused behind many that are in another folder, or are the same asset's`() throws {
        try withLibrary { library, _ in
            let (other, shown) = (try folder("other", in: library), try folder("shown", in: library))
            try say("duplicates", "RETURN_EXISTING", on: other, of: library)
            // All of these files show one asset.
            for number in 0..<600 { _ = try upload("\(number).txt", in: other, of: library) }
            _ = try upload("first.txt", in: shown, of: library)
            try say("duplicates", "REJECT", on: shown, of: library)
            for scope in ["EXACT_FOLDER", "SUBTREE"] {
                try say("scope", scope, on: shown, of: library)
                #expect(throws: LibraryError.self) { _ = try upload("second.txt", in: shown, of: library) }
            }
            _ = try library.remove(try EntryName("first.txt"), in: shown)
            _ = try upload("third.txt", in: shown, of: library)
        }
    }
}
