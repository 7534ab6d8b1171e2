#!/usr/bin/env python3
"""Runs all kinds of load in a mount for an hour, and checks correctness and growth. `make soak` runs it, as
root.

    soak.py [--minutes 60] [--assetfs .build/release/assetfs] [--seed 1] [--samples soak.csv]

Users copy, rewrite, map, rename, remove, restore, describe, search and export files; files expire, uploads
are rejected and numbered, URLs are fetched; cp, tar, rsync, restic, borg and git copy trees in and out; the
mount checks and scrubs itself. Each client knows the expected state of its files, and compares all of them
around each unmount. In the first quarter the library is unmounted and mounted again and again; the mount that
follows lasts to the end, and its memory, descriptors and threads are sampled each second.

At the end there may be no error: the files of each client, `assetfs verify MOUNT`, `assetfs verify LIBRARY
--deep`, an empty staging/, no process left. And nothing may grow: of the long mount the median of the last
quarter may exceed that of the second quarter, which had the same load, by no more than a fourth and 24 MiB of
anonymous memory (daemon, and all workers together), by a fourth and 32 descriptors, and by a fourth and 8
threads; and at rest the daemon may have no more than 16 descriptors more at the end than at the beginning.
"""
import argparse, csv, http.server, multiprocessing, os, queue, shutil, statistics, subprocess, sys, tempfile, threading, time
import load
from tools import Backups, Tools

COLUMNS = ["seconds", "mount", "anonymous", "resident", "descriptors", "threads", "workers", "workers_anonymous", "workers_resident",
           "workers_descriptors", "catalog", "search", "steps"]
# The allowed growth in addition to a fourth; memory in KiB.
ALLOWANCES = {"anonymous": 24 << 10, "workers_anonymous": 24 << 10, "descriptors": 32, "threads": 8}
MINUTES_JUDGED = 4


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, number, size = self.path.split("/")
        data = load.content(f"fetched {number}", int(size))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_): pass


