import Foundation
import TestSupport
import Testing

/// Requests that read for long wait where the kernel holds no lock: renames of other users wait for the locks
/// of LOOKUP, READDIR and MKDIR.
@Suite(.serialized)
struct KernelLockTests {
    /// Runs a program in a mount whose search index is on the filesystem `disk`, which the program can
    /// freeze: searches then hang.
    private func runProgram(_ program: String) throws {
        let prelude =
            neighbourPrelude + """
                def freeze(option): subprocess.run(["fsfreeze", option, os.environ["PLACE"] + "/disk"], check=True)
                def ended(number, frame): raise TimeoutError("a request waits")
                signal.signal(signal.SIGALRM, ended); signal.pthread_sigmask(signal.SIG_SETMASK, [])
                # Opens folders, reports that, and lists them on request.
                def opened(uid, paths, action):
                    ready, go = os.pipe(), os.pipe()
                    def body():
                        folders = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in paths]
                        os.write(ready[1], b"1"); os.read(go[0], 1); action(folders)
                    pid = user(uid, body); os.read(ready[0], 1)
                    return pid, lambda: os.write(go[1], b"1")
                own("a/x", 5001); own("a/y", 5001); own("b", 5002); own("c", 5003)

                """
        try withPlace { place in
            try runBesideSearchDisk(prelude + program, in: place)
        }
    }

    @Test func `looking up, listing and making names in views wait for no search`() throws {
        try runProgram(
            """
            store("b/word1.txt", b"word"); os.chmod("b/word1.txt", 0o644); store("a/x/f", b"f"); os.chown("a/x/f", 5001, 5001)
            store("b/gone.txt", b"gone"); os.chown("b/gone.txt", 5002, 5002); os.unlink("b/gone.txt")
            number = attribute("b/word1.txt", "id")
            views = [root + "/trash", root + "/resources", root + "/search/word1"]
            def look(folders):
                names = [os.listdir(folder) for folder in folders]
                assert [len(some) for some in names] == [1, 2, 1], names
                # A second time, from the beginning.
                assert [os.listdir(folder) for folder in folders] == names
                for view in views[:2]: assert refused(os.mkdir, view + "/new")
                assert refused(os.mkdir, root + "/search/new") and refused(os.mkdir, root + "/resources/700")
                assert refused(os.rename, "b/word1.txt", root + "/search/new")
                # Names in a query are answered from the files themselves.
                assert os.readlink(root + f"/search/word1/{number}-word1.txt") == "../../folders/b/word1.txt"
                assert refused(os.readlink, root + f"/search/nothing/{number}-word1.txt") == "ENOENT"
                assert refused(os.stat, root + "/search/size:big") == "EINVAL"
                assert refused(os.stat, root + "/search/in:nowhere") == "EINVAL"
            bob, begin = opened(5002, views, look)
            os.chmod("c", 0o700); store("c/third.txt", b"third")
            freeze("-f")
            try:
                signal.alarm(60); many = 40
                crowd = [user(5002, lambda n=n: os.listdir(f"{root}/search/word{n} OR first")) for n in range(many)]
                until(lambda: requests() >= many)
                begin(); wait(bob)
                wait(user(5001, lambda: os.rename("a/x/f", "a/y/f")))
                assert requests() >= many
            finally: signal.alarm(0); freeze("-u")
            for pid in crowd: wait(pid)
            """
        )
    }

    @Test
    func `a listing has all that was there when its folder was opened, and what has come since where that is little`()
        throws
    {
        try withMountedLibrary(options: ["allow_other"]) { mount in
            try run("chmod", "755", mount.scratch).check()
            let program =
                neighbourPrelude + """
                    own("b", 5002); own("c", 5003)
                    def numbers(view):
                        names = os.listdir(view); assert len(set(names)) == len(names)
                        return {int(name.split("-")[0]) for name in names}
                    def bob():
                        os.umask(0o077)
                        for n in range(700): store(f"b/{n}", b"%d" % n)
                        own = {int(attribute(f"b/{n}", "id")) for n in range(700)}
                        removed = set()
                        for view in ("resources", "trash"):
                            folder = os.open(root + "/" + view, os.O_RDONLY | os.O_DIRECTORY)
                            before = numbers(folder); assert before == (own if view == "resources" else removed), len(before)
                            store("b/more", b"more"); more = int(attribute("b/more", "id")); os.unlink("b/more"); removed.add(more)
                            if view == "trash": assert numbers(folder) >= {more}
                            os.close(folder)
                        for n in range(700): os.unlink(f"b/{n}")
                        folder = os.open(root + "/trash", os.O_RDONLY | os.O_DIRECTORY)
                        assert numbers(folder) >= own and not numbers(root + "/resources")
                        # Files that are gone meanwhile are not listed.
                        for name in os.listdir(root + "/trash"):
                            if int(name.split("-")[0]) % 600: os.unlink(root + "/trash/" + name)
                        assert numbers(folder) == {n for n in own if n % 600 == 0}; os.close(folder)
                    def carol(): assert not os.listdir(root + "/trash") and not os.listdir(root + "/resources")
                    wait(user(5002, bob)); wait(user(5003, carol))
                    """
            let result = try run(["env", "MOUNT=\(mount.root)", "python3", "-c", program], in: mount.folders)
            #expect(result.status == 0, "\(result.output.suffix(1000))\(result.errors.suffix(2000))")
        }
    }
}
