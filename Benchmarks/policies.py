#!/usr/bin/env python3
"""The costs of policies, as ratios within one run.

Measures small files under REJECT/ENTIRE_PORTAL beside NONE while the library grows, repeated uploads under
one taken name, and tail(1) of a million receipts. `make bench-policies` builds all requirements.
"""
import argparse, os, sqlite3, statistics, subprocess
from mounts import mounted, scratch, store, timed


class Uploads:
    """Files of 4 KiB, each with unique content."""
    number = 0

    def into(self, folder, count):
        os.makedirs(folder, exist_ok=True)
        for number in range(self.number, self.number + count):
            store(f"{folder}/{number}", (b"%016d" % number) * 256)
        self.number += count


def growth(work, sizes, count, rounds):
    uploads, ratios = Uploads(), []
    with mounted(work) as mount:
        folders = f"{mount}/folders"
        os.makedirs(f"{folders}/none"), os.makedirs(f"{folders}/reject")
        os.setxattr(f"{folders}/reject", "user.policy.duplicates", b"REJECT")
        os.setxattr(f"{folders}/reject", "user.policy.scope", b"ENTIRE_PORTAL")
        print(f"{count:,} new files of 4 KiB, seconds, medians of {rounds} rounds")
        print(f"{'assets before':>14}{'NONE':>10}{'REJECT':>10}{'ratio':>8}")
        for size in sizes:
            while uploads.number < size:
                uploads.into(f"{folders}/fill/{uploads.number}", min(1000, size - uploads.number))
            found = {"none": [], "reject": []}
            for turn in range(rounds):
                for name in ("none", "reject") if turn % 2 else ("reject", "none"):
                    os.sync()
                    found[name].append(timed(lambda: uploads.into(f"{folders}/{name}/{size}-{turn}", count)))
            none, reject = statistics.median(found["none"]), statistics.median(found["reject"])
            ratios.append(reject / none)
            print(f"{size:>14,}{none:>10.3f}{reject:>10.3f}{reject / none:>8.2f}", flush=True)
    print(f"the ratio at {sizes[-1]:,} is {ratios[-1] / ratios[0]:.2f} times that at {sizes[0]:,}")


def collisions(work, count):
    with mounted(work) as mount:
        folder = f"{mount}/folders/one"
        os.makedirs(folder)
        os.setxattr(folder, "user.policy.overwrite", b"false")
        step = count // 10
        print(f"\n{count:,} uploads under one name, seconds for each {step:,}:")
        times = []
        for first in range(0, count, step):
            times.append(timed(lambda: [store(f"{folder}/name.txt", b"%d" % number) for number in range(first, first + step)]))
            print(f"{times[-1]:.2f}", end=" ", flush=True)
        assert len(os.listdir(folder)) == count
        print(f"\nthe last to the second: {times[-1] / times[1]:.2f}")


def receipts(work, count):
    with mounted(work) as mount:
        store(f"{mount}/folders/a", b"a")
        few = statistics.median(timed(lambda: tail(mount)) for _ in range(9))
    database = sqlite3.connect(f"{work}/library/catalog.sqlite")
    line = b'{"at":"2026-01-01T00:00:00.000000000Z","outcome":"created","asset":1,"node":64,"name":"some-name.txt","size":1}\n'
    first = database.execute("SELECT max(end) FROM receipt").fetchone()[0]
    database.executemany("INSERT INTO receipt (end, line) VALUES (?, ?)", ((first + (n + 1) * len(line), line) for n in range(count)))
    database.commit()
    database.close()
    with mounted(work) as mount:
        many = statistics.median(timed(lambda: tail(mount)) for _ in range(9))
    print(f"\ntail -n 10 of 1 receipt {few * 1000:.1f} ms, of {count:,} receipts {many * 1000:.1f} ms: ratio {many / few:.2f}")


def tail(mount):
    subprocess.run(["tail", "-n", "10", f"{mount}/uploads/receipts.jsonl"], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,200000", help="assets in the library when it is measured")
    parser.add_argument("--count", type=int, default=5000, help="files of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--collisions", type=int, default=100_000)
    parser.add_argument("--receipts", type=int, default=1_000_000)
    parser.add_argument("--disk", default="/var/tmp", help="a folder on the disk to measure")
    options = parser.parse_args()
    parts = [
        lambda work: growth(work, [int(size) for size in options.sizes.split(",")], options.count, options.rounds),
        lambda work: collisions(work, options.collisions),
        lambda work: receipts(work, options.receipts),
    ]
    for part in parts:
        with scratch(options.disk) as work:
            part(work)


if __name__ == "__main__":
    main()
