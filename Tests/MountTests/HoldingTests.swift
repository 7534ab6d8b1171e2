import Foundation
import TestSupport
import Testing

/// Requests during which the kernel holds locks that other users need, above all rename(2) between two
/// folders: a mount serves one of these at a time.
///
/// Reading fifteen terabytes of zeros takes hours, so a test in which a request waits for that is ended by
/// the watchdog of the mount.
@Suite(.serialized)
struct HoldingTests {
    private let prelude =
        neighbourPrelude + """
            def long(path, size=15 << 40):
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644); os.ftruncate(fd, size); os.pwrite(fd, b"z", size - 9); os.close(fd)
            # Allocated blocks, so that they count as data, but not written in order.
            def dense(path, size=1 << 30):
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                os.posix_fallocate(fd, 0, size); os.pwrite(fd, path.encode(), size - 99); os.close(fd)
            def unordered(path, size=5 << 20):
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                os.pwrite(fd, os.urandom(size), size); os.pwrite(fd, os.urandom(size), 0); os.close(fd)
            # Waits until a deferred commit has made the newest of so many versions. `status` would also wait for
            # the extraction of metadata, for which a mount must be quiet.
            def committed(path, versions):
                def found():
                    try: return attribute(path, "versions")
                    except OSError as error: assert error.errno == errno.ENODATA, error
                until(lambda: found() == versions)
            def others():
                for name in "12":
                    if not os.path.isdir("a/" + name): os.mkdir("a/" + name)
                store("a/1/f", b"f"); os.rename("a/1/f", "a/2/f"); os.rename("a/2/f", "a/1/f"); os.unlink("a/1/f")
            def tried(call, *arguments):
                while True:
                    error = refused(call, *arguments)
                    if error != "EBUSY": return error
                    time.sleep(0.02)
            own("a", 5001); own("b", 5002); own("b/x", 5002); own("b/y", 5002)

            """

