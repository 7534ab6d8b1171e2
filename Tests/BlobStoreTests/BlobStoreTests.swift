import AssetModel
import BlobStore
import Foundation
import TestSupport
import Testing

struct BlobStoreTests {
    private func write(_ bytes: [UInt8], at offset: Int64 = 0, to staged: StagedFile) throws {
        try unsafe bytes.withUnsafeBytes { try unsafe staged.write($0, at: offset) }
    }

    private func digest(_ bytes: [UInt8]) throws -> Digest {
        try withScratch("digest") { path in
            _ = FileManager.default.createFile(atPath: path + "/f", contents: Data(bytes))
            let hex = try run("sha256sum", path + "/f").check().output.prefix(64)
            return try #require(
                Digest(stride(from: 0, to: 64, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) })
            )
        }
    }

    @Test func `adopts a staged file under its digest`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let staged = try store.stage()
            try write(Array("hello".utf8), to: staged)
            let digest = try Digest(reading: staged.file, size: 5)
            #expect(digest.description == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
            #expect(try store.adopt(staged, as: digest, size: 5) { false })
            try store.makeDurable()
            #expect(
                try String(contentsOfFile: "\(path)/blobs/\(BlobStore.path(of: digest))", encoding: .utf8) == "hello"
            )
            #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/staging").isEmpty)
        }
    }

    @Test func `a file that is no longer the blob is told from it`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let staged = try store.stage()
            try write(Array("hello".utf8), to: staged)
            let digest = try Digest(reading: staged.file, size: 5)
            #expect(try store.adopt(staged, as: digest, size: 5) { false })
            let reading = try store.open(digest, size: 5)
            #expect(try reading.isSame(as: try store.open(digest, size: 5)))
            let bound = try #require(try store.openForBinding(digest, as: reading))
            _ = try store.exchange(try store.stage(copyOf: reading, size: 5), with: digest, openAs: bound)
            #expect(try !reading.isSame(as: try store.open(digest, size: 5)))
        }
    }

    @Test func `an unknown file under the digest is believed only when its bytes are right`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let digest = try digest(Array("hello".utf8))
            let blob = "\(path)/blobs/\(BlobStore.path(of: digest))"
            try "wrong".write(toFile: blob, atomically: false, encoding: .utf8)
            let staged = try store.stage()
            try write(Array("hello".utf8), to: staged)
            #expect(try store.adopt(staged, as: digest, size: 5) { false })
            #expect(try String(contentsOfFile: blob, encoding: .utf8) == "hello")
            let again = try store.stage()
            try write(Array("hello".utf8), to: again)
            #expect(try !store.adopt(again, as: digest, size: 5) { false })
        }
    }

    @Test func `a known blob of another size is healed by the same content`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let digest = try digest(Array("hello".utf8))
            let blob = "\(path)/blobs/\(BlobStore.path(of: digest))"
            try "hel".write(toFile: blob, atomically: false, encoding: .utf8)
            #expect(throws: BlobStoreError.self) { try store.open(digest, size: 5) }
            let staged = try store.stage()
            try write(Array("hello".utf8), to: staged)
            #expect(try store.adopt(staged, as: digest, size: 5) { true })
            #expect(try store.open(digest, size: 5).measure().size == 5)
        }
    }

    @Test func `a staged file goes with its last reference, and a recorded one only after a commit`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            func names() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: path + "/staging").count }
            do { _ = try store.stage() }
            #expect(try names() == 0)
            do { try store.stage().keepName() }
            #expect(try names() == 1)
            #expect(throws: CancellationError.self) { try store.removingRetiredNames { throw CancellationError() } }
            #expect(try names() == 1)
            store.removingRetiredNames {}
            #expect(try names() == 0)
        }
    }

    @Test func `a copy keeps holes and stops at its size`() throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let source = try store.stage()
            try write([1, 2, 3], at: 0, to: source)
            try write([4, 5], at: 64 << 20, to: source)
            let copy = try store.stage(copyOf: source.file, size: (64 << 20) + 1)
            #expect(try copy.file.measure().size == (64 << 20) + 1)
            #expect(try copy.file.measure().blocks < 1000)
            #expect(
                try Digest(reading: copy.file, size: (64 << 20) + 1)
                    == Digest(reading: source.file, size: (64 << 20) + 1)
            )
        }
    }

    @Test(arguments: [0, 1, 2, 3]) func `the running digest is right in whatever order bytes come`(order: Int) throws {
        try withScratch { path in
            let store = try BlobStore(at: path)
            let staged = try store.stage()
            let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let parts = [0..<100_000, 100_000..<200_000, 200_000..<300_000]
            let orders = [[0, 1, 2], [2, 1, 0], [0, 2, 1], [0, 1, 1, 2]]
            var running = SequentialDigest()
            for part in orders[order] {
                let bytes = Array(content[parts[part]])
                try write(bytes, at: Int64(parts[part].lowerBound), to: staged)
                unsafe bytes.withUnsafeBytes { unsafe running.update($0, at: Int64(parts[part].lowerBound)) }
            }
            #expect(try running.digest(of: staged.file, size: 300_000) == digest(content))
        }
    }
}

struct MessageCodeTests {
    @Test func `is HMAC-SHA256, as Uploadcare signs uploads`() throws {
        let code = MessageCode.of("1678361640", key: Array("YOUR_SECRET_KEY".utf8))
        #expect(code.hexadecimal == "93b69d086a487fbdfc36172b96a5d7f5afa7cb209e43e5f25890bc037e638584")
        #expect(MessageCode.isRight(code, of: "1678361640", key: Array("YOUR_SECRET_KEY".utf8)))
        #expect(!MessageCode.isRight(code, of: "1678361641", key: Array("YOUR_SECRET_KEY".utf8)))
        #expect(!MessageCode.isRight([], of: "1678361640", key: Array("YOUR_SECRET_KEY".utf8)))
        #expect(!MessageCode.isRight(code.dropLast() + [0], of: "1678361640", key: Array("YOUR_SECRET_KEY".utf8)))
    }

    @Test func `keys are never the same`() { #expect(MessageCode.newKey() != MessageCode.newKey()) }
}
