import AssetLibrary
import AssetModel
import Catalog
import Foundation
import Logging
import TestSupport
import Testing

/// Captions and versions survive every way in which programs save, and the programs see the behaviour of a
/// disk.
@Suite(.serialized)
struct SavingTests {
    @Test func `the asset stays with the name, however programs save`() throws {
        try withScratch("saving") { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            for name in ["mount", "new"] {
                try FileManager.default.createDirectory(atPath: "\(scratch)/\(name)", withIntermediateDirectories: true)
            }
            try "two\n".write(toFile: "\(scratch)/new/doc.txt", atomically: false, encoding: .utf8)
            var assets: [Int64] = []
            try remount(library, on: root, scratch: scratch) { mount in
                for (number, pattern) in savePatterns.enumerated() {
                    assets.append(try save(pattern, number, in: mount))
                }
            }
            try checkLibrary(library)
            let opened = try AssetLibrary(at: library, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            defer { try? opened.close() }
            for (number, pattern) in savePatterns.enumerated() {
                // The numbers of a pattern's assets end before that of the next pattern's file.
                let next = number + 1 < assets.count ? assets[number + 1] : assets[number] + 99
                try checkHistory(of: pattern, number, assets[number]..<next, in: opened)
            }
        }
    }

    /// Saves a file in a folder of the mount and one in a folder of the disk, as a program does, and compares
    /// both folders.
    /// - Returns: the number of the file's asset.
    private func save(_ pattern: SavePattern, _ number: Int, in mount: MountedLibrary) throws -> Int64 {
        let (scratch, file) = (mount.scratch, "work\(number)/doc.txt")
        let places = [
            (mount.path("work\(number)"), "own\(number)"), ("\(scratch)/plain\(number)", "plain-own\(number)"),
        ]
        for (folder, work) in places {
            for path in [folder, "\(scratch)/\(work)"] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
        }
        func everywhere(_ command: String) throws {
            for (folder, work) in places {
                let setting = "set -e; export NEW=\(scratch)/new WORK=\(scratch)/\(work) HOME=\(scratch)/\(work); "
                try run("timeout", "30", "bash", "-c", setting + command, in: folder).check()
            }
        }
        func check(_ id: String) throws {
            #expect(try mount.read(file) == Array("two\n".utf8), "\(pattern.testDescription)")
            #expect(try mount.attribute("user.asset.id", of: file) == id, "\(pattern.testDescription)")
            #expect(try mount.attribute("user.asset.caption", of: file) == "by hand", "\(pattern.testDescription)")
        }
        // A time long past, for the programs that compare times.
        let begin = "echo one >doc.txt; touch -d 2001-01-01 doc.txt; "
        try everywhere(begin + pattern.prepare)
        try run("setfattr", "-n", "user.asset.caption", "-v", "by hand", mount.path(file)).check()
        let id = try mount.attribute("user.asset.id", of: file)
        try everywhere(pattern.save)
        try check(id)
        let listing =
            "find . -path ./.git -prune -o -printf '%P %y %m %n %U %G %s %l\\n' | grep -v '^ ' | LC_ALL=C sort"
        let listings = try places.map { try shell(listing, in: $0.0).check().output }
        #expect(listings[0] == listings[1], "\(pattern.testDescription)")
        if pattern.canRepeat {
            // Runs again with all the files that the program has left in the folder.
            for _ in 0..<2 {
                try everywhere(begin + pattern.save)
                try check(id)
            }
        }
        return try #require(Int64(id))
    }

    /// Checks the versions of a saved file, and that the trash contains only assets that the program has
    /// created.
    private func checkHistory(
        of pattern: SavePattern,
        _ number: Int,
        _ numbers: Range<Int64>,
        in library: AssetLibrary
    ) throws {
        let (versions, trashed) = try library.read { records in
            let work = try #require(try records.node(named: try EntryName("work\(number)"), in: .folders))
            let node = try #require(try records.node(named: try EntryName("doc.txt"), in: work.id))
            let versions = try records.versions(of: try #require(node.asset))
            let assets = try numbers.compactMap { try records.asset(AssetID(rawValue: $0)) }
            return (versions.map(\.digest?.description), assets.filter { $0.trashed != nil })
        }
        // The digests of “two” and “one”: the former content is a version, and no further versions exist.
        #expect(versions.prefix(2).map { $0?.prefix(8) } == ["27dd8ed4", "2c8b08da"], "\(pattern.testDescription)")
        #expect(versions.count == (pattern.canRepeat ? 6 : pattern.keepsOthers ? 4 : 2), "\(pattern.testDescription)")
        // A backup with a final name is an asset while it exists; rsync gives it the name of the original, in
        // another folder.
        let names = Set(trashed.map { String(decoding: $0.originalName, as: UTF8.self) })
        #expect(
            pattern.keepsOthers || names.isSubset(of: ["doc.txt.bak", "doc.txt.orig", "doc.txt"]),
            "\(pattern.testDescription): \(names)"
        )
    }
}
