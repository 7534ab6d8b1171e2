import Foundation
@testable import LibraryRules
import TestSupport
import Testing

/// The events of inotify(7) for watchers of a folder whose names change without a system call in that folder.
struct WatchTests {
    private func check(_ program: String, options: [String] = [], _ name: String = #function) throws {
        try checkWatching(program, options: options, name)
    }

    @Test func `watchers hear of names with a number, and nothing of the name that stays`() throws {
        try check(
            """
            say("d", overwrite="false"); make("d/a.txt", "one")
            watch("d", lambda: make("d/a.txt", "two"), "CREATE a-1.txt")
            watch("d", lambda: make("d/a.txt", "three"), "CREATE a-2.txt")
            def save(): make("d/a.part", "four"); os.rename("d/a.part", "d/a.txt")
            watch("d", save, "CREATE a.part", "MOVED_FROM a.part", "MOVED_TO a.txt", "CREATE a-3.txt")
            assert text("d/a.txt") == b"one" and text("d/a-3.txt") == b"four"
            """
        )
    }

    @Test func `watchers hear of files that come by a signed path`() throws {
        try check(
            """
            os.mkdir("box")
            box = subprocess.check_output([ASSETFS, "sign", "--upload", "box"], text=True).strip()
            watch("box", lambda: make(box + "h.txt", "one"), "CREATE h.txt")
            watch("box", lambda: make(box + "h.txt", "two"), "CREATE h-1.txt")
            say("unlike", duplicates="RETURN_EXISTING"); make("unlike/first", "the same")
            box = subprocess.check_output([ASSETFS, "sign", "--upload", "unlike"], text=True).strip()
            watch("unlike", lambda: make(box + "second", "the same"), "CREATE second")
            """
        )
    }

    @Test func `watchers hear of what is done to a file by its number`() throws {
        try check(
            """
            os.mkdir("d"); make("d/r.txt", "r"); own = f"{MOUNT}/resources/{identifier('d/r.txt')}/"
            watch("d", lambda: make(own + "new.txt", "other"), "DELETE r.txt", "CREATE r.txt")
            assert text("d/r.txt") == b"other"
            watch("d", lambda: make(own + "r.txt", "again"), "MODIFY r.txt", mask=CREATE | DELETE | MOVED_FROM | MOVED_TO | MODIFY)
            assert text("d/r.txt") == b"again"
            watch("d", lambda: make(own + ".r.txt.swp", "saved"), "CREATE .r.txt.swp")
            save = lambda: os.rename(own + ".r.txt.swp", own + "r.txt")
            watch("d", save, "DELETE .r.txt.swp", "DELETE r.txt", "CREATE r.txt")
            assert text("d/r.txt") == b"saved"
            watch("d", lambda: os.unlink(own + "r.txt"), "DELETE r.txt")
            assert os.listdir("d") == []
            """
        )
    }

    @Test func `watchers of an asset's directory hear that a name has not stayed there`() throws {
        try check(
            """
            os.mkdir("d"); make("d/r.txt", "r"); own = f"{MOUNT}/resources/{identifier('d/r.txt')}"
            watch(own, lambda: make(own + "/x.gif", "x"), "CREATE x.gif", "DELETE x.gif", sentinel=False)
            make("n", "n"); watch(own, lambda: os.rename("n", own + "/y.gif"), "MOVED_TO y.gif", "DELETE y.gif", sentinel=False)
            def anew(name): os.unlink(own + "/r.txt"); make(own + "/" + name, name)
            watch(own, lambda: anew("z.gif"), "DELETE r.txt", "CREATE z.gif", "DELETE z.gif", "CREATE r.txt", sentinel=False)
            for number in range(20): watch("d", lambda: anew("r.txt"), "DELETE r.txt", "CREATE r.txt", sentinel=False)
            assert text("d/r.txt") == b"r.txt" and os.listdir("d") == ["r.txt"] and os.stat("d/r.txt").st_nlink == 1
            """
        )
    }

    @Test func `watchers hear that a refused name is gone`() throws {
        try check(
            """
            say("d", duplicates="REJECT"); make("d/1", "the same")
            for number in range(5): watch("d", lambda: refused(make, "d/2", "the same"), "CREATE 2", "DELETE 2")
            assert os.listdir("d") == ["1"]
            # Other bytes under an equal name at once: the last event reports that the name exists.
            for number in range(20):
                assert refused(make, "d/3", "the same") == "EEXIST"
                make("d/3", f"other {number}"); assert text("d/3") == f"other {number}".encode(); os.unlink("d/3")
            """
        )
    }

    @Test func `watchers hear of files that come back from the trash`() throws {
        try check(
            """
            os.mkdir("d")
            for way in range(2):
                make("d/z.txt", f"z {way}"); os.unlink("d/z.txt")
                name = [name for name in os.listdir(f"{MOUNT}/trash") if name.endswith("z.txt")][0]
                def move(): os.rename(f"{MOUNT}/trash/{name}", "d/z.txt")
                def restore(): subprocess.check_call([ASSETFS, "restore", "--mount", MOUNT, name.split("-")[0]], stdout=subprocess.DEVNULL)
                watch("d", restore if way else move, "MOVED_TO z.txt")
                os.unlink("d/z.txt"); subprocess.call(f"rm -f {MOUNT}/trash/*", shell=True)
            """
        )
    }

