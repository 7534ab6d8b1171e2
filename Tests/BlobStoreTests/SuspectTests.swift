import AssetModel
import Foundation
import TestSupport
import Testing

@testable import BlobStore

/// Blobs whose sync has failed once: the kernel calls their pages clean, whether or not they are on the disk.
struct SuspectTests {
    private func adopt(_ text: String, into store: BlobStore) throws -> Digest {
        let staged = try store.stage()
        let bytes = Array(text.utf8)
        try unsafe bytes.withUnsafeBytes { try unsafe staged.write($0, at: 0) }
        let digest = try Digest(reading: staged.file, size: Int64(bytes.count))
        _ = try store.adopt(staged, as: digest, size: Int64(bytes.count)) { false }
        return digest
    }

    @Test func `a blob that has lost its bytes when a sync failed is not taken for durable`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let (kept, lost) = (try adopt("kept", into: store), try adopt("lost", into: store))
            store.suspect([kept, lost])
            // The state after the kernel could not write a page and has dropped it.
            try run("truncate", "-s", "0", "\(path)/blobs/\(BlobStore.path(of: lost))").check()
            try run("truncate", "-s", "4", "\(path)/blobs/\(BlobStore.path(of: lost))").check()
            #expect(try store.makeDurable() == [lost])
            #expect(store.isMarked(lost) && !store.isMarked(kept))
            // A lost blob is reported once, and new bytes repair it.
            #expect(try store.makeDurable() == [])
            #expect(try adopt("lost", into: store) == lost)
            #expect(try store.makeDurable() == [])
            #expect(!store.isMarked(lost))
        }
    }

    @Test func `a blob whose sync failed is written once more`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let digest = try adopt("hello", into: store)
            let file = "\(path)/blobs/\(BlobStore.path(of: digest))"
            try run("touch", "-d", "2001-01-01", file).check()
            store.suspect([digest])
            #expect(try store.makeDurable() == [])
            #expect(try run("stat", "-c", "%y", file).check().output.prefix(4) != "2001")
            #expect(try String(contentsOfFile: file, encoding: .utf8) == "hello")
        }
    }
}
