#!/usr/bin/env python3
"""Runs tests with ThreadSanitizer or AddressSanitizer in the daemon and in the tests, and fails if there is
any report.

    run.py thread|address [WORD ...] [--jobs N] [--skip-build]

A WORD is a part of a suite's name; without one, all suites in SUITES run. First a probe, built as the daemon
is, makes the errors that the sanitizer must report and a correct use that it must not report, and a mount
reads and writes a file under the sanitizer. At the end a table shows how often each error was reported, and
the file of its first report. A daemon that traps or gets SIGSEGV counts as a report, too.
"""
import argparse, collections, glob, os, re, shutil, subprocess, sys, tempfile, threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NAMES = {"thread": "tsan", "address": "asan"}
SUITES = ["MountTests", "CommandTests", "AssetLibraryTests", "AssetFilesystemTests", "BlobStoreTests", "CatalogTests"]
# Tests that are skipped, with the reason.
SKIPPED = {
    # These measure values that a sanitizer changes: system calls, statements, bytes of memory, seconds.
    r"\.CounterTests/": "both", r"\.CostTests/": "both",
    # More than a second passes between two readings of the clock.
    r"\.LivesTests/.a life ends at its time, and not before": "both",
    # It limits the address space, of which a sanitizer takes terabytes.
    r"\.StartTests/.limits of the caller end nothing, or are refused with a sentence": "both",
    # Its LD_PRELOAD library counts and fails system calls, including those of the sanitizer.
    r"\.FaultTests/": "both",
}
# The actions of the probe, and the report that the sanitizer must make; None for no report.
PROBES = {
    "thread": {"race": "Swift access race", "race-in-c": "data race", "inversion": "lock-order-inversion", "trap": "ILL", "locked": None},
    "address": {"overflow": "heap-buffer-overflow", "overflow-in-c": "heap-buffer-overflow", "freed": "heap-use-after-free", "trap": "ILL",
                "inside": None},
}


def build(kind, scratch):
    common = ["swift", "build", "--package-path", ROOT]
    environment = dict(os.environ, ASSETFS_SANITIZER=kind)
    subprocess.run(common + ["--scratch-path", scratch, f"--sanitize={kind}", "--build-tests"], env=environment, check=True)
    worker(kind, scratch)


def worker(kind, scratch):
    """Builds the metadata worker. It has one process and one thread, and so needs no ThreadSanitizer; for
    AddressSanitizer see worker.c."""
    target = os.path.realpath(f"{scratch}/debug") + "/assetfs-worker"
    sources = sorted(glob.glob(f"{ROOT}/Sources/assetfs-worker/*.c"))
    libraries = ["-lcurl", "-lmagic", "-lseccomp"]
    plain = ["clang", "-g", "-O1", "-Wno-deprecated-declarations"]
    commands = [plain + sources + libraries + ["-o", target]]
    if kind == "address":
        commands[0][-1] += ".plain"
        flags = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-no-pie", "-Wl,--wrap=setrlimit,--wrap=close_range"]
        places = [f'-DREPORTS="{scratch}/reports"', f'-DPLAIN="{target}.plain"']
        commands.append(plain + flags + places + sources + [f"{HERE}/worker.c"] + libraries + ["-o", target])
    for command in commands:
        result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        # The linker of the toolchain warns about each symbol of the sanitizer that it does not export.
        print("".join(line for line in result.stderr.splitlines(True) if "Cannot export local symbol" not in line), end="")
        if result.returncode: sys.exit("The worker cannot be built.")


def options_of(kind, folder):
    """Returns the sanitizer's options; with verbosity each process that runs under it creates a file."""
    settings = [f"log_path={folder}/report", "log_exe_name=1", "verbosity=1", "handle_abort=1", "handle_sigill=1", "handle_sigtrap=1"]
    if kind == "thread":
        # The process continues after a report, so that a test fails for its own reasons only. By default
        # Swift's runtime ignores modules without instrumentation, and with them each lock order and all
        # memory accesses of functions of the C library; that ends the process when libfuse cancels a thread
        # in read(2).
        settings += ["ignore_noninstrumented_modules=0", "ignore_interceptors_accesses=0"]
        settings += ["exitcode=0", f"suppressions={HERE}/thread.supp", "history_size=4", "second_deadlock_stack=1"]
    else:
        # Memory that Swift's runtime keeps to the end is not a leak, and `make soak` finds leaks of the
        # daemon by its memory.
        settings += ["exitcode=77", "detect_leaks=0"]
    return {NAMES[kind].upper() + "_OPTIONS": ":".join(settings)}


