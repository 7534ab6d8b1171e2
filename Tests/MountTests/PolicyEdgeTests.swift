import Foundation
import TestSupport
import Testing

/// Policies in combination with concurrent operations, or with an unusual order of operations.
///
/// Each case was an error once.
struct PolicyEdgeTests {
    private func check(_ program: String, _ name: String = #function) throws {
        try withMountedLibrary(name) { mount in
            try run(["python3", "-c", pythonPrelude + program], in: mount.folders).check()
        }
    }

    @Test func `a file that was accepted stays when the next upload to it is rejected before its last close is known`()
        throws
    {
        try check(
            """
            say("R", duplicates="REJECT"); store("R/other", b"other")
            for n, flags in enumerate((os.O_TRUNC, 0)):
                name = f"R/{n}"; first = b"first" + str(n).encode()
                # A second descriptor keeps the kernel from reporting the last close.
                made = os.open(name, os.O_WRONLY | os.O_CREAT); kept = os.dup(made); os.write(made, first); os.close(made)
                again = os.open(name, os.O_WRONLY | flags); os.write(again, b"other"); os.ftruncate(again, 5)
                assert refused(os.close, again) == "EEXIST"
                assert text(name) == first and sorted(os.listdir("R")) == sorted(["other"] + [str(m) for m in range(n + 1)]), os.listdir("R")
                refused(os.close, kept); assert text(name) == first
            # A file of which nothing was accepted goes with the rejected upload.
            made = os.open("R/new", os.O_WRONLY | os.O_CREAT); again = os.open("R/new", os.O_WRONLY); os.write(again, b"other")
            assert refused(os.close, again) == "EEXIST"; refused(os.close, made); assert not os.path.exists("R/new")
            """
        )
    }

    @Test func `bytes that a quota refused never get into another file`() throws {
        try check(
            """
            say("Q", quota="100"); store("Q/old", b"o" * 10)
            f1 = os.open("Q/old", os.O_RDWR); f2 = os.open("Q/n2", os.O_WRONLY | os.O_CREAT); d = os.dup(f1)
            os.pwrite(f2, b"2" * 60, 0); os.pwrite(f1, b"C" * 60, 0)
            os.close(f2)
            assert refused(os.close, f1) == "EDQUOT"
            store("C.txt", b"C" * 60)
            store("copy", text("Q/old")); assert text("copy") == b"o" * 10
            os.pwrite(d, b"corrupted!", 0)
            assert refused(os.close, d) == "EDQUOT"
            assert text("C.txt") == b"C" * 60 and text("Q/old") == b"o" * 10
            """
        )
    }

    @Test func `an upload without a name is not put off`() throws {
        try check(
            """
            say("K", overwrite="false"); store("K/a", bytes(2 << 20))
            fd = os.open("K/a", os.O_RDWR); os.pwrite(fd, b"NEW", 1 << 20)
            say("K", overwrite="true")
            os.close(fd)
            assert text("K/a") == bytes(2 << 20) and text("K/a-1")[1 << 20:][:3] == b"NEW"
            """
        )
    }

    @Test func `readers of a name that stays see it as it is, all the time`() throws {
        try check(
            """
            say("K", overwrite="false")
            for size in (10, 5000, 200_000):
                first = os.urandom(size); path = f"K/{size}.bin"; store(path, first)
                kept = os.open(path, os.O_RDONLY); mapped = mmap.mmap(kept, 0, prot=mmap.PROT_READ)
                stop = time.monotonic() + 1.5
                def write():
                    number = 0
                    while time.monotonic() < stop:
                        number += 1
                        flags = os.O_RDWR | (os.O_TRUNC if number % 2 else 0)
                        fd = os.open(path, flags)
                        os.write(fd, b"%d" % (number % 9) * 3 * size); os.ftruncate(fd, 2 * size); os.close(fd)
                writer = child(write)
                while time.monotonic() < stop:
                    assert text(path) == first
                    assert os.pread(kept, 4 * size, 0) == first and os.fstat(kept).st_size == size
                    assert os.stat(path).st_size == size and os.lseek(kept, 0, os.SEEK_END) == size
                    assert mapped[:] == first
                wait(writer)
            """
        )
    }