    private func runProgram(
        _ program: String,
        options: [String] = [],
        seconds: Int = 60,
        _ name: String = #function
    ) throws {
        try withMountedLibrary(name, options: ["allow_other"] + options, seconds: seconds) { mount in
            try run("chmod", "755", mount.scratch).check()
            let result = try run(
                ["env", "MOUNT=\(mount.root)", "python3", "-c", prelude + program],
                in: mount.folders
            )
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }

    @Test func `a rename whose verdict reads for long is refused at once, and holds nobody up`() throws {
        try runProgram(
            """
            say("b/y", duplicates="REJECT")
            def bob():
                long("b/x/big.part")
                assert refused(os.rename, "b/x/big.part", "b/y/big.bin") == "EBUSY"
                assert "try again" in attribute("b/x/big.part", "error"), attribute("b/x/big.part", "error")
                assert refused(os.link, "b/x/big.part", "b/y/big.bin") == "EBUSY"
                assert os.stat("b/x/big.part").st_size == 15 << 40 and not os.path.exists("b/y/big.bin")
                # A request that was refused once soon succeeds; the close before the rename of a file in the
                # folder itself has waited.
                unordered("b/x/small.part"); assert tried(os.rename, "b/x/small.part", "b/y/small.bin") is None
                unordered("b/y/own.part"); os.rename("b/y/own.part", "b/y/own.bin")
                subprocess.run(["cp", "b/y/own.bin", "b/y/own2.part"], check=True)
                assert refused(os.rename, "b/y/own2.part", "b/y/own2.bin") == "EEXIST"
            wait(user(5002, bob)); wait(user(5001, others)); os.unlink("b/x/big.part")
            assert attribute("b/y/small.bin", "versions") == "1" and attribute("b/y/own.bin", "versions") == "1"
            """
        )
    }

    @Test func `others make and list names in a shared folder while a rename there would wait`() throws {
        try runProgram(
            """
            os.mkdir("s"); os.chmod("s", 0o1777); say("s", duplicates="REJECT")
            def bob():
                long("b/x/big.part"); assert refused(os.rename, "b/x/big.part", "s/big.bin") == "EBUSY"
            wait(user(5002, bob))
            def alice(): store("s/alice.txt", b"a"); assert "alice.txt" in os.listdir("s")
            wait(user(5001, alice)); os.unlink("b/x/big.part")
            """
        )
    }

    @Test func `a move of a folder that is refused loses nothing of uploads below whose verdict waits`() throws {
        try runProgram(
            """
            def bob():
                os.mkdir("b/x/moved"); os.mkdir("b/y/full"); store("b/y/full/kept", b"kept"); unordered("b/x/moved/big.bin")
                assert refused(os.rename, "b/x/moved", "b/y/full") == "ENOTEMPTY"
                store("b/x/after", b"after"); fd = os.open("b/x/after", os.O_RDONLY); os.fsync(fd); os.close(fd)
                assert os.listdir("b/x/moved") == ["big.bin"] and text("b/x/after") == b"after" and text("b/y/full/kept") == b"kept"
                committed("b/x/moved/big.bin", "1")
            wait(user(5002, bob))
            """
        )
    }

    @Test(arguments: ["alternative", "alternative with a content", "replacement", "group"])
    func `an upload whose verdict waits loses nothing when its file goes with something else`(_ way: String) throws {
        try runProgram(
            """
            way = "\(way)"
            os.mkdir("a2"); os.chown("a2", 5001, 5001); os.chmod("a2", 0o777); resources = root + "/resources/"
            def trashed(suffix, versions):
                found = [root + "/trash/" + name for name in os.listdir(root + "/trash") if name.endswith("-" + suffix)]
                assert len(found) == 1, found
                committed(found[0], versions)
                return os.stat(found[0]).st_size
            def alice(*actions):
                def act():
                    os.umask(0)
                    for action in actions: action()
                wait(user(5001, act))
            def bob(action):
                def act(): os.umask(0); action()
                wait(user(5002, act))
            def size(path): return os.stat(path).st_size
            def check(found): assert found
            if way.startswith("alternative"):
                alice(lambda: store("a2/a", b"alice")); number = attribute("a2/a", "id"); other = f"{resources}{number}/alternatives/x"
                def write():
                    if way.endswith("content"): store(other, b"first"); assert attribute(other, "versions") == "1"
                    unordered(other)
                bob(write); whole = size(other)
                alice(lambda: os.unlink("a2/a"), lambda: os.unlink(f"{root}/trash/{number}-a"))
                bob(lambda: check(trashed("x", "2" if way.endswith("content") else "1") == whole))
            elif way == "replacement":
                def write(): store("a2/b", b"first"); os.chmod("a2/b", 0o666)
                bob(write); number = attribute("a2/b", "id"); bob(lambda: unordered("a2/b")); whole = size("a2/b")
                alice(lambda: store(f"{resources}{number}/other", b"next"))
                assert text("a2/b") == b"next"
                assert whole in [size(f"{resources}{number}/versions/{name}") for name in os.listdir(f"{resources}{number}/versions")]
            else:
                def write(): store("a2/m", b"first"); os.chmod("a2/m", 0o666)
                bob(write)
                alice(lambda: os.mkdir(root + "/collections/g"), lambda: os.link("a2/m", root + "/collections/g/m"),
                    lambda: os.chmod(root + "/collections/g", 0o555))
                group = [name for name in os.listdir(root + "/collections") if "~1" in name][0]
                bob(lambda: unordered("a2/m")); whole = size("a2/m"); bob(lambda: os.unlink("a2/m"))
                alice(lambda: os.rmdir(root + "/collections/" + group))
                bob(lambda: check(trashed("m", "2") == whole))
            """
        )
    }

    @Test(arguments: ["os.symlink('nowhere', 'b/y/final')", "os.mkdir('b/y/final')"])
    func `an exchange with a link or a folder asks what the folder says, as a rename does`(_ making: String) throws {
        try runProgram(
            """
            import ctypes
            say("b/y", duplicates="REJECT")
            def bob():
                store("b/y/first", b"same"); store("b/y/x.tmp", b"same"); \(making)
                libc = ctypes.CDLL(None, use_errno=True)
                assert libc.renameat2(-100, b"b/y/x.tmp", -100, b"b/y/final", 2) == -1
                assert ctypes.get_errno() == errno.EEXIST and not os.path.isfile("b/y/final"), ctypes.get_errno()
            wait(user(5002, bob))
            """
        )
    }

    @Test func `a rename over data that was not read yet is refused until it is a version`() throws {
        try runProgram(
            """
            def bob():
                dense("b/y/big.bin")
                store("b/x/new.part", b"new")
                assert refused(os.rename, "b/x/new.part", "b/y/big.bin") == "EBUSY"
                assert tried(os.rename, "b/x/new.part", "b/y/big.bin") is None
                assert text("b/y/big.bin") == b"new" and attribute("b/y/big.bin", "versions") == "2"
            wait(user(5002, bob)); wait(user(5001, others))
            """
        )
    }

    @Test func `a rename over data that was not read yet, and a cut of it, wait for a quarter of a second`() throws {
        try runProgram(
            """
            def bob():
                store("b/x/new.part", b"new")
                def moved(): os.rename("b/x/new.part", "b/y/big.bin")
                def cut(): os.truncate("b/y/big.bin", 5)
                for change in (cut, moved):
                    dense("b/y/big.bin"); began = time.monotonic(); error = refused(change)
                    # Requests of a user wait for two seconds of ten: all later ones are refused at once if
                    # the machine has read slowly.
                    waited = change is moved or time.monotonic() - began >= 0.25
                    assert error is None or error == "EBUSY" and waited, (change, error)
                    assert tried(change) is None or change is moved and error is None
                # A file that is read in a moment is not refused, if the machine is not busy.
                unordered("b/y/f"); store("b/x/new.part", b"new"); assert tried(os.rename, "b/x/new.part", "b/y/f") is None
                assert attribute("b/y/f", "versions") == "2"
            wait(user(5002, bob)); wait(user(5001, others))
            """
        )
    }

    @Test(arguments: [false, true])
    func `a removal does not wait for data to be read, which is in the trash with it`(isFirst: Bool) throws {
        try runProgram(
            """
            first = \(isFirst ? "True" : "False")
            def bob():
                if not first: store("b/y/big.bin", b"former")
                dense("b/y/big.bin", 1 << 28)
                os.unlink("b/y/big.bin")
                trashed = [name for name in os.listdir(root + "/trash") if name.endswith("-big.bin")]
                assert len(trashed) == 1, trashed
                path = root + "/trash/" + trashed[0]
                # Its bytes can be read, and its commit comes later.
                assert attribute(path, "status") == "processing" and os.stat(path).st_size == 1 << 28
                # A new file with the name takes no data from it.
                store("b/y/big.bin", b"another"); assert attribute("b/y/big.bin", "versions") == "1"
                committed(path, "1" if first else "2")
                os.rename(path, "b/y/back.bin"); fd = os.open("b/y/back.bin", os.O_RDONLY)
                assert os.pread(fd, 11, (1 << 28) - 99) == b"b/y/big.bin"; os.close(fd)
            wait(user(5002, bob))
            """
        )
    }

    @Test func `what a kill interrupts between a removal and its verdict is in the trash of the next mount`() throws {
        try withScratch("holding") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            let script = """
                set -eu; L=\(library); mount() { timeout 60 \(assetfs) mount $L \(root); }
                mount; cd \(root)/folders
                python3 -c '
                import os
                fd = os.open("big.bin", os.O_RDWR | os.O_CREAT); os.posix_fallocate(fd, 0, 1 << 28)
                os.pwrite(fd, b"last bytes", 200 << 20); os.fsync(fd); os.close(fd); os.unlink("big.bin")
                fd = os.open(".", os.O_RDONLY); os.fsync(fd)'
                cd /; kill -9 $(pgrep -f "[a]ssetfs mount $L")
                timeout 60 sh -c 'until flock -n \(library)/lock true; do sleep 0.05; done'; umount -l \(root)
                mount; cd \(root)/trash; file=$(echo *-big.bin)
                for n in $(seq 600); do [ "$(getfattr --only-values -n user.asset.versions $file)" = 1 ] && break; sleep 0.1; done
                [ "$(dd if=$file iflag=skip_bytes,count_bytes skip=200M count=10 status=none)" = "last bytes" ]
                cd /; timeout 60 \(assetfs) umount \(root)
                """
            try shell(script).check()
            try checkLibrary(library)
        }
    }

