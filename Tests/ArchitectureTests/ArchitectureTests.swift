import Foundation
import Testing

/// The imports that each module may have: modules of this package, and others.
///
/// SwiftPM does not enforce them.
private let allowedImports: [String: Set<String>] = [
    "MetadataExtraction": ["AssetModel", "CLinux", "SystemPackage"],
    "FUSE": ["CFuse", "SystemPackage", "Logging"],
    "AssetModel": [],
    "BlobStore": ["AssetModel", "CLinux", "COpenSSL", "SystemPackage"],
    "Catalog": ["AssetModel", "CSearch", "CWriteAheadLog", "GRDB", "GRDBSQLite"],
    "LibraryStorage": ["Catalog", "BlobStore", "AssetModel", "CLinux", "SystemPackage", "Logging"],
    "LibraryVerification": ["LibraryStorage", "Catalog", "BlobStore", "AssetModel", "SystemPackage"],
    "LibraryRules": ["LibraryStorage", "Catalog", "AssetModel"],
    "AssetLibrary": [
        "LibraryVerification", "LibraryRules", "LibraryStorage", "Catalog", "BlobStore", "MetadataExtraction",
        "AssetModel", "CLinux",
        "SystemPackage", "Logging",
    ],
    "AssetFilesystem": [
        "FUSE", "AssetLibrary", "LibraryRules", "LibraryStorage", "Catalog", "BlobStore", "MetadataExtraction",
        "AssetModel",
        "SystemPackage", "Logging",
    ],
    "assetfs": [
        "AssetFilesystem", "AssetLibrary", "LibraryRules", "LibraryStorage", "LibraryVerification", "AssetModel",
        "CLinux", "FUSE",
        "MetadataExtraction", "ArgumentParser",
        "Logging", "SystemPackage",
        "Foundation",
    ],
]
// PthreadMutex replaces Synchronization in the build of `make tsan`.
private let everywhere: Set<String> = ["Glibc", "Synchronization", "FoundationEssentials", "PthreadMutex"]

struct ArchitectureTests {
    private let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources").path

    private func files(of module: String) throws -> [(name: String, lines: [String])] {
        // With folders within folders.
        try FileManager.default.subpathsOfDirectory(atPath: "\(sources)/\(module)").filter { $0.hasSuffix(".swift") }
            .map {
                let text = try String(contentsOfFile: "\(sources)/\(module)/\($0)", encoding: .utf8)
                return ($0, text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
            }
    }

    @Test func `every Swift module is in the table`() throws {
        let modules = try FileManager.default.contentsOfDirectory(atPath: sources)
        let others: Set = ["CFuse", "CLinux", "COpenSSL", "CSearch", "CWriteAheadLog", "assetfs-worker"]
        #expect(Set(modules) == Set(allowedImports.keys).union(others))
    }

    @Test(arguments: allowedImports.keys.sorted())
    func `imports follow the chain`(module: String) throws {
        let allowed = try #require(allowedImports[module]).union(everywhere)
        for (name, lines) in try files(of: module) {
            for line in lines where line.contains("import ") && !line.hasPrefix(" ") && !line.hasPrefix("/") {
                let imported = try #require(line.split(separator: " ").last.map(String.init))
                #expect(allowed.contains(imported), "\(module)/\(name) imports \(imported)")
            }
        }
    }

    // A lock with a function as its value wraps the function in one more thunk each time it is taken: calls
    // become slower until the stack overflows. `Hook` stores functions without that.
    @Test(arguments: allowedImports.keys.sorted())
    func `no lock has a function for its value`(module: String) throws {
        for (name, lines) in try files(of: module) {
            for line in lines where line.contains("Mutex<") {
                let value = line.components(separatedBy: "Mutex<")[1].drop { "(@".contains($0) }
                #expect(!value.hasPrefix("Sendable (") && !value.hasPrefix(") ->"), "\(module)/\(name): \(line)")
            }
        }
    }

    @Test(arguments: allowedImports.keys.sorted())
    func `files have at most 400 lines`(module: String) throws {
        for (name, lines) in try files(of: module) { #expect(lines.count <= 401, "\(module)/\(name)") }
    }

    @Test(arguments: allowedImports.keys.sorted())
    func `nothing traps, hops or goes unchecked`(module: String) throws {
        // `first` of a lazy compactMap calls its closure twice, and traps where the second call returns nil.
        let nowhere = ["try!", "fatalError", "Task {", "await ", "lazy.compactMap"]
        let onlyInFUSE = ["@unchecked Sendable", "nonisolated(unsafe)"]
        for (name, lines) in try files(of: module) {
            for line in lines where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
                for word in nowhere { #expect(!line.contains(word), "\(module)/\(name): \(line)") }
                for word in onlyInFUSE where module != "FUSE" {
                    #expect(!line.contains(word), "\(module)/\(name): \(line)")
                }
            }
        }
    }
}

struct FeatureListTests {
    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    @Test func `each test that the checked list names is there, and its counts are right`() throws {
        let text = try String(contentsOfFile: root + "/docs/FEATURES.md", encoding: .utf8)
        var tests: [String: String] = [:]
        for folder in try FileManager.default.contentsOfDirectory(atPath: root + "/Tests") {
            for file in try FileManager.default.contentsOfDirectory(atPath: "\(root)/Tests/\(folder)")
            where file.hasSuffix(".swift") {
                tests[String(file.dropLast(6))] = try String(
                    contentsOfFile: "\(root)/Tests/\(folder)/\(file)",
                    encoding: .utf8
                )
            }
        }
        let rows = text.split(separator: "\n").map { $0.components(separatedBy: " | ") }
            .filter { $0.count == 4 && $0[0].contains(/^\| [A-Z][0-9]+$/) }
        for row in rows {
            let proofs = row[3].dropLast(2)
            let isDone = !row[2].hasPrefix("not a filesystem's job: ") && !row[2].hasPrefix("not done: ")
            #expect((proofs == "—") != isDone, "\(row[0])")
            for proof in proofs.components(separatedBy: "; ") where isDone {
                let parts = proof.components(separatedBy: ": ")
                let source = try #require(tests[parts[0]], "\(row[0]): \(proof)")
                let beginning = "func `" + parts.dropFirst().joined(separator: ": ")
                #expect(source.components(separatedBy: beginning).count == 2, "\(row[0]): \(proof)")
            }
        }
        let foreign = rows.count { $0[2].hasPrefix("not a filesystem's job: ") }
        let open = rows.count { $0[2].hasPrefix("not done: ") }
        #expect(rows.count == 198)
        let counts =
            "\(rows.count) rows: \(rows.count - foreign - open) done with a test, \(foreign) not a filesystem's job, \(open) not done."
        #expect(text.contains(counts))
    }
}
