import Foundation
import TestSupport
import Testing

/// Folder policies for uploads, with common tools.
struct PolicyTests {
    private func python(_ program: String, in folder: String) throws {
        try run(["python3", "-c", program], in: folder).check()
    }

    // MARK: Duplicates

    @Test func `of two processes with the same new content one has an asset, a thousand times`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT", "scope=ENTIRE_PORTAL").check()
            let program =
                pythonPrelude + """
                    begin, done = os.pipe(), os.pipe()
                    child = os.fork() == 0
                    lost = 0
                    for number in range(1000):
                        if child: os.read(begin[0], 1)
                        else: os.write(begin[1], b"x")
                        error = refused(store, f"{number}-{child}", b"content %d" % number)
                        assert error in (None, "EEXIST"), error
                        if child: os.write(done[1], b"0" if error else b"1")
                        else:
                            other = os.read(done[0], 1) == b"1"
                            assert other != (error is None), (number, other, error)
                            names = [name for name in (f"{number}-True", f"{number}-False") if os.path.exists(name)]
                            assert len(names) == 1, names
                    """
            try python(program, in: mount.folders)
            #expect(try mount.receipts().count { $0["outcome"] as? String == "created" } == 1000)
            #expect(try mount.receipts().count { $0["outcome"] as? String == "rejected" } == 1000)
        }
    }

    @Test func `rsync goes on past files that are refused, and does the same again`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT", "scope=ENTIRE_PORTAL").check()
            let source = mount.scratch + "/tree"
            try shell(
                """
                mkdir -p \(source)/a \(source)/z
                for n in $(seq 200); do echo $n > \(source)/a/$n; done
                for n in 7 77 177; do cp \(source)/a/$n \(source)/z/again-$n; done
                echo last > \(source)/z/zz
                """
            ).check()
            for _ in 1...2 {
                let copied = try run("rsync", "-a", source + "/", mount.folders + "/tree/")
                #expect(copied.status == 23)
                let named = copied.errors.split(separator: "\n").filter { $0.contains("File exists") }
                #expect(named.count == 3)
                for number in [7, 77, 177] {
                    #expect(
                        copied.errors.contains("-> \"again-\(number)\"")
                            || copied.errors.contains("-> \"z/again-\(number)\"")
                    )
                }
                let found = try shell("find . -type f | wc -l", in: mount.folders).output
                #expect(found.trimmingCharacters(in: .whitespacesAndNewlines) == "201")
                #expect(try mount.read("tree/z/zz") == Array("last\n".utf8))
            }
            #expect(try mount.receipts().count { $0["outcome"] as? String == "created" } == 201)
        }
    }

    @Test func `a refused upload leaves what was there, whichever way the bytes came`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT").check()
            let program =
                pythonPrelude + """
                    big = os.urandom(3 << 20)
                    store("small", b"small"); store("large", big)
                    def copy(path, source, size):
                        old = os.open(source, os.O_RDONLY); new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                        while size: size -= os.copy_file_range(old, new, size)
                        os.close(old); os.close(new)
                    def pieces(path, data):
                        fd = os.open(path, os.O_RDWR | os.O_CREAT)
                        half = len(data) // 2
                        os.pwrite(fd, data[half:], half); os.pwrite(fd, data[:half], 0); os.ftruncate(fd, len(data))
                        os.close(fd)
                    for former in (b"former", os.urandom(2 << 20)):
                        for data, source in ((b"small", "small"), (big, "large")):
                            for way in (store, pieces, lambda path, data: copy(path, source, len(data))):
                                for name in ("x", "y"):
                                    store("x", former)
                                    before = os.stat("x")
                                    reader = os.open("x", os.O_RDONLY); os.pread(reader, 10, 0)
                                    assert refused(way, name, data) == "EEXIST", (way, name)
                                    assert text("x") == former and os.pread(reader, len(former) + 1, 0) == former
                                    assert os.stat("x").st_size == len(former) and os.stat("x").st_mtime_ns == before.st_mtime_ns
                                    assert sorted(os.listdir(".")) == ["large", "small", "x"], os.listdir(".")
                                    assert not os.path.exists("y")
                                    os.close(reader); os.unlink("x")
                    """
            try python(program, in: mount.folders)
        }
    }

    @Test func `a descriptor that is still open writes on after a refusal`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT").check()
            try mount.write("a", Array("same".utf8))
            let program =
                pythonPrelude + """
                    for name in ("new", "old"):
                        if name == "old": store("old", b"former")
                        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                        other = os.dup(fd)
                        os.write(fd, b"same")
                        assert refused(os.close, fd) == "EEXIST"
                        assert not os.path.exists("new") if name == "new" else text("old") == b"former"
                        os.write(other, b" and " + name.encode())
                        os.close(other)
                        assert text(name) == b"same and " + name.encode(), text(name)
                        os.unlink(name)
                    # The descriptor that is closed last gets the error; and there is one receipt.
                    fd = os.open("twice", os.O_WRONLY | os.O_CREAT); other = os.dup(fd); os.write(fd, b"same")
                    assert refused(os.close, fd) == refused(os.close, other) == "EEXIST"
                    assert os.listdir(".") == ["a"]
                    """
            try python(program, in: mount.folders)
            #expect(try mount.receipts().count { $0["name"] as? String == "twice" } == 1)
        }
    }

    @Test func `a name that brings what an asset has shows that asset, until it is written to`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "duplicates=RETURN_EXISTING").check()
            func id(_ name: String) throws -> String { try mount.attribute("user.asset.id", of: name) }
            try mount.write("a", Array("one".utf8))
            try run("setfattr", "-n", "user.asset.caption", "-v", "A caption", mount.path("a")).check()
            for name in ["b", "c"] { try mount.write(name, Array("one".utf8)) }
            #expect(try [id("b"), id("c")] == [id("a"), id("a")])
            #expect(
                try run("stat", "-c", "%i %h", mount.path("a")).output
                    != run("stat", "-c", "%i %h", mount.path("b")).output
            )
            #expect(try mount.attribute("user.asset.caption", of: "b") == "A caption")
            // A file gets an asset of its own when it is written to; the first file keeps the shared asset
            // when that file is written to, and the others share a new one.
            try mount.write("b", Array("two".utf8))
            #expect(try id("b") != id("a"))
            try mount.write("a", Array("three".utf8))
            #expect(try id("c") != id("a"))
            #expect(try mount.attribute("user.asset.versions", of: "a") == "2")
            for name in ["a", "b", "c"] { #expect(try mount.attribute("user.asset.caption", of: name) == "A caption") }
            // A name with versions that gets content of another asset has its own asset again with other
            // content.
            let own = try id("b")
            try mount.write("b", Array("one".utf8))
            #expect(try id("b") == id("c"))
            try mount.write("b", Array("four".utf8))
            #expect(try id("b") == own)
            // The last file of a shared asset keeps it alone.
            try mount.write("d", Array("four".utf8))
            try run("rm", mount.path("b")).check()
            try mount.write("d", Array("five".utf8))
            #expect(try id("d") == own)
        }
    }

    @Test func `nobody learns of an asset that they may not read`() throws {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "711", mount.scratch).check()
            try run(assetfs, "policy", mount.folders, "duplicates=REJECT", "scope=ENTIRE_PORTAL").check()
            try shell(
                "mkdir private open; echo secret > private/a; chmod 700 private; echo known > known; chmod 777 open",
                in: mount.folders
            ).check()
            func upload(_ text: String) throws -> CommandResult {
                try run(
                    "setpriv",
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    "cp",
                    mount.scratch + "/" + text,
                    mount.path("open/x")
                )
            }
            for text in ["known", "secret"] {
                try (text + "\n").write(toFile: mount.scratch + "/" + text, atomically: false, encoding: .utf8)
            }
            #expect(try upload("known").status != 0)
            #expect(
                try mount.attribute("user.asset.error", of: "open")
                    == "Duplicate file upload, file matches resources: 2"
            )
            #expect(try upload("secret").status == 0)
            #expect(try mount.lastReceipt()["outcome"] as? String == "created")
            // RETURN_EXISTING does not answer with an asset that the user may not read, either.
            try run("rm", mount.path("open/x")).check()
            try run(assetfs, "policy", mount.path("open"), "duplicates=RETURN_EXISTING").check()
            #expect(try upload("secret").status == 0)
            #expect(try mount.lastReceipt()["outcome"] as? String != "existing")
            #expect(
                try mount.attribute("user.asset.id", of: "open/x") != mount.attribute("user.asset.id", of: "private/a")
            )
        }
    }

    // MARK: Preserved names

    @Test func `a file under a name that stays never changes, and the newcomer has all that it was given`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "preset=hubspot").check()
            let program =
                pythonPrelude + """
                    import mmap
                    first = b"first" * 50_000
                    store("f.txt", first)
                    os.utime("f.txt", ns=(1, 10**18)); os.chmod("f.txt", 0o640); os.setxattr("f.txt", "user.mine", b"1")
                    before = os.stat("f.txt")
                    kept = os.open("f.txt", os.O_RDONLY)
                    mapped = mmap.mmap(kept, 0, prot=mmap.PROT_READ)
                    def same():
                        after = os.stat("f.txt")
                        assert (before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_mode) == (
                            after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_mode)
                        assert text("f.txt") == first == os.pread(kept, len(first) + 1, 0) == mapped[:]
                        assert os.getxattr("f.txt", "user.mine") == b"1"
                    def child(action):
                        # Another process: operations of the process itself on the descriptor apply to the new
                        # file.
                        pid = os.fork()
                        if pid == 0:
                            try: action(); os._exit(0)
                            except BaseException as error: print(repr(error)); os._exit(1)
                        assert os.waitpid(pid, 0)[1] == 0
                    def truncating():
                        fd = os.open("f.txt", os.O_RDWR | os.O_TRUNC); child(same)
                        os.write(fd, b"second"); child(same)
                        assert os.pread(fd, 100, 0) == b"second"
                        os.fchmod(fd, 0o600); os.utime(fd, ns=(5, 5 * 10**9)); os.setxattr(fd, "user.mine", b"2"); child(same)
                        os.fsync(fd); child(same); os.close(fd)
                    def in_place():
                        fd = os.open("f.txt", os.O_RDWR); os.pwrite(fd, b"X", 3)
                        # No child process here: its exit would close the descriptor too, which commits the
                        # upload.
                        os.ftruncate(fd, 10); child(same); os.close(fd)
                    def appending():
                        fd = os.open("f.txt", os.O_WRONLY | os.O_APPEND); os.write(fd, b"A"); os.stat("f.txt"); os.write(fd, b"B"); os.close(fd)
                    def truncated(): os.truncate("f.txt", 4)
                    def renamed(): store(".f.txt.Ab12Cd", b"renamed"); os.rename(".f.txt.Ab12Cd", "f.txt")
                    def copied(): store("other", b"copied"); fd = os.open("f.txt", os.O_WRONLY | os.O_TRUNC); src = os.open("other", os.O_RDONLY); os.copy_file_range(src, fd, 6); os.close(fd); os.close(src)
                    actions = [truncating, in_place, appending, truncated, renamed, copied]
                    for action in actions: child(action); same()
                    new = {n: text(f"f-{n}.txt") for n in range(1, len(actions) + 1)}
                    assert new == {1: b"second", 2: b"firXtfirst", 3: first + b"AB", 4: b"firs", 5: b"renamed", 6: b"copied"}, {k: v[:20] for k, v in new.items()}
                    assert os.stat("f-1.txt").st_mtime_ns == 5 * 10**9 and os.stat("f-1.txt").st_mode & 0o777 == 0o600
                    assert os.getxattr("f-1.txt", "user.mine") == b"2"
                    for action in actions: child(action); same()
                    assert len(os.listdir(".")) == 8, os.listdir(".")
                    # The rules of POSIX for existing names still apply.
                    assert refused(store, "f.txt", b"", os.O_CREAT | os.O_EXCL | os.O_WRONLY) == "EEXIST"
                    store(".f.txt.Ab12Ce", b"last"); os.rename("f-1.txt", "f-2.txt")
                    assert text("f-2.txt") == b"second" and not os.path.exists("f-1.txt")
                    store("f.txt", b"takes the gap"); assert text("f-1.txt") == b"takes the gap"
                    """
            try python(program, in: mount.folders)
        }
    }

    @Test func `the kernel forgets what it knew before a folder said something`() throws {
        try withMountedLibrary { mount in
            let program =
                pythonPrelude + """
                    os.mkdir("d"); store("d/f", b"one"); store("d/dup", b"same"); store(".f.Ab12Cd", b"two"); store("d/.f.Ab12Cd", b"three")
                    assert not os.path.exists("d/f-1") and sorted(os.listdir("d")) == [".f.Ab12Cd", "dup", "f"]
                    begun = os.open("d/begun", os.O_WRONLY | os.O_CREAT); os.write(begun, b"same")
                    os.setxattr("d", "user.policy.overwrite", b"false"); os.setxattr("d", "user.policy.duplicates", b"REJECT")
                    os.rename("d/.f.Ab12Cd", "d/f")
                    import time
                    def soon(call):
                        for _ in range(100):
                            if call(): return
                            time.sleep(0.01)
                        raise AssertionError(sorted(os.listdir("d")))
                    soon(lambda: text("d/f") == b"one" and os.path.exists("d/f-1") and text("d/f-1") == b"three")
                    soon(lambda: "f-1" in os.listdir("d"))
                    assert refused(os.close, begun) == "EEXIST"
                    soon(lambda: not os.path.exists("d/begun") and "begun" not in os.listdir("d"))
                    """
            try python(program, in: mount.folders)
        }
    }

    // MARK: Screening

    @Test func `the first byte too many is refused, and the file with it`() throws {
        try withMountedLibrary { mount in
            try run(assetfs, "policy", mount.folders, "max_size=5M").check()
            let program =
                pythonPrelude + """
                    size = 5 << 20
                    store("fits", bytes(size))
                    fd = os.open("more", os.O_WRONLY | os.O_CREAT)
                    assert os.pwrite(fd, bytes(size), 0) == size
                    assert refused(os.pwrite, fd, b"x", size) == "EFBIG" and refused(os.close, fd) == "EFBIG"
                    fd = os.open("fits", os.O_RDWR)
                    for call in (lambda: os.ftruncate(fd, size + 1), lambda: os.posix_fallocate(fd, 0, size + 1), lambda: os.pwrite(fd, b"x", size)):
                        assert refused(call) == "EFBIG"
                    # The program may continue after it makes the file smaller again.
                    os.ftruncate(fd, 3); os.close(fd)
                    assert os.listdir(".") == ["fits"] and text("fits") == bytes(3)
                    assert refused(os.truncate, "fits", size + 1) == "EFBIG" and text("fits") == bytes(3)
                    """
            try python(program, in: mount.folders)
            #expect(try mount.attribute("user.asset.error", of: ".") == "The maximum allowed upload file size is 5M.")
            // A temporary name is checked when it is renamed, so that rsync continues.
            try shell("mkdir s; head -c 6M /dev/zero > s/a; echo b > s/b", in: mount.scratch).check()
            let copied = try run("rsync", "-a", mount.scratch + "/s/", mount.folders)
            #expect(copied.status == 23 && copied.errors.contains("File too large"))
            #expect(try mount.read("b") == Array("b\n".utf8))
        }
    }

    @Test func `types and names that a folder does not take`() throws {
        try withMountedLibrary { mount in
            try shell(
                "mkdir images web; printf '\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR' > ../../png; echo text > ../../text",
                in: mount.folders
            ).check()
            try run(assetfs, "policy", mount.path("images"), "allowed_types=image/* .svg").check()
            try run(assetfs, "policy", mount.path("web"), "preset=resourcespace", "duplicates=NONE").check()
            func upload(_ source: String, _ name: String) throws -> String {
                let copied = try run("cp", "\(mount.scratch)/\(source)", mount.path(name))
                return copied.status == 0 ? "" : copied.errors.components(separatedBy: ": ").last ?? ""
            }
            let refused = "Operation not permitted\n"
            #expect(try upload("png", "images/a.png") == "")
            #expect(try upload("png", "images/a.txt") == "")
            #expect(try upload("text", "images/a.jpg") == refused)
            #expect(
                try mount.attribute("user.asset.error", of: "images").hasPrefix("Files of the type text/plain are not")
            )
            #expect(try upload("text", "images/a.svg") == "")
            #expect(try upload("text", "web/a.txt") == "")
            for name in ["a.php", "A.PHP", ".htaccess", "HTACCE~1", "crossdomain.xml", "x.exe"] {
                #expect(try upload("text", "web/" + name) == refused, "\(name)")
                #expect(try run("mv", mount.path("web/a.txt"), mount.path("web/" + name)).status != 0)
            }
            // Browsers and file managers fail when these are refused.
            for name in ["x.crdownload", ".DS_Store", "._a.php"] { #expect(try upload("text", "web/" + name) == "") }
            #expect(try run("mv", mount.path("web/x.crdownload"), mount.path("web/x.php")).errors.hasSuffix(refused))
            #expect(
                try shell("LC_ALL=C ls -A", in: mount.path("web")).output == ".DS_Store\n._a.php\na.txt\nx.crdownload\n"
            )
        }
    }

    @Test func `a folder holds what its quota says, and no more`() throws {
        try withMountedLibrary { mount in
            let program =
                pythonPrelude + """
                    import random
                    os.makedirs("q/in"); os.mkdir("out"); os.setxattr("q", "user.policy.quota", b"100K"); os.setxattr("q", "user.policy.versions", b"20")
                    def held(): return sum(os.stat(os.path.join(path, name)).st_size for path, _, names in os.walk("q") for name in names)
                    chosen = random.Random(7)
                    refusals = 0
                    for step in range(1500):
                        place = lambda: f"{chosen.choice(['q', 'q/in', 'out'])}/{chosen.randrange(8)}"
                        how, path, other, size = chosen.choice("wwwwaturml"), place(), place(), chosen.randrange(30_000)
                        temporary = os.path.dirname(path) + "/.x.Ab12Cd"
                        def act():
                            if how == "w": store(path, os.urandom(size))
                            elif how == "a": store(path, os.urandom(size // 10), os.O_WRONLY | os.O_APPEND)
                            elif how == "t": os.truncate(path, size)
                            elif how == "u": os.unlink(path)
                            elif how == "r": store(temporary, os.urandom(size)); os.rename(temporary, path)
                            elif how == "m": os.rename(path, other)
                            elif how == "l": os.link(path, other); os.unlink(path)
                        before = held()
                        error = refused(act)
                        assert error in (None, "EDQUOT", "ENOENT", "EEXIST"), (how, error)
                        if how == "r" and error: os.unlink(temporary)
                        after = held()
                        assert after <= 102_400 or after <= before or how == "l", (step, how, before, after)
                        if error == "EDQUOT": refusals += 1; assert after <= before or how == "l", (how, before, after)
                        # No upload that fits is rejected.
                        if error == "EDQUOT" and how == "w": assert before - (os.stat(path).st_size if os.path.exists(path) else 0) + size > 102_400, (step, before, size)
                    assert refusals > 100, refusals
                    """
            try python(program, in: mount.folders)
        }
    }

    @Test func `a real clamd finds what it knows`() throws {
        try withMountedLibrary(options: ["clamd=/tmp/assetfs-clamd-\(getpid())/ctl"]) { mount in
            let folder = "/tmp/assetfs-clamd-\(getpid())"
            // EICAR's test string, in two parts so that no scanner detects this source file.
            let eicar = #"X5O!P%@AP[4\PZX54(P^)7CC)7}$"# + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let signature = "Eicar-Test:0:*:" + eicar.utf8.map { String($0, radix: 16) }.joined()
            try makeClamdFolder(folder, signature: signature)
            let clamd = Process()
            clamd.executableURL = URL(fileURLWithPath: "/usr/sbin/clamd")
            clamd.arguments = ["-c", folder + "/clamd.conf"]
            clamd.standardOutput = FileHandle.nullDevice
            clamd.standardError = FileHandle.nullDevice
            try clamd.run()
            defer { if clamd.isRunning { clamd.terminate() } }
            try shell("for n in $(seq 1200); do [ -S \(folder)/ctl ] && exit 0; sleep .1; done; exit 1").check()

            try shell("mkdir reject flag", in: mount.folders).check()
            for name in ["reject", "flag"] { try run(assetfs, "policy", mount.path(name), "scan=\(name)").check() }
            try eicar.write(toFile: mount.scratch + "/eicar", atomically: false, encoding: .utf8)
            #expect(try run("cp", mount.scratch + "/eicar", mount.path("reject/x")).errors.contains("not permitted"))
            let reason = try mount.attribute("user.asset.error", of: "reject")
            #expect(reason == "The file is infected: Eicar-Test.UNOFFICIAL.")
            try run("cp", mount.scratch + "/eicar", mount.path("flag/x")).check()
            #expect(try mount.attribute("user.asset.status", of: "flag/x") == "infected")
            #expect(try mount.attribute("user.asset.error", of: "flag/x") == reason)
            #expect(try mount.lastReceipt()["infection"] as? String == "Eicar-Test.UNOFFICIAL")
            // Temporary names, and clean files.
            let synced = try run("rsync", "-a", mount.scratch + "/eicar", "/etc/hostname", mount.path("reject/"))
            #expect(synced.status == 23)
            try run("cp", "/etc/hostname", mount.path("flag/x")).check()
            // A request for the type waits for the metadata extraction.
            _ = try mount.attribute("user.asset.mime_type", of: "flag/x")
            #expect(try mount.attribute("user.asset.status", of: "flag/x") == "ready")
            #expect(try shell("ls -A reject", in: mount.folders).output == "hostname\n")

            clamd.terminate()
            clamd.waitUntilExit()
            #expect(try run("cp", "/etc/passwd", mount.path("reject/p")).status != 0)
            #expect(try mount.attribute("user.asset.error", of: "reject").contains("clamd cannot be reached"))
            #expect(try shell("ls -A reject", in: mount.folders).output == "hostname\n")
        }
    }

    // MARK: Policies of folders

    @Test func `what a folder says is checked, inherited, listed, copied and taken back`() throws {
        try withMountedLibrary(options: ["policy.max_size=1G"]) { mount in
            try shell("mkdir -p a/b/c; touch file", in: mount.folders).check()
            func set(_ key: String, _ value: String, _ folder: String = "a") throws -> Int32 {
                try run("setfattr", "-n", "user.policy." + key, "-v", value, mount.path(folder)).status
            }
            let good = [
                "preset": "openasset", "overwrite": "true", "duplicates": "REJECT", "scope": "SUBTREE",
                "access": "PRIVATE",
                "ttl": "P3M", "store": "auto", "no_exif": "1", "max_size": "5M", "quota": "20G",
                "allowed_types": "image/*, pdf",
                "forbidden_types": "none", "forbidden_names": "*.bak", "temporary_names": "*.upload",
                "junk_names": "*.log",
                "scan": "off", "versions": "20,P30D", "trash": "P30D", "write_back": "0",
            ]
            for (key, value) in good { #expect(try set(key, value) == 0, "\(key)") }
            let listed = try run("getfattr", "-d", "-m", "^user.policy", mount.path("a")).check().output
            for (key, value) in good { #expect(listed.contains("user.policy.\(key)=\"\(value)\""), "\(key)") }
            #expect(!listed.contains("effective"))
            for (key, value) in [
                ("duplicates", "REJCT"), ("overwrite", "maybe"), ("scope", "PORTAL"), ("ttl", "P2Y"), ("ttl", "3M"),
                ("ttl", "P0D"),
                ("store", "2"), ("max_size", "5X"), ("max_size", "-1"), ("quota", "99999999999T"),
                ("allowed_types", " "),
                ("forbidden_names", "a/b"), ("scan", "yes"), ("versions", "many"), ("trash", "30"),
                ("preset", "dropbox"),
                ("effective", "{}"), ("duplicate", "NONE"), ("access", "SECRET"),
            ] {
                #expect(try set(key, value) == 1, "\(key) \(value)")
            }
            #expect(try set("overwrite", "true", "file") == 1)
            func effective(_ folder: String) throws -> [String: [String: String]] {
                let text = try mount.attribute("user.policy.effective", of: folder)
                return try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [String: String]] ?? [:]
            }
            #expect(try effective("a/b/c")["duplicates"] == ["value": "REJECT", "from": "/a"])
            #expect(try effective(".")["max_size"] == ["value": "1G", "from": "mount"])
            // The nearest folder wins: a preset overrides the policies above it, and a key overrides the
            // preset of its folder.
            #expect(try set("preset", "hubspot", "a/b") == 0 && set("overwrite", "true", "a/b") == 0)
            #expect(try effective("a/b/c")["duplicates"] == ["value": "NONE", "from": "/a/b", "preset": "hubspot"])
            #expect(try effective("a/b/c")["overwrite"] == ["value": "true", "from": "/a/b"])
            #expect(try effective("a/b/c")["quota"] == ["value": "20G", "from": "/a"])
            // Folders keep their policies when they are copied or moved.
            try run("cp", "-a", mount.path("a"), mount.path("copy")).check()
            try run("rsync", "-aX", mount.path("a") + "/", mount.path("synced")).check()
            for copy in ["copy", "synced"] {
                #expect(try run("getfattr", "-d", "-m", "^user.policy", mount.path(copy)).output.contains("SUBTREE"))
                #expect(try effective(copy + "/b")["duplicates"]?["from"] == "/\(copy)/b")
            }
            try run("mv", mount.path("a"), mount.path("moved")).check()
            #expect(try effective("moved/b/c")["quota"]?["from"] == "/moved")
            try run("setfattr", "-x", "user.policy.preset", mount.path("moved/b")).check()
            #expect(try effective("moved/b/c")["duplicates"] == ["value": "REJECT", "from": "/moved"])
            #expect(try run("setfattr", "-x", "user.policy.preset", mount.path("moved/b")).status == 1)
            #expect(try run(assetfs, "mount", mount.library, mount.root, "-o", "policy.scope=HERE").status == 64)
        }
    }

    @Test func `each preset answers as its product does`() throws {
        try withMountedLibrary { mount in
            func upload(_ text: String, _ name: String) throws -> String {
                // cp, because the echo of a shell ignores errors of close(2).
                let copied = try shell("cp <(echo \(text)) \(mount.path(name))")
                let receipt = try mount.lastReceipt()
                #expect((copied.status == 0) == (receipt["outcome"] as? String != "rejected"))
                return (receipt["outcome"] as? String ?? "") + " " + (receipt["name"] as? String ?? "")
            }
            for preset in ["posix", "hubspot", "openasset", "resourcespace", "uploadcare"] {
                try run("mkdir", mount.path(preset)).check()
                try run("setfattr", "-n", "user.policy.preset", "-v", preset, mount.path(preset)).check()
            }
            #expect(try upload("1", "posix/a.txt") == "created a.txt")
            #expect(try upload("2", "posix/a.txt") == "replaced a.txt")
            #expect(try upload("2", "posix/b.txt") == "created b.txt")
            #expect(try upload("h1", "hubspot/a.txt") == "created a.txt")
            #expect(try upload("h2", "hubspot/a.txt") == "renamed a-1.txt")
            #expect(try upload("h1", "hubspot/b.txt") == "created b.txt")
            #expect(try upload("2", "openasset/a.txt") == "rejected a.txt")
            #expect(try upload("o1", "openasset/a.txt") == "created a.txt")
            #expect(try upload("o2", "openasset/a.txt") == "renamed a-1.txt")
            #expect(try upload("o1", "resourcespace/a.txt") == "rejected a.txt")
            #expect(try upload("r1", "resourcespace/a.txt") == "created a.txt")
            #expect(try upload("r2", "resourcespace/a.txt") == "replaced a.txt")
            #expect(try upload("r3", "resourcespace/a.php") == "rejected a.php")
            #expect(try upload("2", "uploadcare/a.txt") == "created a.txt")
            #expect(try mount.attribute("user.asset.stored", of: "uploadcare/a.txt") == "0")
            #expect(try mount.attribute("user.asset.stored", of: "posix/a.txt") == "1")
            try run("setfattr", "-n", "user.asset.stored", "-v", "1", mount.path("uploadcare/a.txt")).check()
            #expect(try run("getfattr", "-n", "user.asset.expires", mount.path("uploadcare/a.txt")).status == 1)
        }
    }

    @Test func `MD5 is there for each asset, and the first stays`() throws {
        try withMountedLibrary { mount in
            try mount.write("a", Array("hello".utf8))
            try mount.write("a", Array("hello, world".utf8))
            try run("touch", mount.path("empty")).check()
            #expect(try mount.attribute("user.asset.md5_at_upload", of: "a") == "5d41402abc4b2a76b9719d911017c592")
            #expect(try mount.attribute("user.asset.md5_now", of: "a") == "e4d7f1b4ed2e42d15898f4b27b019da4")
            #expect(try mount.attribute("user.asset.md5_now", of: "empty") == "d41d8cd98f00b204e9800998ecf8427e")
            // No program requests the MD5 of this one.
            try mount.write("b", Array("another".utf8))
            let query = "SELECT count(*) FROM blob WHERE md5 IS NULL"
            // Reads a copy, because the mount locks its catalog.
            try shell(
                """
                cd \(mount.library)
                for n in $(seq 1200); do
                    cp catalog.sqlite catalog.sqlite-wal \(mount.scratch); [ "$(sqlite3 \(mount.scratch)/catalog.sqlite '\(query)')" = 0 ] && exit 0; sleep .1
                done; exit 1
                """
            ).check()
        }
    }
}
