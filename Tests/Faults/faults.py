#!/usr/bin/env python3
"""Makes each system call of a mount on its library fail in turn; fails on lost or wrong bytes, or a needed
restart.

    faults.py [--assetfs .build/release/assetfs] [--work /var/tmp/assetfs-faults] [--seed 1] [--choice 12]
              [--only CALL,KIND] [--phases disk,live,start,end,found] [--large 20] [--table FILE]

A round without faults records the calls on each kind of file of the library, so that new calls are covered
without a change here. Each is then made to fail once, or from one call on until the fault is over, while
operations of users continue. Each operation succeeds or reports an error; acknowledged data can be read;
afterwards the same mount accepts uploads again, and `assetfs verify --deep` of the library, and the next
mount, find everything as acknowledged. `start` and `end` do this while a library is mounted and unmounted.
The table has a line for each fault. Needs root and cc.
"""
import argparse, collections, errno, os, random, shutil, subprocess, sys, time

from daemon import CONNECTIONS, Daemon, Watch
from load import Load, Wrong
from plan import DISKS, FITTING, FOUND, FOUND_AT_START, Fault, faults_of, lasting
from shim import Shim, build, short


class Run:
    def __init__(self, options):
        self.options = options
        shutil.rmtree(options.work, ignore_errors=True)
        os.makedirs(options.work)
        self.shim_library = build(options.work)
        self.watch = Watch(options.patience)
        self.lines, self.counts, self.numbers, self.failed = [], collections.Counter(), 0, collections.Counter()

    # A library and its mount

    def begin(self, passthrough=False):
        """Creates a library, mounts it, and waits for a first upload."""
        self.numbers += 1
        self.place = f"{self.options.work}/{self.numbers}"
        os.makedirs(f"{self.place}/mount")
        self.library, self.mount, self.log = f"{self.place}/library", f"{self.place}/mount", f"{self.place}/log"
        self.daemon_options = [] if passthrough else ["nopassthrough"]
        self.shim = Shim(self.shim_library, f"{self.place}/control", self.library)
        self.load, self.pictures = Load(self.mount, self.options.assetfs, self.options.large << 20, self.watch.beat), []
        self.start()

    def start(self, armed=True):
        self.watch.beat()
        self.daemon = Daemon(self.options.assetfs, self.library, self.mount, self.log,
                             self.shim.environment if armed else None, self.daemon_options, self.watch)
        return self.daemon.is_mounted

    def finish(self, keep=False):
        """Removes the library."""
        if self.daemon.is_alive: self.daemon.kill()
        subprocess.run(["umount", "-l", self.mount], stderr=subprocess.DEVNULL)
        self.watch.watch(0)
        self.shim.close()
        if not keep: shutil.rmtree(self.place, ignore_errors=True)

    def recover(self, problems):
        """Waits until an upload is acknowledged, and returns how long that took; None if the mount must be
        restarted."""
        begun = time.monotonic()
        problem = None
        while time.monotonic() < begun + self.options.patience / 2 and self.daemon.is_alive:
            self.watch.beat()
            name = f"folders/recovered-{self.load.count}-{self.load.model.history.__len__()}"
            try:
                self.load.create(name, name.encode())
                descriptor = os.open(self.load.path(name), os.O_RDONLY)
                try: os.fsync(descriptor)
                finally: os.close(descriptor)
                self.load.model.change({name: name.encode()})
                self.load.model.acknowledge()
                return time.monotonic() - begun
            except OSError as error:
                problem = error
                self.load.model.doubt({name: [name.encode(), b""]})
                self.load.model.unsure.pop(name)
                self.load.model.history.pop(name)
                time.sleep(0.1)
        if not self.daemon.is_alive: problems.append(f"CRASH: the daemon ended with {self.daemon.process.returncode}")
        else: problems.append(f"RESTART: {problem}: {self.daemon.said()[-600:]!r}")
        return None

    def settle(self, problems):
        """Checks each file of the round, and waits for expired files."""
        load = self.load
        unsure = [path for path in load.model.unsure if "#" not in path]
        try:
            load.check([path for path in load.model.history if path.startswith(load.folder) or path in load.model.unsure])
            # After an upload whose commit failed, fsync of that file acknowledges its bytes.
            for path in unsure:
                if isinstance(load.model.now(path), bytes): load.sync(path, "fsync (again)")
        except Wrong as wrong: problems.append(f"WRONG: {wrong}")
        except OSError as error: problems.append(f"WRONG: {error}")
        end = time.monotonic() + 10
        for name in load.expiring:
            while os.path.lexists(load.path(name)) and time.monotonic() < end:
                self.watch.beat()
                time.sleep(0.05)
            if os.path.lexists(load.path(name)): problems.append(f"BACKGROUND: {name} has not expired")
        load.expiring = []
        self.pictures.append(f"{load.folder}/picture.jpg#user.asset.width")
        while not self.is_found(f"{load.count}") and time.monotonic() < end:
            self.watch.beat()
            time.sleep(0.05)
        if not self.is_found(f"{load.count}"): problems.append("BACKGROUND: a caption is not found")

    def look_into_pictures(self, problems):
        """Waits for the metadata of pictures: a file whose extraction failed is tried again after a
        minute."""
        end = time.monotonic() + (75 if self.options.choice == 0 else 0)
        while (missing := [name for name in self.pictures if self.attribute(name) != b"7"]) and time.monotonic() < end:
            self.watch.beat()
            time.sleep(0.2)
        if missing and not self.options.choice: problems.append(f"BACKGROUND: not looked into: {missing}")

    def attribute(self, name):
        try: return self.load.look(name)
        except OSError: return None

    def is_found(self, word):
        """Returns whether the search finds the caption of this round, if there is one."""
        if self.load.model.history.get(f"{self.load.folder}/said#user.asset.caption", [None])[-1] is None: return True
        try: return any(entry.endswith("-said") for entry in os.listdir(self.load.path(f"search/caption:{word}")))
        except OSError: return False

    def after_end(self, problems, is_exact, is_made=True):
        """Checks a library that is not mounted, and mounts it."""
        self.watch.beat()
        if is_made: self.verify(problems, is_exact)
        if not self.start(armed=False): return problems.append(f"LOST: the library does not mount: {self.daemon.said()[-300:]}")
        paths = list(self.load.model.history)
        for path in paths:
            try: self.load.check([path], after_crash=not is_exact)
            except Wrong as wrong: problems.append(f"LOST: {wrong}")
            if len(problems) > 5: break
        if any(problem.startswith("LOST") for problem in problems): problems.append(f"LOG: {self.daemon.said()[:600]!r}")
        status, own = self.daemon.unmount()
        if (status, own) != (0, 0): problems.append(f"END: without a fault {status}, {own}")

    def verify(self, problems, is_exact):
        said = subprocess.run([self.options.assetfs, "verify", self.library, "--deep"], capture_output=True, text=True, timeout=300)
        # After another exit of the mount, the message lists uploads that the next mount commits.
        if said.returncode and is_exact: problems.append(f"VERIFY: {said.returncode}: {said.stdout.strip()[-300:]} {said.stderr.strip()[-200:]}")

    def restart(self, problems):
        """Ends a mount that is dead or unusable, and checks that all acknowledged data is there at the
        next mount."""
        if self.watch.has_aborted: problems.append("HANG")
        status, own = self.daemon.unmount()
        if own is None or own < 0: problems.append(f"CRASH: at its end {own}")
        for name in self.load.expiring: self.load.model.history.pop(name, None)
        self.load.expiring = []
        self.after_end(problems, is_exact=False)

    # Phases

    def line(self, fault, phase, hits, errors, recovered, problems):
        # A value that is not known yet is missing: ENODATA.
        odd = sorted({f"{name} {short(number)}" for name, number in errors if number > 0
                      and number not in FITTING[fault.error] and (name, number) != ("extraction", errno.ENODATA)})
        answers = collections.Counter(short(number) if number > 0 else f"exit {-number}" for _, number in errors)
        if odd and hits: problems = problems + ["ODD: " + ", ".join(odd)]
        result = "not reached" if not hits and not problems else "; ".join(problems) or "ok"
        text = " ".join(f"{name}×{count}" for name, count in sorted(answers.items())) or "-"
        took = "-" if recovered is None else f"{recovered:.1f} s"
        self.lines.append(f"| {fault.call[:40]} | {fault.kind} | {phase} | {short(fault.error)} {fault.mode} | {hits} | {text} | {took} | {result} |")
        print(self.lines[-1], flush=True)
        self.counts["not reached" if not hits else "ok" if not problems else problems[0].split(":")[0]] += 1
        if hits: self.failed[fault.call, fault.kind] += 1

    def round(self, fault):
        """Runs a round with one fault; returns whether the mount remains usable."""
        load, problems = self.load, []
        load.errors = []
        load.prepare()
        self.shim.arm(fault.call, fault.kind, fault.error, fault.after, fault.length, fault.halves)
        try: load.work()
        except Wrong as wrong: problems.append(f"WRONG: {wrong}")
        if self.options.commands: load.commands(self.place)
        end = time.monotonic() + (1.2 if fault.length > 1 or not self.shim.hits else 0)
        while time.monotonic() < end and (fault.length > 1 or not self.shim.hits):
            self.watch.beat()
            time.sleep(0.05)
        errors, hits = load.errors, self.shim.hits
        if fault.mode == "killed":
            self.daemon.kill()
            self.shim.lift()
            for name in load.expiring: load.model.history.pop(name, None)
            load.expiring = []
            self.after_end(problems, is_exact=False)
            self.line(fault, "live", hits, errors, None, problems)
            return False
        self.shim.lift()
        recovered = self.recover(problems)
        if recovered is not None: self.settle(problems)
        if self.watch.has_aborted: problems.append("HANG")
        if problems: self.restart(problems)
        self.line(fault, "live", hits, errors, recovered, problems)
        return not problems

    def group(self, faults, passthrough=False):
        """Runs several faults one after the other on one library, and creates a new library after each
        that did harm."""
        is_begun = False
        for fault in faults:
            if not is_begun: self.begin(passthrough)
            try: is_begun = self.round(fault)
            except Wrong as wrong:
                self.line(fault, "live", 1, [], None, [f"STALE: {wrong}"])
                is_begun = False
            if not is_begun: self.finish()
        if not is_begun: return
        problems = []
        self.look_into_pictures(problems)
        status, own = self.daemon.unmount()
        if (status, own) != (0, 0): problems.append(f"END: {status}, {own}")
        self.after_end(problems, is_exact=True)
        if problems: self.line(faults[-1], "after all", 1, [], None, problems)
        self.finish()

    def kept_upload(self, is_synced=True):
        """Checks an upload whose commit failed for lack of space: it exists after a crash if there was
        space and fsync, or the log, reported it."""
        self.begin()
        fault, problems, load = lasting("fsync", "blobs", errno.ENOSPC), [], self.load
        load.prepare()
        name = f"{load.folder}/inplace"
        new = b"changed" + load.model.now(name)[7:]
        self.shim.arm(fault.call, fault.kind, fault.error, fault.after, fault.length)
        load.put(f"{load.folder}/small", b"small")
        descriptor = os.open(load.path(name), os.O_RDWR)
        os.pwrite(descriptor, b"changed", 0)
        while not is_synced and "not on the disk yet" not in self.daemon.said() and self.daemon.is_alive: time.sleep(0.01)
        for label, step in [("fsync", os.fsync), ("close", os.close)][not is_synced:]:
            try: step(descriptor)
            except OSError as error: load.errors.append((label, error.errno))
        # After the second failure the retry waits longer, but no longer once there is space.
        end = time.monotonic() + (0 if is_synced else 20)
        while self.daemon.said().count("could not be ended") < 2 and time.monotonic() < end: time.sleep(0.02)
        self.shim.lift()
        load.model.change({name: new})
        if is_synced: recovered = self.recover(problems)
        else:
            lifted = time.monotonic()
            while "has room again" not in self.daemon.said() and time.monotonic() < lifted + 20: time.sleep(0.01)
            recovered = time.monotonic() - lifted
            load.model.acknowledge()
        self.daemon.kill()
        self.after_end(problems, is_exact=False)
        self.line(fault._replace(mode="then killed"), "live", self.shim.hits, load.errors, recovered, problems)
        self.finish()

    def cold_catalog(self, is_changing=False):
        """Lets reads of the catalog fail after changes of other users, perhaps within changes:
        acknowledged changes stay."""
        self.begin()
        fault, problems, load = lasting("pread", "catalog.sqlite", errno.EIO), [], self.load
        for _ in range(4): load.prepare()
        self.daemon.unmount()
        self.start()
        said = "folders/1/said#user.asset.caption"
        os.setxattr(load.path("folders/1/said"), "user.asset.caption", b"early")
        load.model.change({said: b"early"})
        self.shim.arm(fault.call, fault.kind, fault.error, fault.after, fault.length)
        for path in list(load.model.history):
            self.watch.beat()
            try:
                if load.look(path) != load.model.now(path): problems.append(f"WRONG: {path}")
            except OSError as error: load.errors.append(("read", error.errno))
            if is_changing and "#" not in path and isinstance(load.model.now(path), bytes): load.change_cold(path)
        if not is_changing and load.look(said) != b"early": problems.append("WRONG: a caption is not what was said")
        self.shim.lift()
        recovered = self.recover(problems)
        if recovered is not None:
            for path in list(load.model.history):
                if load.look(path) != load.model.now(path): problems.append(f"LOST: {path} has {load.look(path)} and not {load.model.now(path)}")
        if (ends := self.daemon.unmount()) != (0, 0): problems.append(f"END: {ends}")
        self.after_end(problems, is_exact=True)
        self.line(fault, "cold, changed" if is_changing else "cold", self.shim.hits, load.errors, recovered, problems)
        self.finish()

    def record(self):
        """Returns how often each call was made on each kind of file, while a library is mounted, in a
        round, and at its end."""
        self.begin()
        start = self.shim.counts()
        self.load.prepare()
        before = self.shim.counts()
        self.load.work()
        # Includes the calls of expiry and retention.
        time.sleep(0.6 if self.options.choice else 2)
        problems = []
        self.recover(problems)
        self.settle(problems)
        after = self.shim.counts()
        self.daemon.unmount()
        end = self.shim.counts()
        self.after_end(problems, is_exact=True)
        if problems or self.load.errors: sys.exit(f"without faults: {problems} {self.load.errors}")
        self.start()
        self.daemon.unmount()
        again = self.shim.counts()
        self.finish()
        def between(one, other): return {pair: count - one.get(pair, 0) for pair, count in other.items() if count > one.get(pair, 0)}
        return start, between(before, after), between(after, end), between(end, again)

    def at_start(self, fault, is_new):
        """Runs one fault while a library is mounted: it mounts, or reports an error and then mounts
        without the fault."""
        problems = []
        self.begin()
        self.load.prepare()
        if is_new:
            self.finish()
            self.numbers += 1
            self.begin_unmounted()
        else: self.daemon.unmount()
        self.shim.arm(fault.call, fault.kind, fault.error, fault.after, fault.length, fault.halves)
        is_mounted = self.start()
        self.shim.lift()
        hits, status = self.shim.hits, self.daemon.process.poll()
        if is_mounted:
            if self.recover(problems) is None: pass
            status, own = self.daemon.unmount()
            if own is None or own < 0: problems.append(f"CRASH: at its end {own}")
            status = "mounted"
        else:
            said = self.daemon.said().strip().splitlines()[-1:]
            if status is None or status < 0 or not said: problems.append(f"CRASH: {status} {said}")
        # A library that could not be created does not exist, and the next mount creates it.
        self.after_end(problems, is_exact=True, is_made=is_mounted or not is_new)
        self.line(fault, "new" if is_new else "start", hits, [], None, problems)
        self.finish()

    def begin_unmounted(self):
        self.place = f"{self.options.work}/{self.numbers}"
        os.makedirs(f"{self.place}/mount")
        self.library, self.mount, self.log = f"{self.place}/library", f"{self.place}/mount", f"{self.place}/log"
        self.shim = Shim(self.shim_library, f"{self.place}/control", self.library)
        self.load = Load(self.mount, self.options.assetfs, self.options.large << 20, self.watch.beat)

    def at_end(self, fault):
        """Runs one fault while a library is unmounted: if the command reports success, the library is
        complete."""
        problems = []
        self.begin()
        self.load.prepare()
        self.load.put(f"{self.load.folder}/late", b"late" * 1000)
        self.shim.arm(fault.call, fault.kind, fault.error, fault.after, fault.length, fault.halves)
        status, own = self.daemon.unmount()
        hits = self.shim.hits
        if status is None or own is None or own < 0: problems.append(f"CRASH: {status}, {own}")
        self.after_end(problems, is_exact=(status, own) == (0, 0))
        self.line(fault, "end", hits, [("umount", -(status or 0))] if status else [], None, problems)
        self.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in [("assetfs", ".build/release/assetfs"), ("work", "/var/tmp/assetfs-faults"), ("phases", "disk,live,start,end"),
                        ("only", ""), ("table", "")]:
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--choice", type=int, default=0, help="how many faults of each phase, chosen at random; 0 for all")
    parser.add_argument("--large", type=int, default=20, help="MiB of the large file")
    parser.add_argument("--patience", type=int, default=30, help="seconds that one step may take")
    parser.add_argument("--commands", action="store_true", help="run commands of assetfs in each round, too")
    options = parser.parse_args()
    options.assetfs, options.work = os.path.abspath(options.assetfs), os.path.abspath(options.work)
    if not os.path.exists(f"{CONNECTIONS}"): subprocess.run(["mount", "-t", "fusectl", "none", CONNECTIONS])
    chosen = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    run = Run(options)
    try:
        phases = options.phases.split(",")
        start, live, end, again = run.record() if phases != ["found"] else ({}, {}, {}, {})
        def wanted(counts):
            result = [fault for (call, kind), count in sorted(counts.items()) for fault in faults_of(call, kind, count)
                      if not options.only or options.only in (call, kind, f"{call},{kind}")]
            return result if not options.choice else [fault for fault in chosen.sample(result, min(options.choice, len(result)))]
        print("| call | kind | when | fault | hits | answers | recovered | result |\n|---|---|---|---|---|---|---|---|")
        if "found" in phases:
            run.group(FOUND)
            for is_synced in (True, False): run.kept_upload(is_synced)
            for is_changing in (False, True): run.cold_catalog(is_changing)
            for fault in FOUND_AT_START: run.at_start(fault, False)
        if "disk" in phases and not options.only:
            for call, kind, error in DISKS:
                run.group([lasting(call, kind, error, after)._replace(mode=mode)
                           for mode, after in [("lasting", 0), ("later", 40), ("killed", 20)]])
        if "live" in phases:
            groups = collections.defaultdict(list)
            for fault in wanted(live): groups[(fault.call, fault.kind) if not options.choice else ()].append(fault)
            for number, faults in enumerate(groups.values()): run.group(faults, passthrough=number % 4 == 3)
        if "start" in phases:
            for fault in wanted(again): run.at_start(fault, False)
            for fault in wanted(start): run.at_start(fault, True)
        if "end" in phases:
            for fault in wanted(end): run.at_end(fault)
        never = sorted({pair for counts in (start, live, end, again) for pair in counts} - set(run.failed))
        if never and not options.choice: print("never failed: " + ", ".join(f"{call} of {kind}" for call, kind in never))
        print(", ".join(f"{name}: {count}" for name, count in sorted(run.counts.items())))
        if options.table:
            with open(options.table, "w") as file: file.write("\n".join(run.lines) + "\n")
        sys.exit(any(name not in ("ok", "not reached") for name in run.counts))
    finally:
        run.watch.end()
        subprocess.run(f"umount -l {options.work}/*/mount", shell=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__": main()
