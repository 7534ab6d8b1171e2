import Foundation
import TestSupport
import Testing

/// The output and the exit status of the built command.
@Suite(.serialized)
struct CommandTests {
    private func pid(_ path: String) throws -> String {
        try run("pgrep", "-f", "assetfs mount \(path)").check().output.trimmingCharacters(in: .newlines)
    }

    @Test func `mounts in the background, is ready when it returns, and umount waits for the end`() throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try run("cp", "/etc/hostname", path + "/one/folders/").check()
            let info = try run(assetfs, "info", path + "/one/folders/hostname").check().output
            #expect(info.contains("SHA-256") && info.contains("Asset               1"))
            #expect(try run(assetfs, "info", "--json", path + "/one/folders/hostname").output.hasPrefix("{\"id\":1,"))
            try run(assetfs, "umount", path + "/one").check()
            try checkLibrary(path + "/lib")
        }
    }

    @Test func `a blob that is missing or has lost bytes is an I/O error, and never other bytes`() throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try shell(
                "head -c 300000 /dev/urandom > one/folders/a; head -c 5000 /dev/urandom > one/folders/b; echo c > one/folders/c; ls -l one/folders | wc -l",
                in: path
            ).check()
            try run(assetfs, "umount", path + "/one").check()
            try shell(
                "for f in $(find lib/blobs -type f -size +4k); do truncate -s -1 $f; done; find lib/blobs -type f -size 1k -delete",
                in: path
            ).check()
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            for name in ["a", "b", "c"] {
                let result = try run("cat", path + "/one/folders/" + name)
                #expect(result.status == 1 && result.output.isEmpty && result.errors.contains("Input/output error"))
            }
            let log = try String(contentsOfFile: path + "/lib/assetfs.log", encoding: .utf8)
            #expect(log.contains("error: open: ") && log.contains("blob"))
            // Uploading the same content again repairs the blob.
            try shell("echo c > one/folders/again; cat one/folders/c one/folders/again", in: path).check()
            try run(assetfs, "umount", path + "/one").check()
        }
    }

    @Test(arguments: ["TERM", "INT", "HUP"]) func `a signal unmounts cleanly`(signal: String) throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try shell(
                "exec 3> \(path)/one/folders/open; echo unfinished >&3; pkill -\(signal) -f '[a]ssetfs mount \(path)'"
            ).check()
            // The lock is free when the daemon has exited.
            try run("flock", "-w", "20", path + "/lib/lock", "true").check()
            #expect(try run("ls", path + "/one").output == "")
            try checkLibrary(path + "/lib")
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            #expect(try run("cat", path + "/one/folders/open").output == "unfinished\n")
            try run(assetfs, "umount", path + "/one").check()
        }
    }

    @Test func `each thing that is wrong has its own status and sentence`() throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try shell(
                "mkdir other future; touch other/mine; echo 'assetfs library 99' > future/FORMAT; touch file",
                in: path
            ).check()
            let cases: [(arguments: [String], status: Int32, words: String)] = [
                (["mount", "lib", "two"], 2, "in use"),
                (["mount", "other", "two"], 3, "not an assetfs library"),
                (["mount", "future", "two"], 3, "assetfs library 99"),
                (["mount", "missing/lib", "two"], 4, "No such file"),
                (["mount", "file", "two"], 4, "Not a directory"),
                (["mount", "new", "nowhere"], 6, "does not exist"),
                (["mount", "new", "file"], 6, "not a directory"),
                (["mount", "new", "one"], 7, "mounted on it already"),
                (["mount", "new", "two", "-o", "nonsense"], 9, "nonsense"),
                (["mount", "new", "two", "-o", "view=nonsense"], 64, "view=nonsense"),
                (["umount", "two"], 10, "No assetfs is mounted"),
                (["info", "file"], 1, "not below an assetfs mount"),
                (["mount", "new"], 64, "mountpoint"),
            ]
            for (arguments, status, words) in cases {
                let result = try run([assetfs] + arguments, in: path)
                #expect(result.status == status, "\(arguments): \(result)")
                #expect(result.errors.contains(words), "\(arguments): \(result.errors)")
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
            #expect(left == ["file", "future", "lib", "one", "other", "two"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/other") == ["mine"])
            try run(assetfs, "umount", path + "/one").check()
        }
    }

    @Test func `a full disk refuses a new library, and uploads, and loses nothing`() throws {
        try withPlace { path in
            let disk = path + "/disk"
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
            try run("mount", "-t", "tmpfs", "-o", "size=64k", "none", disk).check()
            defer { _ = try? run("umount", "-l", disk) }
            let refused = try run(assetfs, "mount", disk + "/lib", path + "/one")
            #expect(refused.status == 5 && refused.errors.contains("is full"), "\(refused)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk).isEmpty)

            try run("mount", "-o", "remount,size=20m", disk).check()
            try run(assetfs, "mount", disk + "/lib", path + "/one").check()
            try run("cp", "/etc/hostname", path + "/one/folders/before").check()
            let full = try run("dd", "if=/dev/zero", "of=\(path)/one/folders/big", "bs=1M", "count=30")
            #expect(full.errors.contains("No space left on device"))
            try run("rm", path + "/one/folders/big").check()
            try run("cmp", "/etc/hostname", path + "/one/folders/before").check()
            try run(assetfs, "umount", path + "/one").check()
            try checkLibrary(disk + "/lib")
        }
    }

    @Test func `a library that cannot be written is refused`() throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try run(assetfs, "umount", path + "/one").check()
            try run("mount", "--bind", path + "/lib", path + "/lib").check()
            defer { _ = try? run("umount", "-l", path + "/lib") }
            try run("mount", "-o", "remount,bind,ro", path + "/lib").check()
            let refused = try run(assetfs, "mount", path + "/lib", path + "/one")
            #expect(refused.status == 4 && refused.errors.contains("Read-only file system"), "\(refused)")
        }
    }

    @Test func `without the FUSE device it says what to do`() throws {
        try withPlace { path in
            let refused = try run(
                "unshare",
                "-m",
                "bash",
                "-c",
                "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec \(assetfs) mount \(path)/lib \(path)/one"
            )
            #expect(refused.status == 8 && refused.errors.contains("modprobe fuse"), "\(refused)")
        }
    }

    @Test func `a write past the process's limit is EFBIG`() throws {
        try withMountedLibrary { mount in
            let program = """
                import errno, os, resource, signal
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
                f = os.open('limited', os.O_WRONLY | os.O_CREAT)
                assert os.write(f, bytes(5000)) == 4096
                try: os.write(f, b'x'); assert False
                except OSError as e: assert e.errno == errno.EFBIG
                os.close(f)
                """
            let result = try run(["python3", "-c", program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try mount.read("limited").count == 4096)
        }
    }

    @Test func `a dead mount says so, shows no empty folder, and is replaced by mounting again`() throws {
        try withPlace { path in
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            try run("cp", "/etc/hostname", path + "/one/folders/").check()
            let program =
                "import os; f = os.open('\(path)/one/folders/f', 65); os.write(f, b'x'); os.fsync(f); os.kill(\(try pid(path)), 9)"
            try run("python3", "-c", program).check()
            #expect(try run("ls", path + "/one").errors.contains("Transport endpoint is not connected"))
            try run(assetfs, "mount", path + "/lib", path + "/one").check()
            #expect(try run("ls", path + "/one").output == "collections\nfolders\nresources\nsearch\ntrash\nuploads\n")
            #expect(try run("cat", path + "/one/folders/f").output == "x")
            let log = try String(contentsOfFile: path + "/lib/assetfs.log", encoding: .utf8)
            #expect(log.contains("Finished 1 interrupted upload of 1 byte together"), "\(log)")
            try run(assetfs, "umount", path + "/one").check()
            #expect(try run(assetfs, "umount", path + "/one").status == 10)
        }
    }

    @Test func `the service is told when the mount is ready`() throws {
        try withPlace { path in
            let program = """
                import os, socket, subprocess, sys
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1] + '/notify'); s.settimeout(20)
                p = subprocess.Popen([sys.argv[2], 'mount', '--foreground', sys.argv[1] + '/lib', sys.argv[1] + '/one'],
                                     env={**os.environ, 'NOTIFY_SOCKET': sys.argv[1] + '/notify'}, stderr=subprocess.DEVNULL)
                assert s.recv(100) == b'READY=1\\n'
                assert os.listdir(sys.argv[1] + '/one') == ['collections', 'folders', 'resources', 'search', 'trash', 'uploads']
                p.terminate(); assert p.wait(20) == 0
                """
            let result = try run("python3", "-c", program, path, assetfs)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `the version is printed, and is the changelog's newest release`() throws {
        let sources = #filePath.components(separatedBy: "/Tests/")[0]
        let changelog = try String(contentsOfFile: "\(sources)/docs/CHANGELOG.md", encoding: .utf8)
        let release = changelog.split(separator: "\n").first { $0.firstMatch(of: #/^## \d/#) != nil }
        #expect(try run(assetfs, "--version").check().output == "assetfs \(release?.dropFirst(3) ?? "none")\n")
    }
}
