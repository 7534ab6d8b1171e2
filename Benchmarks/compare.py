"""The same steps on ext4, bindfs, gocryptfs, JuiceFS and assetfs, on one disk, in one run: seconds, CPU and
counts.

Each round creates new random sources in tmpfs, so that assetfs never has a blob already, and visits the
filesystems one after the other, in the reverse order in every second round. All are on an ext4 in an image on
the disk, which is created anew for each visit: ext4 is slow for minutes after the removal of many files, and
would charge one filesystem for the work of the former one. Needs root, to drop caches and to mount. `make
bench` builds and installs all requirements.
"""
import argparse
import functools
import os
import shlex
import sys
from collections.abc import Callable
from typing import NamedTuple

import history
import mounts
import report
from counts import Statements, Trace, Usage
from mounts import BINARY, ROOT, disk, drop_caches, random_files, run, scratch, timed

PEERS = {"ext4": mounts.ext4, "bindfs": mounts.bindfs, "gocryptfs": mounts.gocryptfs, "JuiceFS": mounts.juicefs}
# The sizes of `quick` and full runs; `counted` files are copied once more for the counts.
SIZES = {
    "full": {"files": 5000, "rounds": 5, "big": 512, "counted": 1000, "peers": list(PEERS)},
    "quick": {"files": 1500, "rounds": 3, "big": 256, "counted": 500, "peers": ["ext4", "bindfs"]},
}


class Step(NamedTuple):
    name: str
    action: Callable
    # The divisor of the costs: files, calls, or MiB.
    units: int
    is_cold: bool = False


class Sources:
    """Three trees of files without common contents, one of them as an archive, and a large file."""

    def __init__(self, folder, files, big):
        self.folder, self.files, self.big = folder, files, big
        for name in ("cp", "rsync", "tar"):
            random_files(f"{folder}/{name}", files)
        run("tar", "-C", folder, "-cf", f"{folder}/archive", "tar")
        with open(f"{folder}/big", "wb") as file:
            file.writelines(os.urandom(1 << 20) for _ in range(big))


def steps(source, folder, disk, calls):
    """Returns the steps of a visit: they measure `folder`, whose bytes are on `disk` in the end."""
    files, big = source.files, source.big
    names = [f"{folder}/cp/{number // 100:03}/{number:05}.bin" for number in (call % files for call in range(calls))]

    def copy():
        run("cp", "-r", f"{source.folder}/cp", folder)
        run("sync", folder)
        run("sync", "--file-system", disk)

    def extract():
        run("tar", "-C", folder, "-xf", f"{source.folder}/archive")

    def rsync():
        run("rsync", "-a", f"{source.folder}/rsync/", f"{folder}/rsync/")

    def archive():
        # tar reads no files if it detects that it writes to /dev/null.
        run("sh", "-c", f"tar -C {shlex.quote(folder)} -cf - cp | cat > /dev/null")

    def set_values():
        for name in names:
            os.setxattr(name, "user.benchmark", b"value")

    def get_values():
        for name in names:
            os.getxattr(name, "user.benchmark")

    def find():
        run("find", f"{folder}/cp", "-printf", "%s %T@ %m\n")

    def remove():
        run("rm", "-rf", f"{folder}/cp")

    def write():
        run("dd", f"if={source.folder}/big", f"of={folder}/big", "bs=1M", "conv=fsync", "status=none")

    def scan():
        run("dd", f"if={folder}/big", "of=/dev/null", "bs=1M", "status=none")

    return [
        Step("cp -r + sync", copy, files),
        Step("tar x", extract, files),
        Step("rsync -a in", rsync, files),
        Step("rsync no-op, first", rsync, files),
        Step("rsync no-op, later", rsync, files),
        Step("tar out, cold", archive, files, is_cold=True),
        Step("tar out, warm", archive, files),
        Step("setxattr", set_values, calls),
        Step("getxattr", get_values, calls),
        Step("find, cold", find, files, is_cold=True),
        Step("rm -rf", remove, files),
        Step("large write + fsync", write, big),
        Step("large read, cold", scan, big, is_cold=True),
        Step("large read, warm", scan, big),
    ]


def visit(mount, below, source, calls, measure):
    """Returns the result of `measure` for each step."""
    results = {}
    for step in steps(source, mount.files, below, calls):
        if step.is_cold:
            drop_caches()
        results[step.name] = measure(step)
        # Data that a step leaves unwritten must not count for the next one.
        run("sync", "--file-system", below)
    return results


def time_visit(filesystem, work, source, calls):
    """Returns the seconds of each step, and the seconds of CPU and the context switches for each file,
    call or MiB."""
    with disk(work) as below, filesystem(below) as mount:
        usage = Usage(mount.daemon)

        def measure(step):
            before, client = usage.read(), usage.client()
            duration = timed(step.action)
            client, after = usage.client() - client, usage.read()
            costs = {"client": client, **usage.between(before, after)}
            return {"seconds": duration, **{kind: cost / step.units for kind, cost in costs.items()}}
        return visit(mount, below, source, calls, measure)


