"""Kills of `assetfs recover`, of `assetfs verify --repair`, and of a daemon that copies its catalog:
`crash.py --during`.

Each round begins with the same library and the same damage, kills one to three runs, at the points of
`KillPoint.swift` in turn or at random moments, and lets one run finish. Then the library must be in the state
after an uninterrupted run, no data may be lost, and no unfinished file may be left.
"""
import collections, contextlib, hashlib, os, random, re, shutil, signal, sqlite3, subprocess, time

from library import Fault, Library, run

POINTS = {
    "recover": ["leftovers-taken", "snapshot-copied", "contents-added", "catalog-recovered", "catalog-put-aside", "log-put-aside",
                "catalog-replaced"],
    "repair": ["catalog-half-kept", "catalog-kept", "catalog-mended", "files-mended"],
    "snapshot": ["snapshot-stepped", "snapshot-made", "snapshot-named"],
}
# Points that one run reaches more than once.
PASSAGES = {"catalog-half-kept": 2, "snapshot-stepped": 2}
UNFINISHED = ["catalog.recovered.sqlite", "catalog.recovered.sqlite-wal", "catalog.before-repair.new", "catalog.before-repair.new-wal",
              "snapshots/new.sqlite", "snapshots/new.sqlite-wal", "leftover"]


def digest(path):
    with open(path, "rb") as file: return hashlib.sha256(file.read()).hexdigest()


