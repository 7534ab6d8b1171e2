import Foundation
import TestSupport
import Testing

/// The main use: real tools copy real files in, and read equal files back.
@Suite(.serialized)
struct CopyTests {
    @Test func `cp -a and rsync bring a tree in, and a second mount shows the same`() throws {
        try withScratch { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try remount(library, on: root, scratch: scratch) { mount in
                try run("cp", "-a", "/usr/share/doc/rsync", mount.path("copied")).check()
                try run("rsync", "-aHX", "/usr/share/doc/rsync/", mount.path("synced")).check()
                for name in ["copied", "synced"] {
                    try run("diff", "-r", "--no-dereference", "/usr/share/doc/rsync", mount.path(name)).check()
                }
                let second = try run("rsync", "-aHXi", "--numeric-ids", "/usr/share/doc/rsync/", mount.path("synced"))
                #expect(try second.check().output == "")
            }
            try checkLibrary(library)
            try remount(library, on: root, scratch: scratch) { mount in
                try run("diff", "-r", "--no-dereference", "/usr/share/doc/rsync", mount.path("copied")).check()
                let third = try run("rsync", "-aHXi", "--numeric-ids", "/usr/share/doc/rsync/", mount.path("synced"))
                #expect(try third.check().output == "")
            }
        }
    }

    @Test func `a blob is a plain file named by its sha256sum`() throws {
        try withMountedLibrary { mount in
            try mount.write("photo.bin", (0..<1000).map { UInt8(truncatingIfNeeded: $0) })
            let sum = try run("sha256sum", mount.path("photo.bin")).check().output.prefix(64)
            #expect(try mount.attribute("user.asset.sha256", of: "photo.bin") == sum)
            let blob = "\(mount.library)/blobs/\(sum.prefix(2))/\(sum.dropFirst(2))"
            #expect(try run("sha256sum", blob).check().output.prefix(64) == sum)
        }
    }

    @Test func `tar brings links, fifos, holes, modes and times back`() throws {
        try withMountedLibrary { mount in
            let source = mount.scratch + "/tree"
            try shell(
                """
                mkdir -p \(source)/sub && cd \(source) && echo text > plain && ln plain hard && ln -s plain soft && \
                ln -s /nowhere/\(String(repeating: "long", count: 200)) far && mkfifo fifo && truncate -s 5M sparse && \
                printf end >> sparse && : > empty && chmod 4750 plain && chown 12:34 empty && \
                touch -d '1999-12-31 23:59:59.123456789' plain && touch -h -d '2001-01-01' soft && \
                printf 'odd' > "$(printf 'odd \\377 \\n name')" && setfattr -n user.note -v hello sub
                """
            ).check()
            try shell("tar -C \(source) --xattrs -cf - . | tar -C \(mount.folders) --xattrs -xpf -").check()
            let same = try run("rsync", "-aHXni", "--numeric-ids", "--delete", source + "/", mount.folders + "/")
                .check()
            #expect(same.output == "")
            let inodes = try run("stat", "-c", "%i %h", mount.path("plain"), mount.path("hard")).check().output
            #expect(Set(inodes.split(separator: "\n")).count == 1)
            #expect(inodes.contains(" 2\n"))
            #expect(try run("stat", "-c", "%y", mount.path("plain")).output.hasPrefix("1999-12-31 23:59:59.123456789"))
        }
    }

    @Test func `every upload leaves a receipt`() throws {
        try withMountedLibrary { mount in
            try mount.write("a", [1, 2, 3])
            try mount.write("a", [4, 5])
            try mount.write("a", [4, 5])
            try shell(": > \(mount.path("empty"))").check()
            // The upload of the empty file is committed at its last close, which no process waits for.
            var receipts = try mount.receipts()
            for _ in 0..<3000 where receipts.count < 4 {
                usleep(20_000)
                receipts = try mount.receipts()
            }
            #expect(receipts.map { $0["outcome"] as? String } == ["created", "replaced", "unchanged", "created"])
            #expect(receipts.map { $0["name"] as? String } == ["a", "a", "a", "empty"])
            #expect(receipts.map { $0["size"] as? Int } == [3, 2, 2, 0])
            #expect(try mount.attribute("user.asset.versions", of: "a") == "2")
        }
    }

    @Test func `view=folders shows the folders alone`() throws {
        try withMountedLibrary(options: ["view=folders"]) { mount in
            try run("cp", "/etc/hostname", mount.root + "/name").check()
            #expect(try run("ls", "-a", mount.root).output == ".\n..\nname\n")
            #expect(try run("mkdir", mount.root + "/uploads").status == 0)
        }
    }
}