def count_visit(filesystem, work, source, calls):
    """Returns counts for each file, call or MiB. They are not timed, because counting takes time."""
    statements = Statements(work)
    # Filesystems other than assetfs execute SQL only in databases of their own.
    is_assetfs = getattr(filesystem, "func", None) is mounts.assetfs
    if is_assetfs:
        filesystem = functools.partial(filesystem, environment=statements.environment)
    with disk(work) as below, filesystem(below) as mount, Trace(mount.path, mount.daemon) as trace:
        usage = Usage(mount.daemon)

        def measure(step):
            usage.note_serving()
            before = statements.read()
            trace.start()
            step.action()
            requests, system_calls, wakes = trace.stop()
            found = report.Counts(usage.note_serving(), step.units)
            if requests is not None:
                found.add("requests", requests)
            if is_assetfs:
                found.add_by_thread("statements", {(thread, "all"): count for thread, count in (statements.read() - before).items()})
            found.add_by_thread("calls", system_calls)
            found.add("wakes", {"own": wakes})
            return found
        return visit(mount, below, source, calls, measure)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=list(SIZES), default="full", help="quick takes three minutes at most")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--files", type=int, help="how many files of 4 KiB")
    parser.add_argument("--calls", type=int, default=2000, help="how many setxattr and getxattr")
    parser.add_argument("--big", type=int, help="size of the large file in MiB")
    parser.add_argument("--disk", default="/var/tmp", help="a folder on the disk to measure")
    parser.add_argument("--peers", help="a comma-separated part of " + ",".join(PEERS))
    mounts.add_binaries(parser)
    parser.add_argument("--mount-option", action="append", default=[], help="passed to assetfs mount -o")
    parser.add_argument("--no-counts", action="store_true", help="time alone")
    parser.add_argument("--json", help="where all figures go")
    parser.add_argument("--plot", help="where the picture goes")
    parser.add_argument("--history", default=history.PATH, help="where a line about this build goes")
    options = parser.parse_args()
    sizes = SIZES[options.mode]
    # Figures of other sizes are not comparable with those of the mode's default sizes.
    options.is_usual = options.calls == parser.get_default("calls") and not (
        options.rounds or options.files or options.big or options.peers is not None or options.mount_option)
    for size in ("rounds", "files", "big"):
        setattr(options, size, getattr(options, size) or sizes[size])
    options.peers = sizes["peers"] if options.peers is None else [name for name in options.peers.split(",") if name]
    options.binary = mounts.binaries(parser, options.binary)
    # The repository contains the results of a full run of its own build with default sizes.
    is_kept = options.mode == "full" and options.is_usual
    options.json = options.json or f"{ROOT}/{'Benchmarks' if is_kept else '.build/bench'}/results.json"
    options.plot = options.plot or f"{ROOT}/{'docs' if is_kept else '.build/bench'}/benchmark.png"
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    if not PEERS.keys().isdisjoint(options.binary):
        parser.error(f"the name of a --binary is none of {', '.join(PEERS)}")
    if "JuiceFS" in options.peers and not mounts.juicefs_binary():
        parser.error("there is no juicefs: `make bench` installs it")
    return options


def main():
    options = parse()
    mounts.end_on_signals()
    filesystems = {name: PEERS[name] for name in options.peers}
    for name, path in options.binary.items():
        filesystems[name] = functools.partial(mounts.assetfs, binary=path, options=options.mount_option)
    results = report.Results(
        mode=options.mode, machine=history.machine(), commit=history.commit(), files=options.files, rounds=options.rounds,
        calls=options.calls, mebibytes=options.big, assetfs=list(options.binary))
    with scratch(options.disk) as work:
        for number in range(options.rounds):
            with scratch("/dev/shm") as folder:
                source = Sources(folder, options.files, options.big)
                for name in list(filesystems)[::-1 if number % 2 else 1]:
                    results.add_times(name, time_visit(filesystems[name], work, source, options.calls))
                    print(f"round {number + 1}: {name} done", file=sys.stderr)
        reason = "--no-counts" if options.no_counts else Trace.why_not()
        if reason:
            print(f"nothing is counted: {reason}", file=sys.stderr)
        else:
            with scratch("/dev/shm") as folder:
                source = Sources(folder, min(SIZES[options.mode]["counted"], options.files), min(64, options.big))
                for name, filesystem in filesystems.items():
                    if name != "ext4":
                        results.add_counts(name, count_visit(filesystem, work, source, source.files))
                        print(f"counts: {name} done", file=sys.stderr)
    results.end()
    print(results.tables())
    results.write(options.json)
    print(f"\nAll figures are in {options.json}.")
    report.plot(results, options.plot)
    built = [name for name, path in options.binary.items() if os.path.realpath(path) == os.path.realpath(BINARY)]
    if built and options.is_usual:
        history.append(options.history, results.line(built[0]))
        history.compare(options.history)


if __name__ == "__main__":
    main()
