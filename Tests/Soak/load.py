"""The clients of a soak: each is a process that changes files of its own, knows their expected state, and
checks them."""
import errno, hashlib, json, mmap, os, random, shutil, signal, struct, subprocess, time, traceback, zlib

SIZES = [0, 10, 1000, 4096, 20_000, 70_000, 300_000]


def content(key, size): return hashlib.shake_128(str(key).encode()).digest(size)


def expect(isTrue, sentence):
    if not isTrue: raise AssertionError(sentence)


def read(path):
    with open(path, "rb", buffering=0) as file: return file.readall()


class Client:
    """Makes steps until it is told to pause or to end. A failing step ends the client and the soak."""

    def __init__(self, options, name, uid, pace):
        self.program, self.mount, self.work = options.program, options.mount, options.work
        self.name, self.uid, self.pace = name, uid, pace
        self.folder = f"{self.mount}/folders/{name}"
        self.own = f"{self.work}/own/{name}"
        self.chosen = random.Random(f"{options.seed} {name}")
        self.count, self.steps = 0, {}

    def data(self, size=None):
        self.count += 1
        return content((self.name, self.count), self.chosen.choice(SIZES) if size is None else size)

    def run(self, *command, **more):
        environment = os.environ | {"HOME": self.own, "LOGNAME": self.name, "LC_ALL": "C.UTF-8"} | more.pop("environment", {})
        result = subprocess.run(command, capture_output=True, env=environment, **more)
        sentence = f"{' '.join(command)}: status {result.returncode}: {(result.stdout + result.stderr)[-2000:].decode(errors='replace')}"
        expect(result.returncode == 0, sentence)
        return result.stdout.decode(errors="replace")

    def assetfs(self, *arguments): return self.run(self.program, *arguments)

    def prepare(self): os.makedirs(self.folder, exist_ok=True)

    def step(self):
        methods = self.loads()
        chosen = self.chosen.choice([method for method, weight in methods for _ in range(weight)])
        chosen()
        self.steps[chosen.__name__] = self.steps.get(chosen.__name__, 0) + 1

    def check(self): pass


