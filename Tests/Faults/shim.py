"""Compiles the library that lets a daemon's system calls fail, and controls it; see `shim.c`."""
import errno, mmap, os, struct, subprocess

CALLS, KINDS, TEXT, LIST_TEXT = 96, 64, 32, 128
HEAD = 5 * 4
TARGET = HEAD
NAMES = TARGET + 4 * 4 + LIST_TEXT + TEXT
COUNTS = NAMES + (CALLS + KINDS) * TEXT
SIZE = COUNTS + CALLS * KINDS * 4


def build(folder):
    """Compiles the library into a folder, and returns its path."""
    result, source = f"{folder}/shim.so", os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", result, source, "-ldl"], check=True)
    return result


class Shim:
    """The control file of one daemon."""

    def __init__(self, library, path, root):
        with open(path, "wb") as file: file.truncate(SIZE)
        with open(path, "r+b") as file: self.pages = mmap.mmap(file.fileno(), SIZE)
        self.environment = {"LD_PRELOAD": library, "FAULTS_CONTROL": path, "FAULTS_ROOT": root}

    def close(self): self.pages.close()

    def _set(self, index, value): struct.pack_into("i", self.pages, index * 4, value)

    def _get(self, index): return struct.unpack_from("i", self.pages, index * 4)[0]

    def arm(self, call, kind, error, after=0, length=1, halves=False):
        """Lets calls fail: those of `call` (`*`, or a list with commas) on `kind` (or `*`), `length` of
        them after `after`."""
        self.lift()
        struct.pack_into(
            f"iiii{LIST_TEXT}s{TEXT}s", self.pages, TARGET, error, after, length, int(halves),
            ("*" if call == "*" else call + ",").encode(), kind.encode()[:TEXT - 1])
        self._set(1, 0)
        self._set(2, 0)
        self._set(0, 1)

    def lift(self): self._set(0, 0)

    @property
    def hits(self): return self._get(2)

    def counts(self):
        """Returns how often each pair of a call and a kind of file was counted."""
        def name(at): return self.pages[at:at + TEXT].split(b"\0")[0].decode()
        calls = [name(NAMES + number * TEXT) for number in range(self._get(3))]
        kinds = [name(NAMES + (CALLS + number) * TEXT) for number in range(self._get(4))]
        result = {}
        for row, call in enumerate(calls):
            for column, kind in enumerate(kinds):
                count = struct.unpack_from("I", self.pages, COUNTS + (row * KINDS + column) * 4)[0]
                if count: result[call, kind] = count
        return result


def forever(): return 1 << 30


def short(error): return errno.errorcode.get(error, str(error))
