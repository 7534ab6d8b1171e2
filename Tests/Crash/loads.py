"""Operations of writers in crash tests, in addition to those of power cuts."""
import ctypes, errno, os

from history import File, Folder
import writers
from writers import MappingFailure

EXCHANGE, FOLLOW = 2, 0x400
LIBC = ctypes.CDLL(None, use_errno=True)
QUOTA = 200000


class Writer(writers.Writer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.mount = os.path.dirname(os.path.dirname(self.root))
        self.held = None

    def identifier(self, name): return os.getxattr(self.path(name), "user.asset.id").decode()

    def scattered(self):
        """Writes the parts of a larger file in any order, with holes in between."""
        name, size = self.any("large", 2, None), 40960 * self.chosen.choice([8, 16])
        history, session, whole = self.history, self.history.session(), self.fresh(size)
        parts = list(range(0, size, 40960))
        self.chosen.shuffle(parts)
        data = bytearray()
        with history.step({name: File(b"")}, session):
            descriptor = os.open(self.path(name), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            for at in parts:
                data.extend(bytes(max(0, at + 40960 - len(data))))
                data[at:at + 40960] = whole[at:at + 40960]
                with history.step({name: File(bytes(data))}, session): os.pwrite(descriptor, whole[at:at + 40960], at)
                if self.chosen.random() < 0.15:
                    os.fdatasync(descriptor)
                    self.acknowledge()
        except BaseException:
            try: os.close(descriptor)
            except OSError: pass
            raise
        with history.step({name: File(whole)}, session): os.close(descriptor)
        return name

    def swapped(self):
        """Exchanges the files of two names."""
        one, two = self.any("plain", 10), self.any("plain", 10)
        if not one or one == two: return self.saved()
        paths = [os.fsencode(self.path(name)) for name in (one, two)]
        with self.history.step({one: self.history[two], two: self.history[one]}):
            if LIBC.renameat2(-100, paths[0], -100, paths[1], EXCHANGE):
                raise OSError(ctypes.get_errno(), "renameat2")
        return one

    def renewed(self):
        """Replaces a file by the asset's number: the name has the old content or the new one, never a
        mixture."""
        name = self.any("plain", 10)
        if not name: return self.saved()
        data = self.fresh()
        self.count += 1
        descriptor = os.open(f"{self.mount}/resources/{self.identifier(name)}/new-{self.count}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try: os.write(descriptor, data)
        except BaseException:
            try: os.close(descriptor)
            except OSError: pass
            raise
        with self.history.step({name: File(data)}): os.close(descriptor)
        return name

    def restored(self):
        """Removes a file, and restores it from the trash."""
        name = self.any("plain", 10)
        if not name: return self.saved()
        former, number = self.history[name], self.identifier(name)
        self.remove(name)
        with self.history.step({name: former}): os.rename(f"{self.mount}/trash/{number}-{os.path.basename(name)}", self.path(name))
        return name

    def limited(self):
        """Creates files in a folder with a quota: one that would exceed it is rejected, and has no name
        afterwards."""
        name = self.any("limited", 5, None)
        if self.history[name] is not None:
            self.remove(name)
            return name
        history, session, data = self.history, self.history.session(), self.fresh(self.chosen.choice([10000, 60000, 90000]))
        with history.step({name: File(b"")}, session):
            descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        isRefused = False
        try:
            with history.step({name: File(data)}, session): os.write(descriptor, data)
        except OSError as error:
            if error.errno != errno.EDQUOT: raise
            isRefused = True
        # Whether close rejects it is known only afterwards.
        with history.step({name: None}, session), history.step({name: File(data)}, session):
            try: os.close(descriptor)
            except OSError as error:
                if error.errno != errno.EDQUOT: raise
                isRefused = True
        if isRefused:
            with history.step({name: None}, session): pass
        return name

    def nameless(self):
        """Creates a file without a name, which stays open until the next one is created, unless it gets a
        name."""
        if self.held is not None: os.close(self.held)
        self.held, data = os.open(self.path("plain"), os.O_TMPFILE | os.O_RDWR, 0o644), self.fresh()
        os.write(self.held, data)
        name = self.any("plain", 10, None)
        if self.history[name] is None:
            with self.history.step({name: File(data)}):
                # linkat(2) directly, because os.link does not follow symbolic links.
                if LIBC.linkat(-100, b"/proc/self/fd/%d" % self.held, -100, os.fsencode(self.path(name)), FOLLOW):
                    raise OSError(ctypes.get_errno(), "linkat")
        return name

    def stored(self):
        """Migrates a blob to another store, or back."""
        name = self.any("plain", 10) or self.any("large", 2)
        if not name: return self.saved()
        if os.geteuid() == 0: os.setxattr(self.path(name), "user.asset.alternate_store_id", self.chosen.choice([b"1", b"1", b"0"]))
        return name

    def searched(self):
        """Requests an immediate update of the search index."""
        os.listdir(f"{self.mount}/search/file")
        return "plain/0"

    LOADS = writers.Writer.LOADS + ["scattered", "scattered", "swapped", "swapped", "renewed", "renewed", "restored", "limited", "limited",
                                    "stored", "stored", "searched", "nameless", "nameless"]

    def prepare(self):
        super().prepare()
        if self.history["limited"] is None:
            with self.history.step({"limited": Folder()}): os.mkdir(self.path("limited"))
        os.setxattr(self.path("limited"), "user.policy.quota", b"%d" % QUOTA)