class Rounds:
    def __init__(self, options, command):
        self.options, self.command, self.work = options, command, options.work
        self.chosen, self.counts = random.Random(options.seed), collections.Counter()
        self.aimed, self.hit = collections.Counter(), collections.Counter()
        self.place, self.sound = f"{self.work}/library", f"{self.work}/sound"
        os.makedirs(self.work, exist_ok=True)
        self.library = Library(options.assetfs, self.place, self.work)
        self.make()
        self.damage()
        self.blobs, self.damaged = self.contents("blobs"), self.catalog()
        self.expected = self.end()

    # The library

    def make(self):
        """Creates a library with a snapshot, with newer files, and with a catalog whose last changes are
        in its log."""
        library, root = self.library, f"{self.work}/mount/folders"
        library.mount()
        for number in range(40):
            os.makedirs(f"{root}/{number % 5}", exist_ok=True)
            with open(f"{root}/{number % 5}/{number}", "wb") as file: file.write(b"%d " % number * (1 + 997 * number))
        library.unmount()
        self.make_old()
        library.mount()
        library.unmount()
        if not os.listdir(f"{self.place}/snapshots"): raise RuntimeError("there is no snapshot")
        library.mount()
        for number in range(40, 60):
            with open(f"{root}/{number % 5}/{number}", "wb", buffering=0) as file:
                file.write(b"%d " % number * 500)
                os.fsync(file.fileno())
        library.kill()
        shutil.rmtree(self.sound, ignore_errors=True)
        run("cp", "-a", self.place, self.sound)

    def make_old(self):
        """Makes a snapshot due."""
        names = [f"{self.place}/FORMAT"] + [f"{folder}/{name}" for folder, _, names in os.walk(f"{self.place}/snapshots") for name in names]
        for name in names: os.utime(name, (time.time() - 2 * 24 * 3600,) * 2)

    def damage(self):
        """Copies the sound library, and makes the damage that the command repairs."""
        shutil.rmtree(self.place, ignore_errors=True)
        run("cp", "-a", self.sound, self.place)
        catalog = f"{self.place}/catalog.sqlite"
        if self.command == "recover":
            os.makedirs(f"{self.place}/leftover", mode=0o700)
            aside = b"set aside"
            name = f"{self.place}/leftover/{hashlib.sha256(aside).hexdigest()}"
            with open(name, "wb") as file: file.write(aside)
            os.chmod(name, 0o600)
            # Damages more than the beginning, because the log could replace the damaged pages.
            with open(catalog, "r+b") as file: file.write(b"damaged" * 2000)
            with open(f"{catalog}-wal", "r+b") as file: file.write(b"damaged")
            return
        if self.command == "snapshot": return self.make_old()
        database = sqlite3.connect(catalog)
        with database:
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute("UPDATE blob SET uses = uses + 7 WHERE id % 3 = 0")
            database.execute("DELETE FROM entry WHERE CAST(name AS TEXT) IN ('7', '41')")
        # Copies before the connection closes, because closing writes the log into the catalog.
        for suffix in "", "-wal": shutil.copy2(catalog + suffix, f"{self.work}/damaged{suffix}")
        database.close()
        for suffix in "", "-wal": shutil.move(f"{self.work}/damaged{suffix}", catalog + suffix)
        with contextlib.suppress(FileNotFoundError): os.unlink(f"{catalog}-shm")
        with open(f"{self.place}/snapshots/catalog-29990101.sqlite", "wb") as file: file.write(b"damaged" * 3000)
        os.chmod(f"{self.place}/snapshots/catalog-29990101.sqlite", 0o600)

    def contents(self, folder):
        return {f"{os.path.basename(place)}/{name}": digest(f"{place}/{name}")
                for place, _, names in os.walk(f"{self.place}/{folder}") for name in names}

    def catalog(self):
        """Returns the digests of the catalog and of its log."""
        return [digest(f"{self.place}/{name}") for name in ("catalog.sqlite", "catalog.sqlite-wal") if os.path.exists(f"{self.place}/{name}")]

    # Runs of the command

    def start(self, variables):
        """Starts the command, or a daemon that reaches the point of the kill."""
        if self.command == "snapshot":
            self.library.begin(**variables)
            return self.library.daemon
        words = ["recover", self.place] if self.command == "recover" else ["verify", "--repair", self.place]
        self.log = f"{self.work}/command.log"
        with open(self.log, "w") as file:
            return subprocess.Popen([os.path.abspath(self.options.assetfs), *words], stdout=file, stderr=file, env=dict(os.environ) | variables)

    def said(self):
        if self.command == "snapshot": return self.library.said()
        with open(self.log, errors="replace") as file: return file.read()

    def kill(self, point):
        """Kills one run, at a point or at a random moment."""
        variables = {}
        if point:
            self.aimed[point] += 1
            variables = {"ASSETFS_KILL_AT": f"{point}:{self.chosen.randint(1, PASSAGES.get(point, 1))}"}
        process = self.start(variables)
        if self.command == "snapshot":
            # The copy is made soon after the mount is ready, or when it ends.
            if self.library.wait() and (point or self.chosen.random() < 0.7):
                subprocess.Popen([self.library.program, "umount", self.library.mountpoint], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not point:
            time.sleep(self.chosen.uniform(0, self.duration))
            process.kill()
        status = process.wait(60)
        if self.command == "snapshot": self.library.kill()
        if reached := re.search(r"^Killed at ([\w-]+)\.$", self.said(), re.M): self.hit[reached[1]] += 1
        self.counts["kills" if status == -signal.SIGKILL else "ends without a kill"] += 1

    def end(self):
        """Lets the command finish, and returns the state of the library."""
        began = time.monotonic()
        if self.command == "snapshot":
            self.library.mount()
            self.library.unmount()
        else:
            status = self.start({}).wait(60)
            # A run that was killed at its end may have done all the work.
            isDone = "nothing has to be recovered" in self.said() and self.counts.total() > 0
            if status != 0 and not isDone: raise Fault(f"{self.command} ended with {status}: {self.said()}")
        self.duration = time.monotonic() - began
        self.library.mount()
        root = f"{self.work}/mount/folders"
        found = {os.path.relpath(f"{place}/{name}", root): digest(f"{place}/{name}") for place, _, names in os.walk(root) for name in names}
        self.library.unmount()
        return found

    def check(self, found):
        """Compares the library with one of an uninterrupted run, and checks that the former files are
        there."""
        faults = []
        for name in sorted(set(found) | set(self.expected)):
            if found.get(name) != self.expected.get(name): faults.append(f"{name} has {found.get(name)} and not {self.expected.get(name)}")
        blobs = self.contents("blobs")
        for name, value in self.blobs.items():
            if blobs.get(name) != value: faults.append(f"blobs/{name} has {blobs.get(name)} and not {value}")
        faults += [f"{name} is left" for name in UNFINISHED if os.path.exists(f"{self.place}/{name}")]
        if self.command != "snapshot":
            stem = "catalog.damaged" if self.command == "recover" else "catalog.before-repair"
            kept = [name for name in os.listdir(self.place) if name.startswith(stem)]
            for value in self.damaged:
                if value not in [digest(f"{self.place}/{name}") for name in kept]: faults.append(f"a file of the former catalog is not among {kept}")
            if self.command == "repair": faults += [f"{name} is no whole copy" for name in kept if name.endswith(".sqlite") and not self.is_copy(name)]
        for name in os.listdir(f"{self.place}/snapshots"):
            if name.endswith(".sqlite") and not self.is_whole(f"snapshots/{name}"): faults.append(f"snapshots/{name} is damaged")
        result = subprocess.run([self.library.program, "verify", "--deep", self.place], capture_output=True, text=True)
        if result.returncode: faults.append(f"verify: {result.stdout}{result.stderr}")
        if faults: raise Fault("\n".join(faults[:20]))

    def is_copy(self, name):
        """Returns whether a preserved catalog is the damaged one with its log, or one that was repaired
        already."""
        if digest(f"{self.place}/{name}") != self.damaged[0]: return self.is_whole(name)
        log = f"{self.place}/{name}-wal"
        return len(self.damaged) == 1 or os.path.exists(log) and digest(log) == self.damaged[1]

    def is_whole(self, name):
        database = sqlite3.connect(f"file:{self.place}/{name}?mode=ro", uri=True)
        try: return database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        except sqlite3.DatabaseError: return False
        finally: database.close()

    def all(self):
        start, number, turn = time.monotonic(), 0, []
        try:
            while self.counts["kills"] < self.options.kills or not all(self.hit[point] for point in POINTS[self.command]):
                number += 1
                self.damage()
                points = []
                for _ in range(self.chosen.choice([1, 1, 2, 3])):
                    if not turn: turn = self.chosen.sample(POINTS[self.command], len(POINTS[self.command]))
                    points.append(turn.pop() if self.chosen.random() < 0.7 else None)
                    self.kill(points[-1])
                self.check(self.end())
                if number > self.options.kills * 3 + 60: raise Fault(f"some points are never reached: {dict(self.hit)}")
        except Fault as fault:
            print(f"{self.command}, round {number}, after kills at {points} (seed {self.options.seed}): {fault}", flush=True)
            return False
        finally:
            print(f"{self.command}: {time.monotonic() - start:.0f} s, {number} rounds, "
                  + ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())))
            print("| point | aimed at | died there |\n|---|---|---|")
            for point in POINTS[self.command]: print(f"| {point} | {self.aimed[point]} | {self.hit[point]} |", flush=True)
        return True

    def close(self):
        self.library.kill()
        if not self.options.keep: shutil.rmtree(self.work, ignore_errors=True)