    @Test func `a writer of a name that stays has a file like any other`() throws {
        try check(
            """
            say("K", overwrite="false"); store("K/f", b"0123456789"); store("K/m", b"C" * 5000)
            f = open("K/f", "wb+"); f.write(b"abc"); f.flush()
            assert f.seek(0, 2) == 3 == os.fstat(f.fileno()).st_size
            f.write(b"def"); f.close()
            assert text("K/f-1") == b"abcdef" and text("K/f") == b"0123456789"
            fd = os.open("K/m", os.O_RDWR); os.pwrite(fd, b"PRIVATE!", 0)
            with mmap.mmap(fd, 0) as mapping:
                assert mapping[:8] == b"PRIVATE!"; mapping[8:12] = b"MORE"
                assert subprocess.run(["head", "-c", "12", "K/m"], capture_output=True).stdout == b"C" * 12
            os.close(fd)
            assert text("K/m") == b"C" * 5000 and text("K/m-1") == b"PRIVATE!MORE" + b"C" * 4988
            # Programs compare the opened file with the file of that name: vim would refuse to write
            # otherwise.
            fd = os.open("K/f", os.O_WRONLY)
            assert (os.fstat(fd).st_ino, os.fstat(fd).st_nlink) == (os.stat("K/f").st_ino, 1); os.close(fd)
            # Changes by a child through an inherited descriptor apply to the new file, too.
            fd = os.open("K/f", os.O_WRONLY | os.O_TRUNC); os.write(fd, b"by a child")
            wait(child(lambda: (os.fchmod(fd, 0o600), os.utime(fd, ns=(3, 3)), os.setxattr(fd, "user.z", b"z"))))
            os.close(fd)
            new, old = os.stat("K/f-2"), os.stat("K/f")
            assert new.st_mode & 0o777 == 0o600 and new.st_mtime_ns == 3 and os.listxattr("K/f-2") == ["user.z"]
            assert old.st_mode & 0o777 == 0o644 and old.st_mtime_ns > 10**18 and os.listxattr("K/f") == []
            # touch changes the file that has the name.
            os.utime("K/f", ns=(7, 7)); subprocess.run(["touch", "K/f"], check=True)
            assert os.stat("K/f").st_mtime_ns > 10**18 and len(os.listdir("K")) == 5
            """
        )
    }

    @Test func `content is kept also while another writer has the name open`() throws {
        try check(
            """
            say("K", overwrite="false")
            fd = os.open("K/a", os.O_WRONLY | os.O_CREAT)
            wait(child(lambda: os.write(fd, b"hello")))
            store("K/a", b"world"); os.close(fd)
            assert text("K/a") == b"hello" and text("K/a-1") == b"world"
            one = os.open("K/two", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            two = os.open("K/two", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.write(one, b"the first"); os.write(two, b"second"); os.close(two); os.close(one)
            assert sorted([text("K/two"), text("K/two-1")]) == [b"second", b"the first"]
            one = os.open("K/tre", os.O_WRONLY | os.O_CREAT); os.write(one, b"creator")
            store("K/.tre.AbCdE1", b"other"); os.rename("K/.tre.AbCdE1", "K/tre"); os.close(one)
            assert text("K/tre") == b"creator" and text("K/tre-1") == b"other"
            for number in range(500):
                store(f"K/n{number}", b"first %d" % number); store(f"K/n{number}", b"second %d" % number)
                assert text(f"K/n{number}") == b"first %d" % number and text(f"K/n{number}-1") == b"second %d" % number
            """
        )
    }

    @Test func `each name's folder says whether what is written under it is to stay`() throws {
        try check(
            """
            say("K", overwrite="false"); os.mkdir("O")
            store("O/p", b"one"); os.link("O/p", "K/p"); store("K/p", b"two")
            assert text("O/p") == text("K/p") == b"one" and text("K/p-1") == b"two"
            store("K/h", b"one h"); os.link("K/h", "O/h"); store("O/h", b"two h")
            assert text("O/h") == text("K/h") == b"two h" and not os.path.exists("K/h-1")
            """
        )
    }

