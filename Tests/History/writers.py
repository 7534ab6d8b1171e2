"""Programs whose disk or daemon fails: each writes in folders of its own, and records each step before it
makes it."""
import errno, hashlib, mmap, os, pickle, random, signal, socket, subprocess, time, traceback

from history import File, Folder, History, Link

GROUPS = {
    "plain": {}, "described": {}, "large": {}, "many": {}, "refusing": {"duplicates": "REJECT"},
    "staying": {"overwrite": "false"}, "expiring": {"ttl": "P30D"}, "linked": {}, "tree": {},
}


def unique(key, size): return hashlib.shake_128(str(key).encode()).digest(size)


def failure(said):
    """Returns the error at the end of a command's message."""
    number = next((number for number in errno.errorcode if said.strip().endswith(os.strerror(number))), None)
    return OSError(number, said.strip())


# Contents that all writers use, so that many names have one blob.
SHARED = [unique(f"shared {number}", size) for number, size in enumerate([1, 100, 4096, 5000, 20000, 70000, 150000])]


class MappingFailure(OSError):
    """A store through a mapping, or its msync(2), that has failed: SIGBUS, or EIO."""


class Mapping:
    """A shared mapping of a file, in a process of its own: a store gets SIGBUS there if the disk is gone."""

    def __init__(self, path, size):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = os.fork()
        if self.process: return other.close()
        try:
            self.socket.close()
            # With an open reader the kernel reads the blob itself, which a mapping must not change then.
            reader = os.open(path, os.O_RDONLY)
            os.pread(reader, 1, 0)
            descriptor = os.open(path, os.O_RDWR)
            with mmap.mmap(descriptor, size) as pages:
                while message := other.recv(1 << 16):
                    at, some = pickle.loads(message)
                    if some: pages[at:at + len(some)] = some
                    else: pages.flush()
                    other.send(b".")
            os.close(descriptor)
        except BaseException: os._exit(1)
        os._exit(0)

    def __enter__(self): return self

    def __exit__(self, *_):
        self.socket.close()
        if os.waitpid(self.process, 0)[1] and not _[0]: raise MappingFailure("a mapping has failed")

    def store(self, at, some):
        try:
            self.socket.send(pickle.dumps((at, some)))
            answer = self.socket.recv(1)
        except OSError: answer = b""
        if not answer: raise MappingFailure("a mapping has failed")

    def flush(self): self.store(0, b"")


