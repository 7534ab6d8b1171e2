import AssetLibrary
import AssetModel
import Catalog
import Foundation
import Logging
import TestSupport
import Testing

/// Captions and history must survive every way in which programs save, and the programs must not notice.
@Suite(.serialized)
struct SavingTests {
    @Test(arguments: savePatterns)
    func `the asset stays with the name`(pattern: SavePattern) throws {
        try withScratch("saving") { scratch in
            let (root, library) = ("\(scratch)/mount", "\(scratch)/library")
            for name in ["mount", "new", "plain", "work", "plain-work"] {
                try FileManager.default.createDirectory(atPath: "\(scratch)/\(name)", withIntermediateDirectories: true)
            }
            try "two\n".write(toFile: "\(scratch)/new/doc.txt", atomically: false, encoding: .utf8)
            let places = [("\(root)/folders/work", "work"), ("\(scratch)/plain", "plain-work")]
            func everywhere(_ command: String) throws {
                for (folder, work) in places {
                    let setting = "set -e; export NEW=\(scratch)/new WORK=\(scratch)/\(work) HOME=\(scratch)/\(work); "
                    try run("timeout", "30", "bash", "-c", setting + command, in: folder).check()
                }
            }
            try remount(library, on: root, scratch: scratch) { mount in
                try FileManager.default.createDirectory(atPath: places[0].0, withIntermediateDirectories: true)
                // A time long past, for the programs that compare times.
                try everywhere("echo one >doc.txt; touch -d 2001-01-01 doc.txt; \(pattern.prepare)")
                try run("setfattr", "-n", "user.asset.caption", "-v", "by hand", mount.path("work/doc.txt")).check()
                let id = try mount.attribute("user.asset.id", of: "work/doc.txt")

                try everywhere(pattern.save)
                #expect(try mount.read("work/doc.txt") == Array("two\n".utf8))
                #expect(try mount.attribute("user.asset.id", of: "work/doc.txt") == id)
                #expect(try mount.attribute("user.asset.caption", of: "work/doc.txt") == "by hand")
                let listing =
                    "find . -path ./.git -prune -o -printf '%P %y %m %n %U %G %s %l\\n' | grep -v '^ ' | LC_ALL=C sort"
                let listings = try places.map { try shell(listing, in: $0.0).check().output }
                #expect(listings[0] == listings[1])

                guard pattern.canRepeat else { return }
                // Now with whatever the program has left beside the file.
                for _ in 0..<2 {
                    try everywhere("echo one >doc.txt; touch -d 2001-01-01 doc.txt; \(pattern.save)")
                    #expect(try mount.read("work/doc.txt") == Array("two\n".utf8))
                    #expect(try mount.attribute("user.asset.id", of: "work/doc.txt") == id)
                    #expect(try mount.attribute("user.asset.caption", of: "work/doc.txt") == "by hand")
                }
            }
            try checkLibrary(library)
            let opened = try AssetLibrary(at: library, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            defer { try? opened.close() }
            let (versions, trashed) = try opened.read { records in
                let work = try #require(try records.node(named: try EntryName("work"), in: .folders))
                let node = try #require(try records.node(named: try EntryName("doc.txt"), in: work.id))
                let versions = try records.versions(of: try #require(node.asset))
                let assets = try (1...99).compactMap { try records.asset(AssetID(rawValue: $0)) }
                return (versions.map(\.digest?.description), assets.filter { $0.trashed != nil })
            }
            // The digests of “two” and “one”: what was there is a version, and nothing else came to be on the way.
            #expect(versions.prefix(2).map { $0?.prefix(8) } == ["27dd8ed4", "2c8b08da"])
            #expect(versions.count == (pattern.canRepeat ? 6 : pattern.keepsOthers ? 4 : 2))
            // A backup that was given a final name is an asset while it is there; rsync calls it as the original, in another folder.
            let names = Set(trashed.map { String(decoding: $0.originalName, as: UTF8.self) })
            #expect(pattern.keepsOthers || names.isSubset(of: ["doc.txt.bak", "doc.txt.orig", "doc.txt"]), "\(names)")
        }
    }
}
