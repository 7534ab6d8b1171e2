"""Counts the SQL statements, requests and system calls of each operation, and compares them with golden.json.

usage: costs.py ASSETFS [--write]

Each operation is done 50 times on files of its own in a mount. The counts are those of the threads that serve
requests, each of them once for every request. A count may not rise: a change that needs more gives a reason,
and writes the file again with --write. After a count has fallen, the file is written again as well, so that
the count cannot rise again unnoticed.
"""
import ctypes
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, f"{HERE}/../../Benchmarks")

import mounts  # noqa: E402
from counts import Statements, Trace, Usage  # noqa: E402

GOLDEN = f"{HERE}/golden.json"
TIMES = 50
PR_SET_NAME = 15
# The allowed increase of the mean of an operation, for one more row of a table or one more wake.
TOLERANCE = 0.15
# Calls whose threads depend on other threads. On the device, read(2) and writev(2) follow from the requests.
CHANCE = {
    "read", "writev", "write", "futex", "sched_yield", "poll", "madvise", "mprotect", "mmap", "munmap", "brk", "rt_sigprocmask",
    "clock_nanosleep", "gettid", "clone", "clone3", "set_robust_list", "rseq"}


def create(folder, number):
    mounts.store(f"{folder}/{number}", b"%d" % number * 1000)


def replace(folder, number):
    """Replaces files as rsync does: a temporary name, times and mode, and a rename over the former file."""
    temporary = f"{folder}/.{number}.a1b2c3"
    mounts.store(temporary, b"new %d" % number * 1000)
    os.utime(temporary, ns=(1, 1))
    os.chmod(temporary, 0o640)
    os.rename(temporary, f"{folder}/{number}")


def read(folder, number):
    descriptor = os.open(f"{folder}/{number}", os.O_RDONLY)
    os.read(descriptor, 10000)
    os.close(descriptor)


def back_up(folder, number):
    """Stats and reads each file for the first time since it was written."""
    os.lstat(f"{folder}/{number}")
    read(folder, number)


# Programs whose opens do not count as downloads, so that the kernel may cache the pages that they read.
PROGRAMS = {"back up": b"tar", "back up again": b"tar"}


def perform(name, operation, folder, numbers):
    """Runs an operation on some files, in a process with the program's name if that matters."""
    program = PROGRAMS.get(name)
    child = os.fork() if program else 0
    if child:
        if os.waitpid(child, 0)[1] != 0:
            raise RuntimeError(f"{name} has failed")
        return
    if program:
        ctypes.CDLL(None).prctl(PR_SET_NAME, program)
    for number in numbers:
        operation(folder, number)
    if program:
        os._exit(0)


# In this order: each operation uses the results of the former ones.
OPERATIONS = {
    "create": create,
    "back up": back_up,
    "back up again": back_up,
    "open, read, close": read,
    "setxattr": lambda folder, number: os.setxattr(f"{folder}/{number}", "user.asset.caption", b"%d" % number),
    "getxattr": lambda folder, number: os.getxattr(f"{folder}/{number}", "user.asset.caption"),
    "rename": lambda folder, number: os.rename(f"{folder}/{number}", f"{folder}/moved-{number}"),
    "rename back": lambda folder, number: os.rename(f"{folder}/moved-{number}", f"{folder}/{number}"),
    "replace": replace,
    "mkdir": lambda folder, number: os.mkdir(f"{folder}/folder-{number}"),
    "rmdir": lambda folder, number: os.rmdir(f"{folder}/folder-{number}"),
    "list 50": lambda folder, number: os.listdir(folder),
    "unlink": lambda folder, number: os.unlink(f"{folder}/{number}"),
}


def count(binary):
    """Returns the counts of each operation by kind."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="assetfs-costs-") as work:
        statements = Statements(work)
        with mounts.assetfs(work, binary, environment=statements.environment) as mount, Trace(mount.path, mount.daemon) as trace:
            usage, folder = Usage(mount.daemon), f"{mount.files}/folder"
            os.mkdir(folder)
            for number in range(TIMES, TIMES + 3):
                # Performs the one-time work of a mount first.
                for name, operation in OPERATIONS.items():
                    perform(name, operation, folder, [number])
            for name, operation in OPERATIONS.items():
                before = statements.read()
                trace.start()
                perform(name, operation, folder, range(TIMES))
                requests, calls, _ = trace.stop()
                serving = usage.note_serving()
                made = sum(number for thread, number in (statements.read() - before).items() if thread in serving)
                called = sum(number for (thread, call), number in calls.items() if thread in serving and call not in CHANCE)
                found[name] = {"requests": sum(requests.values()), "statements": made, "calls": called}
    return {name: {kind: round(number / TIMES, 2) for kind, number in counts.items()} for name, counts in found.items()}


def main():
    why_not = Trace.why_not()
    if why_not:
        sys.exit(f"costs.py: nothing can be counted: {why_not}")
    found = count(os.path.abspath(sys.argv[1]))
    if "--write" in sys.argv[2:]:
        with open(GOLDEN, "w", encoding="utf8") as file:
            file.write("{\n" + ",\n".join(f'"{name}": {json.dumps(counts)}' for name, counts in found.items()) + "\n}\n")
    with open(GOLDEN, encoding="utf8") as file:
        golden = json.load(file)
    changed = []
    for name, counts in found.items():
        print(f"{name:20}" + ", ".join(f"{number:6.2f} {kind}" for kind, number in counts.items()))
        for kind, number in counts.items():
            if abs(number - golden[name][kind]) > TOLERANCE:
                changed.append(f"{name}: {number} {kind} and not {golden[name][kind]}")
    if changed:
        sys.exit("\n".join(["The costs have changed; docs/DEVELOPING.md tells when golden.json may be written anew:", *changed]))


if __name__ == "__main__":
    main()