    @Test func `an asset that several names show is nobody else's to take along`() throws {
        try check(
            """
            say("R", duplicates="RETURN_EXISTING")
            def pair(number):
                host, guest = f"R/h{number}", f"R/g{number}"
                store(host, b"X%d" % number); os.setxattr(host, "user.asset.caption", b"host"); store(guest, b"X%d" % number)
                assert attribute(host, "id") == attribute(guest, "id")
                return host, guest
            def apart(host, guest, number):
                assert attribute(host, "id") != attribute(guest, "id") and text(host) == b"X%d" % number
                os.setxattr(guest, "user.asset.caption", b"guest")
                assert attribute(host, "caption") == "host" and attribute(host, "versions") == "1"
            host, guest = pair(1); store("R/.g1.AbCdE9", b"Y1"); os.rename("R/.g1.AbCdE9", guest); apart(host, guest, 1)
            host, guest = pair(2); os.rename(guest, guest + "~"); store(guest, b"Y2"); os.unlink(guest + "~"); apart(host, guest, 2)
            host, guest = pair(3); store("R/o3", b"Y3"); os.rename("R/o3", guest); apart(host, guest, 3)
            host, guest = pair(4); store("R/.h4.AbCdE9", b"Y4"); own = attribute(host, "id"); os.rename("R/.h4.AbCdE9", host)
            assert attribute(host, "id") == own != attribute(guest, "id") and text(guest) == b"X4"
            # An asset that was removed long ago is not restored for other content.
            store("R/x", b"secret"); os.setxattr("R/x", "user.asset.caption", b"secret"); gone = attribute("R/x", "id"); os.unlink("R/x")
            time.sleep(15.5)
            store("R/x", b"X1"); store("R/x", b"harmless"); assert attribute("R/x", "id") != gone and attribute("R/x", "caption") == "host"
            # An asset that stays is not attached to one that expires.
            say("T", store="0"); say("S", duplicates="RETURN_EXISTING", scope="ENTIRE_PORTAL")
            store("T/t", b"t"); store("S/t", b"t"); assert attribute("S/t", "stored") == "1" and attribute("S/t", "id") != attribute("T/t", "id")
            """
        )
    }