    @Test func `truncate and fsync, for which the kernel holds a file's lock, do not wait for a verdict`() throws {
        try runProgram(
            """
            say("b", duplicates="REJECT"); say("a", overwrite="false")
            def bob():
                store("b/x/f", b"f"); os.truncate("b/x/f", 15 << 40)
                os.rename("b/x/f", "b/y/f"); os.unlink("b/y/f")
            wait(user(5002, bob))
            def alice():
                store("a/n.txt", b"first"); fd = os.open("a/n.txt", os.O_RDWR); os.ftruncate(fd, 15 << 40); os.fsync(fd)
                os.ftruncate(fd, 3); os.close(fd)
            wait(user(5001, alice))
            wait(user(5001, others)); assert text("a/n.txt") == b"first"
            """
        )
    }

    @Test func `a rename that asks a clamd that hangs is refused at once, and done when that has answered`() throws {
        try withClamdFolder("holding-clamd") { folder in
            try runProgram(
                """
                clamd = subprocess.Popen(["/usr/sbin/clamd", "-c", "\(folder)/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                until(lambda: os.path.exists("\(folder)/ctl"))
                say("b/y", scan="reject"); store("b/y/cut", b"cut"); os.chown("b/y/cut", 5002, 5002)
                def whole():
                    store("b/y/good.part", b"good"); os.rename("b/y/good.part", "b/y/good")
                    store("b/y/bad.part", b"Z" * 40); assert refused(os.rename, "b/y/bad.part", "b/y/bad") == "EPERM"
                wait(user(5002, whole))
                clamd.send_signal(signal.SIGSTOP)
                def bob():
                    store("b/x/late.part", b"late"); store("b/x/bad.part", b"bad" + b"Z" * 40)
                    for name in ("late", "bad"): assert refused(os.rename, f"b/x/{name}.part", "b/y/" + name) == "EBUSY"
                    assert "try again" in attribute("b/x/late.part", "error")
                    assert refused(os.link, "b/x/late.part", "b/y/late") == "EBUSY"
                    os.truncate("b/y/cut", 2); assert refused(os.unlink, "b/y/cut") is None
                try: wait(user(5002, bob)); wait(user(5001, others))
                finally: clamd.send_signal(signal.SIGCONT)
                def again():
                    assert tried(os.rename, "b/x/late.part", "b/y/late") is None
                    assert tried(os.rename, "b/x/bad.part", "b/y/bad") == "EPERM"
                wait(user(5002, again)); assert text("b/y/late") == b"late" and not os.path.exists("b/y/bad")
                clamd.terminate(); clamd.wait()
                """,
                options: ["clamd=\(folder)/ctl"]
            )
        }
    }

