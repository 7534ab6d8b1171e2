import Foundation
import TestSupport
import Testing

/// Libraries that earlier versions have made, each with a manifest of all that its own mount showed.
///
/// `Tests/Fixtures/libraries/README.md` says which version made which, and how the next one is made.
struct GoldenLibraryTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/libraries").path

    private static let archives = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
        .filter { $0.hasSuffix(".tar.xz") }.sorted()

    @Test(arguments: archives) func `a library of an earlier version loses nothing`(archive: String) throws {
        try withScratch { scratch in
            let found = try run(
                "/usr/bin/python3",
                "-B",
                "\(Self.folder)/compare.py",
                assetfs,
                "\(Self.folder)/\(archive)",
                scratch
            )
            #expect(found.status == 0, "\(archive): \(found.output)\(found.errors)")
        }
    }

    @Test func `the newest migration has a golden library`() throws {
        try withScratch { scratch in
            try FileManager.default.createDirectory(atPath: "\(scratch)/mount", withIntermediateDirectories: true)
            try remount("\(scratch)/library", on: "\(scratch)/mount", scratch: scratch) { _ in }
            let count = try run(
                "sqlite3",
                "\(scratch)/library/catalog.sqlite",
                "SELECT printf('%02d', count(*)) FROM grdb_migrations"
            ).check().output
            let archive = "v\(count.trimmingCharacters(in: .newlines)).tar.xz"
            #expect(
                Self.archives.contains(archive),
                """
                The newest migration has no golden library \(archive). \
                “Tests/Fixtures/libraries/make.py .build/debug/assetfs COMMIT” makes it; README.md beside it has the table of them.
                """
            )
        }
    }
}
