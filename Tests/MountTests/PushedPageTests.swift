import Foundation
import TestSupport
import Testing

/// Contents that the daemon stores in the kernel's page cache when a file is opened.
struct PushedPageTests {
    @Test func `programs that open a file while another changes it put no former content into the page cache`() throws {
        try withMountedLibrary { mount in
            try run("python3", "-c", pythonPrelude + Self.race, in: mount.folders).check()
        }
    }

    /// Readers repeatedly open each new file, as a backup program does, while it is changed in one of several
    /// ways; after each change the whole file is read.
    private static let race = """
        import ctypes, random
        libc = ctypes.CDLL(None); libc.prctl(15, b"tar")
        os.mkdir("d"); stop = "d/stop"; chosen = random.Random(11)
        def disturb():
            while True:
                try: name = os.readlink("now")
                except OSError: continue
                if name == "stop": return
                for _ in range(3):
                    try: fd = os.open(name, os.O_RDONLY)
                    except FileNotFoundError: break
                    os.close(fd)
        os.symlink("nothing", "now")
        children = [child(disturb) for _ in range(3)]
        def point(name):
            os.symlink(name, "next"); os.rename("next", "now")
        def content(number): return b"%08d" % number * (1 + number * 37 % 9000)
        def rewrite(path, data): store(path, data)
        def overwrite(path, data):
            fd = os.open(path, os.O_WRONLY); os.ftruncate(fd, len(data)); os.pwrite(fd, data, 0); os.close(fd)
        def shorten(path, data):
            os.truncate(path, 0); store(path, data, os.O_WRONLY)
        def mapped(path, data):
            fd = os.open(path, os.O_RDWR); os.ftruncate(fd, len(data))
            with mmap.mmap(fd, len(data)) as mapping: mapping[:] = data
            os.close(fd)
        try:
            for number in range(700):
                name, former, data = f"d/{number}", content(number), content(number + 1)
                store(name, former); point(name)
                chosen.choice([rewrite, overwrite, shorten, mapped])(name, data)
                found = text(name)
                assert found == data, (number, found[:8], len(found), len(data))
                assert os.stat(name).st_size == len(data), number
        finally:
            point("stop")
        for pid in children: wait(pid)
        """

    @Test func `a program that backs up reads small files without a request for their bytes`() throws {
        try withMountedLibrary { mount in
            try run("python3", "-c", pythonPrelude + Self.backup, mount.scratch, in: mount.folders).check()
        }
    }

    private static let backup = """
        import sys
        contents = {f"d/{number}": os.urandom(1 + number * 977 % 200000) for number in range(200)} | {"d/empty": b""}
        contents["d/hole"] = bytes(50000) + b"end"
        os.mkdir("d")
        for name, data in contents.items(): store(name, data)
        for round in range(2):
            subprocess.run(["tar", "-C", "d", "-cf", sys.argv[1] + "/t.tar", "."], check=True)
            out = f"{sys.argv[1]}/out{round}"; os.mkdir(out)
            subprocess.run(["tar", "-C", out, "-xf", sys.argv[1] + "/t.tar"], check=True)
            for name, data in contents.items(): assert text(f"{out}/{name[2:]}") == data, name
        """
}
