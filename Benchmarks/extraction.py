"""The time until the metadata of small files is extracted after a copy, and the time of getxattr(2) for a
value that is not known yet.

The first is the time from the end of `cp -r` until the last of the extracting processes is idle. For the
second, new pictures are written one by one, and the width of each is requested at once: on a quiet mount, and
beside a program that continuously writes small files. `make bench-extraction` builds all requirements.
"""
import argparse
import itertools
import multiprocessing
import os
import statistics
import struct
import time
import zlib

from mounts import (
    add_binaries,
    assetfs,
    binaries,
    disk,
    end_on_signals,
    random_files,
    run,
    scratch,
    store,
    timed,
)
from processes import children, seconds, threads

# Longer than the delay of background work before it begins or continues.
QUIET = 5


def picture(number):
    """Returns a PNG file of one row, of the given width, with unique content."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", number, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + os.urandom(number))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def spent(mount):
    """Returns the CPU time of the processes that extract metadata."""
    return sum(seconds(child, thread) for child in children(*mount.daemon) for thread in threads(child))


def wait_until_looked_into(mount, last, limit):
    """Returns the seconds until the metadata of all files was extracted.

    The end is the last activity of the extracting processes. The mount itself is queried only after these
    were idle for QUIET seconds: a mount with constant requests is never quiet, and its background work may
    wait.
    """
    start = active = asked = time.monotonic()
    before = spent(mount)
    while True:
        time.sleep(0.05)
        now, after = time.monotonic(), spent(mount)
        if after > before + 0.0005:
            active = now
        before = after
        if now - max(active, asked) < QUIET:
            continue
        if os.getxattr(last, "user.asset.status") == b"ready" and not os.listdir(f"{mount.path}/uploads/jobs"):
            return active - start
        asked = time.monotonic()
        if asked - start > limit:
            raise TimeoutError(f"not all files have been looked into after {limit} s")


def looked_into(binary, work, source, count):
    """Returns the seconds of `cp -r` of many small files, and from then until the metadata of all is
    extracted."""
    with disk(work) as below, assetfs(below, binary) as mount:
        copied = timed(lambda: run("cp", "-r", source, f"{mount.files}/copy"))
        last = f"{mount.files}/copy/{(count - 1) // 100:03}/{count - 1:05}.bin"
        return copied, wait_until_looked_into(mount, last, 60 + count)


def write_for_ever(folder, written):
    for number in itertools.count():
        if number % 100 == 0:
            os.makedirs(f"{folder}/{number // 100}")
        store(f"{folder}/{number // 100}/{number}", os.urandom(4096))
        written.value = number + 1


def ask(folder, count):
    """Writes pictures and returns the time of the request for the width of each; None for a request that
    failed."""
    os.makedirs(folder)
    latencies = []
    for number in range(1, count + 1):
        path, content = f"{folder}/{number}.png", picture(number)
        store(path, content)
        start = time.perf_counter()
        try:
            if os.getxattr(path, "user.asset.width") != b"%d" % number:
                raise ValueError(f"{path} has a wrong width")
        except OSError:
            latencies.append(None)
        else:
            latencies.append(time.perf_counter() - start)
    return latencies


def latencies(binary, work, count):
    """Returns the latencies on a quiet mount and beside a writer, and how many files per second the writer
    writes."""
    with disk(work) as below, assetfs(below, binary) as mount:
        # The extracting processes are running.
        ask(f"{mount.files}/first", 2)
        wait_until_looked_into(mount, f"{mount.files}/first/2.png", 60)
        quiet = ask(f"{mount.files}/quiet", count)
        written = multiprocessing.Value("q", 0)
        writer = multiprocessing.Process(target=write_for_ever, args=(f"{mount.files}/writer", written), daemon=True)
        writer.start()
        try:
            while written.value < 500 and writer.is_alive():
                time.sleep(0.01)
            before, start = written.value, time.perf_counter()
            beside = ask(f"{mount.files}/beside", count)
            rate = (written.value - before) / (time.perf_counter() - start)
            if not writer.is_alive():
                raise RuntimeError("the writer has failed")
        finally:
            writer.kill()
            writer.join()
        return quiet, beside, rate


def percentiles(values):
    known = sorted(value for value in values if value is not None)
    if not known:
        return "none was told"
    missed = f", {len(values) - len(known)} not told" if len(known) < len(values) else ""
    return f"p50 {1e3 * statistics.median(known):,.1f} ms, p99 {1e3 * known[int(0.99 * len(known))]:,.1f} ms{missed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="5000,50000", help="how many files are copied, one number or more")
    parser.add_argument("--asked", type=int, default=50, help="how many values are asked for")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--disk", default="/var/tmp", help="a folder on the disk to measure")
    add_binaries(parser)
    options = parser.parse_args()
    named = binaries(parser, options.binary)
    end_on_signals()
    with scratch(options.disk) as work:
        for number in range(options.rounds):
            order = list(named.items())[::-1 if number % 2 else 1]
            for count in filter(None, map(int, options.files.split(","))):
                with scratch("/dev/shm") as folder:
                    random_files(f"{folder}/files", count)
                    for name, binary in order:
                        copied, looked = looked_into(binary, work, f"{folder}/files", count)
                        print(f"{name:10} {count:,} files of 4 KiB: copied in {copied:.1f} s, looked into {looked:.1f} s later, "
                              f"{count / (copied + looked):,.0f} a second in all", flush=True)
            for name, binary in order:
                quiet, beside, rate = latencies(binary, work, options.asked)
                print(f"{name:10} a value not yet known, quiet: {percentiles(quiet)}; beside a writer of {rate:,.0f} files a second: "
                      f"{percentiles(beside)}", flush=True)


if __name__ == "__main__":
    main()
