"""A library and its mount, its writers, and the conditions for its files: the common part of `make
powercut` and `make crash`."""
import hashlib, multiprocessing, os, pickle, sqlite3, subprocess, time

import writers

CONNECTIONS = "/sys/fs/fuse/connections"


class Fault(Exception):
    """A broken promise, as a list of sentences."""


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode: raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout


def mounted(path):
    """Returns the lines of the table of mounts for a path."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as table: return [line for line in table if line.split()[4] == path]


class Library:
    """A library, and its mount."""

    def __init__(self, program, path, work, options=(), environment=None):
        self.program, self.path, self.options = os.path.abspath(program), path, list(options)
        self.mountpoint, self.log = f"{work}/mount", f"{work}/daemon.log"
        os.makedirs(self.mountpoint, exist_ok=True)
        self.environment = dict(os.environ) | (environment or {})
        # `status` is the exit status of the last daemon that was killed.
        self.daemon = self.store = self.status = None
        # Whether a mount since the last check has said that nothing proves which contents are of no upload,
        # and such contents.
        self.is_unproven, self.unproven = False, set()

    def begin(self, **variables):
        """Starts a mount without waiting for it."""
        options = [word for option in self.options for word in ("-o", option)]
        if self.store: options += ["-o", f"store=archive:{self.store}"]
        self.note_proof()
        with open(self.log, "w") as errors:
            self.daemon = subprocess.Popen(
                [self.program, "mount", "-f", self.path, self.mountpoint, *options],
                stderr=errors, env=self.environment | variables, start_new_session=True)

    def note_proof(self):
        if os.path.exists(self.log) and "that were not acknowledged stay there" in self.said(): self.is_unproven = True

    def said(self):
        with open(self.log, errors="replace") as file: return file.read()

    def is_up(self): return "Mounted" in self.said()

    def wait(self):
        """Returns whether the mount is ready; False if the daemon has exited before."""
        while not self.is_up():
            if self.daemon.poll() is not None: return False
            time.sleep(0.003)
        return True

    def mount(self):
        self.begin()
        if not self.wait(): raise Fault(f"the library does not mount: {self.said()}")

    def kill(self, leaves_mount=False):
        """Kills the daemon, if it is still running, and removes its mount. Returns whether the kill alone has
        ended it.

        A mount that is left is cleared by the next `assetfs mount`.
        """
        isGood = True
        if self.daemon:
            if self.daemon.poll() is None: self.daemon.kill()
            try: self.daemon.wait(5)
            except subprocess.TimeoutExpired:
                isGood = False
                self.abort()
            self.status = self.daemon.wait(20)
        self.daemon = None
        # The mount may go by itself between the two calls.
        while not leaves_mount and mounted(self.mountpoint): subprocess.run(["umount", "-l", self.mountpoint], stderr=subprocess.DEVNULL)
        return isGood

    def abort(self):
        """Aborts the connection of a daemon that was killed while it made a request to its own mount: it
        would wait for itself."""
        if not os.path.ismount(CONNECTIONS): run("mount", "-t", "fusectl", "none", CONNECTIONS)
        for line in mounted(self.mountpoint):
            with open(f"{CONNECTIONS}/{line.split()[2].split(':')[1]}/abort", "w") as file: file.write("1")

    def unmount(self):
        result = subprocess.run([self.program, "umount", self.mountpoint], capture_output=True, text=True)
        if result.returncode: raise Fault(f"assetfs umount ended with {result.returncode}: {result.stderr}{self.said()[-2000:]}")
        self.daemon.wait(20)
        self.daemon = None

    def check(self, counts, is_powered=False):
        """Checks the files of a library that is not mounted, after a kill of the daemon and not of the
        power. Returns sentences."""
        faults = []
        left = os.listdir(f"{self.path}/staging")
        if left: faults.append(f"staging is not empty: {left}")
        catalog = sqlite3.connect(f"{self.path}/catalog.sqlite")
        try:
            for (text,) in catalog.execute("PRAGMA integrity_check"):
                if text != "ok": faults.append(f"integrity_check: {text}")
            if catalog.execute("SELECT count(*) FROM staged").fetchone()[0]: faults.append("uploads are still recorded")
            rows = catalog.execute("SELECT digest, size FROM blob").fetchall()
            # A kill between a blob's rename and its row leaves a file without a row. The next mount sets it
            # aside; after a power cut a later upload of its bytes takes it over.
            known = {digest.hex() for digest, _ in rows}
            lost = sorted({os.path.basename(place) + name for folder in (self.path, self.store) if folder
                           for place, _, names in os.walk(f"{folder}/blobs") for name in names} - known)
            self.note_proof()
            if self.is_unproven and lost:
                counts["kills that leave no proof"] += 1
                self.unproven.update(lost)
            self.is_unproven = False
            if is_powered and set(lost) - self.unproven: faults.append(f"blobs without rows: {lost}")
            counts["files of no content, at most"] = max(counts["files of no content, at most"], len(lost))
            aside = os.listdir(f"{self.path}/leftover") if os.path.isdir(f"{self.path}/leftover") else []
            counts["files set aside, at most"] = max(counts["files set aside, at most"], len(aside))
            for digest, size in rows:
                name = f"{digest.hex()[:2]}/{digest.hex()[2:]}"
                places = [f"{folder}/blobs/{name}" for folder in (self.path, self.store) if folder]
                data = next((open(place, "rb").read() for place in places if os.path.exists(place)), None)
                counts["blobs compared"] += 1
                if data is None: faults.append(f"blob {name} is not there")
                elif len(data) != size: faults.append(f"blob {name} has {len(data)} bytes and not {size}")
                elif hashlib.sha256(data).digest() != digest: faults.append(f"blob {name} has other bytes, {data.count(0)} zeros of {size}")
        finally: catalog.close()
        return faults


class Clients:
    """Writers at work in a mount, each with a history of its steps."""

    def __init__(self, library, histories, chosen, work, is_excused, is_slow=False, kind=writers.Writer, users=None):
        self.folders, self.work = f"{library.mountpoint}/folders", work
        self.stop, self.histories = multiprocessing.Event(), histories
        self.reader, writer = os.pipe()
        users = users or [0] * len(histories)
        for number, user in enumerate(users):
            folder = f"{self.folders}/writer-{number}"
            os.makedirs(folder, exist_ok=True)
            if user: os.chown(folder, user, user)
        self.processes = [
            multiprocessing.Process(target=writers.run, args=(
                kind, f"{self.folders}/writer-{number}", number, histories[number], chosen.randrange(1 << 30),
                writer, self.stop, is_excused, self.result(number), is_slow, users[number]))
            for number in range(len(histories))
        ]
        for process in self.processes: process.start()
        os.close(writer)

    def result(self, number): return f"{self.work}/writer-{number}"

    def await_acknowledgements(self, count):
        """Waits for events and not for a time: each byte is an acknowledgement. Fewer come if the mount is
        gone."""
        while count > 0 and (got := os.read(self.reader, min(count, 64))): count -= len(got)

    def join(self):
        for process in self.processes: process.join()

    def collect(self, is_acknowledged=False):
        """Takes over the histories. Returns the errors of writers before the end, if there are any."""
        os.close(self.reader)
        problems = []
        for number in range(len(self.histories)):
            try:
                with open(self.result(number), "rb") as file: self.histories[number], problem = pickle.load(file)
            except EOFError: raise Fault(f"writer {number} has ended without its history")
            os.unlink(self.result(number))
            if problem: problems.append(problem)
            if is_acknowledged: self.histories[number].acknowledge()
        return "\n".join(problems)


def compare(library, histories, counts):
    """Compares a mount with histories. Returns sentences; each history begins anew with the found states."""
    faults = []
    for number, history in enumerate(histories):
        root = f"{library.mountpoint}/folders/writer-{number}"
        counts["acknowledgements"] += history.acknowledgements
        counts["steps"] += len(history.steps)
        counts["steps after the last acknowledgement"] += len(history.steps) - history.acknowledged
        try: problems, found = history.problems(root)
        except OSError as error: problems, found = [f"writer {number}: {error!r}"], {}
        counts["names compared"] += len(found)
        faults += problems
        histories[number] = history.following(found)
    return faults
