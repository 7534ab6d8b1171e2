#!/usr/bin/env python3
"""Cuts the power of a library's disk again and again while programs work in the mount, and checks the result.

    powercut.py [--cuts 185] [--seed 1] [--assetfs .build/release/assetfs] [--filesystem ext4]
                [--work /var/tmp/assetfs-powercut] [--stores] [--without SYNC] [--keep]

The disk is an image on a layer that drops unsynced data when the power is cut: all of it, all since a random
moment, or a random choice of blocks and of their contents since the last sync. The library is on ext4 or XFS
on a loop device on that layer. Cuts come after a random number of acknowledgements, after syncs that have
failed and succeeded, after `assetfs umount`, while a library is created, and while a mount recovers from the
former cut. After each the filesystem must be sound; the library must mount without a repair; all data that
fsync(2), fdatasync(2), msync(2), O_DSYNC or `assetfs umount` has acknowledged must be there; all other data
must be in the state of one moment since; each row of the catalog must have its blob with its bytes; and
`staging/` must be empty in the end.

`--without` leaves out one of the syncs of a debug build, to check that the cuts find it. Needs root, loop
devices and mkfs.
"""
import argparse, collections, errno, hashlib, multiprocessing, os, random, shutil, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f"{HERE}/../History", f"{HERE}/../Faults"]
from disk import Disk
from history import File, History
from library import Clients, Fault, Library, compare, run
import shim

WRITERS = 3
MODES = ["drop", "prefix", "some", "some"]


class CutLibrary(Library):
    """A library on a disk whose power is cut."""

    def begin(self, **variables):
        """Changes the boot identifier in the library's lock file, because a power cut ends a boot."""
        try:
            with open(f"{self.path}/lock", "r+b") as file:
                lines = file.read().split(b"\n")
                if len(lines) > 1 and lines[1].startswith(b"boot "): lines[1] = b"boot " + b"0" * (len(lines[1]) - 5)
                file.seek(0)
                file.write(b"\n".join(lines))
        except FileNotFoundError: pass
        super().begin(**variables)


