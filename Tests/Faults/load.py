"""The operations of users during a fault, and the allowed contents of each file afterwards."""
import ctypes, errno, hashlib, mmap, os, signal, subprocess, time

LIBC = ctypes.CDLL(None, use_errno=True)
ABSENT = None


def unique(key, size): return hashlib.shake_128(str(key).encode()).digest(size)


def answered(result):
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def fallocate(descriptor, mode, offset, count):
    answered(LIBC.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(count)))


def exchange(one, other): answered(LIBC.renameat2(-100, one.encode(), -100, other.encode(), 2))


class Wrong(Exception):
    """A read value that was never written, or a loss of acknowledged data."""


class Prefix:
    """Any beginning of a content: the part that a program had written when a call of it failed."""

    def __init__(self, *contents): self.contents = contents

    def __eq__(self, other): return isinstance(other, bytes) and any(content.startswith(other) for content in self.contents)

    def __repr__(self): return f"a beginning of {len(self.contents)} contents"


class Either:
    """A content each of whose pages is that of one content or of another."""

    def __init__(self, one, other): self.one, self.other = one, other

    def __eq__(self, found):
        if not isinstance(found, bytes) or len(found) not in (len(self.one), len(self.other)): return False
        return all(
            found[at:at + 4096] in (self.one[at:at + 4096][:len(found) - at], self.other[at:at + 4096][:len(found) - at])
            for at in range(0, len(found), 4096))


class Model:
    """The content of each path, and its contents since everything was last acknowledged."""

    def __init__(self): self.history, self.unsure = {}, {}

    def now(self, path): return self.history[path][-1]

    def change(self, states):
        for path, state in states.items(): self.history.setdefault(path, [ABSENT]).append(state)

    def doubt(self, states):
        """Records that each path has one of several states."""
        for path, several in states.items():
            self.history.setdefault(path, [ABSENT])
            self.unsure.setdefault(path, [self.history[path][-1]]).extend(several)

    def acknowledge(self):
        for path, states in self.history.items():
            if path not in self.unsure: del states[:-1]

    def settle(self, path, found):
        """Records the state that a path was found to have, which must be a possible one."""
        if path in self.unsure:
            if not any(state == found for state in self.unsure[path]): raise Wrong(f"{path} has {shown(found)}")
            del self.unsure[path]
            if self.history[path][-1] != found: self.history[path].append(found)
        elif self.history[path][-1] != found:
            raise Wrong(f"{path} has {shown(found)} and not {shown(self.history[path][-1])}")

    def fall_back(self, path, found):
        """Records the state that a path was found to have after a crash."""
        if not any(state == found for state in self.history[path] + self.unsure.pop(path, [])):
            raise Wrong(f"after a crash {path} has {shown(found)} of {[shown(state) for state in self.history[path]]}")
        self.history[path] = [found]


def shown(state):
    if not isinstance(state, bytes): return "nothing" if state is None else repr(state)
    return f"{len(state)} bytes, {state[:12].hex()}…"


