import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// All combinations of policies, targets and contents, by real system calls.
///
/// The expected outcome is defined twice: by the filesystem, and by `Expectation`, which implements the rules
/// of docs/SEMANTICS.md.
struct PolicyTableTests {
    @Test func `every combination of policies ends as the table says`() throws {
        try withMountedLibrary { mount in
            var number = 0
            for duplicates in ["NONE", "REJECT", "RETURN_EXISTING"] {
                for scope in ["EXACT_FOLDER", "SUBTREE", "ENTIRE_PORTAL"] {
                    for overwrite in [true, false] {
                        let policy = Case.Policy(duplicates: duplicates, scope: scope, overwrites: overwrite)
                        let root = mount.path("\(duplicates)-\(scope)-\(overwrite)")
                        try policy.set(on: ["\(root)/P", "\(root)/Q"])
                        for target in Target.allCases {
                            for content in Content.allCases {
                                number += 1
                                try Case(number: number, policy: policy, target: target, content: content).check(
                                    below: root,
                                    mount
                                )
                            }
                        }
                    }
                }
            }
            #expect(number == 504)
        }
    }
}

/// The target of an upload.
///
/// Below `P`, which has the policy, are `f/a.txt`, `f/a-1.txt` and `f/o.txt`, all with different content.
private enum Target: String, CaseIterable {
    /// A name that is free: `f/new.txt`.
    case new
    /// `f/a.txt`
    case same
    /// `f/a-1.txt`
    case numbered
    /// `f/.a.txt.AbC123`, and then a rename to `f/a.txt`.
    case temporary
    /// `a.txt` in another folder, with the same policy of its own.
    case otherFolder
    /// `f/sub/a.txt`
    case nested
    /// `f/new.txt`, when `f/a.txt` and `f/o.txt` have been removed.
    case trash
}

private enum Content: String, CaseIterable {
    case new
    /// The content of `f/a.txt`; for `numbered` that of `f/a-1.txt`.
    case sameAsTarget
    /// The content of `f/o.txt`.
    case sameAsOther
    case empty
}

private struct Expectation: Equatable {
    var errno: Int32 = 0
    var outcome: String
    /// All files and their contents, below both folders.
    var tree: [String: String]
}

private struct Case {
    struct Policy {
        let duplicates: String
        let scope: String
        let overwrites: Bool

        func set(on folders: [String]) throws {
            for folder in folders {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try run(
                    assetfs,
                    "policy",
                    folder,
                    "duplicates=\(duplicates)",
                    "scope=\(scope)",
                    "overwrite=\(overwrites)"
                ).check()
            }
        }
    }

    let number: Int
    let policy: Policy
    let target: Target
    let content: Content
    var label: Comment { "\(policy.duplicates) \(policy.scope) overwrite=\(policy.overwrites) \(target) \(content)" }

    // Each case has contents of its own, so that cases do not affect each other in a library-wide scope.
    var former: [String: String] {
        ["P/f/a.txt": "target \(number)", "P/f/a-1.txt": "numbered \(number)", "P/f/o.txt": "other \(number)"]
    }

    var bytes: String {
        switch content {
        case .new: "new \(number)"
        case .sameAsTarget: former[target == .numbered ? "P/f/a-1.txt" : "P/f/a.txt"] ?? ""
        case .sameAsOther: former["P/f/o.txt"] ?? ""
        case .empty: ""
        }
    }

    var path: String {
        switch target {
        case .new, .trash: "P/f/new.txt"
        case .same, .temporary: "P/f/a.txt"
        case .numbered: "P/f/a-1.txt"
        case .otherFolder: "Q/a.txt"
        case .nested: "P/f/sub/a.txt"
        }
    }

    // MARK: Expected outcome

