#!/usr/bin/env python3
"""The costs of expiry, access levels and resource numbers, as ratios within one run.

Measures `ls -l` of a folder whose files have an expiry or an access level beside one without, listings and
lookups by number while the library grows, and many files that expire in the same second while others are
copied. `make bench-lives` builds all requirements.
"""
import argparse, os, statistics, subprocess, threading, time
from mounts import mounted, scratch, store, timed




def listings(work, count, rounds):
    kinds = {"plain": {}, "expires": {"expires": b"2199-01-01"}, "access": {"access": b"PRIVATE"}, "hidden": {"access": b"HIDDEN_INDEXABLE"}}
    with mounted(work) as mount:
        for kind, attributes in kinds.items():
            os.makedirs(f"{mount}/folders/{kind}")
            for number in range(count):
                path = f"{mount}/folders/{kind}/{number:06}.txt"
                store(path, b"%s %d" % (kind.encode(), number))
                for name, value in attributes.items():
                    os.setxattr(path, f"user.asset.{name}", value)
    print(f"`ls -l` of {count:,} files, seconds, medians of {rounds} rounds: the first after mounting, and the next")
    print(f"{'':>10}{'first':>10}{'ratio':>8}{'next':>10}{'ratio':>8}")
    found = {kind: ([], []) for kind in kinds}
    for _ in range(rounds):
        with mounted(work) as mount:
            for kind in kinds:
                for results in found[kind]:
                    command = ["ls", "-l", f"{mount}/folders/{kind}"]
                    results.append(timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)))
    plain = [statistics.median(results) for results in found["plain"]]
    for kind in kinds:
        first, again = [statistics.median(results) for results in found[kind]]
        print(f"{kind:>10}{first:>10.3f}{first / plain[0]:>8.2f}{again:>10.3f}{again / plain[1]:>8.2f}")


def numbers(work, sizes, rounds):
    print("by number: `ls resources`, and the microseconds of a stat of resources/ID and of resources/ID/NAME, not seen before")
    print(f"{'assets':>10}{'ls':>10}{'per asset':>12}{'resources/ID':>15}{'its file':>12}")
    made = 0
    for size in sizes:
        with mounted(work) as mount:
            while made < size:
                folder = f"{mount}/folders/{made // 1000}"
                os.makedirs(folder, exist_ok=True)
                store(f"{folder}/file-{made}", b"asset %d" % made)
                made += 1
        lists, lookups, files = [], [], []
        for turn in range(rounds):
            with mounted(work) as mount:
                step = size // 500
                ids = range(1 + turn, size, step)
                lookups.append(timed(lambda: [os.stat(f"{mount}/resources/{id}") for id in ids]) / len(ids))
                files.append(timed(lambda: [os.stat(f"{mount}/resources/{id}/file-{id - 1}") for id in ids]) / len(ids))
                lists.append(timed(lambda: subprocess.run(["ls", f"{mount}/resources"], stdout=subprocess.DEVNULL, check=True)))
        ls, lookup, file = (statistics.median(values) for values in (lists, lookups, files))
        print(f"{size:>10,}{ls:>10.3f}{ls / size * 1e6:>10.1f}µs{lookup * 1e6:>13.0f}µs{file * 1e6:>10.0f}µs", flush=True)


def expiry(work, count):
    with mounted(work) as mount:
        many, copies, heard = f"{mount}/folders/many", f"{mount}/folders/copies", f"{work}/heard"
        os.makedirs(many), os.makedirs(copies)
        names = [f"file-{number}" for number in range(count)]
        for name in names:
            store(f"{many}/{name}", name.encode())
        end = int(time.time()) + 5 + count // 4000
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)).encode()
        for name in names:
            os.setxattr(f"{many}/{name}", "user.asset.expires", moment)
        assert time.time() < end - 2, "setting took too long"
        watcher = subprocess.Popen(["inotifywait", "-m", "-e", "delete", "--format", "%f", many], stdout=open(heard, "w"), stderr=subprocess.DEVNULL)
        latencies, ended, data = [], threading.Event(), os.urandom(20_000)

        def copy():
            while not ended.is_set():
                start = time.time()
                store(f"{copies}/{len(latencies)}", data + b"%d" % len(latencies))
                latencies.append((start, time.time() - start))

        copier = threading.Thread(target=copy)
        time.sleep(max(0, end - 1.5 - time.time()))
        copier.start()
        while time.time() < end:
            time.sleep(0.0002)
        there = sum(os.path.exists(f"{many}/{name}") for name in names[::97])
        looked, left = time.time() - end, len(os.listdir(many))
        print(f"{count:,} files in one second: of every 97th {there} were found in the {looked * 1000:.1f} ms after it; the listing then had {left}")
        while sum(1 for _ in open(heard)) < count and time.time() < end + 60:
            time.sleep(0.05)
        last = time.time() - end
        print(f"inotify reported {sum(1 for _ in open(heard)):,} of them, the last {last:.1f} s after it")
        ended.set()
        copier.join()
        watcher.kill()
        for title, values in (("before", [d for t, d in latencies if t < end]), ("while they went", [d for t, d in latencies if end <= t < end + last])):
            values.sort()
            print(f"copies of 20 kB {title}: {len(values):,}, median {values[len(values) // 2] * 1000:.2f} ms, worst {values[-1] * 1000:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--sizes", default="10000,200000")
    parser.add_argument("--expiring", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    for part in (
        lambda work: listings(work, options.files, options.rounds),
        lambda work: numbers(work, [int(size) for size in options.sizes.split(",")], options.rounds),
        lambda work: expiry(work, options.expiring),
    ):
        with scratch(options.folder) as work:
            part(work)


if __name__ == "__main__":
    main()