    @Test func `watchers hear of files that expire, in folders and collections`() throws {
        try check(
            """
            os.mkdir("d"); os.mkdir(f"{MOUNT}/collections/c"); make("d/f", "f"); os.link("d/f", f"{MOUNT}/collections/c/g")
            def expires(seconds):
                end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
                os.setxattr("d/f", "user.asset.expires", end.encode())
            # Setting an expiry is not an event.
            watch("d", lambda: expires(1000))
            other = libc.inotify_init(); assert libc.inotify_add_watch(other, f"{MOUNT}/collections/c".encode(), DELETE) > 0
            watch("d", lambda: expires(2), "DELETE f")
            assert heard(other, ["DELETE g"]) == ["DELETE g"]
            assert os.listdir("d") == [] and os.listdir(f"{MOUNT}/collections/c") == []
            """
        )
    }

    @Test func `watchers hear that a collection that is sealed has another name`() throws {
        try check(
            """
            make("f"); parent = f"{MOUNT}/collections"; os.mkdir(parent + "/c"); os.link("f", parent + "/c/f")
            inside = os.open(parent + "/c", os.O_RDONLY)
            descriptor = libc.inotify_init(); assert libc.inotify_add_watch(descriptor, parent.encode(), MOVED_FROM | MOVED_TO | CREATE | DELETE) > 0
            os.chmod(parent + "/c", 0o555)
            events = heard(descriptor, ["MOVED_FROM c"])
            [name] = os.listdir(parent)
            if len(events) < 2: events += heard(descriptor, [f"MOVED_TO {name}"])
            assert events == ["MOVED_FROM c", f"MOVED_TO {name}"], events
            assert os.readlink(f"/proc/self/fd/{inside}") == f"{parent}/{name}"
            """
        )
    }

    @Test func `watchers hear of files that are fetched`() throws {
        try check(
            """
            import http.server, threading
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200); self.send_header("Content-Length", "3"); self.end_headers(); self.wfile.write(b"web")
                def log_message(self, *arguments): pass
            server = http.server.HTTPServer(("127.0.0.1", 0), Handler); threading.Thread(target=server.serve_forever, daemon=True).start()
            os.mkdir("d")
            url = f"http://127.0.0.1:{server.server_port}/w.txt".encode()
            watch("d", lambda: os.setxattr("d", "user.asset.fetch", url), "CREATE w.txt")
            assert text("d/w.txt") == b"web"
            """,
            options: ["fetch=private"]
        )
    }

    @Test func `what is made and removed by others meanwhile is what is there`() throws {
        try check(
            """
            say("d", overwrite="false", duplicates="REJECT"); make("d/a", "a")
            def numbered():
                for number in range(60): make("d/a", f"numbered {number}")
            def rejected():
                for number in range(120): refused(make, f"d/r{number % 7}", "a")
            def mine():
                for number in range(120):
                    try: store(f"d/r{number % 7}", f"mine {number}".encode(), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                    except FileExistsError: pass
                    for name in os.listdir("d"):
                        if name.startswith("a-"):
                            try: os.unlink("d/" + name)
                            except FileNotFoundError: pass
            def sync():
                folder = os.open("d", os.O_RDONLY)
                for number in range(60): os.fsync(folder)
            for pid in [child(numbered), child(rejected), child(mine), child(sync)]: wait(pid)
            seen = sorted(os.listdir("d"))
            for name in seen: assert os.stat("d/" + name).st_nlink == 1 and len(text("d/" + name)) > 0, name
            assert text("d/a") == b"a"
            for number in range(7): assert os.path.exists(f"d/r{number}") == (f"r{number}" in seen)
            """
        )
    }

    @Test func `a mount that lies over the folder is left alone`() throws {
        try check(
            """
            say("d", overwrite="false"); make("d/f", "f"); make("d/x", "one")
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
            os.setxattr("d/f", "user.asset.expires", end.encode())
            # The kernel is notified in order: after this event it knows the cache timeout of d/f.
            watch("d", lambda: make("d/x", "two"), "CREATE x-1")
            subprocess.check_call(["mount", "-t", "tmpfs", "none", MOUNT])
            try:
                os.makedirs(f"{MOUNT}/folders/d"); open(f"{MOUNT}/folders/d/f", "w").write("another's")
                below = os.open(".", os.O_RDONLY)
                for attempt in range(600):
                    try: os.stat("d/f", dir_fd=below)
                    except FileNotFoundError: break
                    time.sleep(0.05)
                else: raise AssertionError("d/f is still there")
                # The next change by the daemon: both are notified in order.
                os.setxattr(below, "user.policy.overwrite", b"false")
                make("/proc/self/fd/%d/d/g" % below, "one"); make("/proc/self/fd/%d/d/g" % below, "two")
                assert "g-1" in os.listdir("/proc/self/fd/%d/d" % below)
                assert open(f"{MOUNT}/folders/d/f").read() == "another's"
            finally: subprocess.check_call(["umount", MOUNT])
            """
        )
    }
}
