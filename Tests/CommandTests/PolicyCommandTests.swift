import Foundation
import TestSupport
import Testing

/// The commands that show and set policies of folders, and show receipts of uploads.
struct PolicyCommandTests {
    @Test func `policy shows and sets what a folder says`() throws {
        try withMountedLibrary { mount in
            try run("mkdir", "-p", mount.path("a/b")).check()
            let set = try run(assetfs, "policy", mount.path("a"), "preset=hubspot", "max_size=5M").check().output
            #expect(set.contains("overwrite       false                 /a, preset hubspot"))
            #expect(set.contains("max_size        5M                    /a"))
            let inherited = try run(assetfs, "policy", "--json", mount.path("a/b")).check().output
            #expect(inherited.contains(#""max_size":{"value":"5M","from":"/a"}"#))
            try run(assetfs, "policy", mount.path("a"), "--remove", "preset", "--remove", "max_size").check()
            #expect(try run("getfattr", "-d", mount.path("a")).output == "")
            for wrong in [["max_size=5X"], ["size=5M"], ["max_size"], ["--remove", "size"]] {
                let refused = try run([assetfs, "policy", mount.path("a")] + wrong)
                #expect(refused.status == 64 && !refused.errors.isEmpty)
            }
            #expect(try run(assetfs, "policy", mount.scratch).errors.contains("below an assetfs mount"))
            #expect(try run(assetfs, "policy", mount.path("missing")).errors.contains("does not exist"))
        }
    }

    @Test func `explain says what an upload would do, and it does`() throws {
        try withMountedLibrary { mount in
            try run("mkdir", mount.path("h")).check()
            try run(assetfs, "policy", mount.path("h"), "preset=hubspot", "duplicates=REJECT", "store=0").check()
            for text in ["1", "2"] { try mount.write("h/a.txt", Array(text.utf8)) }
            func explain(_ path: String) throws -> String {
                try run(assetfs, "explain", mount.path(path)).check().output
            }
            #expect(try explain("h/a.txt").contains("asset 1 stays as it is; new content becomes “a-2.txt”"))
            try mount.write("h/a.txt", Array("3".utf8))
            #expect(FileManager.default.fileExists(atPath: mount.path("h/a-2.txt")))
            #expect(try explain("h/new").contains("a new asset"))
            #expect(try explain("h/new").contains("is refused (EEXIST)  [/h]"))
            #expect(try explain("h/new").contains("goes after 24 hours"))
            #expect(try explain("h/.new.part").contains("temporary: an upload when it is renamed"))
            #expect(try explain("h/.DS_Store").contains("junk"))
            // Only regular files have content, under any policy.
            try run("mkfifo", mount.path("fifo"), mount.path("h/fifo")).check()
            try run("ln", "-s", "a.txt", mount.path("h/link")).check()
            for name in ["fifo", "h/fifo", "h/link"] {
                let said = try explain(name)
                #expect(said.contains("gets no content") && !said.contains("version") && !said.contains("becomes"))
            }
            #expect(try run("cp", mount.path("h/a.txt"), mount.path("h/b")).status == 1)
            #expect(try explain("h").contains("Duplicate file upload, file matches resources: 1"))
        }
    }

    @Test func `receipts are shown, chosen and followed`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT").check()
            for number in 1...300 {
                try Data("\(number)".utf8).write(to: URL(fileURLWithPath: mount.path("f\(number)")))
            }
            #expect(try run("cp", mount.path("f1"), mount.path("again")).status == 1)
            func receipts(_ options: String...) throws -> [Substring] {
                try run([assetfs, "receipts", mount.root] + options).check().output.split(separator: "\n")
            }
            #expect(try receipts().count == 301)
            let rejected = try receipts("--rejected", "--since", "1h")
            #expect(rejected.count == 1)
            #expect(
                rejected.first?.hasSuffix("rejected   again: Duplicate file upload, file matches resources: 1") == true
            )
            #expect(try receipts("--json").last?.hasPrefix(#"{"at":""#) == true)
            #expect(try receipts("--since", "0s").isEmpty)
            // On a busy machine the command itself may take a second.
            var recent: [Substring] = []
            for attempt in 0..<30 where recent.count != 1 {
                usleep(1_100_000)
                try mount.write("late\(attempt)", Array("late\(attempt)".utf8))
                recent = try receipts("--since", "1s")
            }
            #expect(recent.count == 1)
            #expect(try run(assetfs, "receipts", mount.root, "--since", "soon").status == 64)
            // Both commands follow, and run until they get a signal; tests run with SIGTERM blocked.
            for follower in [
                "\(assetfs) receipts \(mount.root) --follow --since 0s",
                "tail -n 0 -f \(mount.root)/uploads/receipts.jsonl",
            ] {
                let name = "next-\(UUID().uuidString.prefix(4))"
                // The command may not follow yet when the first line is written.
                let line = """
                    \(follower) > \(mount.scratch)/followed & follower=$!
                    for n in $(seq 600); do
                        cp <(echo \(name)-$n) \(mount.path(name))-$n; sleep 0.1
                        grep -q \(name) \(mount.scratch)/followed && break
                    done
                    kill -KILL $follower; wait; grep -q \(name) \(mount.scratch)/followed
                    """
                #expect(try shell(line).status == 0, "\(follower)")
            }
        }
    }

    @Test func `patterns of names add to those that are temporary or junk everywhere`() throws {
        try withMountedLibrary { mount in
            try run(
                assetfs,
                "policy",
                mount.folders,
                "temporary_names=*.upload",
                "junk_names=*.log, core",
                "duplicates=REJECT"
            ).check()
            for name in ["a.upload", "x.log", "core", "b.upload"] { try mount.write(name, Array("same".utf8)) }
            #expect(try mount.receipts().isEmpty)
            try run("mv", mount.path("a.upload"), mount.path("a.jpg")).check()
            #expect(try mount.lastReceipt()["outcome"] as? String == "created")
            let refused = try run("mv", mount.path("b.upload"), mount.path("b.jpg"))
            // mv(1) calls rename twice, first with RENAME_NOREPLACE. Its message then depends on memory that
            // it has not initialised.
            #expect(refused.status == 1)
            #expect(try mount.receipts().count == 2)
            #expect(try mount.read("b.upload") == Array("same".utf8))
        }
    }
}