class Load:
    """Rounds of operations, each in a folder of its own below a mount."""

    def __init__(self, mount, assetfs, large, beat):
        self.mount, self.assetfs, self.large, self.beat = mount, assetfs, large, beat
        self.model, self.count, self.errors, self.expiring = Model(), 0, [], []
        self.is_armed = False

    # Checks

    def look(self, path):
        """Returns the state of a path: `name#attribute` is a value; otherwise the bytes, or the kind of an
        object without bytes."""
        name, _, attribute = path.partition("#")
        try:
            if attribute: return os.getxattr(f"{self.mount}/{name}", attribute)
            if os.path.isdir(f"{self.mount}/{name}"): return "folder"
            descriptor = os.open(f"{self.mount}/{name}", os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                with os.fdopen(os.dup(descriptor), "rb") as file: return file.read()
            finally: os.close(descriptor)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODATA): return ABSENT
            raise

    def check(self, paths, after_crash=False):
        """Compares paths with the model; without an active fault a failing check is as wrong as other
        bytes."""
        for path in paths:
            self.beat()
            try: found = self.look(path)
            except OSError as error: raise Wrong(f"{path} cannot be read: {error}") from error
            (self.model.fall_back if after_crash else self.model.settle)(path, found)

    # Steps

    def attempt(self, name, body, after, possible=None):
        """Performs a step: `after` is the state of paths after success, `possible` further states after a
        failure."""
        self.beat()
        try:
            body()
        except OSError as error:
            self.errors.append((name, error.errno))
            self.model.doubt({path: [state] + (possible or {}).get(path, []) for path, state in after.items()})
            return False
        self.model.change(after)
        return True

    def path(self, name): return f"{self.mount}/{name}"

    def create(self, name, data, piece=1 << 20):
        descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for at in range(0, len(data), piece):
                rest = data[at:at + piece]
                while rest: rest = rest[os.write(descriptor, rest):]
        finally: os.close(descriptor)

    def put(self, name, data, label="cp"):
        return self.attempt(label, lambda: self.create(name, data), {name: data}, {name: [Prefix(data)]})

    def change(self, label, name, new, body, flags=os.O_RDWR, possible=()):
        def run():
            descriptor = os.open(self.path(name), flags)
            try: body(descriptor)
            finally: os.close(descriptor)
        return self.attempt(label, run, {name: new}, {name: list(possible)})

    def sync(self, name, label="fsync"):
        """Syncs a file; all earlier changes are durable afterwards."""
        self.beat()
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY)
            try: os.fsync(descriptor)
            finally: os.close(descriptor)
        except OSError as error:
            self.errors.append((label, error.errno))
            return False
        self.model.acknowledge()
        return True

    def change_cold(self, path):
        """Changes a file in several ways, each of which succeeds or has no effect."""
        model, other = self.model, f"{path}-moved"
        def attempt(label, step, states):
            try: step()
            except OSError as error: return self.errors.append((label, error.errno))
            model.change(states)
        caption = f"{path}#user.asset.caption"
        attempt("setxattr", lambda: os.setxattr(self.path(path), "user.asset.caption", b"late"), {caption: b"late"})
        attempt("rename", lambda: os.rename(self.path(path), self.path(other)), {
            path: None, other: model.now(path),
            **{name.replace(path, other, 1): model.now(name) for name in list(model.history) if name.startswith(f"{path}#")},
            **{name: None for name in model.history if name.startswith(f"{path}#")}})

    # A round

    NAMES = ["inplace", "appended", "cut", "longer", "mapped", "renamed", "over", "below", "left", "right", "gone", "said",
             "private", "replaced", "trashed", "holes", "source", "rewritten", "linked", "expiring", "still", "synced"]

    def prepare(self):
        """Creates the folder and files of a round, without a fault, and syncs them."""
        self.count += 1
        folder = self.folder = f"folders/{self.count}"
        os.mkdir(self.path(folder))
        self.model.change({folder: "folder"})
        for number, name in enumerate(self.NAMES):
            self.put(f"{folder}/{name}", unique((self.count, name), 9000 + number * 1000), "before")
        self.put(f"{folder}/picture.jpg", JPEG + unique((self.count, "picture"), 100), "before")
        os.mkdir(self.path(f"{folder}/empty"))
        self.model.change({f"{folder}/empty": "folder"})
        os.unlink(self.path(f"{folder}/trashed"))
        self.model.change({f"{folder}/trashed": ABSENT})
        self.number = os.getxattr(self.path(f"{folder}/replaced"), "user.asset.id").decode()
        found = [name for name in os.listdir(self.path("trash")) if name.endswith("-trashed")]
        self.trashed = max(found, key=lambda name: int(name.split("-")[0]))
        if self.errors or not self.sync(folder): raise Wrong(f"before the fault: {self.errors}")

    def work(self):
        """Runs the operations of a round, each on files of its own."""
        folder, now, look = self.folder, self.model.now, lambda name: self.model.now(f"{self.folder}/{name}")
        self.put(f"{folder}/small", unique((self.count, "small"), 3000))
        data = unique((self.count, "inplace-new"), 100)
        new = look("inplace")[:5000] + data + look("inplace")[5100:]
        self.change("write in place", f"{folder}/inplace", new, lambda file: os.pwrite(file, data, 5000))
        self.change("append", f"{folder}/appended", look("appended") + data, lambda file: os.write(file, data),
                    os.O_WRONLY | os.O_APPEND)
        self.change("truncate", f"{folder}/cut", look("cut")[:10], lambda file: os.ftruncate(file, 10))
        self.change("extend", f"{folder}/longer", look("longer") + bytes(50000),
                    lambda file: os.ftruncate(file, len(look("longer")) + 50000))
        self.map(f"{folder}/mapped")
        self.sync(f"{folder}/synced", "fsync (file)")
        old = look("renamed")
        def rename(one, other): os.rename(self.path(f"{folder}/{one}"), self.path(f"{folder}/{other}"))
        self.attempt("rename", lambda: rename("renamed", "newname"), {f"{folder}/renamed": ABSENT, f"{folder}/newname": old})
        over = look("over")
        self.attempt("rename over", lambda: rename("over", "below"), {f"{folder}/over": ABSENT, f"{folder}/below": over})
        left, right = look("left"), look("right")
        self.attempt("exchange", lambda: exchange(self.path(f"{folder}/left"), self.path(f"{folder}/right")),
                     {f"{folder}/left": right, f"{folder}/right": left})
        self.attempt("unlink", lambda: os.unlink(self.path(f"{folder}/gone")), {f"{folder}/gone": ABSENT})
        self.attempt("mkdir", lambda: os.mkdir(self.path(f"{folder}/made")), {f"{folder}/made": "folder"})
        self.attempt("rmdir", lambda: os.rmdir(self.path(f"{folder}/empty")), {f"{folder}/empty": ABSENT})
        self.attempt("link", lambda: os.link(self.path(f"{folder}/linked"), self.path(f"{folder}/second")),
                     {f"{folder}/second": look("linked")})
        self.attributes()
        self.put(f"{folder}/rewritten", unique((self.count, "again"), 4000), "rewrite")
        self.large_file()
        self.replace()
        self.restore()
        self.holes()
        self.look_about()
        self.sync(folder, "fsync (folder)")

    def attributes(self):
        folder = self.folder
        def say(label, name, key, value):
            self.attempt(label, lambda: os.setxattr(self.path(name), f"user.asset.{key}", value), {f"{name}#user.asset.{key}": value})
        say("setxattr caption", f"{folder}/said", "caption", b"said %d" % self.count)
        say("setxattr access", f"{folder}/private", "access", b"PRIVATE")
        self.attempt("setxattr policy", lambda: os.setxattr(self.path(folder), "user.policy.ttl", b"P30D"),
                     {f"{folder}#user.policy.ttl": b"P30D"})
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1.5)).encode()
        name = f"{folder}/expiring"
        kept = self.model.history.pop(name)
        try:
            os.setxattr(self.path(name), "user.asset.expires", end)
            self.expiring.append(name)
        except OSError as error:
            self.errors.append(("setxattr expires", error.errno))
            if os.path.exists(self.path(name)): self.model.history[name] = kept
            else: self.expiring.append(name)

    def map(self, name):
        """Writes to a mapping, in a process of its own: it gets SIGBUS for a page without disk space."""
        old, data = self.model.now(name), unique((self.count, "mapping"), 100)
        def run():
            child = os.fork()
            if not child:
                signal.signal(signal.SIGBUS, signal.SIG_DFL)
                try:
                    descriptor = os.open(self.path(name), os.O_RDWR)
                    with mmap.mmap(descriptor, len(old)) as pages:
                        pages[4200:4300] = data
                        pages.flush()
                    os.close(descriptor)
                except OSError as error: os._exit(error.errno)
                finally: os._exit(0)
            status = os.waitpid(child, 0)[1]
            if os.WIFSIGNALED(status): raise OSError(errno.EIO, f"signal {os.WTERMSIG(status)}")
            if os.WEXITSTATUS(status): raise OSError(os.WEXITSTATUS(status), "of a mapping")
        self.attempt("mmap write", run, {name: old[:4200] + data + old[4300:]})

    def large_file(self):
        folder, size = self.folder, self.large
        data = unique((self.count, "large"), 1 << 20) * (size >> 20)
        name = f"{folder}/large"
        if not self.put(name, data, "cp (large)"): return
        new = data[:70000] + b"changed" + data[70007:]
        def change(file):
            os.pwrite(file, b"changed", 70000)
            os.fsync(file)
        if self.change("write in place (large)", name, new, change):
            self.model.acknowledge()
            self.copy(name, new)

    def copy(self, name, data):
        def run():
            one = os.open(self.path(name), os.O_RDONLY)
            try:
                other = os.open(self.path(f"{self.folder}/copied"), os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    done = 0
                    while done < len(data): done += os.copy_file_range(one, other, len(data) - done) or len(data)
                finally: os.close(other)
            finally: os.close(one)
        copied = f"{self.folder}/copied"
        self.attempt("copy_file_range", run, {copied: data}, {copied: [Prefix(data)]})

    def replace(self):
        folder, data = self.folder, unique((self.count, "replacement"), 5000)
        name = f"{folder}/replaced"
        old = self.model.now(name)
        self.attempt("replacement", lambda: self.create(f"resources/{self.number}/new-{self.count}", data), {name: data}, {name: [old, Prefix(data)]})

    def restore(self):
        back = unique((self.count, "trashed"), 9000 + self.NAMES.index("trashed") * 1000)
        self.attempt("restore", lambda: os.rename(self.path(f"trash/{self.trashed}"), self.path(f"{self.folder}/restored")),
                     {f"{self.folder}/restored": back})

    def holes(self):
        name = f"{self.folder}/holes"
        old = self.model.now(name)
        new = old[:4096] + bytes(4096) + old[8192:]
        if self.change("punch hole", name, new, lambda file: fallocate(file, 3, 4096, 4096)):
            self.change("fallocate", name, new + bytes(100000 - len(new)), lambda file: fallocate(file, 0, 0, 100000))

    def look_about(self):
        """Reads during the fault, and expects correct bytes or an error."""
        for label, run in [
            ("search", lambda: os.listdir(self.path(f"search/name:still{self.count % 7}"))),
            ("readdir", lambda: os.listdir(self.path(self.folder))),
            ("extraction", lambda: os.getxattr(self.path(f"{self.folder}/picture.jpg"), "user.asset.width")),
            ("statfs", lambda: os.statvfs(self.mount)),
            ("events", lambda: open(self.path("uploads/receipts.jsonl"), "rb").read(4096)),
        ]:
            self.beat()
            try: run()
            except OSError as error: self.errors.append((label, error.errno))
        for name in [f"{self.folder}/still", f"folders/{1 + self.count // 2}/still"]:
            self.beat()
            try:
                if (found := self.look(name)) != self.model.now(name): raise Wrong(f"meanwhile {name} has {shown(found)}")
            except OSError as error: self.errors.append(("read", error.errno))

    def commands(self, scratch):
        """Runs commands that query the mount; each exits, and reports its failure."""
        for label, *arguments in [
            ("export", "export", self.path(f"{self.folder}/still"), f"{scratch}/export-{self.count}"),
            ("verify", "verify", self.mount), ("status", "status", self.mount),
        ]:
            self.beat()
            result = subprocess.run([self.assetfs] + arguments, capture_output=True, timeout=60)
            if result.returncode: self.errors.append((f"assetfs {label}", -result.returncode))


# SOI, quantisation table, frame header of 7 by 5, Huffman tables, scan, EOI.
JPEG = (
    bytes([0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0]) + b"\1" * 64 + bytes([0xFF, 0xC0, 0, 11, 8, 0, 5, 0, 7, 1, 1, 0x11, 0])
    + bytes([0xFF, 0xC4, 0, 20, 0, 1]) + bytes(15) + b"\0" + bytes([0xFF, 0xC4, 0, 20, 0x10, 1]) + bytes(15) + b"\0"
    + bytes([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9]))