    @Test func `nobody changes another's asset, or makes names, by uploading what they may read`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "711", mount.scratch).check()
            try run(
                [
                    "python3", "-c",
                    pythonPrelude + """
                        os.umask(0)
                        os.mkdir("P"); store("P/root", b"same"); os.setxattr("P/root", "user.asset.caption", b"mine")
                        say("R", duplicates="RETURN_EXISTING", scope="ENTIRE_PORTAL"); os.chmod("R", 0o777)
                        say("K", overwrite="false"); os.chmod("K", 0o755); store("K/a", b"a"); os.chmod("K/a", 0o666)
                        def nobody():
                            os.setgroups([]); os.setgid(65534); os.setuid(65534)
                            store("R/b", b"same"); assert attribute("R/b", "caption") == "mine"
                            os.setxattr("R/b", "user.asset.caption", b"hacked"); os.setxattr("R/b", "user.asset.stored", b"0")
                            assert refused(store, "K/a", b"evil") == "EACCES" and text("K/a") == b"a"
                            assert refused(open, "../uploads/receipts.jsonl") == "EACCES"
                        wait(child(nobody))
                        assert attribute("P/root", "caption") == "mine" and attribute("P/root", "stored") == "1"
                        assert attribute("R/b", "caption") == "hacked" and os.listdir("K") == ["a"]
                        """,
                ],
                in: mount.folders
            ).check()
        }
    }

    @Test func `an upload into a folder that is gone ends with ENOENT`() throws {
        try check(
            """
            say("K", overwrite="false"); store("K/a", b"a"); fd = os.open("K/a", os.O_WRONLY); os.write(fd, b"zz")
            os.unlink("K/a"); os.rmdir("K")
            assert refused(os.close, fd) == "ENOENT"
            say("J", duplicates="REJECT"); store("J/a", b"a"); fd = os.open("J/b", os.O_WRONLY | os.O_CREAT); os.write(fd, b"a"); other = os.dup(fd)
            assert refused(os.close, fd) == "EEXIST"
            os.unlink("J/a"); os.rmdir("J"); os.write(other, b"b"); assert refused(os.close, other) == "ENOENT"
            """
        )
    }

    @Test func `what is refused takes all of it back`() throws {
        try check(
            """
            say("J", duplicates="REJECT")
            store("J/q", b"q1"); big = os.urandom(200_000); store("J/dup", big)
            a, b = os.open("J/q", os.O_WRONLY), os.open("J/q", os.O_WRONLY)
            os.ftruncate(a, 0); os.write(a, big); assert refused(os.close, a) == "EEXIST" and text("J/q") == b"q1"
            os.pwrite(b, b"B wins", 0); os.close(b); assert text("J/q") == b"B wins"
            # In parts: the exit of the first child commits the first part as an asset.
            store("J/whole", b"part one, part two")
            fd = os.open("J/parts", os.O_WRONLY | os.O_CREAT)
            wait(child(lambda: os.write(fd, b"part one")))
            os.write(fd, b", part two"); assert refused(os.close, fd) == "EEXIST" and not os.path.exists("J/parts")
            # Continues from there: the file gets the asset of that commit again.
            fd = os.open("J/parts", os.O_WRONLY | os.O_CREAT); os.write(fd, b"part one")
            wait(child(lambda: None)); number = attribute("J/parts", "id")
            os.write(fd, b", part two"); other = os.dup(fd)
            assert refused(os.close, fd) == "EEXIST" and not os.path.exists("J/parts")
            os.write(other, b", part three"); os.close(other)
            assert text("J/parts") == b"part one, part two, part three" and attribute("J/parts", "id") == number
            # With a second name.
            fd = os.open("J/n", os.O_WRONLY | os.O_CREAT); os.write(fd, big); os.link("J/n", "J/n2")
            assert refused(os.close, fd) == "EEXIST"; assert sorted(os.listdir("J")) == ["dup", "parts", "q", "whole"], os.listdir("J")
            # With the attributes that cp -p sets before it closes.
            store("J/e", b"old"); before = os.stat("J/e")
            fd = os.open("J/e", os.O_WRONLY | os.O_TRUNC); os.write(fd, big); os.utime(fd, ns=(5, 5)); os.fchmod(fd, 0o755)
            assert refused(os.close, fd) == "EEXIST"; after = os.stat("J/e")
            assert text("J/e") == b"old" and (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
            """
        )
    }

    @Test func `quotas count links, clones and huge numbers`() throws {
        try check(
            """
            say("Q", quota="1M")
            store("Q/a", b"a" * 10); os.link("Q/a", "Q/b"); store("Q/a", b"a" * 300_000); os.unlink("Q/a"); os.unlink("Q/b")
            assert refused(store, "Q/z", bytes(1_200_000)) == "EDQUOT"; store("Q/z", bytes(1_000_000)); os.unlink("Q/z")
            store("s", os.urandom(900_000)); source = os.open("s", os.O_RDONLY)
            fds = [os.open(f"Q/c{n}", os.O_WRONLY | os.O_CREAT) for n in range(4)]
            errors = [refused(os.copy_file_range, source, fd, 900_000, 0, 0) for fd in fds]
            for fd in fds: refused(os.close, fd)
            assert errors == [None] + ["EDQUOT"] * 3 and os.listdir("Q") == ["c0"], (errors, os.listdir("Q"))
            os.unlink("Q/c0")
            assert refused(say, "Q", ) is None and refused(lambda: say("Q", quota="9223372036854775807")) in (None, "EINVAL")
            store("Q/a", b"a"); os.link("Q/a", "Q/b"); store("Q/z", b"z"); store("Q/a", b"a" * 5000); os.unlink("Q/a"); os.unlink("Q/b"); store("Q/z", b"zz")
            """
        )
    }

    @Test func `an exchange is screened, and a folder's number becomes free`() throws {
        try check(
            """
            import ctypes
            say("X", max_size="100"); store("X/ok.txt", b"ok"); store(".big.AbCdE1", bytes(5000))
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.renameat2(-100, b".big.AbCdE1", -100, b"X/ok.txt", 2) == -1 and ctypes.get_errno() == errno.EFBIG
            assert text("X/ok.txt") == b"ok"
            say("K", overwrite="false"); store("K/README", b"0"); os.mkdir("K/README-1"); store("K/README", b"2"); os.rmdir("K/README-1")
            store("K/README", b"1"); assert text("K/README-1") == b"1"
            """
        )
    }

    @Test func `an open that does not come by a path leaves nothing behind for the next`() throws {
        try check(
            """
            say("K", overwrite="false"); store("K/a", b"hello")
            handle = os.open("K/a", os.O_PATH)
            for _ in range(3):
                assert refused(os.open, f"/proc/self/fd/{handle}", os.O_WRONLY) == "ESTALE"
                open("/proc/sys/vm/drop_caches", "w").write("2")
                number = os.fstat(handle).st_ino
                assert os.stat("K/a").st_ino == number
                os.chmod("K/a", 0o600); os.setxattr("K/a", "user.asset.caption", b"C"); os.link("K/a", "l")
                assert os.stat("l").st_ino == number and os.stat("l").st_mode & 0o777 == 0o600 and attribute("l", "caption") == "C"
                os.unlink("l"); os.chmod("K/a", 0o644)
            for _ in range(30):
                pid = child(lambda: [os.close(os.open("K/a", os.O_WRONLY)) for _ in range(10**6)])
                time.sleep(0.01); os.kill(pid, 9); os.waitpid(pid, 0)
            assert os.listdir("K") == ["a"]
            """
        )
    }

    @Test func `names that change hands meanwhile are found all the same`() throws {
        try check(
            """
            import ctypes
            libc = ctypes.CDLL(None)
            say("K", overwrite="false"); store("K/a", b"a"); store("K/b", b"b")
            stop = time.monotonic() + 2
            def swap():
                while time.monotonic() < stop: assert libc.renameat2(-100, b"K/a", -100, b"K/b", 2) == 0
            pid = child(swap)
            number = 0
            while time.monotonic() < stop:
                number += 1
                store("K/a", b"new %d" % number)
            wait(pid)
            found = {text("K/" + name) for name in os.listdir("K")}
            assert found == {b"a", b"b"} | {b"new %d" % n for n in range(1, number + 1)}, (number, len(found))
            """
        )
    }

    @Test func `a newcomer gives no more rights than the file that stays, and takes the folder's group`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "711", mount.scratch).check()
            let program =
                pythonPrelude + """
                    os.umask(0)
                    def nobody(action):
                        def act(): os.setgroups([]); os.setgid(65534); os.setuid(65534); action()
                        wait(child(act))
                    say("K", overwrite="false"); os.chown("K", 0, 77); os.chmod("K", 0o2777)
                    store("K/a", b"hello"); os.chmod("K/a", 0o640)
                    subprocess.run(["setfacl", "-m", "u:65534:rw", "K/a"], check=True)
                    nobody(lambda: store("K/a", b"by nobody"))
                    rights = [subprocess.run(["getfacl", "-cE", name], capture_output=True, text=True).stdout for name in ("K/a", "K/a-1")]
                    assert rights[0] == rights[1] and "group::r--" in rights[1] and os.stat("K/a-1").st_gid == 77, rights
                    # truncate(2) cannot bypass the policy, and applies to the name that it was given.
                    os.mkdir("L"); say("L", overwrite="false"); os.chmod("L", 0o755); store("L/b", b"hello"); os.chmod("L/b", 0o666)
                    os.link("L/b", "K/c")
                    def cut():
                        assert refused(os.truncate, "L/b", 2) == "EACCES" and refused(os.open, "L/b", os.O_RDONLY | os.O_TRUNC) == "EACCES"
                        os.truncate("K/c", 2)
                        subprocess.run(["touch", "K/c"], check=True)
                    os.utime("K/c", ns=(1, 1))
                    nobody(cut)
                    assert os.listdir("L") == ["b"] and text("K/c-1") == b"he" and text("K/c") == b"hello" and os.stat("K/c").st_mtime_ns > 10**18
                    """
            try run(["python3", "-c", program], in: mount.folders).check()
        }
    }
}
