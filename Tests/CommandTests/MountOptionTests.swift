import Foundation
import TestSupport
import Testing

/// All options of mount(8), fuse(8) and libfuse: each is carried out, has no meaning here, or is refused;
/// never a part of it.
@Suite(.serialized)
struct MountOptionTests {
    /// The expected treatment of an option.
    private enum Answer {
        /// mountinfo contains a word that it lacks without the option.
        case shown(String)
        /// mountinfo lacks a word that it contains without the option.
        case hidden(String)
        /// The mount is the same with and without the option.
        case nothing
        /// Status 9, and a sentence that names the option and contains some words.
        case refused(String)
    }

    /// Options without a meaning, all at once.
    private static let silent = [
        "rw", "async", "auto", "noauto", "defaults", "atime", "diratime",
        "relatime", "norelatime", "nostrictatime", "nolazytime", "exec", "nosuid", "nodev",
        "nomand", "symfollow", "silent", "loud", "iversion", "noiversion", "nofail",
        "_netdev", "user", "nouser", "users", "owner", "group", "user=joe",
        "comment=text", "x-systemd.automount", "X-fstrim.notrim", "x-gvfs-name=Photos",
        "nonempty", "default_permissions", "big_writes",
        "use_ino", "max_readahead=131072",
    ].joined(separator: ",")

    private static let answers: [(option: String, answer: Answer)] =
        [
            ("ro", .shown("ro")), ("noexec", .shown("noexec")), ("noatime", .shown("noatime")),
            ("nodiratime", .shown("nodiratime")), ("noatime,nodiratime", .shown("noatime,nodiratime")),
            ("nosymfollow", .shown("nosymfollow")), ("sync", .shown("sync")), ("dirsync", .shown("dirsync")),
            ("lazytime", .shown("lazytime")), ("allow_other", .shown("allow_other")),
            ("allow_root", .shown("allow_other")),
            ("max_read=65536", .shown("max_read=65536")), ("suid", .hidden("nosuid")), ("dev", .hidden("nodev")),
            ("strictatime", .hidden("relatime")), ("noatime,relatime", .nothing), ("ro,rw", .nothing),
            ("sync,async", .nothing), ("noexec,exec", .nothing), ("ro,sync,defaults", .nothing),
            ("debug", .nothing), ("debug=fuse+catalog", .nothing),
            ("nosymfollow,symfollow", .nothing), ("strictatime,nostrictatime", .nothing),
            ("remount", .refused("unmount it")), ("auto_unmount", .refused("mount again")),
            ("bind", .refused("mount(8)")), ("mand", .refused("mandatory")),
            ("loop", .refused("a folder")), ("blkdev", .refused("a folder")), ("uid=1000", .refused("chown")),
            ("gid=1000", .refused("chgrp")), ("umask=022", .refused("chmod")),
            ("blksize=512", .refused("block devices")),
            ("fsname=x", .refused("path of the library")), ("subtype=x", .refused("assetfs")),
            ("fd=3", .refused("itself")),
            ("rootmode=40000", .refused("itself")), ("user_id=5", .refused("itself")),
            ("modules=iconv", .refused("itself")),
            ("kernel_cache", .refused("itself")), ("direct_io", .refused("itself")), ("clone_fd", .refused("itself")),
            ("max_write=4096", .refused("itself")), ("max_threads=4", .refused("itself")),
            ("entry_timeout=1", .refused("itself")), ("user_allow_other", .refused("/etc/fuse.conf")),
            ("max_read=5", .refused("number of bytes")), ("max_read=many", .refused("number of bytes")),
            ("max_readahead=-1", .refused("number of bytes")), ("context=system_u:object_r:tmp_t", .refused("SELinux")),
            ("nonsense", .refused("no option")), ("nonsense=5", .refused("no option")),
            ("noatime=5", .refused("no option")),
            ("max_read", .refused("no option")), ("X-mount.mkdir", .nothing), ("x-mount.mkdir=0700", .nothing),
            ("X-mount.mkdir=9", .refused("octal")), ("X-mount.mkdir=many", .refused("octal")),
            ("X-mount.subdir=folders", .refused("bind")), ("X-mount.owner=joe", .refused("chown")),
            ("X-mount.group=joe", .refused("chgrp")), ("X-mount.mode=0700", .refused("chmod")),
            ("X-mount.idmap=u:0:1000:1", .refused("owner")), ("X-mount.other", .refused("alone")),
        ] + [(silent, .nothing)]

