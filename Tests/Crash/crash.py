#!/usr/bin/env python3
"""Kills the daemon of a mount again and again while programs work in it, and checks the result.

    crash.py [--kills 1000] [--seed 1] [--assetfs .build/debug/assetfs] [--work /var/tmp/assetfs-crash]
             [--only POINT,POINT] [--keep] [--during recover,repair,snapshot]

Kills come at random moments, and at the points of `Sources/AssetModel/KillPoint.swift`, which exist in debug
builds only: while writers work, while other clients hold locks that the daemon could wait for, while a
library is created, while a mount recovers from the former kill, and while a mount ends. After each kill the
daemon and all clients must exit within seconds; the library must mount without a repair; all data that
fsync(2), fdatasync(2), msync(2), O_DSYNC or `assetfs umount` has acknowledged must be there; all other data
must be in the state of one moment since; `assetfs verify --deep` must find nothing; `staging/` must be empty
in the end, and no mount be left.

`--during` kills `assetfs recover`, `assetfs verify --repair`, or a daemon that copies its catalog, instead of
the daemon of programs: see during.py.

The run ends with a table: how often each point was aimed at, and how often the daemon died there. Needs root.
"""
import argparse, collections, errno, multiprocessing, os, random, re, select, shutil, signal, sqlite3, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, f"{HERE}/../History"]
from history import History
from library import Clients, Fault, Library, compare, mounted, run
import bystanders, during, loads

USERS = [0, 5001, 5002]
# Points that are reached only while a library is created or opened, or at the end of a mount; all others are
# reached by the writers.
MAKING = ["migrated", "roots-committed", "format-written", "format-named", "key-named", "search-cleared"]
OPENING = ["statistics-asked", "recovering", "upload-recovered", "nameless-removed", "recovery-committed", "staging-cleared", "leftover-set-aside", "expiry-committed"]
ENDING = ["close-begun", "uploads-ended", "close-committed", "snapshot-stepped", "snapshot-made", "snapshot-named", "index-closed", "catalog-closed", "end-noted"]
# Points of work that is done when a mount is quiet.
QUIET = ["rows-collected", "blob-removed", "copy-made", "copy-placed", "original-removed", "search-step-written", "asset-expired"]
# The numbers of passages after which to kill, for points where these are not random.
PASSAGES = {point: [1] for point in MAKING + OPENING + ENDING + QUIET} | {
            "migrated": [1], "upload-recovered": [1, 1, 2], "nameless-removed": [1, 1, 2], "blob-exchanged": [1, 1, 2],
            "blob-removed": [1, 1, 2], "names-half-swapped": [1, 2], "name-replaced": [1, 2], "staged-retired": [1, 2, 4]}
DAY = 24 * 3600


def points():
    """Returns the names in the sources, except those that only commands reach."""
    with open(f"{HERE}/../../Sources/AssetModel/KillPoint.swift") as file: text = file.read()
    names = [value or name for name, value in re.findall(r"^    case (\w+)(?: = \"([\w-]+)\")?$", text, re.M)]
    return [name for name in names if name not in during.POINTS["recover"] + during.POINTS["repair"]]


class Death:
    """Distinguishes the failures that the end of a daemon causes from all others, at the moment when a
    client gets them."""

    # PF_EXITING of linux/sched.h: the process exits; its descriptors are closed later.
    EXITING = 4

    def __init__(self, process, mountpoint):
        self.process, self.mountpoint = process.pid, mountpoint
        self.descriptor = os.pidfd_open(process.pid)

    def has_begun(self):
        """Returns whether the daemon is exiting, without waiting, so that a later kill excuses no earlier
        error."""
        if select.select([self.descriptor], [], [], 0)[0]: return True
        try:
            with open(f"/proc/{self.process}/stat") as file: words = file.read().rpartition(")")[2].split()
        except OSError: return bool(select.select([self.descriptor], [], [], 0)[0])
        return words[0] in "ZX" or bool(int(words[6]) & self.EXITING)

    def excuses(self, error):
        """Returns whether an error comes from a mount whose daemon has died: from the kernel, or from the
        folder below the mount."""
        if not isinstance(error, OSError) or not self.has_begun(): return False
        if isinstance(error, loads.MappingFailure): return True
        # EIO comes from the kernel for a page that it could not read any more, also a page that is partly
        # overwritten by write(2).
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO) or error.errno == errno.ENOENT and not mounted(self.mountpoint)

    def close(self): os.close(self.descriptor)


