import Foundation
import TestSupport
import Testing

/// Shared mappings by mmap(2) itself: unlike the mappings of Python, they keep no descriptor, so that they
/// outlive the last close.
@Suite(.serialized)
struct MappingTests {
    private let prelude =
        pythonPrelude + """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True); libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
            libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
            libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
            SIZE = 1 << 20
            class Map:
                "A mapping of a whole file, through a descriptor that is closed before it is used."
                def __init__(self, path, flags=os.O_RDWR):
                    fd = os.open(path, flags)
                    self.address = libc.mmap(None, SIZE, 3 if flags == os.O_RDWR else 1, 1, fd, 0); os.close(fd)
                    assert self.address != ctypes.c_void_p(-1).value
                def store(self, data, at=0): ctypes.memmove(self.address + at, data, len(data))
                def load(self, count, at=0): return ctypes.string_at(self.address + at, count)
                def sync(self): assert libc.msync(self.address, SIZE, 4) == 0
                def unmap(self): assert libc.munmap(self.address, SIZE) == 0
            def put(name, byte=b"."):
                with open(name, "wb") as file: file.write(byte * SIZE)
            def until(condition):
                while not condition(): time.sleep(0.02)
            def digest(name):
                import hashlib
                return hashlib.sha256(text(name)).hexdigest()

            """

    private func run(_ script: String, _ mode: String, _ name: String = #function) throws {
        try withMountedLibrary(name, options: [mode]) { mount in
            try TestSupport.run("python3", "-c", "import os; os.chdir('\(mount.folders)')\n" + prelude + script).check()
        }
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `bytes stored through a mapping stay when the descriptors were closed before`(mode: String) throws {
        try run(
            """
            put("a"); reader = os.open("a", os.O_RDONLY); os.read(reader, 16)
            map = Map("a"); map.store(b"PRECIOUS"); map.sync()
            assert os.pread(reader, 8, 0) == b"PRECIOUS" and text("a")[:8] == b"PRECIOUS"
            map.unmap(); os.close(reader)
            assert text("a")[:8] == b"PRECIOUS"
            # Without another reader, and with a store after all descriptors were closed.
            put("b"); text("b"); map = Map("b"); map.store(b"LATER", 5000); assert text("b")[5000:5005] == b"LATER"
            map.store(b"LAST", 9000); map.unmap(); assert text("b")[9000:9004] == b"LAST" and text("b")[5000:5005] == b"LATER"
            # The digest of an asset is that of its bytes in the end.
            for name in "ab": until(lambda: attribute(name, "sha256") == digest(name))
            """,
            mode
        )
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `a mapping for reading shows each later change, after its descriptor was closed`(mode: String) throws {
        try run(
            """
            put("a"); map = Map("a", os.O_RDONLY); assert map.load(4) == b"...."
            fd = os.open("a", os.O_WRONLY); os.pwrite(fd, b"one", 0); assert map.load(3) == b"one"; os.close(fd)
            fd = os.open("a", os.O_RDWR); os.pwrite(fd, b"two", 0); os.fsync(fd); os.close(fd); assert map.load(3) == b"two"
            other = Map("a"); other.store(b"map", 70000); assert map.load(3, 70000) == b"map"; other.unmap()
            put("a", b"x"); assert map.load(3, 70000) == b"xxx" and map.load(1, SIZE - 1) == b"x"
            # A file that takes the name is another file.
            put("b", b"y"); os.rename("b", "a"); assert map.load(1) == b"x" and text("a")[:1] == b"y"
            map.unmap()
            # Two files with one content, one of them mapped, stay two.
            put("c"); put("d"); map = Map("c", os.O_RDONLY); map.load(1)
            fd = os.open("d", os.O_WRONLY); os.pwrite(fd, b"d", 0); os.close(fd); assert map.load(1) == b"." and text("c")[:1] == b"."
            fd = os.open("c", os.O_WRONLY); os.pwrite(fd, b"c", 0); os.close(fd); assert map.load(1) == b"c" and text("d")[:1] == b"d"
            map.unmap()
            """,
            mode
        )
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `a time that is set after a store through a mapping stays`(mode: String) throws {
        try run(
            """
            put("a"); reader = os.open("a", os.O_RDONLY); os.read(reader, 1)
            fd = os.open("a", os.O_RDWR); map = Map("a"); map.store(b"x"); map.sync(); map.unmap()
            os.utime("a", ns=(10**9, 7 * 10**9 + 5)); os.close(fd); os.close(reader)
            assert os.stat("a").st_mtime_ns == 7 * 10**9 + 5
            until(lambda: attribute("a", "sha256") == digest("a"))
            assert os.stat("a").st_mtime_ns == 7 * 10**9 + 5
            """,
            mode
        )
    }

    @Test(arguments: ["passthrough", "nopassthrough"])
    func `bytes that msync has acknowledged survive kill -9`(mode: String) throws {
        try withScratch("mapping-\(mode)") { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            try TestSupport.run(assetfs, "mount", library, root, "-o", mode).check()
            let program =
                prelude + """
                    os.chdir("\(root)/folders"); put("db")
                    reader = os.open("db", os.O_RDONLY); os.read(reader, 1)
                    map = Map("db"); map.store(b"COMMIT01"); map.sync()
                    subprocess.run(["pkill", "-9", "-f", "[a]ssetfs mount \(library)"])
                    os._exit(0)
                    """
            try TestSupport.run("python3", "-c", program).check()
            try shell("umount -l \(root); until flock -n \(library)/lock true; do sleep 0.05; done").check()
            try remount(library, on: root, scratch: scratch) { mount in
                let bytes = try mount.read("db")
                #expect(bytes.starts(with: Array("COMMIT01".utf8)))
            }
            try checkLibrary(library)
        }
    }

    @Test func `opens for reading and writing alternate without an error`() throws {
        try run(
            """
            import random
            names = [f"e{n}" for n in range(4)]
            for name in names: put(name)
            def opens(seed):
                chosen = random.Random(seed)
                for _ in range(3000): os.close(os.open(chosen.choice(names), chosen.choice((os.O_RDONLY, os.O_RDWR))))
            for process in [child(lambda seed=seed: opens(seed)) for seed in range(3)]: wait(process)
            for name in names: assert text(name) == b"." * SIZE
            """,
            "passthrough"
        )
    }

    @Test func `a mount in which a file is mapped is in use, and ends when the mapping does`() throws {
        try withMountedLibrary { mount in
            let program =
                "import os, sys; os.chdir('\(mount.folders)')\n" + prelude + """
                    put("a"); text("a"); map = Map("a"); os.chdir("/")
                    busy = subprocess.run(["umount", "\(mount.root)"], capture_output=True, text=True)
                    assert busy.returncode != 0 and "busy" in busy.stderr, busy
                    map.store(b"here"); map.unmap()
                    """
            try TestSupport.run("python3", "-c", program).check()
            let bytes = try mount.read("a")
            #expect(bytes.starts(with: Array("here".utf8)))
        }
    }
}