    func expected() -> Expectation {
        var tree = former
        if target == .trash { for name in ["P/f/a.txt", "P/f/o.txt"] { tree[name] = nil } }
        let before = tree
        let isTaken = tree[path] != nil
        // Finds content that exists already under the name, or with overwrite=false under a name with a
        // number.
        let stem = path.dropLast(4)
        let siblings = tree.filter {
            $0.key == path
                || !policy.overwrites && $0.key.hasPrefix(stem + "-")
                    && Int($0.key.dropFirst(stem.count + 1).dropLast(4)) != nil
        }
        if isTaken, siblings.values.contains(bytes) { return Expectation(outcome: "unchanged", tree: before) }
        let landing = isTaken && !policy.overwrites ? freeName(in: tree) : path
        let holders = tree.filter { $0.key != path || landing != path }.filter { !bytes.isEmpty && $0.value == bytes }
        let folder = path.split(separator: "/").dropLast().joined(separator: "/")
        let counts = holders.keys.contains { holder in
            switch policy.scope {
            case "EXACT_FOLDER": holder.split(separator: "/").dropLast().joined(separator: "/") == folder
            case "SUBTREE": holder.prefix(2) == path.prefix(2)
            default: true
            }
        }
        if counts, policy.duplicates == "REJECT" {
            var after = before
            if target == .temporary { after["P/f/.a.txt.AbC123"] = bytes }
            return Expectation(errno: EEXIST, outcome: "rejected", tree: after)
        }
        tree[landing] = bytes
        let outcome =
            counts && policy.duplicates == "RETURN_EXISTING"
            ? "existing" : landing != path ? "renamed" : isTaken ? "replaced" : "created"
        return Expectation(outcome: outcome, tree: tree)
    }

    private func freeName(in tree: [String: String]) -> String {
        let stem = path.dropLast(4)
        return (1...).lazy.map { "\(stem)-\($0).txt" }.first { tree[$0] == nil } ?? ""
    }

    // MARK: Actual outcome

    func check(below root: String, _ mount: MountedLibrary) throws {
        func place(_ name: String) -> String { "\(root)/\(name.prefix(2))\(number)/\(name.dropFirst(2))" }
        for folder in ["P/f/sub", "Q/"] {
            try FileManager.default.createDirectory(atPath: place(folder), withIntermediateDirectories: true)
        }
        for (name, text) in former { #expect(store(text, at: place(name)) == 0, label) }
        if target == .trash {
            for name in ["a.txt", "o.txt"] { try FileManager.default.removeItem(atPath: place("P/f/\(name)")) }
        }
        var found = Expectation(outcome: "", tree: [:])
        if target == .temporary {
            let temporary = place("P/f/.a.txt.AbC123")
            #expect(store(bytes, at: temporary) == 0, label)
            found.errno = unsafe rename(temporary, place(path)) == 0 ? 0 : errno
        } else {
            found.errno = store(bytes, at: place(path))
        }
        let expected = expected()
        // A file that was only truncated is committed at the kernel's RELEASE, which close(2) does not wait
        // for.
        let patience = ContinuousClock.now + .seconds(60)
        var receipt: [String: Any] = [:]
        repeat {
            receipt = try mount.lastReceipt()
            found.outcome = receipt["outcome"] as? String ?? ""
            found.tree = try tree(below: root)
        } while content == .empty && found != expected && ContinuousClock.now < patience
        #expect(found == expected, label)
        if expected.outcome == "rejected" {
            #expect(
                (receipt["reason"] as? String)?.hasPrefix("Duplicate file upload, file matches resources: ") == true
            )
            #expect((receipt["matches"] as? [Int])?.count == 1, label)
        }
        if expected.outcome == "existing" || expected.outcome == "renamed" {
            let isElsewhere = expected.tree[path] != bytes
            #expect((receipt["requested"] != nil) == isElsewhere, label)
        }
        // A second upload changes nothing.
        if target != .temporary, expected.errno == 0, !bytes.isEmpty {
            #expect(store(bytes, at: place(path)) == 0, label)
            #expect(try mount.lastReceipt()["outcome"] as? String == "unchanged", label)
            #expect(try tree(below: root) == expected.tree, label)
        }
    }

    private func tree(below root: String) throws -> [String: String] {
        var tree: [String: String] = [:]
        for part in ["P", "Q"] {
            let folder = "\(root)/\(part)/\(number)"
            for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
                var status = stat()
                guard unsafe lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                    continue
                }
                tree["\(part)/\(name)"] = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            }
        }
        return tree
    }

    /// Writes a file as most programs do, and returns the first error of open, write or close.
    private func store(_ text: String, at path: String) -> Int32 {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else { return errno }
        let bytes = Array(text.utf8)
        let written = unsafe bytes.isEmpty ? 0 : write(file, bytes, bytes.count)
        let failure = written == bytes.count ? 0 : errno
        return close(file) == 0 ? failure : errno
    }
}
