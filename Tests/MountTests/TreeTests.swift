import Foundation
import TestSupport
import Testing

/// Names, folders, attributes and extended attributes through the kernel.
@Suite(.serialized)
struct TreeTests {
    @Test func `names are bytes, 255 of them at most`() throws {
        try withMountedLibrary { mount in
            let program = """
                import errno, os, unicodedata
                for name in (b'n' * 255, b'\\xff\\xfe', 'e\\u0301'.encode(), '\\u00e9'.encode(), b'new\\nline', b' ', b'-rf'):
                    open(name, 'w').close()
                assert len(os.listdir(b'.')) == 7, os.listdir(b'.')
                for make in (lambda n: open(n, 'w'), os.mkdir, lambda n: os.symlink('x', n), os.stat):
                    try: make(b'n' * 256); assert False
                    except OSError as e: assert e.errno == errno.ENAMETOOLONG, e
                """
            let result = try run(["python3", "-c", program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `a folder of many files is listed once each, also while they are removed`() throws {
        try withMountedLibrary { mount in
            let program = """
                import os
                os.mkdir('d')
                for i in range(3000): os.mknod(f'd/{i:04}')
                assert sorted(os.listdir('d')) == [f'{i:04}' for i in range(3000)]
                seen = []
                with os.scandir('d') as entries:
                    for entry in entries: seen.append(entry.name); os.unlink(entry.path)
                assert sorted(seen) == [f'{i:04}' for i in range(3000)], len(seen)
                assert os.listdir('d') == []
                os.mkdir('d/sub'); assert os.stat('d').st_nlink == 3
                try: os.rmdir('d'); assert False
                except OSError: pass
                os.rmdir('d/sub'); os.rmdir('d')
                """
            let result = try run(["python3", "-c", program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `dots name the folder and its parent`() throws {
        try withMountedLibrary { mount in
            try run("mkdir", "-p", mount.path("a/b")).check()
            let listed = try run("ls", "-1ai", mount.path("a/b")).check().output.split(separator: "\n")
            let numbers = listed.compactMap { $0.split(separator: " ").first }
            let expected = try run("stat", "-c", "%i", mount.path("a/b"), mount.path("a")).check().output
            #expect(numbers == expected.split(separator: "\n"))
        }
    }

    @Test func `rename replaces, refuses and exchanges`() throws {
        try withMountedLibrary { mount in
            let program = """
                import ctypes, errno, os
                libc = ctypes.CDLL(None, use_errno=True)
                def renameat2(a, b, flags):
                    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags) != 0: return ctypes.get_errno()
                    return 0
                def put(n, t): open(n, 'w').write(t)
                def get(n): return open(n).read()
                put('a', 'A'); put('b', 'B')
                inode = os.stat('a').st_ino
                assert renameat2('a', 'b', 1) == errno.EEXIST
                assert renameat2('a', 'b', 2) == 0 and get('a') == 'B' and get('b') == 'A' and os.stat('b').st_ino == inode
                assert renameat2('a', 'b', 8) == errno.EINVAL
                assert renameat2('a', 'missing', 2) == errno.ENOENT
                os.rename('a', 'b'); assert get('b') == 'B' and not os.path.exists('a')
                os.mkdir('d'); os.mkdir('d/e')
                for a, b, e in (('d', 'd/e/f', errno.EINVAL), ('b', 'd', errno.EISDIR), ('d', 'b', errno.ENOTDIR)):
                    try: os.rename(a, b); assert False
                    except OSError as x: assert x.errno == e, (a, b, x)
                os.mkdir('empty'); os.rename('d', 'empty'); assert os.listdir('empty') == ['e']
                f = open('b', 'r+'); os.rename('b', 'empty/c'); f.write('X'); f.close(); assert get('empty/c') == 'X'
                os.link('empty/c', 'l'); os.rename('empty/c', 'l'); assert os.path.exists('empty/c')
                """
            let result = try run(["python3", "-c", program], in: mount.folders)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func `attributes keep nanoseconds and inode numbers over a remount`() throws {
        try withScratch { scratch in
            let (root, library) = (scratch + "/mount", scratch + "/library")
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
            var before = ""
            let format = ["-c", "%i %a %u %g %s %x %y %z %h"]
            try remount(library, on: root, scratch: scratch) { mount in
                try shell(
                    """
                    echo x > f; chmod 1644 f; chown 3:4 f; ln -s f l; mkdir d
                    touch -a -d '2010-01-01 00:00:00.000000001' f; touch -m -d '1960-06-06 06:06:06.987654321' f
                    """,
                    in: mount.folders
                ).check()
                before = try run(["stat"] + format + ["f", "l", "d"], in: mount.folders).check().output
                #expect(before.contains("1960-06-06 06:06:06.987654321"))
            }
            try remount(library, on: root, scratch: scratch) { mount in
                let after = try run(["stat"] + format + ["f", "l", "d"], in: mount.folders).check().output
                #expect(after == before)
            }
        }
    }

    @Test func `extended attributes are kept, and ours are told from typos`() throws {
        try withMountedLibrary { mount in
            try shell("echo x > f", in: mount.folders).check()
            try run("setfattr", "-n", "user.free", "-v", "0x00ff41", mount.path("f")).check()
            try run("setfattr", "-n", "trusted.root", "-v", "t", mount.path("f")).check()
            #expect(try run("getfattr", "-e", "hex", "-n", "user.free", mount.path("f")).output.contains("0x00ff41"))
            // Computed attributes are not listed: copying tools would try to set them.
            #expect(try run("getfattr", "-d", "-m", "-", mount.path("f")).output.contains("user.asset") == false)
            #expect(try mount.attribute("user.asset.filename", of: "f") == "f")
            for name in ["user.asset.captoin", "user.policy.nonsense"] {
                #expect(try run("setfattr", "-n", name, "-v", "x", mount.path("f")).errors.contains("Invalid argument"))
            }
            #expect(try run("getfattr", "-n", "user.none", mount.path("f")).errors.contains("No such attribute"))
            try run("setfattr", "-x", "user.free", mount.path("f")).check()
            try run("cp", "-a", mount.path("f"), mount.path("g")).check()
            #expect(try run("getfattr", "-d", "-m", "-", mount.path("g")).output.contains("trusted.root"))
        }
    }

    @Test func `the views cannot be written to`() throws {
        try withMountedLibrary { mount in
            let listing = try run("ls", mount.root).check().output
            #expect(listing == "collections\nfolders\nresources\nsearch\ntrash\nuploads\n")
            for command in ["touch x", "mkdir x", "rm uploads/receipts.jsonl", "mv folders other", "rmdir uploads"] {
                #expect(try shell(command, in: mount.root).status != 0, "\(command)")
            }
        }
    }
}