    @Test func `that a clamd has seen a content is told to no user who may not read a file with it`() throws {
        try withClamdFolder("holding-seen") { folder in
            try runProgram(
                """
                clamd = subprocess.Popen(["/usr/sbin/clamd", "-c", "\(folder)/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                until(lambda: os.path.exists("\(folder)/ctl"))
                say("b/y", scan="reject"); own("b/y", 5001); os.chmod("b/y", 0o777)
                def alice(): os.umask(0o077); store("b/y/pin.part", b"pin 4711"); os.rename("b/y/pin.part", "b/y/pin"); os.chmod("b/y/pin", 0o600)
                wait(user(5001, alice))
                def before(): store("b/x/own.part", b"of bob"); store("b/y/own.part", b"of bob"); os.rename("b/y/own.part", "b/y/own")
                wait(user(5002, before))
                clamd.send_signal(signal.SIGSTOP)
                def bob():
                    for guess in (b"pin 4711", b"pin 4712"):
                        store("b/x/guess.part", guess); found = refused(os.rename, "b/x/guess.part", "b/y/guess"); assert found == "EBUSY", (guess, found)
                        os.unlink("b/x/guess.part")
                    # For content that bob himself has had scanned the answer comes at once.
                    os.rename("b/x/own.part", "b/y/again")
                try: wait(user(5002, bob))
                finally: clamd.send_signal(signal.SIGCONT); clamd.terminate(); clamd.wait()
                """,
                options: ["clamd=\(folder)/ctl"]
            )
        }
    }