class Run:
    def __init__(self, options):
        self.options, self.work = options, options.work
        os.makedirs(self.work, exist_ok=True)
        self.chosen = random.Random(options.seed)
        self.disk = Disk(self.work, options.filesystem)
        environment = {"ASSETFS_WITHOUT_SYNC": options.without} if options.without else {}
        self.library = CutLibrary(options.assetfs, f"{self.disk.root}/library", self.work, ["policy.versions=1"], environment)
        self.histories = [History() for _ in range(WRITERS)]
        self.signed = None
        self.other = Disk(f"{self.work}/other", options.filesystem) if options.stores else None
        if self.other: self.library.store = f"{self.other.root}/store"
        self.counts = collections.Counter()
        self.shim = None

    def renew(self):
        """Creates a new filesystem, and a library within a mount."""
        for disk in (self.disk, self.other):
            if disk: disk.make()
        self.histories = [History() for _ in range(WRITERS)]
        self.signed = None

    # One cut

    def cut(self):
        mode = self.chosen.choice(MODES)
        self.disk.cut(mode, self.chosen.randrange(1 << 30))
        self.counts[f"cuts with {mode}"] += 1

    def cut_early(self, purpose):
        """Cuts while a mount creates a library, or recovers one: after a random number of syncs, or when
        it is ready."""
        self.disk.start(self.chosen)
        end = self.disk.numbers()["flushes"] + self.chosen.randrange(1, 24)
        self.library.begin()
        while self.disk.numbers()["flushes"] < end and not self.library.is_up() and self.library.daemon.poll() is None: time.sleep(0.001)
        self.cut()
        self.library.kill()
        self.disk.stop()
        self.disk.replay()
        self.counts[f"cuts {purpose}"] += 1

    def cut_at_work(self, ending, target):
        """Lets the writers work, and cuts after a number of acknowledgements, or when they have stopped
        and all data is durable."""
        self.disk.start(self.chosen)
        self.library.mount()
        folders = f"{self.library.mountpoint}/folders"
        if not self.signed: self.sign(folders)
        is_cut = multiprocessing.Event()
        clients = Clients(self.library, self.histories, self.chosen, self.work,
                          lambda error: isinstance(error, OSError) and is_cut.is_set(), self.disk.is_slow)
        clients.await_acknowledgements(target)
        if ending == "umount":
            clients.stop.set()
            clients.join()
            self.library.unmount()
            is_cut.set()
            self.cut()
        else:
            is_cut.set()
            self.cut()
            clients.stop.set()
            self.library.kill()
            for process in clients.processes: process.join(30)
        if any(process.is_alive() for process in clients.processes): raise Fault("a writer does not end after the cut")
        self.library.kill()
        self.disk.stop()
        problem = clients.collect(is_acknowledged=ending == "umount")
        self.histories = clients.histories
        if problem: raise Fault(problem + self.daemon_log())
        self.counts[f"cuts {'after umount' if ending == 'umount' else 'at work'}"] += 1

    def cut_after_failed_sync(self):
        """Lets syncs of bytes fail once, as on a disk that works again afterwards, and cuts when later
        ones have acknowledged them."""
        if not self.shim: self.shim = shim.Shim(shim.build(self.work), f"{self.work}/shim", self.library.path)
        self.disk.start(self.chosen)
        self.library.begin(**self.shim.environment)
        if not self.library.wait(): raise Fault(f"the library does not mount: {self.daemon_log()}")
        history, folder = self.histories[0], f"{self.library.mountpoint}/folders/writer-0"
        os.makedirs(folder, exist_ok=True)
        self.count_suspects = getattr(self, "count_suspects", 0) + 1
        for kind in self.chosen.sample(["blobs", "staging"], 2):
            # A new file, and then one that is changed in place.
            name = f"suspect-{kind}-{self.count_suspects}"
            for size in (self.chosen.choice([5000, 300000]), 70000):
                former, data = history[name], self.chosen.randbytes(size)
                data += former.data[size:] if former else b""
                session = history.session()
                with history.step({name: File(b"")} if not former else {}, session):
                    descriptor = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o644)
                with history.step({name: File(data)}, session): os.pwrite(descriptor, data[:size], 0)
                if kind == "blobs":
                    with history.step({name: File(data)}, session): os.close(descriptor)
                    descriptor = os.open(f"{folder}/{name}", os.O_RDONLY)
                self.shim.arm("fsync", kind, errno.EIO)
                self.sync(descriptor)
                self.counts[f"syncs of {kind} that have failed"] += self.shim.hits
                history.acknowledge()
                with history.step({name: File(data)}, session): os.close(descriptor)
        self.cut()
        self.library.kill()
        self.disk.stop()
        self.counts["cuts after a failed sync"] += 1

    def sync(self, descriptor):
        """Syncs until it succeeds; the disk fails once."""
        for _ in range(200):
            try: return os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EIO: raise
                time.sleep(0.02)
        raise Fault(f"fsync fails though the disk works again: {self.daemon_log()}")

    def daemon_log(self): return "\n" + self.library.said()[-2000:]

    def sign(self, folders):
        """Creates a signed path, whose key must be durable when it is returned."""
        with open(f"{folders}/signed", "w") as file:
            file.write("signed")
            file.flush()
            os.fsync(file.fileno())
        self.signed = run(self.library.program, "sign", "--expires", "2d", f"{folders}/signed").strip()

    def cut_new_store(self):
        """Cuts when a store was created, and the library has recorded it."""
        for disk in (self.disk, self.other): disk.start(self.chosen)
        os.makedirs(self.library.store, exist_ok=True)
        # The folder is older than its use by the library.
        run("sync", "-f", self.library.store)
        self.library.mount()
        descriptor = os.open(f"{self.library.mountpoint}/folders", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self.cut()
        self.other.cut("drop", 1)
        self.library.kill()
        for disk in (self.disk, self.other): disk.stop()
        for disk in (self.disk, self.other): disk.replay()
        self.counts["cuts after a store was made"] += 1

    def cut_after_move(self):
        """Lets a blob migrate to a store on another disk, and cuts both disks after the library has
        durably removed its own copy."""
        for disk in (self.disk, self.other): disk.start(self.chosen)
        os.makedirs(self.library.store, exist_ok=True)
        self.library.mount()
        if "error: The store" in self.daemon_log(): raise Fault(f"the store is not there: {self.daemon_log()}")
        folders, history = f"{self.library.mountpoint}/folders", self.histories[0]
        os.makedirs(f"{folders}/writer-0", exist_ok=True)
        data, name = self.chosen.randbytes(300000), f"moved-{len(history.names())}"
        path = f"{folders}/writer-0/{name}"
        with history.step({name: File(data)}):
            with open(path, "wb") as file: file.write(data)
        os.setxattr(path, "user.asset.alternate_store_id", b"1")
        digest = hashlib.sha256(data).hexdigest()
        own = f"{self.library.path}/blobs/{digest[:2]}/{digest[2:]}"
        while self.library.daemon.poll() is None and (os.getxattr(path, "user.asset.store") != b"archive" or os.path.exists(own)):
            time.sleep(0.02)
        with history.step({"after": File(data[:9])}):
            with open(f"{folders}/writer-0/after", "wb") as file: file.write(data[:9])
        descriptor = os.open(folders, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        # The removal of the file is on the disk, too.
        run("sync", "-f", self.library.path)
        history.acknowledge()
        self.cut()
        self.other.cut("drop", 1)
        self.library.kill()
        for disk in (self.disk, self.other): disk.stop()
        self.other.replay()
        self.counts["cuts after a content was moved"] += 1

    # The check after a cut

    def verify(self):
        """Mounts everything as after a start of the machine, and compares it with the histories."""
        self.disk.replay()
        self.disk.open_again()
        if self.other: self.other.open_again()
        try:
            self.library.mount()
            faults = compare(self.library, self.histories, self.counts)
            if self.signed:
                try:
                    with open(self.signed) as file: text = file.read()
                    if text != "signed": faults.append(f"the signed path has {text!r}")
                except OSError as error: faults.append(f"the signed path is lost: {error!r}")
            self.library.unmount()
            faults += self.library.check(self.counts)
            if faults: raise Fault("\n".join(faults))
        finally:
            self.library.kill()
            self.disk.close_again()
            if self.other: self.other.close_again()

    # The run

    def one(self, number):
        if self.other:
            if number % 3 == 0:
                self.renew()
                self.cut_new_store()
            self.cut_after_move()
            return self.verify()
        if number % 8 == self.options.seed % 8:
            if number == 0: self.renew()
            self.cut_after_failed_sync()
            return self.verify()
        target = self.chosen.choice([0, 1, 3, 10, 30, 60, 120])
        if number % 6 == 0:
            self.renew()
            target = self.chosen.choice([0, 0, 1, 3])
            for _ in range(self.chosen.choice([0, 0, 1, 2])): self.cut_early("while a library is made")
        draw = self.chosen.random()
        self.cut_at_work("umount" if draw < 0.2 else "cut", target)
        for _ in range(self.chosen.choice([0, 0, 0, 1, 2])): self.cut_early("while a mount recovers")
        self.verify()

    def all(self):
        start = time.monotonic()
        for number in range(self.options.cuts):
            try: self.one(number)
            except Fault as fault:
                print(f"cut {number + 1} (seed {self.options.seed}): {fault}", flush=True)
                self.summarize(number, start)
                return False
            except KeyboardInterrupt:
                self.summarize(number, start)
                raise
            if (number + 1) % 10 == 0: print(f"{number + 1} cuts, {time.monotonic() - start:.0f} s", flush=True)
        self.summarize(self.options.cuts, start)
        return True

    def summarize(self, rounds, start):
        numbers = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        print(f"{rounds} rounds in {time.monotonic() - start:.0f} s in which nothing was lost: {numbers}; "
              f"{self.disk.writes} writes and {self.disk.flushes} flushes of the disk", flush=True)

    def close(self):
        self.library.kill()
        for disk in (self.disk, self.other):
            if disk: disk.stop()
        if not self.options.keep: shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cuts", type=int, default=185)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--assetfs", default=os.environ.get("ASSETFS", ".build/release/assetfs"))
    parser.add_argument("--filesystem", default="ext4", choices=["ext4", "xfs", "ext2"])
    parser.add_argument("--work", default="/var/tmp/assetfs-powercut")
    parser.add_argument("--without", default="", help="the name of a sync that a debug build leaves out")
    parser.add_argument("--stores", action="store_true", help="contents move to a store on another disk, and both are cut")
    parser.add_argument("--keep", action="store_true", help="leave the disk's image")
    options = parser.parse_args()
    if os.geteuid() != 0: sys.exit("powercut.py mounts a disk of its own, and needs root.")
    if not os.path.exists("/dev/loop-control"): sys.exit("powercut.py needs loop devices: /dev/loop-control is missing.")
    for name in ("gcc", "pkg-config", f"mkfs.{options.filesystem}"):
        if not shutil.which(name): sys.exit(f"powercut.py needs {name}; scripts/install-dependencies test installs it.")
    everything = Run(options)
    try: return 0 if everything.all() else 1
    finally: everything.close()


if __name__ == "__main__": sys.exit(main())
