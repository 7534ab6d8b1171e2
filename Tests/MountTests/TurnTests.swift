import Foundation
import TestSupport
import Testing

/// The order in which requests are served: another user is served while requests of one user wait.
@Suite(.serialized)
struct TurnTests {
    private let prelude =
        neighbourPrelude + """
            def runs(pid): return os.waitpid(pid, os.WNOHANG) == (0, 0)
            def work(folder):
                store(folder + "/new", b"new"); assert text(folder + "/new") == b"new"
                os.mkdir(folder + "/dir"); assert "dir" in os.listdir(folder); os.rmdir(folder + "/dir")
                os.rename(folder + "/new", folder + "/newer"); os.stat(folder + "/newer")
                os.setxattr(folder + "/newer", "user.asset.caption", b"c"); os.unlink(folder + "/newer")
            def daemon():
                def command(p):
                    try: return text(f"/proc/{p}/cmdline")
                    except OSError: return b""
                return next(int(p) for p in os.listdir("/proc") if p.isdigit() and b"assetfs\\0mount\\0" in command(p)
                    and os.environ["PLACE"].encode() in command(p))
            own("a", 5001); own("b", 5002); own("c", 5003)

            """

    private func runProgram(
        _ program: String,
        options: [String] = [],
        seconds: Int = 60,
        _ name: String = #function
    ) throws {
        try withMountedLibrary(name, options: ["allow_other"] + options, seconds: seconds) { mount in
            try run("chmod", "755", mount.scratch).check()
            let environment = ["env", "MOUNT=\(mount.root)", "PLACE=\(mount.scratch)"]
            let result = try run(environment + ["python3", "-c", prelude + program], in: mount.folders)
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }

    @Test func `names are found and made for a user who asks last, before all of one who asks for many`() throws {
        try runProgram(
            """
            many = 200
            for n in range(many): own(f"b/{n}", 5002)
            # The kernel has cached all names, and the absence of new ones, so that each mkdir(2) is one
            # request.
            def look(folders): assert not any([os.path.lexists(folder + "/new") for folder in folders])
            wait(user(5002, lambda: look([f"b/{n}" for n in range(many)]))); wait(user(5001, lambda: look(["a"])))
            process = daemon()
            stop(process)
            try:
                crowd = [user(5002, lambda n=n: os.mkdir(f"b/{n}/new")) for n in range(many)]
                until(lambda: requests() >= many)
                last = user(5001, lambda: os.mkdir("a/new"))
                until(lambda: requests() >= many + 1)
            finally: os.kill(process, signal.SIGCONT)
            for pid in crowd + [last]: wait(pid)
            # Inode numbers are assigned in the order in which folders are created.
            mine = os.stat("a/new").st_ino
            before = sum(os.stat(f"b/{n}/new").st_ino < mine for n in range(many))
            print(before, "were made before")
            # In the order of arrival it would be all of them.
            assert before < many // 2, before
            """
        )
    }

    @Test func `searches that cannot be answered leave all else to others, and one listing in turn`() throws {
        try withPlace { place in
            let program =
                prelude + """
                    store("b/first.txt", b"word"); store("c/second.txt", b"word")
                    for name in ("b/first.txt", "c/second.txt"): os.chmod(name, 0o644)
                    def search(n): return os.listdir(f"{root}/search/word{n} OR first")
                    wait(user(5002, lambda: print(search(0))))
                    def copies(name): return os.getxattr(name, "user.asset.duplicates")
                    def freeze(option): subprocess.run(["fsfreeze", option, os.environ["PLACE"] + "/disk"], check=True)
                    # The index cannot be written to, and so every search hangs.
                    freeze("-f")
                    try:
                        store("c/third.txt", b"third")
                        many = 40
                        crowd = [user(5002, lambda n=n: search(n)) for n in range(1, many + 1)]
                        until(lambda: requests() >= many)
                        wait(user(5001, lambda: work("a")))
                        # Requests of the searching user are served, too, except long reads, which come in
                        # turn.
                        wait(user(5002, lambda: work("b")))
                        late = [user(5002, lambda: os.listdir(root + "/trash")), user(5002, lambda: copies("b/first.txt"))]
                        until(lambda: requests() >= many + 2)
                        wait(user(5003, lambda: os.listdir(root + "/trash"))); wait(user(5003, lambda: copies("c/second.txt")))
                        assert all(map(runs, late)) and requests() >= many + 2
                        # A request that has not begun ends with its caller.
                        for pid in crowd + late: os.kill(pid, signal.SIGKILL)
                        for _ in range(many): os.wait()
                    finally: freeze("-u")
                    for _ in range(2): os.wait()
                    wait(user(5003, lambda: print(search(0))))
                    """
            try runBesideSearchDisk(program, in: place, within: "timeout -k 1 60")
        }
    }

    // A request waits while the scanner has its file: at most four of 44, and one of those that read for
    // long.
    @Test func `uploads that a stopped clamd does not answer hold up none that is not scanned`() throws {
        try withClamdFolder("stopped-clamd") { folder in
            try runProgram(
                """
                clamd = subprocess.Popen(["/usr/sbin/clamd", "-c", "\(folder)/clamd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                until(lambda: os.path.exists("\(folder)/ctl"))
                users = range(5002, 5008)
                for uid in users: say(f"u{uid}", scan="reject"); own(f"u{uid}", uid)
                say("s", scan="reject"); own("s", 5001)
                def store_long(path):
                    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
                    # Not in order, so that the whole file is read for its commit.
                    os.pwrite(fd, b"2" * (5 << 20), 5 << 20); os.pwrite(fd, b"1" * (5 << 20), 0); os.close(fd)
                wait(user(5002, lambda: store("u5002/scanned", b"scanned")))
                clamd.send_signal(signal.SIGSTOP)
                try:
                    crowd = [user(uid, lambda: store_long(f"u{uid}/long{n}")) for uid in users[4:] for n in range(2)]
                    until(lambda: requests() >= len(crowd))
                    crowd += [user(uid, lambda: store(f"u{uid}/{n}", b"%d" % n)) for uid in users[:4] for n in range(10)]
                    until(lambda: requests() >= len(crowd))
                    wait(user(5001, lambda: work("a"))); wait(user(5001, lambda: store_long("a/long")))
                    mine = user(5001, lambda: store("s/mine", b"mine"))
                    until(lambda: requests() >= len(crowd) + 1)
                    # An upload that was not sent to the scanner yet ends with its caller, and the RELEASE
                    # requests follow.
                    for pid in crowd: os.kill(pid, signal.SIGKILL)
                    for _ in range(len(crowd) - 8): os.wait()
                    wait(user(5001, lambda: os.close(os.open("a/empty", os.O_CREAT | os.O_WRONLY))))
                    until(lambda: refused(attribute, "a/empty", "id") is None)
                    wait(user(5001, lambda: work("a")))
                finally: clamd.send_signal(signal.SIGCONT)
                wait(mine); assert text("s/mine") == b"mine"
                for _ in range(8): os.wait()
                done = [f"u{uid}/{n}" for uid in users[:4] for n in range(10) if os.path.exists(f"u{uid}/{n}")]
                until(lambda: all(refused(attribute, path, "id") is None for path in done))
                clamd.terminate(); clamd.wait()
                """,
                options: ["clamd=\(folder)/ctl"]
            )
        }
    }
}