class Writer(Client):
    """Copies, rewrites, renames, removes and restores files of one user, and sets attributes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.files, self.notes, self.ends = {}, {}, {}

    def loads(self):
        return [
            (self.saved, 8), (self.replaced, 6), (self.changed, 4), (self.moved, 4), (self.removed, 3), (self.noted, 4), (self.mapped, 2),
            (self.expiring, 3), (self.linked, 1), (self.looked, 8), (self.copied, 2), (self.versioned, 1), (self.found, 1), (self.tree, 1),
            (self.refused, 1), (self.numbered, 1), (self.exported, 1),
        ]

    def prepare(self):
        super().prepare()
        for name, key, value in [("refusing", "duplicates", b"REJECT"), ("numbered", "overwrite", b"false"), ("versions", "versions", b"all")]:
            os.makedirs(f"{self.folder}/{name}", exist_ok=True)
            os.setxattr(f"{self.folder}/{name}", f"user.policy.{key}", value)
        with open(f"{self.folder}/refusing/one", "wb") as file: file.write(b"what " + self.name.encode() + b" has there already")

    def path(self, name): return f"{self.folder}/{name}"

    def any(self, exists=True):
        if not exists: return f"file-{self.chosen.randrange(60)}.txt"
        return self.chosen.choice(sorted(self.files)) if self.files else None

    def put(self, name, data, flags=os.O_TRUNC):
        descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | flags, 0o644)
        try:
            for at in range(0, len(data), 65536): os.write(descriptor, data[at:at + 65536])
            if self.chosen.random() < 0.1: os.fsync(descriptor)
        finally: os.close(descriptor)

    def saved(self):
        name, data = self.any(False), self.data()
        self.put(name, data)
        self.files[name] = data
        if name not in self.notes: self.notes[name] = {}

    def replaced(self):
        name, data = self.any(False), self.data()
        temporary = f".{name}.Ab{self.count % 10000:04}"
        self.put(temporary, data, os.O_EXCL)
        os.rename(self.path(temporary), self.path(name))
        # The file may keep the attributes of the replaced file as its asset, or not: see docs/SEMANTICS.md.
        # They are not checked.
        self.files[name], self.notes[name] = data, None

    def changed(self):
        name = self.any()
        if not name: return self.saved()
        data, some = bytearray(self.files[name]), self.data(self.chosen.choice([1, 5000, 30_000]))
        with open(self.path(name), "r+b", buffering=0) as file:
            way = self.chosen.choice(["append", "middle", "cut"])
            if way == "cut" or len(data) > 2_000_000:
                size = self.chosen.randrange(len(data) + 1)
                file.truncate(size)
                del data[size:]
            else:
                at = len(data) if way == "append" else self.chosen.randrange(len(data) + 1)
                os.pwrite(file.fileno(), some, at)
                data[at:at + len(some)] = some
            expect(os.fstat(file.fileno()).st_size == len(data), f"{name} has another size than was written")
        self.files[name] = bytes(data)

    def mapped(self):
        name = self.any()
        if not name or not self.files[name]: return self.saved()
        data = bytearray(self.files[name])
        with open(self.path(name), "r+b") as file, mmap.mmap(file.fileno(), len(data)) as pages:
            expect(pages[:] == data, f"the mapping of {name} has other bytes")
            some = self.data(700)[:len(data)]
            at = self.chosen.randrange(len(data) - len(some) + 1)
            pages[at:at + len(some)] = some
            data[at:at + len(some)] = some
            if self.chosen.random() < 0.5: pages.flush()
        self.files[name] = bytes(data)

    def moved(self):
        name, target = self.any(), self.any(False)
        if not name or name == target: return self.saved()
        os.rename(self.path(name), self.path(target))
        self.files[target], self.notes[target] = self.files.pop(name), None
        self.notes.pop(name, None)

    def copied(self):
        name, target = self.any(), self.any(False)
        if not name or name == target: return self.saved()
        shutil.copyfile(self.path(name), self.path(target))
        self.files[target] = self.files[name]
        self.notes[target] = None

    def linked(self):
        name = self.any()
        if not name: return self.saved()
        two = self.path("link")
        os.link(self.path(name), two)
        expect(read(two) == self.files[name], f"a link of {name} has other bytes")
        os.unlink(two)

    def noted(self):
        name = self.any()
        if not name: return self.saved()
        self.note(name)
        key = self.chosen.choice(["user.note", "user.asset.caption"])
        value = b"%d %s" % (self.count, self.data(8).hex().encode())
        os.setxattr(self.path(name), key, value)
        self.notes[name][key] = value

    def note(self, name):
        """Sets the attributes of a file whose attributes are unknown."""
        if self.notes.get(name): return
        for key in ("user.note", "user.asset.caption"): os.setxattr(self.path(name), key, b"none")
        self.notes[name] = {"user.note": b"none", "user.asset.caption": b"none"}

    def forgotten(self, name):
        """Removes a file, and purges it from the trash."""
        identifier = os.getxattr(self.path(name), "user.asset.id").decode()
        os.unlink(self.path(name))
        os.unlink(f"{self.mount}/trash/{identifier}-{os.path.basename(name)}")

    def removed(self):
        """Removes a file, and restores it or purges it from the trash."""
        name = self.any()
        if not name: return self.saved()
        identifier = os.getxattr(self.path(name), "user.asset.id").decode()
        os.unlink(self.path(name))
        data, notes, way = self.files.pop(name), self.notes.pop(name, None), self.chosen.random()
        trashed = f"{self.mount}/trash/{identifier}-{name}"
        expect(read(trashed) == data, f"{trashed} has other bytes than {name} had")
        if way < 0.3:
            self.assetfs("restore", identifier, "--mount", self.mount)
            self.files[name], self.notes[name] = data, notes
        elif way < 0.45:
            os.rename(trashed, self.path(name))
            self.files[name], self.notes[name] = data, notes
        elif way < 0.95: os.unlink(trashed)

    def expiring(self):
        now = time.time()
        for name, (end, data) in list(self.ends.items()):
            if now > end + 1:
                expect(not os.path.lexists(self.path(name)), f"{name} is there after its end")
                del self.ends[name]
            elif time.time() < end - 1:
                try: self.same(name, data)
                except FileNotFoundError:
                    if time.time() < end: raise
        if len(self.ends) > 20: return
        self.count += 1
        name, data, end = f"expiring-{self.count}", self.data(3000), int(now) + self.chosen.choice([3, 5, 20])
        self.put(name, data)
        os.setxattr(self.path(name), "user.asset.expires", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)).encode())
        self.ends[name] = (end, data)

    def same(self, name, data):
        found = read(self.path(name))
        expect(found == data, f"{self.path(name)}: {len(found)} bytes, {len(data)} expected, and not those")

    def looked(self):
        name = self.any()
        if not name: return self.saved()
        self.same(name, self.files[name])
        for key, value in (self.notes.get(name) or {}).items():
            expect(os.getxattr(self.path(name), key) == value, f"{self.path(name)}: another value of {key}")

    def versioned(self):
        """Writes three contents, and reads the first two as versions."""
        name = "versions/picture"
        contents = [self.data(size) for size in (100, 5000, 200)]
        for data in contents: self.put(name, data)
        identifier = os.getxattr(self.path(name), "user.asset.id").decode()
        folder = f"{self.mount}/resources/{identifier}/versions"
        for number in (1, 2): expect(read(f"{folder}/{number}-picture") == contents[number - 1], f"{folder}/{number}-picture has other bytes")
        self.forgotten(name)

    def found(self):
        """Searches for a word that one file of this user contains."""
        self.count += 1
        name, word = self.any(), f"word{self.count}x{self.name}"
        if not name: return self.saved()
        self.note(name)
        os.setxattr(self.path(name), "user.asset.caption", word.encode())
        self.notes[name]["user.asset.caption"] = word.encode()
        links = os.listdir(f"{self.mount}/search/{word}")
        expect(len(links) == 1 and links[0].endswith(f"-{name}"), f"a search for {word} finds {links}, and not {name}")

    def tree(self):
        top = self.path("tree")
        os.makedirs(f"{top}/a/b/c")
        for place in ("a", "a/b", "a/b/c"): self.put(f"tree/{place}/leaf", self.data(500))
        os.rename(f"{top}/a/b", f"{top}/moved")
        expect(sorted(os.listdir(top)) == ["a", "moved"], "a folder that was renamed is not where it should be")
        for place in ("a", "moved", "moved/c"): self.forgotten(f"tree/{place}/leaf")
        shutil.rmtree(top)

    def refused(self):
        descriptor = os.open(self.path("refusing/two"), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, b"what " + self.name.encode() + b" has there already")
        try: os.close(descriptor)
        except FileExistsError: return
        raise AssertionError("a duplicate was not refused")

    def numbered(self):
        contents = [self.data(300), self.data(300)]
        for data in contents: self.put("numbered/report.txt", data)
        names = sorted(os.listdir(self.path("numbered")))
        expect(names == ["report-1.txt", "report.txt"], f"names that stay are {names}")
        expect(read(self.path("numbered/report.txt")) == contents[0], "a name that stays has another content")
        expect(read(self.path("numbered/report-1.txt")) == contents[1], "a numbered name has another content")
        for name in names: self.forgotten(f"numbered/{name}")

    def exported(self):
        """Exports a picture with an embedded caption, and another file unchanged."""
        target = f"{self.own}/export"
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        caption = f"caption {self.count}"
        self.put("picture.png", picture(self.count))
        os.setxattr(self.path("picture.png"), "user.asset.caption", caption.encode())
        self.assetfs("export", self.path("picture.png"), target, "--embed")
        expect(caption.encode() in read(f"{target}/picture.png"), "an export does not have its caption inside")
        name = self.any()
        if not name: return
        self.assetfs("export", self.path(name), target)
        expect(read(f"{target}/{name}") == self.files[name], f"an export of {name} has other bytes")

    def check(self):
        for name, data in self.files.items(): self.same(name, data)
        for name in self.files:
            for key, value in (self.notes.get(name) or {}).items():
                expect(os.getxattr(self.path(name), key) == value, f"{self.path(name)}: another value of {key}")


def picture(number):
    def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((number * (y + 1) + x) % 256 for x in range(32 * 3)) for y in range(32))
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Sharer(Client):
    """Replaces files in a folder that all users share; each content shows by itself whether it is
    complete."""

    def prepare(self): pass

    def loads(self): return [(self.replaced, 3), (self.looked, 5), (self.listed, 1)]

    def replaced(self):
        folder, data = f"{self.mount}/folders/shared", self.data(self.chosen.choice([1000, 50_000, 200_000]))
        temporary = f"{folder}/.{self.name}.Ab{self.count % 10000:04}"
        with open(temporary, "wb") as file: file.write(hashlib.sha256(data).digest() + data)
        os.rename(temporary, f"{folder}/{self.chosen.randrange(15)}")

    def looked(self):
        try: found = read(f"{self.mount}/folders/shared/{self.chosen.randrange(15)}")
        except FileNotFoundError: return
        expect(hashlib.sha256(found[32:]).digest() == found[:32], "a file that is replaced by renames was seen in part")

    def listed(self):
        for _ in os.scandir(f"{self.mount}/folders/shared"): pass


class Looker(Client):
    """Lists, walks, stats and searches all files, as a user who may read them all."""

    def prepare(self): pass

    def loads(self):
        return [
            (self.walked, 3), (self.searched, 4), (self.receipts, 2), (self.status, 1), (self.resources, 1), (self.trash, 1), (self.signed, 1),
        ]

    def walked(self):
        for parent, folders, files in os.walk(f"{self.mount}/folders"):
            for name in files[:20]:
                try:
                    os.stat(f"{parent}/{name}")
                    for key in os.listxattr(f"{parent}/{name}"): os.getxattr(f"{parent}/{name}", key)
                except OSError as error:
                    if error.errno not in (errno.ENOENT, errno.ENODATA, errno.EACCES): raise

    def searched(self):
        query = self.chosen.choice(["type:image", "type:text size:>1k", "caption", "file", "ext:txt -caption", "size:<100"])
        for name in os.listdir(f"{self.mount}/search/{query}")[:20]:
            try: os.readlink(f"{self.mount}/search/{query}/{name}")
            except FileNotFoundError: pass

    def receipts(self):
        if self.uid: return
        for journal in ("receipts", "events"):
            with open(f"{self.mount}/uploads/{journal}.jsonl", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
                for line in file.read().split(b"\n")[1:-1]: json.loads(line)

    def status(self): json.loads(self.assetfs("status", self.mount, "--json"))

    def resources(self):
        for name in os.listdir(f"{self.mount}/resources")[:30]:
            try: os.listdir(f"{self.mount}/resources/{name}")
            except (FileNotFoundError, NotADirectoryError): pass

    def trash(self): self.assetfs("trash", self.mount, "--json")

    def signed(self):
        if self.uid: return
        path = f"{self.mount}/folders/shared/signed"
        data = self.data(2000)
        with open(path, "wb") as file: file.write(data)
        expect(read(self.assetfs("sign", path).strip()) == data, "a signed path leads to other bytes")


class Fetcher(Client):
    """Lets the mount fetch files from a server on this machine."""

    server = None

    def loads(self): return [(self.fetched, 1)]

    def fetched(self):
        self.count += 1
        size = self.chosen.choice([10, 5000, 300_000])
        self.assetfs("fetch", f"http://127.0.0.1:{self.server}/{self.count}/{size}", self.folder, "--filename", "fetched")
        expect(read(f"{self.folder}/fetched") == content(f"fetched {self.count}", size), "a file that was fetched has other bytes")


class Checker(Client):
    """Lets the mount check itself under load."""

    def prepare(self): pass

    def loads(self): return [(self.verified, 6), (self.deep, 1), (self.scrubbed, 1)]

    def verified(self): self.assetfs("verify", self.mount)
    def deep(self): self.assetfs("verify", self.mount, "--deep")
    def scrubbed(self): self.assetfs("scrub", self.mount)


def serve(client, pause, isPaused, results, isEnding, done):
    """Runs a client in a process of its own: `isPaused` is 1 while it waits, and 2 when it has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")
    # Other users see only their own files.
    if client.uid: os.setgroups([]), os.setgid(client.uid), os.setuid(client.uid)
    os.umask(0o022)
    try:
        client.prepare()
        while not isEnding.is_set():
            if pause.is_set():
                client.check()
                isPaused.value = 1
                while pause.is_set() and not isEnding.is_set(): time.sleep(0.02)
                isPaused.value = 0
                if isEnding.is_set(): break
                client.check()
                continue
            start = time.monotonic()
            client.step()
            done.value += 1
            # A fixed pace, so that the load of the first quarter equals that of the last.
            time.sleep(max(0.002, client.pace - (time.monotonic() - start)))
        results.put((client.name, None, client.steps))
    except BaseException as error:
        results.put((client.name, f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}", client.steps))
    isPaused.value = 2
