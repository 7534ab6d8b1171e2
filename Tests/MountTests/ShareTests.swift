import Foundation
import TestSupport
import Testing

/// The load of one user never blocks another user's open, read and write.
@Suite(.serialized)
struct ShareTests {
    private let prelude =
        neighbourPrelude + """
            def work(folder):
                store(folder + "/new", b"new"); assert text(folder + "/new") == b"new" and text(folder + "/old") == b"old"
                os.rename(folder + "/new", folder + "/newer"); assert "newer" in os.listdir(folder)
                os.stat(folder + "/newer"); os.setxattr(folder + "/newer", "user.asset.caption", b"c"); os.unlink(folder + "/newer")
            own("a", 5001); own("b", 5002)
            store("a/old", b"old"); os.chown("a/old", 5001, 5001)

            """

    private func runProgram(
        _ program: String,
        options: [String] = [],
        seconds: Int = 30,
        _ name: String = #function
    ) throws {
        try withMountedLibrary(name, options: ["allow_other"] + options, seconds: seconds) { mount in
            try run("chmod", "755", mount.scratch).check()
            let environment = ["env", "MOUNT=\(mount.root)", "SCRATCH=\(mount.scratch)", "ASSETFS=\(assetfs)"]
            let result = try run(environment + ["python3", "-c", prelude + program], in: mount.folders)
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }

    @Test func `requests of a user that take long leave threads to others, and end when they are interrupted`() throws {
        let socket = "/tmp/assetfs-slow-scanner-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: socket) }
        try runProgram(
            """
            # A scanner that answers on request of the test.
            scanner = socket.socket(socket.AF_UNIX); scanner.bind("\(socket)"); scanner.listen(64)
            say("b", scan="reject")
            begin = os.pipe()
            def upload(n):
                fd = os.open(f"b/{n}", os.O_WRONLY | os.O_CREAT); os.write(fd, f"{n}".encode())
                os.close(begin[1]); os.read(begin[0], 1); os.close(fd)
            slow = [user(5002, lambda n=n: upload(n)) for n in range(20)]
            until(lambda: len(os.listdir("b")) == 20); os.close(begin[1])
            until(lambda: requests() >= 20)
            # One user gets three of the four threads that ask the scanner.
            held = [scanner.accept()[0] for _ in range(3)]
            wait(user(5001, lambda: work("a")))
            work("a")
            assert requests() >= 20
            # Requests that wait for a thread end at once; those at the scanner end when it answers.
            for pid in slow: os.kill(pid, signal.SIGKILL)
            for _ in range(17): os.wait()
            scanner.setblocking(False)
            while True:
                try: held.append(scanner.accept()[0])
                except BlockingIOError: break
            for one in held: one.close()
            scanner.close()
            for _ in range(3): os.wait()
            """,
            options: ["clamd=\(socket)"]
        )
    }

    @Test func `a process that waits for a value can be killed`() throws {
        try runProgram(
            """
            def command(p):
                try: return text(f"/proc/{p}/cmdline")
                except OSError: return b""
            def parent(p): return int(text(f"/proc/{p}/stat").rsplit(b")", 1)[1].split()[1])
            def processes(): return [int(p) for p in os.listdir("/proc") if p.isdigit()]
            mark = os.environ["SCRATCH"].encode()
            daemon = next(p for p in processes() if b"mount\\0--foreground" in command(p) and mark in command(p))
            store("b/first.txt", b"first"); assert attribute("b/first.txt", "mime_type") == "text/plain"
            workers = [p for p in processes() if b"assetfs-worker\\0probe" in command(p) and parent(p) == daemon]
            assert workers
            for pid in workers: os.kill(pid, signal.SIGSTOP)
            try:
                store("b/second.txt", b"second")
                asking = user(5002, lambda: attribute("b/second.txt", "mime_type"))
                until(lambda: requests() >= 1)
                began = time.monotonic()
                os.kill(asking, signal.SIGKILL); os.waitpid(asking, 0)
                # The request would wait for nine seconds.
                assert time.monotonic() - began < 5
            finally:
                for pid in workers: os.kill(pid, signal.SIGCONT)
            assert attribute("b/second.txt", "mime_type") == "text/plain"
            """
        )
    }

    @Test func `a user who opens as much as can be opened leaves enough for others`() throws {
        try withPlace { place in
            let program =
                prelude + """
                    def open_all(folder, flags, mapped=False):
                        opened = []
                        while True:
                            try: fd = os.open(f"{folder}/{len(opened)}", flags, 0o644)
                            except OSError as error: return opened, errno.errorcode[error.errno]
                            if flags & os.O_CREAT: os.write(fd, b"x" * 200_000)
                            if mapped: opened.append(mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)); os.close(fd)
                            else: opened.append(fd)
                    def greedy(folder):
                        os.close(ready[0]); os.close(go[1])
                        for _ in range(2):
                            opened, why = open_all(folder, os.O_RDWR | os.O_CREAT)
                            assert why == "EMFILE" and len(opened) >= 10, (why, len(opened))
                            # Open files can still be written to and read.
                            for fd in opened: os.pwrite(fd, b"again", 0); assert os.pread(fd, 5, 0) == b"again"
                            assert refused(os.listdir, folder) == "EMFILE"
                            os.write(ready[1], b"!"); os.read(go[0], 1)
                            for fd in opened: os.close(fd)
                        # Closed files leave their places to the files that are opened next.
                        for _ in range(50):
                            again = [os.open(f"{folder}/{n}", os.O_RDONLY) for n in range(len(opened) - 5)]
                            for fd in again: os.close(fd)
                        opened, why = open_all("m", os.O_RDONLY, mapped=True)
                        assert why == "EMFILE" and len(opened) >= 10, (why, len(opened))
                        for one in opened: assert one[:5] == b"xxxxx"
                    own("c", 5003); os.mkdir("m")
                    for n in range(100): store(f"m/{n}", b"x" * 200_000)
                    kept = os.open("a/old", os.O_RDWR)
                    for folder, uid in (("b", 5002), ("c", 5003)):
                        ready, go = os.pipe(), os.pipe()
                        many = user(uid, lambda: greedy(folder))
                        os.close(ready[1]); os.close(go[0])
                        for _ in range(2):
                            assert os.read(ready[0], 1) == b"!"
                            wait(user(5001, lambda: work("a")))
                            work("a")
                            assert os.pwrite(kept, b"old", 0) == 3 and os.pread(kept, 3, 0) == b"old"
                            os.write(go[1], b"!")
                        wait(many)
                    os.close(kept)
                    """
            try program.write(toFile: "\(place)/program.py", atomically: false, encoding: .utf8)
            try run(
                "bash",
                "-euc",
                """
                chmod 755 . one; ulimit -n 400
                setpriv --bounding-set -sys_resource --inh-caps -sys_resource \(assetfs) mount lib one -o allow_other
                cd one/folders; MOUNT=\(place)/one timeout -k 1 60 python3 ../../program.py
                cd ../..; \(assetfs) umount one; ! grep 'error' lib/log
                """,
                in: place
            ).check()
        }
    }

    @Test func `a user who fills drop boxes leaves room for others`() throws {
        try runProgram(
            """
            boxes = []
            for n in range(20):
                own(f"boxes/{n}", 5003)
                boxes.append(subprocess.run([os.environ["ASSETFS"], "sign", "--upload", f"boxes/{n}"], check=True, capture_output=True, text=True).stdout.strip())
            def fill():
                made = 0
                for box in boxes:
                    for n in range(65):
                        why = refused(lambda: store(f"{box}/{n}.part", b"x"))
                        if why: assert why == "EBUSY", why; break
                        made += 1
                print(made)
                assert made > 64
            wait(user(5002, fill))
            def drop():
                store(boxes[0] + "/mine.part", b"mine"); os.rename(boxes[0] + "/mine.part", boxes[0] + "/mine")
                store(boxes[1] + "/other", b"other")
            wait(user(5001, drop))
            assert text("boxes/0/mine") == b"mine" and text("boxes/1/other") == b"other"
            """
        )
    }
}