def process_numbers(identifier):
    """Returns the KiB of anonymous and resident memory, descriptors and threads of a process."""
    with open(f"/proc/{identifier}/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    number = lambda key: int(status[key].split()[0])
    return number("RssAnon"), number("VmRSS"), len(os.listdir(f"/proc/{identifier}/fd")), number("Threads")


def children(identifier):
    found = []
    for thread in os.listdir(f"/proc/{identifier}/task"):
        try:
            with open(f"/proc/{identifier}/task/{thread}/children") as file: found += file.read().split()
        except FileNotFoundError: pass
    return found


class Sampler(threading.Thread):
    """Records each second the resources of the daemon and its workers."""

    def __init__(self, soak, path):
        super().__init__(daemon=True)
        self.soak, self.path, self.rows, self.isEnding = soak, path, [], threading.Event()

    def run(self):
        with open(self.path, "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            while not self.isEnding.wait(1):
                try: row = self.sample()
                except (FileNotFoundError, ProcessLookupError, KeyError): continue
                self.rows.append(dict(zip(COLUMNS, row)))
                table.writerow(row)
                file.flush()

    def sample(self):
        soak = self.soak
        daemon = soak.daemon
        if not daemon: raise KeyError
        numbers, below = process_numbers(daemon.pid), [0, 0, 0, 0]
        workers = children(daemon.pid)
        for worker in workers:
            try: below = [one + other for one, other in zip(below, process_numbers(worker))]
            except (FileNotFoundError, ProcessLookupError, KeyError): pass
        size = lambda name: os.stat(f"{soak.library}/{name}").st_size if os.path.exists(f"{soak.library}/{name}") else 0
        return [round(time.monotonic() - soak.start, 1), soak.mounts, *numbers, len(workers), *below[:3],
                size("catalog.sqlite") >> 10, size("search.sqlite") >> 10, sum(done.value for done in soak.done)]


class Soak:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.program = options.program = os.path.abspath(options.assetfs)
        self.mount = options.mount = f"{work}/mount"
        self.library, options.work = f"{work}/library", work
        self.daemon, self.mounts, self.faults, self.steps = None, 0, [], {}
        self.start = time.monotonic()
        self.pause, self.isEnding, self.results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
        self.clients, self.states, self.done = [], [], []

    # Mounts

    def open(self):
        log = f"{self.work}/log"
        with open(log, "a") as errors:
            from_ = errors.tell()
            self.daemon = subprocess.Popen(
                [self.program, "mount", "-f", self.library, self.mount, "-o", "allow_other", "-o", "fetch=127.0.0.0/8"],
                stderr=errors, stdin=subprocess.DEVNULL, start_new_session=True)
        while True:
            with open(log, errors="replace") as file:
                file.seek(from_)
                if "Mounted" in file.read(): break
            if self.daemon.poll() is not None: raise RuntimeError(f"the library could not be mounted: status {self.daemon.returncode}")
            time.sleep(0.01)
        self.mounts += 1

    def close(self):
        daemon, self.daemon = self.daemon, None
        workers = children(daemon.pid)
        result = subprocess.run([self.program, "umount", self.mount], capture_output=True, text=True)
        if result.returncode: self.faults.append(f"assetfs umount: status {result.returncode}: {result.stderr.strip()}")
        try:
            if daemon.wait(60): self.faults.append(f"the daemon ended with status {daemon.returncode}")
        except subprocess.TimeoutExpired:
            daemon.kill()
            self.faults.append("the daemon was there a minute after the unmount")
        for worker in workers:
            end = time.monotonic() + 10
            while os.path.exists(f"/proc/{worker}") and time.monotonic() < end: time.sleep(0.05)
            if os.path.exists(f"/proc/{worker}"): self.faults.append(f"the worker {worker} is left")
        if os.listdir(f"{self.library}/staging"): self.faults.append(f"staging/ has {os.listdir(self.library + '/staging')}")

    def verify(self, *arguments):
        result = subprocess.run([self.program, "verify", *arguments], capture_output=True, text=True)
        said = result.stdout + result.stderr
        if result.returncode: self.faults.append(f"assetfs verify {' '.join(arguments)}: status {result.returncode}:\n{said}")
        return said.strip().split("\n")[-1]

    def age_snapshot(self):
        """Makes the newest snapshot two days old, so that a new one is due."""
        folder = f"{self.library}/snapshots"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        old = f"{folder}/catalog-20200101.sqlite"
        names = sorted(os.listdir(folder))
        if not names:
            subprocess.run(["sqlite3", f"{self.library}/catalog.sqlite", f".backup {old}"], check=True)
            os.chmod(old, 0o600)
            names = [os.path.basename(old)]
        long_ago = time.time() - 2 * 86400
        os.utime(f"{folder}/{names[-1]}", (long_ago, long_ago))

    # Clients

    def add(self, kind, name, uid, pace):
        if self.options.only and not any(name.startswith(only) for only in self.options.only.split(",")): return
        client = kind(self.options, name, uid, pace)
        own, folder = f"{self.work}/own/{name}", f"{self.mount}/folders/{name}"
        for path in (own, folder):
            os.makedirs(path, exist_ok=True)
            if uid: os.chown(path, uid, uid)
        state, done = multiprocessing.Value("i", 0, lock=False), multiprocessing.Value("q", 0, lock=False)
        process = multiprocessing.Process(target=load.serve, args=(client, self.pause, state, self.results, self.isEnding, done), name=name)
        self.clients.append(process), self.states.append(state), self.done.append(done)

    def begin(self, port):
        load.Fetcher.server = port
        shared = f"{self.mount}/folders/shared"
        os.makedirs(shared)
        os.chmod(shared, 0o777)
        os.setxattr(shared, "user.policy.trash", b"none")
        pace = self.options.pace
        for number in range(4): self.add(load.Writer, f"writer{number}", 3000 + number, 0.08 * pace)
        for number in range(2): self.add(load.Sharer, f"sharer{number}", 3000 + number, 0.25 * pace)
        self.add(load.Looker, "looker0", 0, 0.7 * pace)
        self.add(load.Looker, "looker1", 3010, 0.7 * pace)
        self.add(load.Fetcher, "fetcher", 0, 3 * pace)
        self.add(Tools, "tools0", 0, 4 * pace)
        if self.isLong: self.add(Backups, "backups", 3011, 6 * pace)
        self.add(load.Checker, "checker", 0, 20 * pace)
        for process in self.clients: process.start()

    def rest(self):
        """Lets all clients check their files, and wait."""
        self.pause.set()
        end = time.monotonic() + 300
        while any(not state.value and process.is_alive() for state, process in zip(self.states, self.clients)):
            if time.monotonic() > end: raise RuntimeError("clients do not come to rest: " + self.waiting())
            time.sleep(0.05)

    def waiting(self): return ", ".join(p.name for p, state in zip(self.clients, self.states) if not state.value and p.is_alive())

    def isGood(self):
        try:
            while True:
                name, fault, steps = self.results.get_nowait()
                self.steps[name] = steps
                if fault: self.faults.append(f"{name}: {fault}")
        except queue.Empty: pass
        return not self.faults

    def work_on(self, seconds):
        """Lets the load continue for some time. Returns whether no error has occurred."""
        self.pause.clear()
        end, aged = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end and self.isGood():
            if self.daemon.poll() is not None: raise RuntimeError(f"the daemon has ended with status {self.daemon.returncode}")
            time.sleep(min(0.5, max(0, end - time.monotonic())))
            if time.monotonic() > aged + 660: aged = time.monotonic(); self.age_snapshot()
        return not self.faults

    def descriptors_at_rest(self):
        """Waits until the number of the daemon's descriptors no longer falls, for a little more than a
        minute at most: idle workers exit after one."""
        least, end = 1 << 30, time.monotonic() + (75 if self.isLong else 1)
        while time.monotonic() < end and children(self.daemon.pid):
            least = min(least, process_numbers(self.daemon.pid)[2])
            time.sleep(0.2)
        return min(least, process_numbers(self.daemon.pid)[2])

    @property
    def isLong(self): return self.options.minutes >= MINUTES_JUDGED

    def run(self, sampler):
        seconds = self.options.minutes * 60
        rounds = max(1, min(8, int(self.options.minutes / 4)))
        for number in range(rounds):
            if not self.work_on(seconds / 4 / rounds): return
            self.rest()
            self.close()
            self.verify(self.library)
            self.age_snapshot()
            self.open()
        print(f"{self.mounts} mounts, {sum(done.value for done in self.done)} steps", flush=True)
        atRest = self.descriptors_at_rest()
        if not self.work_on(max(1, self.start + seconds - time.monotonic())): return
        self.rest()
        finally_ = self.descriptors_at_rest()
        print(f"descriptors at rest: {atRest} at the beginning of the last mount, {finally_} at its end")
        if finally_ > atRest + 16: self.faults.append(f"at rest the daemon has {finally_} descriptors, and {atRest} before the load")
        print(f"verify MOUNT: {self.verify(self.mount)}")
        if self.isLong: self.judge(sampler.rows)

    def judge(self, rows):
        """Compares the second and the last quarter of the last mount."""
        rows = [row for row in rows if row["mount"] == self.mounts]
        quarter = len(rows) // 4
        print(f"{'':20}{'second quarter':>16}{'last quarter':>16}{'at most':>12}")
        for key, allowance in ALLOWANCES.items():
            one, two = (statistics.median(row[key] for row in part) for part in (rows[quarter:2 * quarter], rows[3 * quarter:]))
            most = one * 1.25 + allowance
            print(f"{key:20}{one:>16.0f}{two:>16.0f}{most:>12.0f}")
            if two > most: self.faults.append(f"{key} has grown from {one:.0f} to {two:.0f}; {most:.0f} would be bounded")

    def end(self):
        self.isEnding.set()
        self.pause.clear()
        for process in self.clients: process.join(120)
        for process in self.clients:
            if process.is_alive():
                process.kill()
                self.faults.append(f"{process.name} did not end")
        self.isGood()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "60")))
    parser.add_argument("--assetfs", default=os.environ.get("ASSETFS", ".build/release/assetfs"))
    parser.add_argument("--disk", default="/var/tmp", help="a folder on a disk with 20 GB left")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pace", type=float, default=1, help="how slowly the clients work")
    parser.add_argument("--only", default="", help="the clients whose names begin so, with commas between them")
    parser.add_argument("--samples", default="/dev/null", help="where the table of samples goes, as CSV")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    work = tempfile.mkdtemp(prefix="assetfs-soak-", dir=options.disk)
    os.chmod(work, 0o755)
    for folder in ("mount", "own"): os.mkdir(f"{work}/{folder}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    soak = Soak(options, work)
    sampler = Sampler(soak, options.samples)
    try:
        soak.open()
        soak.begin(server.server_address[1])
        sampler.start()
        soak.run(sampler)
    except Exception as error: soak.faults.append(f"{type(error).__name__}: {error}")
    finally:
        sampler.isEnding.set()
        soak.end()
        if soak.daemon: soak.close()
        while os.path.ismount(soak.mount): subprocess.run(["umount", "-l", soak.mount])
    print(f"verify LIBRARY --deep: {soak.verify(soak.library, '--deep')}")
    with open(f"{work}/log", errors="replace") as file:
        soak.faults += [f"the log: {line.strip()}" for line in file if "Z error: " in line or "Fatal" in line]
    total = {}
    for steps in soak.steps.values():
        for name, count in steps.items(): total[name] = total.get(name, 0) + count
    print(f"{sum(total.values())} steps: " + ", ".join(f"{name} {count}" for name, count in sorted(total.items())))
    for fault in soak.faults: print(f"FAULT {fault}")
    if soak.faults: print(f"the library, its log and the clients' own files are kept in {work}")
    else: shutil.rmtree(work)
    return 1 if soak.faults else 0


if __name__ == "__main__": sys.exit(main())