    @Test func `a folder's path has a thousand levels and 64 KiB at most, also by moves`() throws {
        try runProgram(
            """
            def chain(top, name, levels):
                os.mkdir(top); fd = os.open(top, os.O_RDONLY); made = 1; error = None
                while made < levels:
                    error = refused(lambda: os.mkdir(name, dir_fd=fd))
                    if error: break
                    below = os.open(name, os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below; made += 1
                return fd, made, error
            deep, made, error = chain("deep", "d", 1200); assert (made, error) == (1000, "ENAMETOOLONG"), (made, error)
            wide, made, error = chain("wide", "\\x01" * 250, 1200); assert error == "ENAMETOOLONG" and 250 < made < 265, (made, error)
            # Files are created there, and their notifications are short.
            for fd in (deep, wide):
                os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
                file = os.open("g", os.O_WRONLY | os.O_CREAT, dir_fd=fd); os.write(file, b"%d" % fd); os.close(file)
            for journal in ("receipts", "events"):
                lines = text(f"{root}/uploads/{journal}.jsonl").splitlines()
                assert max(map(len, lines)) < 32 << 10, max(map(len, lines))
            half, made, error = chain("half", "h", 600); assert error is None
            other, made, error = chain("other", "o", 500); assert error is None
            assert refused(lambda: os.rename("half", "moved", dst_dir_fd=other)) == "ENAMETOOLONG"
            assert refused(lambda: os.rename("other", "moved", dst_dir_fd=half)) == "ENAMETOOLONG"
            os.mkdir("empty"); os.rename("empty", "moved", dst_dir_fd=other); os.rename("half", "half2"); os.mkdir("in")
            os.rename("half2", "in/half"); os.rename("in/half", "half")
            assert refused(lambda: os.rename("empty2", "moved", dst_dir_fd=deep)) == "ENOENT"
            os.mkdir("empty2"); assert refused(lambda: os.rename("empty2", "moved", dst_dir_fd=deep)) == "ENAMETOOLONG"
            """
        )
    }

    @Test(arguments: [
        #"os.rename("s/f/big.bin", "s/x.part"); os.unlink("s/x.part")"#,
        #"os.link("s/f/big.bin", "s/x.part"); os.unlink("s/f/big.bin"); os.unlink("s/x.part")"#,
        #"store("s/x.part", b"x"); exchange("s/f/big.bin", "s/x.part"); os.unlink("s/x.part")"#,
        #"os.rename("s/f", "s/.Trash-5002"); os.unlink("s/.Trash-5002/big.bin")"#,
        #"say("s/f", junk_names="big*"); os.unlink("s/f/big.bin")"#,
    ])
    func `a file whose verdict waits is in the trash, whatever it is called when it is removed`(_ way: String) throws {
        try runProgram(
            """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            def exchange(one, other):
                while libc.renameat2(-100, one.encode(), -100, other.encode(), 2) != 0:
                    assert ctypes.get_errno() == errno.EBUSY, ctypes.get_errno(); time.sleep(0.02)
            os.mkdir("s"); os.chmod("s", 0o777); own("s/f", 5002); os.chmod("s/f", 0o777)
            def alice(): dense("s/f/big.bin", 64 << 20); os.chmod("s/f/big.bin", 0o666)
            wait(user(5001, alice))
            def bob():
                \(way)
            wait(user(5002, bob))
            def mine():
                trashed = [root + "/trash/" + name for name in os.listdir(root + "/trash")]
                assert len(trashed) == 1 and os.stat(trashed[0]).st_uid == 5001, trashed
                committed(trashed[0], "1")
                fd = os.open(trashed[0], os.O_RDONLY); assert os.pread(fd, 11, (64 << 20) - 99) == b"s/f/big.bin"; os.close(fd)
                assert attribute(trashed[0], "versions") == "1"
            wait(user(5001, mine))
            """
        )
    }
}
