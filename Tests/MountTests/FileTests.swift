import Foundation
import TestSupport
import Testing

/// Operations of programs on one file.
///
/// Each runs with and without passthrough reads of large files.
@Suite(.serialized)
struct FileTests {
    /// Runs a Python program, because Python makes exactly the system calls that it is told to.
    private func python(_ program: String, options: [String], _ name: String = #function) throws {
        try withMountedLibrary(name, options: options) { mount in
            let path = mount.scratch + "/program.py"
            let preamble =
                "import os, mmap, sys, hashlib, errno, time, subprocess\nbig = os.urandom(1 << 20)\n"
                + "def raw(name, mode='rb'): return open(name, mode, buffering=0)\n"
                + "def content(name): return raw(name).read()\n"
                + "def put(name, data):\n    with raw(name, 'wb') as f: f.write(data)\n    settle(name)\n"
                + "def settle(name): os.getxattr(name, 'user.asset.id'); time.sleep(0.05)\n"
                + "def sha(name): return os.getxattr(name, 'user.asset.sha256').decode()\n"
            try (preamble + program).write(toFile: path, atomically: false, encoding: .utf8)
            let result = try run(["python3", path], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `a reader sees what a writer wrote, whichever opened first`(option: String) throws {
        try python(
            """
            put('a', big); put('b', big)
            a = raw('a'); a.read(100)
            b = raw('b'); b.read(100)
            with raw('a', 'r+b') as g: g.seek(10); g.write(b'X' * 10)
            want = big[:10] + b'X' * 10 + big[20:]
            a.seek(0); assert a.readall() == want
            b.seek(0); assert b.readall() == big
            with raw('a', 'ab') as g: g.write(b'tail')
            a.seek(0); assert a.readall() == want + b'tail'
            with raw('a', 'wb') as g: g.write(b'new')
            a.seek(0); assert a.readall() == b'new'
            a.close(); b.close()
            assert content('a') == b'new' and content('b') == big
            assert sha('a') == hashlib.sha256(b'new').hexdigest()
            """,
            options: [option]
        )
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `a shared mapping writes to the file, also after it was closed`(option: String) throws {
        try python(
            """
            put('m', big)
            reader = raw('m'); reader.read(10)
            g = raw('m', 'r+b'); mapping = mmap.mmap(g.fileno(), 0); mapping[0:4] = b'MMAP'; mapping.flush()
            reader.seek(0); assert reader.read(4) == b'MMAP'
            g.close(); mapping[4:8] = b'late'; mapping.close()
            reader.close(); time.sleep(0.3)
            assert content('m') == b'MMAPlate' + big[8:]
            assert sha('m') == hashlib.sha256(content('m')).hexdigest()
            put('w', big); reader = raw('w'); reader.read(10)
            g = raw('w', 'w+b'); g.write(big[::-1]); mapping = mmap.mmap(g.fileno(), 0); mapping[7:10] = b'xyz'
            mapping.close(); g.close(); reader.close(); time.sleep(0.3)
            assert content('w')[7:10] == b'xyz' and sha('w') == hashlib.sha256(content('w')).hexdigest()
            n = raw('n', 'w+b'); n.truncate(8192)
            mapping = mmap.mmap(n.fileno(), 8192); mapping[5000:5003] = b'new'; mapping.close(); n.close()
            assert content('n') == bytes(5000) + b'new' + bytes(3189)
            """,
            options: [option]
        )
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `an unlinked file goes on working while it is open`(option: String) throws {
        try python(
            """
            for data in (b'small', big):
                put('u', data)
                f = raw('u', 'r+b'); os.unlink('u')
                assert not os.path.exists('u') and os.fstat(f.fileno()).st_nlink == 0
                f.write(b'S'); f.seek(0); assert f.readall() == b'S' + data[1:]
                put('u', b'another'); f.seek(0); assert f.read(1) == b'S'
                f.close(); assert content('u') == b'another'
            """,
            options: [option]
        )
    }

    @Test func `O_TRUNC truncates also what is opened for reading`() throws {
        try withMountedLibrary { mount in
            try mount.write("f", Array("hello".utf8))
            let program = """
                import os
                fd = os.open("f", os.O_RDONLY | os.O_TRUNC)
                assert os.fstat(fd).st_size == 0 == os.stat("f").st_size and os.read(fd, 10) == b"" == open("f", "rb").read()
                """
            try run(["python3", "-c", program], in: mount.folders).check()
        }
    }

    @Test func `sizes change as truncate, append and holes say`() throws {
        try python(
            """
            put('f', b'0123456789'); os.truncate('f', 4); assert content('f') == b'0123'
            os.truncate('f', 6); assert content('f') == b'0123\\0\\0'
            os.utime('f', (1, 1)); os.truncate('f', 6); assert os.stat('f').st_mtime > 1
            with raw('f', 'ab') as a, raw('f', 'ab') as b: a.write(b'a'); b.write(b'b'); a.write(b'c')
            assert content('f') == b'0123\\0\\0abc'
            f = raw('s', 'w+b'); f.seek(100 << 20); f.write(b'end'); f.close(); settle('s')
            assert os.stat('s').st_size == (100 << 20) + 3 and os.stat('s').st_blocks < 100
            fd = os.open('s', os.O_RDWR)
            assert os.lseek(fd, 0, os.SEEK_DATA) == 100 << 20 and os.lseek(fd, 0, os.SEEK_HOLE) == 0
            os.pwrite(fd, b'mid', 50 << 20); os.fsync(fd); os.close(fd)
            assert os.pread(os.open('s', os.O_RDONLY), 3, 50 << 20) == b'mid'
            subprocess.check_call(['fallocate', '-p', '-o', '0', '-l', '8', 'f']); assert content('f') == bytes(8) + b'c'
            for offset in (1 << 62, (1 << 63) - 4096):
                try: os.pwrite(os.open('f', os.O_RDWR), b'x', offset); assert False
                except OSError as e: assert e.errno == errno.EFBIG, e
            subprocess.check_call(['fallocate', '-l', '20', 'f']); assert os.stat('f').st_size == 20
            """,
            options: []
        )
    }

    @Test func `a shell's redirection is one upload, whoever closes in between`() throws {
        try withMountedLibrary { mount in
            try shell("( echo a; /bin/echo b; ( echo c ) ) > out; cat out", in: mount.folders).check()
            #expect(try mount.read("out") == Array("a\nb\nc\n".utf8))
            #expect(try mount.attribute("user.asset.versions", of: "out") == "1")
        }
    }

    @Test func `a write by somebody else takes the set-id bits, and a time that was set stays`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            try shell("echo x > f; chmod 6777 f; touch -d 2000-01-01 f", in: mount.folders).check()
            #expect(try run("stat", "-c", "%a %Y", mount.path("f")).output == "6777 946684800\n")
            try run("setpriv", "--reuid=12345", "--clear-groups", "bash", "-c", "echo y >> \(mount.path("f"))").check()
            #expect(try run("stat", "-c", "%a", mount.path("f")).output == "777\n")
            let refused = try run(
                "setpriv",
                "--reuid=12345",
                "--clear-groups",
                "bash",
                "-c",
                "echo y > \(mount.path("no"))"
            )
            #expect(refused.status != 0)
        }
    }

    @Test func `fsync makes bytes and name survive kill -9`() throws {
        try withScratch { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try run(assetfs, "mount", library, root).check()
            let program = """
                import hashlib, os, sys
                manifest = open(sys.argv[2], 'w', buffering=1)
                for number in range(100000):
                    data = os.urandom(3000 + number * 7)
                    try:
                        with open(f'{sys.argv[1]}/f{number}', 'wb') as f:
                            f.write(data); f.flush(); os.fsync(f.fileno())
                        manifest.write(f'{hashlib.sha256(data).hexdigest()}  f{number}\\n')
                    except OSError: break
                """
            try program.write(toFile: scratch + "/writer.py", atomically: false, encoding: .utf8)
            try shell(
                """
                python3 \(scratch)/writer.py \(root)/folders \(scratch)/manifest &
                cp -r /usr/share/doc \(root)/folders/doc 2>/dev/null &
                sleep 1.5; pkill -9 -f "[a]ssetfs mount \(library)"; wait; umount -l \(root)
                """
            ).check()
            let manifest = try String(contentsOfFile: scratch + "/manifest", encoding: .utf8).split(separator: "\n")
            #expect(manifest.count > 10)
            try remount(library, on: root, scratch: scratch) { mount in
                #expect(try FileManager.default.contentsOfDirectory(atPath: library + "/staging").isEmpty)
                try run("sha256sum", "--quiet", "-c", scratch + "/manifest", in: mount.folders).check()
            }
            try checkLibrary(library)
        }
    }

    @Test(arguments: [("O_SYNC", "async"), ("O_DSYNC", "async"), ("0", "sync")])
    func `O_SYNC, O_DSYNC and -o sync make each write survive kill -9`(flag: String, option: String) throws {
        try withScratch { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: assetfs)
            process.arguments = ["mount", "--foreground", library, root, "-o", option]
            process.standardError = FileHandle.nullDevice
            try process.run()
            let daemon = process.processIdentifier
            try shell(
                """
                until mountpoint -q \(root) && test -d \(root)/folders; do sleep 0.02; done; cd \(root)/folders
                exec python3 -c 'import os, signal
                file = os.open("new", os.O_WRONLY | os.O_CREAT | os.\(flag == "0" ? "O_APPEND" : flag), 0o644)
                os.write(file, b"a" * 5000); os.write(file, b"b" * 70)
                os.kill(\(daemon), signal.SIGKILL)'
                """
            ).check()
            process.waitUntilExit()
            try run("umount", "-l", root).check()
            try remount(library, on: root, scratch: scratch) { mount in
                let bytes = try mount.read("new")
                #expect(bytes.count == 5070 && bytes.prefix(5000).allSatisfy { $0 == 97 } && bytes.last == 98)
            }
            try checkLibrary(library)
        }
    }

    @Test(arguments: ["RWF_DSYNC", "RWF_SYNC", "copy_file_range", "fallocate"])
    func `what pwritev2, copy_file_range and fallocate promise to be durable survives kill -9`(way: String) throws {
        let change =
            switch way {
            case "copy_file_range": "source = os.open('source', os.O_RDONLY); os.copy_file_range(source, file, 5000)"
            case "fallocate": "os.write(file, b'a' * 10); os.posix_fallocate(file, 0, 5000)"
            default: "os.pwritev(file, [b'a' * 5000], 0, os.\(way))"
            }
        let flags = way.hasPrefix("RWF") ? "0" : "os.O_DSYNC"
        try withScratch { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: assetfs)
            process.arguments = ["mount", "--foreground", library, root]
            process.standardError = FileHandle.nullDevice
            try process.run()
            let daemon = process.processIdentifier
            // The file is durable before it is changed; afterwards only the change itself waits for the disk.
            try shell(
                """
                until mountpoint -q \(root) && test -d \(root)/folders; do sleep 0.02; done; cd \(root)/folders
                head -c 5000 /dev/zero | tr '\\0' a > source; : > new; sync source new
                exec python3 -c "import os, signal
                file = os.open('new', os.O_RDWR | \(flags))
                \(change)
                os.kill(\(daemon), signal.SIGKILL)"
                """
            ).check()
            process.waitUntilExit()
            try run("umount", "-l", root).check()
            try remount(library, on: root, scratch: scratch) { mount in
                let bytes = try mount.read("new")
                #expect(bytes.count == 5000 && bytes.prefix(10).allSatisfy { $0 == 97 })
            }
            try checkLibrary(library)
        }
    }
}
