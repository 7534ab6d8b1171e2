import Foundation
import TestSupport
import Testing

/// Operations on a name while another program opens it, or lists the folder.
@Suite(.serialized)
struct RaceTests {
    private func runProgram(_ program: String, _ name: String = #function) throws {
        try withMountedLibrary(name, options: ["allow_other"]) { mount in
            let environment = ["env", "MOUNT=\(mount.root)", "SCRATCH=\(mount.scratch)"]
            let result = try run(environment + ["python3", "-c", pythonPrelude + program], in: mount.folders)
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }

    @Test func `open never fails because the name is replaced or removed meanwhile`() throws {
        try runProgram(
            """
            W, C, T = os.O_WRONLY, os.O_CREAT, os.O_TRUNC
            def replace():
                store("n.new", b"x"); os.rename("n.new", "n")
            def remove():
                try: os.unlink("n")
                except FileNotFoundError: pass
            def cut():
                os.truncate("n", 1)
            for other, missing in ((replace, set()), (remove, {"ENOENT"})):
                for flags in (W, os.O_RDWR | C, W | C | T, W | C | os.O_APPEND, None):
                    store("n", b"0")
                    read, write = os.pipe()
                    def loop():
                        os.close(write)
                        while not os.read(read, 1): pass
                    pid = os.fork()
                    if pid == 0:
                        os.close(write); os.set_blocking(read, False)
                        try:
                            while True:
                                other()
                                try:
                                    if os.read(read, 1) == b"": os._exit(0)
                                except BlockingIOError: pass
                        except BaseException as error: print(repr(error), flush=True); os._exit(1)
                    os.close(read)
                    seen = set()
                    for _ in range(700):
                        if flags is None: seen.add(refused(cut))
                        else:
                            fd = []
                            seen.add(refused(lambda: fd.append(os.open("n", flags, 0o644))))
                            if fd: os.write(fd[0], b"y"); os.close(fd[0])
                    os.close(write)
                    wait(pid)
                    allowed = {None} | (missing if flags is None or not flags & C else set())
                    assert seen <= allowed, (other.__name__, flags, seen)
            """
        )
    }

    @Test func `a file without a name is written to and read as long as anything refers to it`() throws {
        try runProgram(
            """
            def lose(name, how):
                if how == "replaced": store(name + ".new", b"other"); os.rename(name + ".new", name)
                else: os.unlink(name)
            for how in ("replaced", "removed"):
                # By an O_PATH descriptor, which has no rights, as through a bind mount or a handle.
                store("f", b"first"); os.setxattr("f", "user.asset.caption", b"mine")
                path = os.open("f", os.O_PATH); again = f"/proc/self/fd/{path}"
                lose("f", how)
                store(again, b"second", os.O_WRONLY)
                assert text(again) == b"second", text(again)
                store(again, b"third", os.O_WRONLY | os.O_TRUNC); store(again, b"!", os.O_WRONLY | os.O_APPEND)
                assert text(again) == b"third!" and os.fstat(path).st_size == 6
                os.truncate(again, 2); assert text(again) == b"th"
                assert os.getxattr(again, "user.asset.caption") == b"mine"
                os.setxattr(again, "user.asset.caption", b"nobody's")
                if how == "replaced":
                    assert text("f") == b"other" and attribute("f", "caption") == "mine"
                else:
                    # The removed file is unchanged.
                    trashed = [n for n in os.listdir(os.environ["MOUNT"] + "/trash")]
                    assert len(trashed) == 1, trashed
                    entry = os.environ["MOUNT"] + "/trash/" + trashed[0]
                    assert text(entry) == b"first" and attribute(entry, "caption") == "mine", text(entry)
                    assert refused(os.open, entry, os.O_WRONLY) == "EPERM" and refused(os.truncate, entry, 0) == "EPERM"
                    assert text(entry) == b"first"
                    os.rename(entry, "back"); assert text("back") == b"first"
                    store("back", b"goes on"); assert text(again) == b"th" and text("back") == b"goes on"
                os.close(path)
            # Written to before and after it has lost its name.
            store("g", b"first"); fd = os.open("g", os.O_RDWR); path = os.open("g", os.O_PATH)
            os.write(fd, b"F"); os.unlink("g"); os.write(fd, b"I"); os.close(fd)
            assert text(f"/proc/self/fd/{path}") == b"FIrst"
            """
        )
    }

    @Test func `a listing ends and shows each name once, whatever comes and goes meanwhile`() throws {
        try runProgram(
            """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            def by_rename(n): store(n + ".new", b"y"); os.rename(n + ".new", n)
            def by_removal(n): os.unlink(n); store(n, b"y")
            def by_backup(n): os.rename(n, n + ".bak"); store(n, b"y"); os.unlink(n + ".bak")
            def by_move(n): os.rename(n, "../aside"); os.rename("../aside", n)
            def by_exchange(n):
                store(n + ".new", b"y"); assert libc.renameat2(-100, (n + ".new").encode(), -100, n.encode(), 2) == 0; os.unlink(n + ".new")
            def by_link(n): os.link(n, n + ".bak"); os.unlink(n); os.link(n + ".bak", n); os.unlink(n + ".bak")
            os.mkdir("d"); os.chdir("d")
            names = [f"{i:03}" for i in range(300)]
            for n in names: store(n, b"x")
            for change in (by_rename, by_removal, by_backup, by_move, by_exchange, by_link):
                seen = []
                for entry in os.scandir("."):
                    if "." in entry.name: continue
                    seen.append(entry.name)
                    assert len(seen) <= 300, change
                    change(entry.name)
                assert sorted(seen) == names, (change, len(seen))
            # A position of telldir(3) stays valid.
            libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
            libc.telldir.argtypes = libc.closedir.argtypes = libc.readdir.argtypes = [ctypes.c_void_p]
            libc.telldir.restype = ctypes.c_long; libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
            def name(entry): return ctypes.string_at(entry + 19).decode()
            folder = libc.opendir(b".")
            order, places = [], []
            while entry := libc.readdir(folder): order.append(name(entry)); places.append(libc.telldir(folder))
            for n in names[:150]: by_rename(n)
            for n in names[150:200]: by_removal(n)
            for at in (0, 100, 200, 298):
                libc.seekdir(folder, places[at]); assert name(libc.readdir(folder)) == order[at + 1], at
            libc.closedir(folder)
            """
        )
    }

    @Test func `files of views are copied, mapped and searched for holes as any file`() throws {
        try runProgram(
            """
            root = os.environ["MOUNT"]
            store("a", b"one" * 5000); store("a", b"two" * 3000)
            id = attribute("a", "id")
            store(f"{root}/resources/{id}/alternatives/b", b"another" * 1000)
            store("gone", b"removed" * 1000); os.unlink("gone")
            os.mkdir(f"{root}/collections/c"); os.link("a", f"{root}/collections/c/a"); os.chmod(f"{root}/collections/c", 0o555)
            group = next(n for n in os.listdir(f"{root}/collections") if n.endswith("~1"))
            files = [f"{root}/resources/{id}/a", f"{root}/resources/{id}/alternatives/b", f"{root}/resources/{id}/info.json",
                f"{root}/uploads/receipts.jsonl", f"{root}/uploads/events.jsonl", f"{root}/collections/{group}/info.json"]
            files += [os.path.join(f"{root}/resources/{id}/versions", n) for n in os.listdir(f"{root}/resources/{id}/versions")]
            files += [f"{root}/trash/" + n for n in os.listdir(f"{root}/trash")]
            assert len(files) == 8, files
            # The information about an asset changes until its metadata is extracted.
            for path in files:
                while path.endswith(("/a", "/b")) and attribute(path, "status") == "processing": time.sleep(0.02)
            for path in files:
                whole = text(path); size = len(whole); assert size > 20, path
                for target in (os.environ["SCRATCH"] + "/copy", "copy"):
                    fd = os.open(path, os.O_RDONLY); to = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                    # Linux supports copy_file_range(2) only within a filesystem.
                    if target == "copy":
                        got = 0
                        while (n := os.copy_file_range(fd, to, 1 << 20)) > 0: got += n
                        copied = os.pread(to, 1 << 20, 0)
                        assert got >= size and copied[:size] == whole, (path, target, got, size)
                    os.ftruncate(to, 0); os.lseek(to, 0, 0); os.lseek(fd, 0, 0)
                    while os.sendfile(to, fd, None, 1 << 20): pass
                    assert os.pread(to, 1 << 20, 0)[:size] == whole, path
                    os.close(to); os.unlink(target)
                assert os.pread(fd, 10, 1 << 40) == b"" and os.pread(fd, 5, size - 5 if "jsonl" not in path else 0) in (whole[-5:], whole[:5])
                assert os.lseek(fd, 3, os.SEEK_DATA) == 3 and os.lseek(fd, 0, os.SEEK_HOLE) >= size, path
                assert refused(os.lseek, fd, 1 << 40, os.SEEK_DATA) == "ENXIO" and os.lseek(fd, 0, os.SEEK_END) >= size
                for kind in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
                    with mmap.mmap(fd, size, kind, mmap.PROT_READ) as mapped: assert mapped[:] == whole, path
                read, write = os.pipe()
                assert os.splice(fd, write, 10, offset_src=0) == 10 and os.read(read, 10) == whole[:10], path
                os.close(fd); os.close(read); os.close(write)
                subprocess.run(["cp", path, "copied"], check=True); assert text("copied")[:size] == whole
            """
        )
    }
}