    @Test func `each option is carried out, means nothing, or is refused by its name`() throws {
        try withPlace { path in
            /// Returns the words that mountinfo has for the mount.
            func shown() throws -> [String] {
                let table = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
                guard let line = table.split(separator: "\n").last(where: { $0.contains(" \(path)/one ") }) else {
                    return []
                }
                let fields = line.split(separator: " ").map(String.init)
                return Set([fields[5], fields[fields.count - 1]].flatMap { $0.split(separator: ",").map(String.init) })
                    .sorted()
            }
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            let usual = try shown()
            #expect(usual.contains("nosuid") && usual.contains("relatime"))
            try run(assetfs, "umount", path + "/one").check()
            for (option, answer) in Self.answers {
                let result = try run(assetfs, "mount", path + "/lib", path + "/one", "-o", option)
                let words = try shown()
                switch answer {
                case .refused(let reason):
                    #expect(result.status == 9 && words.isEmpty, "\(option): \(result) \(words)")
                    #expect(
                        result.errors.hasPrefix("assetfs: The mount option “\(option)” is refused: "),
                        "\(option): \(result)"
                    )
                    #expect(result.errors.contains(reason), "\(option): \(result.errors)")
                    continue
                case .shown(let word):
                    let wanted = word.split(separator: ",").map(String.init)
                    #expect(wanted.allSatisfy { words.contains($0) && !usual.contains($0) }, "\(option): \(words)")
                case .hidden(let word): #expect(!words.contains(word) && usual.contains(word), "\(option): \(words)")
                case .nothing: #expect(words == usual, "\(option): \(words)")
                }
                #expect(result.status == 0 && result.errors.isEmpty, "\(option): \(result)")
                #expect(try run("ls", path + "/one").output.contains("folders\n"), "\(option)")
                try run(assetfs, "umount", path + "/one").check()
            }
        }
    }

    @Test func `a network that is none is said, whatever stands behind its slash`() throws {
        for network in ["10.0.x/8", "x/0", "/", "+", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129", "10.0.0.0/x"] {
            let refused = try run(assetfs, "mount", "-o", "fetch=\(network)", "/nowhere/library", "/nowhere/mount")
            #expect(refused.status == 64 && refused.errors.contains("is no network"), "\(network): \(refused)")
        }
    }

    @Test func `a mountpoint that is not there is made where that is said, and not in the library`() throws {
        try withPlace { path in
            let mount = { try run(assetfs, "mount", path + "/lib", path + "/" + $0, "-o", $1) }
            #expect(try mount("two/a/b", "ro").status == 6)
            try mount("two/a/b", "X-mount.mkdir=0711").check()
            #expect(try run("ls", path + "/two/a/b").output.contains("folders\n"))
            try run(assetfs, "umount", path + "/two/a/b").check()
            #expect(try run("stat", "-c", "%a", path + "/two/a", path + "/two/a/b").output == "711\n711\n")
            #expect(try mount("lib/inside", "X-mount.mkdir").status != 0)
            #expect(!FileManager.default.fileExists(atPath: path + "/lib/inside"))
            #expect(try mount("one/file/x", "X-mount.mkdir").status == 0)
            try run(assetfs, "umount", path + "/one/file/x").check()
            try run("touch", path + "/f").check()
            let refused = try mount("f/x", "X-mount.mkdir")
            #expect(refused.status == 6 && refused.errors.contains("cannot be made"), "\(refused)")
        }
    }

    @Test func `others than root learn which options are root's`() throws {
        try withPlace { path in
            try run("chmod", "777", path).check()
            for option in ["suid", "dev", "strictatime", "nodiratime", "nosymfollow", "lazytime", "context=x"] {
                let line = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", assetfs]
                let result = try run(line + ["mount", path + "/theirs", path + "/one", "-o", option])
                #expect(result.status == 9 && result.errors.contains("“\(option)” is refused: root alone"), "\(result)")
            }
            #expect(!FileManager.default.fileExists(atPath: path + "/theirs"))
        }
    }
}