def describe(process):
    """Returns the state and the kernel stack of each thread of a process."""
    lines = []
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{thread}/status") as file: state = file.read().split("State:")[1].split("\n")[0].strip()
            with open(f"/proc/{process}/task/{thread}/stack") as file: stack = file.read().split("\n")[:6]
        except OSError: continue
        lines.append(f"  thread {thread}: {state} {' '.join(line.split()[-1] for line in stack if line)}")
    return "\n".join(lines)


class Run:
    def __init__(self, options):
        self.options, self.work = options, options.work
        for name in ("", "/new", "/store"): os.makedirs(self.work + name, exist_ok=True)
        self.chosen = random.Random(options.seed)
        self.library = self.make(self.work)
        self.library.store = f"{self.work}/store"
        self.histories = [History() for _ in USERS]
        self.counts = collections.Counter()
        self.aimed, self.hit = collections.Counter(), collections.Counter()
        self.points = []

    def make(self, work):
        return Library(self.options.assetfs, f"{work}/library", work, ["allow_other", "policy.versions=1"])

    def renew(self):
        """Creates a new library."""
        shutil.rmtree(self.library.path, ignore_errors=True)
        shutil.rmtree(self.library.store)
        os.makedirs(self.library.store)
        self.histories = [History() for _ in USERS]

    # Kills

    def aim(self, point):
        """Returns the environment in which a daemon dies at a point."""
        if not point: return {}
        self.aimed[point] += 1
        return {"ASSETFS_KILL_AT": f"{point}:{self.chosen.choice(PASSAGES.get(point, [1, 1, 2, 3, 5, 12]))}"}

    def end(self, purpose, library=None):
        """Removes the rest of a mount whose daemon has died, or kills it now."""
        library = library or self.library
        isGood = library.kill(leaves_mount=self.chosen.random() < 0.5)
        reached = re.search(r"^Killed at ([\w-]+)\.$", library.said(), re.M)
        if reached: self.hit[reached[1]] += 1
        if library.status == -signal.SIGKILL:
            self.counts[f"kills {purpose}"] += 1
            self.counts["kills"] += 1
        else: self.counts["ends without a kill"] += 1
        if not isGood: raise Fault("the daemon does not end by being killed")

    def kill_at_work(self, point=None, isEnding=False):
        """Lets the writers work, and kills after a number of acknowledgements, at a point, or while the
        mount ends."""
        library, chosen = self.library, self.chosen
        library.begin(**self.aim(point))
        if not library.wait(): return self.end("while a mount recovers")
        death = Death(library.daemon, library.mountpoint)
        # A point may be reached before any writer has started, or before all other clients have.
        try: clients = Clients(library, self.histories, chosen, self.work, death.excuses, kind=loads.Writer, users=USERS)
        except OSError as error:
            if not death.excuses(error): raise
            return self.end("at work")
        try: others = self.start_others() if chosen.random() < 0.2 else []
        except (OSError, subprocess.CalledProcessError) as error:
            # A command reports in words that the mount is gone.
            if not (death.has_begun() if isinstance(error, subprocess.CalledProcessError) else death.excuses(error)): raise
            others = []
        isAimed = point and not isEnding and point not in QUIET
        self.await_work(clients, 400 if isAimed else chosen.choice([0, 3, 10, 30, 60, 120, 240]), 6 if isAimed else 1.2)
        isEnded = False
        if isEnding:
            clients.stop.set()
            for process in clients.processes: process.join(30)
            for process in others: process.kill()
            end = subprocess.Popen([library.program, "umount", library.mountpoint], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if not point: time.sleep(chosen.uniform(0, 0.2))
            if point or end.poll() is not None:
                isEnded = end.wait(60) == 0
            else:
                library.daemon.kill()
                end.wait(60)
        elif point in QUIET:
            clients.stop.set()
            for process in clients.processes: process.join(30)
            for process in others: process.kill()
            try: library.daemon.wait(4)
            except subprocess.TimeoutExpired: pass
        elif library.daemon.poll() is None and not point: time.sleep(chosen.uniform(0, 0.1))
        self.end("while a mount ends" if isEnding else "at work with others" if others else "at work")
        for process in clients.processes + others: process.join(15)
        stuck = [process for process in clients.processes + others if process.is_alive()]
        if stuck:
            text = "".join(f"client {process.name}:\n{describe(process.pid)}\n" for process in stuck)
            for process in stuck: process.kill()
            raise Fault(f"clients do not end after the kill:\n{text}")
        death.close()
        problem = clients.collect(is_acknowledged=isEnded)
        if problem: raise Fault(problem + library.said()[-3000:])

    def start_others(self):
        clients = bystanders.prepare(self.library.program, self.library.mountpoint)
        others = [multiprocessing.Process(target=bystanders.live, args=client) for client in clients]
        for process in others: process.start()
        return others

    def await_work(self, clients, count, patience):
        """Waits for a number of acknowledgements, until the mount is gone, or until a time limit: the
        point may not be reached."""
        end = time.monotonic() + patience
        while count > 0 and (left := end - time.monotonic()) > 0:
            if not select.select([clients.reader], [], [], left)[0]: return
            got = os.read(clients.reader, 64)
            if not got: return
            count -= len(got)

    def kill_early(self, point=None):
        """Kills while a mount opens the library, perhaps while it recovers from the former kill."""
        self.library.begin(**self.aim(point))
        if point: self.library.wait()
        else:
            end = time.monotonic() + self.chosen.uniform(0, 0.15)
            while time.monotonic() < end and not self.library.is_up(): time.sleep(0.002)
        self.end("while a mount recovers")

    def kill_making(self, point):
        """Kills while a library or its key is created."""
        library = self.make(f"{self.work}/new")
        shutil.rmtree(library.path, ignore_errors=True)
        library.begin(**self.aim(point))
        if library.wait() and point == "key-named":
            with open(f"{library.mountpoint}/folders/file", "w") as file: file.write("signed")
            subprocess.run([library.program, "sign", "--expires", "2d", f"{library.mountpoint}/folders/file"], capture_output=True)
        self.end("while a library is made", library)
        library.mount()
        library.unmount()
        faults = library.check(self.counts, is_powered=True) + self.verify_deep(library)
        if faults: raise Fault("\n".join(faults))

    # The check after a kill

    def verify(self):
        """Mounts the library, and compares it with the histories."""
        try:
            self.library.mount()
            faults = compare(self.library, self.histories, self.counts)
            self.library.unmount()
            if mounted(self.library.mountpoint): faults.append("a mount is left")
            faults += self.library.check(self.counts, is_powered=True) + self.verify_deep(self.library)
            if faults: raise Fault("\n".join(faults))
        finally: self.library.kill()
        self.age()

    def verify_deep(self, library):
        result = subprocess.run([library.program, "verify", library.path, "--deep"], capture_output=True, text=True)
        return [f"verify: {result.stdout}{result.stderr}"] if result.returncode else []

    def age(self):
        """Makes work that is due in a minute or a day due now."""
        path = self.library.path
        catalog = sqlite3.connect(f"{path}/catalog.sqlite")
        with catalog:
            catalog.execute("UPDATE blob SET created = created - 3600000000000")
            if self.chosen.random() < 0.3: catalog.execute(f"UPDATE asset SET trashed = trashed - {2 * DAY * 1000000000} WHERE trashed IS NOT NULL")
        catalog.close()
        copies = f"{path}/snapshots"
        for name in [f"{path}/FORMAT"] + [f"{copies}/{name}" for name in (os.listdir(copies) if os.path.isdir(copies) else [])]:
            os.utime(name, (time.time() - 2 * DAY,) * 2)

    # The run

    def find_points(self):
        """Asks the program whether it has kill points."""
        library = self.make(f"{self.work}/new")
        library.begin(ASSETFS_KILL_AT="recovering")
        hasPoints = not library.wait()
        library.kill()
        shutil.rmtree(library.path)
        if not hasPoints: return
        unknown = set(self.options.only.split(",") if self.options.only else []).union(MAKING, OPENING, ENDING, QUIET, PASSAGES) - set(points())
        if unknown: raise RuntimeError(f"KillPoint.swift has no {', '.join(sorted(unknown))}")
        self.points = self.options.only.split(",") if self.options.only else points()

    def one(self, number):
        chosen = self.chosen
        if number % 40 == 0: self.renew()
        point = None
        # Every second kill is at a point, so that all points are reached in turn.
        if self.points and (number % 2 or self.options.only):
            if not self.turn:
                self.turn = list(self.points)
                chosen.shuffle(self.turn)
            point = self.turn.pop()
        if point in MAKING and (point != "search-cleared" or chosen.random() < 0.5): return self.kill_making(point)
        isEnding = point in ENDING or point is None and chosen.random() < 0.15
        isOpening = point in OPENING or point == "search-cleared"
        self.kill_at_work(None if isOpening else point, isEnding)
        if isOpening: self.kill_early(point)
        for _ in range(chosen.choice([0, 0, 0, 1, 2])): self.kill_early(chosen.choice(OPENING + [None] * 6) if self.points else None)
        self.verify()

    def all(self):
        start, self.turn, number = time.monotonic(), [], 0
        self.find_points()
        print(f"seed {self.options.seed}; {len(self.points)} points", flush=True)
        told = 0
        try:
            while self.counts["kills"] < self.options.kills or self.options.only and not all(self.aimed[point] for point in self.points):
                self.one(number)
                number += 1
                if self.counts["kills"] // 50 > told:
                    told = self.counts["kills"] // 50
                    print(f"{self.counts['kills']} kills, {time.monotonic() - start:.0f} s", flush=True)
        except Fault as fault:
            print(f"round {number + 1}, kill {self.counts['kills']} (seed {self.options.seed}): {fault}", flush=True)
            return False
        finally: self.summarize(start)
        return True

    def summarize(self, start):
        numbers = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        print(f"{time.monotonic() - start:.0f} s: {numbers}")
        if self.points:
            print("| point | aimed at | died there |\n|---|---|---|")
            for point in self.points: print(f"| {point} | {self.aimed[point]} | {self.hit[point]} |")
            missed = [point for point in self.points if self.aimed[point] and not self.hit[point]]
            if missed: print(f"aimed at, and never reached: {', '.join(missed)}")
        sys.stdout.flush()

    def close(self):
        for library in (self.library, self.make(f"{self.work}/new")): library.kill()
        if not self.options.keep: shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--assetfs", default=os.environ.get("ASSETFS", ".build/debug/assetfs"))
    parser.add_argument("--work", default="/var/tmp/assetfs-crash")
    parser.add_argument("--only", default="", help="the names of points, with commas between them")
    parser.add_argument("--during", default="", help="kill this instead: recover, repair or snapshot, with commas between them")
    parser.add_argument("--keep", action="store_true", help="leave the library")
    options = parser.parse_args()
    if os.geteuid() != 0: sys.exit("crash.py has writers of several users, and needs root.")
    if options.during:
        isGood = True
        for command in options.during.split(","):
            rounds = during.Rounds(options, command)
            try: isGood = rounds.all() and isGood
            finally: rounds.close()
        return 0 if isGood else 1
    everything = Run(options)
    try: return 0 if everything.all() else 1
    finally: everything.close()


if __name__ == "__main__": sys.exit(main())
