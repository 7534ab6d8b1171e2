import Foundation
import TestSupport
import Testing

/// Names that are too long for a number, and names that are not UTF-8, in the views that list files under
/// other names.
struct LongNameTests {
    @Test func `what a view lists can be opened, moved and removed by the name that it lists`() throws {
        try runScript(
            #"""
            cat > $SCRATCH/test.py <<'PYTHON'
            import errno, os, subprocess, sys
            mount, assetfs = os.fsencode(sys.argv[1]), sys.argv[2]
            folders = mount + b"/folders"
            names = [b"x" * 251 + b".txt", b"y" * 255, b"\xc3\xa9" * 127, b"\xe9" * 255, b"\x80" * 255, b"a\nb" + b"z" * 250,
                "\N{GRINNING FACE}".encode() * 63 + b".x", b"n" * 250 + b".jpg", b"." + b"h" * 254, b"a." + b"e" * 253,
                b"-" * 255, b"t" * 247 + b".tar.gz", b"\xe9t\xe9.jpg", b"a\nb"]
            sub = folders + b"/f\xfcr\nalle/d\xe9p"
            def content(number, root): return b"%d in %d" % (number, len(root))
            def write(path, bytes):
                with open(path, "wb") as file: file.write(bytes)
            def read(path):
                with open(path, "rb") as file: return file.read()
            for root in (folders, sub):
                os.makedirs(root, exist_ok=True)
                for number, name in enumerate(names):
                    path = root + b"/" + name
                    write(path, b"former"); write(path, content(number, root))
                    os.setxattr(path, "user.asset.caption", b"kiwi")
                    assert os.getxattr(path, "user.asset.filename") == name
                    assert os.getxattr(path, "user.asset.path") == path[len(folders) + 1:]
                try: write(root + b"/" + b"w" * 256, b""); raise SystemExit("256 bytes are a name")
                except OSError as error: assert error.errno == errno.ENAMETOOLONG
            def listed(view, count):
                found = os.listdir(view)
                assert len(set(found)) == len(found) == count and all(len(name) <= 255 for name in found), found
                for name in found:
                    # A name in UTF-8 is cut between two characters.
                    if b"\xc3\xa9\xc3\xa9" in name or b"\xf0\x9f" in name: name.decode()
                return [view + b"/" + name for name in found]
            results = listed(mount + b"/search/kiwi", 2 * len(names))
            for path in results: os.readlink(path); assert b" in " in read(path)
            for asset in os.listdir(mount + b"/resources"):
                for path in listed(mount + b"/resources/" + asset + b"/versions", 1): assert read(path) == b"former"
            for root in (folders, sub):
                for name in names: os.unlink(root + b"/" + name)
            os.rmdir(sub); os.rmdir(os.path.dirname(sub))
            trash = listed(mount + b"/trash", 2 * len(names))
            # A cut name keeps its extension.
            assert sum(path.endswith(b".tar.gz") for path in trash) == 2
            def command(*arguments):
                result = subprocess.run([assetfs, *arguments], capture_output=True)
                assert result.returncode == 0, result.stderr
                return result.stdout
            assert command("trash", os.fsdecode(mount)).count(b"\n") == len(trash)
            assert command("trash", "--json", os.fsdecode(mount)).count(b"\n") == len(trash)
            asset = lambda path: os.path.basename(path).split(b"-")[0].decode()
            kept = {path: read(path) for path in trash}
            os.unlink(trash[0])
            for path in trash[1::2]:
                target = folders + b"/back-" + os.path.basename(path).split(b"-")[0]
                os.rename(path, target); assert read(target) == kept[path]; os.unlink(target)
            # All other files, and those that were moved and removed again.
            for path in trash[2::2]:
                original = os.getxattr(path, "user.asset.path")
                assert command("restore", "-0", "--mount", os.fsdecode(mount), asset(path)) == folders + b"/" + original + b"\0"
                assert read(folders + b"/" + original) == kept[path]
            # If the name is taken it gets a number, and still has 255 bytes.
            path = folders + b"/" + b"q" * 255
            write(path, b"one"); number = os.getxattr(path, "user.asset.id").decode(); os.unlink(path); os.mkdir(path)
            back = command("restore", "-0", "--mount", os.fsdecode(mount), number)[:-1]
            assert len(os.path.basename(back)) == 255 and back.endswith(b"q-1") and read(back) == b"one"
            PYTHON
            python3 $SCRATCH/test.py $MOUNT $ASSETFS
            """#
        )
    }
}
