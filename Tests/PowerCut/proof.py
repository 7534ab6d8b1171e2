#!/usr/bin/env python3
"""Leaves out each sync of a debug build in turn, and prints by which check power cuts find it missing.

    proof.py [--assetfs .build/debug/assetfs] [--cuts 40] [--seeds 1,2] [--only "blob log"]
             [--filesystems ext4,xfs]

Fails if the cuts find a missing sync on none of the filesystems and SUPERFLUOUS does not name it with a
reason.
"""
import argparse, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))


def names():
    """Returns the names of syncs in the sources."""
    sources = f"{HERE}/../../Sources"
    with open(f"{sources}/BlobStore/Sync.swift") as file: cases = re.findall(r"^    case (\w+)(?: = \"([\w-]+)\")?", file.read(), re.M)
    with open(f"{sources}/CWriteAheadLog/CWriteAheadLog.c") as file: calls = re.findall(r"is_left_out\((.*)", file.read())
    others = [name for call in calls for name in re.findall(r'"([a-z-]+)"', call)]
    return list(dict.fromkeys([value or name for name, value in cases] + others))


# Syncs of which the cuts miss none alone, but all together: each writes the data of the others.
GROUPS = ["placed,copied,blob-name"]
# Syncs that no cut finds missing, and their reasons.
SUPERFLUOUS = {
    "blob-name": "fsync of the blob's file writes its name, too, on ext4 and XFS; POSIX promises it of the folder's alone",
    "staged-name": "as blob-name",
    "copied": "the copy is read back past the page cache, which writes it, and is synced by its name; see the group",
    "placed": "reading back has written the copy, and the folder's sync its name; see the group",
    "log-checkpoint": "each COMMIT syncs the log already; it is for a log that a full disk has kept from that",
    "search": "the next mount sees by the number of its steps that the index is not what the catalog knows, and makes it anew",
    "rewritten": "the blob's own sync, or that of all, comes right behind it, and writes what was written once more",
}


def attempt(options, name, filesystem, seed):
    command = [sys.executable, f"{HERE}/powercut.py", "--assetfs", options.assetfs, "--cuts", str(options.cuts), "--seed", seed,
               "--filesystem", filesystem, "--without", name, "--work", options.work]
    if name in ("copied", "placed", "store", *GROUPS): command += ["--stores", "--cuts", "6"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 0: return None
    said = re.search(r"^cut \d+ \(.*", result.stdout, re.M | re.S)
    if not said: raise RuntimeError(f"--without {name}: {result.stdout}{result.stderr}")
    return " ".join(said[0].replace("|", "/").split())[:200]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assetfs", default=".build/debug/assetfs")
    parser.add_argument("--cuts", type=int, default=40)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--only", default="")
    parser.add_argument("--filesystems", default="ext4,xfs")
    parser.add_argument("--work", default="/var/tmp/assetfs-powercut-proof")
    options = parser.parse_args()
    missed = []
    print("| sync left out | found on | by |\n|---|---|---|", flush=True)
    for name in options.only.split() if options.only else names() + GROUPS:
        found = None
        for filesystem in options.filesystems.split(","):
            for seed in options.seeds.split(","):
                found = attempt(options, name, filesystem, seed)
                if found: break
            if found: break
        print(f"| {name} | {filesystem if found else '—'} | {found or SUPERFLUOUS.get(name, 'NOTHING')} |", flush=True)
        if not found and name not in SUPERFLUOUS: missed.append(name)
    if missed: print(f"no cut finds that these are missing: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__": sys.exit(main())