class Writer:
    """Changes files at random, and waits for the disk after some of the changes."""

    def __init__(self, root, number, history, chosen, acknowledged):
        self.root, self.number, self.history, self.chosen = root, number, history, chosen
        self.report = acknowledged
        self.count = 0

    # Steps

    def path(self, name): return f"{self.root}/{name}"

    def fresh(self, size=None):
        """Returns a content that no other file has."""
        self.count += 1
        size = size or self.chosen.choice([10, 1000, 4096, 9000, 40000, 130000])
        return unique((os.getpid(), self.number, self.count, self.chosen.random()), size)

    def content(self): return self.chosen.choice(SHARED) if self.chosen.random() < 0.4 else self.fresh()

    def acknowledge(self):
        self.history.acknowledge()
        self.report()

    def settle(self, name, probability=0.6):
        """Waits for the disk, by one of the ways that promise it, or continues."""
        if self.chosen.random() > probability: return
        way = self.chosen.choice(["file", "data", "folder", "folder", "sync"])
        if way == "sync" and self.chosen.random() < 0.8: way = "folder"
        if self.history[name] is None and way != "folder": way = "folder"
        if way == "sync":
            said = subprocess.run(["sync", self.path(name)], stderr=subprocess.PIPE, text=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})
            if said.returncode: raise failure(said.stderr)
            return self.acknowledge()
        place = os.path.dirname(self.path(name)) if way == "folder" else self.path(name)
        if way != "folder" and not isinstance(self.history[name], File): place = os.path.dirname(place)
        try: descriptor = os.open(place, os.O_RDONLY)
        except FileNotFoundError:
            # The file has expired.
            if self.history[name].expires: return
            raise
        try: (os.fdatasync if way == "data" else os.fsync)(descriptor)
        finally: os.close(descriptor)
        self.acknowledge()

    def put(self, name, data, flags=os.O_TRUNC, parts=None, syncs=0.0, target=None, pause=0.0):
        """Writes a file; `target` is the name that it gets where names are preserved."""
        history, session = self.history, self.history.session()
        shown = target or name
        former = history[shown] or File(b"")
        def state(data): return {shown: former._replace(data=data)}
        if target is None:
            with history.step(state(b""), session): descriptor = os.open(self.path(name), os.O_RDWR | os.O_CREAT | flags, 0o644)
        else:
            descriptor = os.open(self.path(name), os.O_WRONLY | flags)
        try:
            parts = parts or self.chosen.choice([1, 1, 2, 5])
            for number in range(parts):
                start, end = len(data) * number // parts, len(data) * (number + 1) // parts
                with history.step(state(data[:end]), session): os.write(descriptor, data[start:end])
                if flags & os.O_DSYNC: self.acknowledge()
                elif self.chosen.random() < syncs:
                    os.fsync(descriptor)
                    self.acknowledge()
                if pause: time.sleep(pause)
        except BaseException:
            try: os.close(descriptor)
            except OSError: pass
            raise
        with history.step(state(data), session): os.close(descriptor)

    def remove(self, name):
        with self.history.step({name: None}): os.unlink(self.path(name))

    def rename(self, name, target):
        with self.history.step({name: None, target: self.history[name]}): os.rename(self.path(name), self.path(target))

    def any(self, group, count, exists=True):
        names = [f"{group}/{number}" for number in range(count)]
        present = [name for name in names if self.history[name] is not None]
        if exists is None: return self.chosen.choice(names)
        return self.chosen.choice(present) if present else None

    # Loads: each returns the name that was changed last

    def saved(self):
        name = self.any("plain", 10, None)
        self.put(name, self.content(), syncs=self.chosen.choice([0, 0, 0.4]))
        return name

    def replaced(self):
        name = self.any("plain", 10, None)
        self.count += 1
        temporary = next(path for number in range(self.count, 10000)
                         if self.history[path := f"plain/.{os.path.basename(name)}.Ab{number:04}"] is None)
        self.put(temporary, self.content(), flags=os.O_EXCL, syncs=self.chosen.choice([0, 1]))
        self.rename(temporary, name)
        return name

    def removed(self):
        name = self.any("plain", 10)
        if not name: return self.saved()
        self.remove(name)
        return name

    def moved(self):
        name, target = self.any("plain", 10), self.any("plain", 10, None)
        if not name or name == target: return self.saved()
        self.rename(name, target)
        return target

    def copied(self):
        name, target = self.any("plain", 10), self.any("plain", 10, None)
        if not name or name == target or not self.history[name].data: return self.saved()
        data, session = self.history[name].data, self.history.session()
        source = os.open(self.path(name), os.O_RDONLY)
        with self.history.step({target: File(b"")}, session):
            copy = os.open(self.path(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            with self.history.step({target: File(data)}, session):
                if os.copy_file_range(source, copy, len(data)) != len(data): raise RuntimeError("copy_file_range has copied a part")
            if self.chosen.random() < 0.5:
                os.fsync(copy)
                self.acknowledge()
        finally:
            os.close(source)
            # The commit changes no state of the history.
            os.close(copy)
        return target

    def changed(self):
        """Appends, overwrites a part, or truncates; through one open file, with syncs in between."""
        name = self.any("plain", 10)
        if not name: return self.saved()
        session, data = self.history.session(), self.history[name].data
        descriptor = os.open(self.path(name), os.O_RDWR)
        try:
            for _ in range(self.chosen.choice([1, 2, 3])):
                way, some = self.chosen.choice(["append", "middle", "cut"]), self.fresh(self.chosen.choice([10, 5000, 30000]))
                if way == "cut":
                    size = self.chosen.randrange(len(data) + 1)
                    data = data[:size]
                    with self.history.step({name: File(data)}, session): os.ftruncate(descriptor, size)
                else:
                    at = len(data) if way == "append" else self.chosen.randrange(len(data) + 1)
                    data = data[:at] + some + data[at + len(some):]
                    with self.history.step({name: File(data)}, session): os.pwrite(descriptor, some, at)
                if self.chosen.random() < 0.4:
                    os.fsync(descriptor)
                    self.acknowledge()
        except BaseException:
            try: os.close(descriptor)
            except OSError: pass
            raise
        with self.history.step({name: File(data)}, session): os.close(descriptor)
        return name

    def slow(self):
        """Writes an upload that lasts longer than the delay of a commit."""
        name = self.any("plain", 10, None)
        self.put(name, self.fresh(60000), parts=3, pause=0.4, syncs=0.2)
        return name

    def synchronous(self):
        name = self.any("plain", 10, None)
        self.put(name, self.fresh(), flags=os.O_TRUNC | os.O_DSYNC)
        return name

    def described(self):
        name = self.any("described", 4, None)
        if self.history[name] is None: self.put(name, self.fresh())
        former = self.history[name]
        if self.chosen.random() < 0.3:
            mode = self.chosen.choice([0o600, 0o640, 0o644])
            with self.history.step({name: former._replace(mode=mode)}): os.chmod(self.path(name), mode)
        else:
            key = self.chosen.choice(["user.note", "user.asset.caption"])
            value = b"%d %s" % (self.count, self.fresh(8).hex().encode())
            changed = dict(former.attributes) | {key: value}
            order = tuple((key, changed[key]) for key in ("user.note", "user.asset.caption") if key in changed)
            with self.history.step({name: former._replace(attributes=order)}): os.setxattr(self.path(name), key, value)
        return name

    def large(self):
        name = self.any("large", 2, None)
        self.put(name, self.fresh(self.chosen.choice([200000, 900000])), parts=6, syncs=0.3)
        return name

    def mapped(self):
        """Stores through a shared mapping, with msync."""
        name = self.any("large", 2)
        if not name or self.chosen.random() < 0.4: name = self.any("plain", 10) or name
        if not name or not self.history[name].data: return self.large()
        session, data = self.history.session(), bytearray(self.history[name].data)
        with Mapping(self.path(name), len(data)) as mapping:
            for _ in range(self.chosen.choice([1, 2])):
                for _ in range(self.chosen.choice([1, 3])):
                    some = self.fresh(self.chosen.choice([1, 700, 10000]))[:len(data)]
                    at = self.chosen.randrange(len(data) - len(some) + 1)
                    data[at:at + len(some)] = some
                    with self.history.step({name: File(bytes(data))}, session): mapping.store(at, some)
                mapping.flush()
                self.acknowledge()
        return name

    def many(self):
        """Creates more files at once than are synced one by one."""
        for number in self.chosen.sample(range(40), 30):
            name = f"many/{number}"
            if self.history[name] is not None and self.chosen.random() < 0.2: self.remove(name)
            else: self.put(name, self.fresh(self.chosen.choice([10, 3000])), parts=1)
        return name

    def refused(self):
        name = self.any("refusing", 6, None)
        if self.history[name] is not None:
            self.remove(name)
            return name
        present = self.any("refusing", 6)
        # Empty content has no duplicates, and a power cut may have left the file empty.
        if not present or not self.history[present].data or self.chosen.random() < 0.4:
            self.put(name, self.fresh())
            return name
        # The content exists under another name, so that close returns EEXIST.
        data, session = self.history[present].data, self.history.session()
        with self.history.step({name: File(b"")}, session):
            descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with self.history.step({name: File(data)}, session): os.write(descriptor, data)
        finally:
            with self.history.step({name: None}, session):
                try: os.close(descriptor)
                except FileExistsError: pass
                else: raise RuntimeError(f"a duplicate was not refused: {name}")
        return name

    def stayed(self):
        first = "staying/report.txt"
        names = [first] + [f"staying/report-{number}.txt" for number in range(1, 12)]
        free = [name for name in names if self.history[name] is None]
        if not free:
            for name in names: self.remove(name)
            return first
        # An empty file, as a power cut may leave it, is overwritten in place.
        if free[0] == first or not self.history[first].data:
            self.put(first, self.fresh())
            return first
        self.put(first, self.fresh(), target=free[0], syncs=self.chosen.choice([0, 0.5]))
        return free[0]

    def expiring(self):
        self.count += 1
        name = f"expiring/{os.getpid()}-{self.count}"
        self.put(name, self.fresh())
        end = int(time.time()) + self.chosen.choice([2, 3, 1000])
        with self.history.step({name: self.history[name]._replace(expires=end)}):
            os.setxattr(self.path(name), "user.asset.expires", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)).encode())
        return name

    def linked(self):
        one, two, link = "linked/one", "linked/two", "linked/link"
        if self.history[one] is None: self.put(one, self.fresh())
        elif self.history[two] is None:
            with self.history.step({two: self.history[one]}): os.link(self.path(one), self.path(two))
        elif self.chosen.random() < 0.5: self.remove(one)
        else: self.remove(two)
        if self.chosen.random() < 0.3:
            if self.history[link] is not None: self.remove(link)
            target = self.fresh(8).hex()
            with self.history.step({link: Link(target)}): os.symlink(target, self.path(link))
        return one

    def tree(self):
        """Creates folders, renames them with a file in them, exchanges and removes them."""
        one, two = "tree/one", "tree/two"
        history = self.history
        if history[one] is None:
            with history.step({one: Folder()}): os.mkdir(self.path(one))
            self.put(f"{one}/file", self.content())
        elif history[two] is None:
            with history.step({one: None, f"{one}/file": None, two: Folder(), f"{two}/file": history[f"{one}/file"]}):
                os.rename(self.path(one), self.path(two))
        else:
            # A power cut may have come between the folder and the file.
            if history[f"{two}/file"] is not None: self.remove(f"{two}/file")
            with history.step({two: None}): os.rmdir(self.path(two))
        return one

    # The run

    LOADS = ["saved"] * 4 + ["replaced"] * 3 + ["changed"] * 4 + ["described"] * 3 + ["mapped"] * 2 + [
        "removed", "moved", "copied", "slow", "synchronous", "large", "many", "refused", "refused", "stayed", "stayed",
        "expiring", "linked", "tree",
    ]

    def prepare(self):
        for group, policies in GROUPS.items():
            if self.history[group] is None:
                with self.history.step({group: Folder()}): os.mkdir(self.path(group))
            # Sets them each time: the former power cut may have come between the two.
            for key, value in policies.items(): os.setxattr(self.path(group), f"user.policy.{key}", value.encode())

    def work(self, stop, is_slow):
        self.prepare()
        # On a slow disk one load is far more frequent, so that it is under way when others wait for the disk.
        loads = self.LOADS + [self.chosen.choice(["many", "many", "many", "mapped"])] * 30 if is_slow else self.LOADS
        while not stop.is_set(): self.settle(getattr(self, self.chosen.choice(loads))())


def run(kind, root, number, history, seed, acknowledged, stop, is_excused, result, is_slow, user):
    """Runs a writer until it fails or is told to stop, and stores its history in a file.

    `is_excused` returns whether a failure is that of a disk or daemon which is gone; any other is an error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(result, "wb") as file:
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        writer = kind(root, number, history, random.Random(seed), lambda: os.write(acknowledged, b"."))
        problem = None
        try: writer.work(stop, is_slow)
        except Exception as error:
            if not is_excused(error): problem = f"writer {number}, before the end: {traceback.format_exc()}"
        pickle.dump((history, problem), file)