class Collector:
    """Moves the files of processes away as they appear: process numbers are reused, and a file would be
    overwritten."""

    def __init__(self, folder):
        self.folder, self.count, self.ended = folder, 0, threading.Event()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder + "/all")
        # Daemons of other users write there.
        for path in folder, folder + "/all": os.chmod(path, 0o1777)
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.ended.wait(0.5): self.collect()

    def collect(self):
        for entry in os.listdir(self.folder):
            if not entry.startswith("report."): continue
            self.count += 1
            os.rename(f"{self.folder}/{entry}", f"{self.folder}/all/{self.count:06}.{entry.removeprefix('report.')}")

    def end(self):
        self.ended.set()
        self.thread.join()
        self.collect()

    def texts(self):
        for path in sorted(glob.glob(self.folder + "/all/*")):
            with open(path, errors="replace") as file: yield path, file.read()

    def processes(self):
        """Returns how many processes of each program ran under the sanitizer."""
        return collections.Counter(os.path.basename(path).split(".", 1)[1].rsplit(".", 1)[0] for path in glob.glob(self.folder + "/all/*"))

    def reports(self):
        """Returns how often each error was reported, and the file of its first report."""
        found = collections.OrderedDict()
        for path, text in self.texts():
            summaries = re.findall(r"^.*SUMMARY: (.*)", text, re.M)
            if not summaries: summaries = re.findall(r"^.*((?:FATAL|ERROR): .*|CHECK failed.*|finished with ignores enabled.*)", text, re.M)
            for summary in summaries:
                summary = re.sub(r"0x[0-9a-f]+|\(/\S+\+[^)]*\)|\(pid=\d+\)", "", summary).replace(ROOT + "/", "")
                count, first = found.get(summary, (0, path))
                found[summary] = (count + 1, first)
        return found


def probe(kind, scratch):
    """Exits with an error unless the sanitizer makes exactly the expected reports."""
    for name, wanted in PROBES[kind].items():
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, **options_of(kind, folder))
            command = [f"{scratch}/debug/sanitizer-probe", name]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
            text = "".join(open(path, errors="replace").read() for path in glob.glob(folder + "/report.*"))
        found = re.findall(r"SUMMARY: \w+: (.*)", text)
        if not text: sys.exit(f"The probe ran without a sanitizer: {result.stderr}")
        if wanted is None:
            isRight = not found and result.returncode == 0
        else:
            isRight = len(found) == 1 and found[0].startswith(wanted)
        if not isRight:
            sys.exit(f"The sanitizer is to report {wanted or 'nothing'} of the probe's {name}, and says:\n{text[-4000:]}{result.stderr}")
        print(f"probe: {name}: {wanted or 'nothing'}, as it must be")


def mounts(kind, scratch):
    """Exits with an error unless a daemon of this build serves files under the sanitizer."""
    binary, symbol = f"{scratch}/debug/assetfs", "/report.assetfs."
    with tempfile.TemporaryDirectory(prefix="assetfs-sanitized-") as place:
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(f"{place}/mount")
            environment = dict(os.environ, **options_of(kind, folder))
            subprocess.run([binary, "mount", f"{place}/library", f"{place}/mount"], env=environment, check=True)
            try:
                with open(f"{place}/mount/folders/file", "wb") as file: file.write(b"bytes" * 100_000)
                with open(f"{place}/mount/folders/file", "rb") as file: same = file.read() == b"bytes" * 100_000
                with open(f"{place}/library/lock") as file: lock = file.read()
                daemons = [pid for pid in re.findall(r"\d+", lock) if os.path.exists(f"{folder}{symbol}{pid}")]
            finally:
                subprocess.run([binary, "umount", f"{place}/mount"], env=environment, check=True)
    if not same: sys.exit("A file of the mount has other bytes than were written.")
    if not daemons: sys.exit(f"The daemon runs without a sanitizer (its lock says {lock!r}).")
    print(f"daemon: process {daemons[0]} wrote and read a file under the sanitizer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(NAMES))
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--skip-build", action="store_true")
    options = parser.parse_intermixed_args()
    scratch = f"{ROOT}/.build-{NAMES[options.kind]}"
    if not options.skip_build: build(options.kind, scratch)
    collector = Collector(f"{scratch}/reports")
    try:
        environment = options_of(options.kind, collector.folder)
        probe(options.kind, scratch)
        mounts(options.kind, scratch)
        skipped = "|".join(pattern for pattern, kinds in SKIPPED.items() if kinds in ("both", options.kind))
        command = [f"{ROOT}/scripts/run-tests", "--scratch-path", scratch, "--jobs", str(options.jobs), "--skip", skipped]
        status = subprocess.run(command + (options.words or SUITES), env=dict(os.environ, ASSETFS_SLOWNESS="5", **environment)).returncode
    finally:
        collector.end()
    found, processes = collector.reports(), collector.processes()
    counted = ", ".join(f"{count} of {name}" for name, count in sorted(processes.items()))
    print(f"\nProcesses under the {options.kind} sanitizer: {counted or 'none'}")
    print(f"{'reports':>7}  fault, and the first report")
    for summary, (count, path) in sorted(found.items(), key=lambda one: -one[1][0]): print(f"{count:7}  {summary}\n         {path}")
    count = sum(count for count, _ in found.values())
    isClean = not found and status == 0 and processes
    print(f"{'✔' if isClean else '✘'} {count} reports, {len(found)} different; the tests {'passed' if status == 0 else 'failed'}.")
    sys.exit(0 if isClean else 1)


main()
