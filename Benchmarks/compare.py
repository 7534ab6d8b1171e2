#!/usr/bin/env python3
"""The same steps on native ext4, on bindfs and on assetfs, on the same disk, in one run: seconds, medians of several rounds.

Each round makes new random sources in tmpfs, so that assetfs never deduplicates against an earlier round, and visits the
three filesystems in a new order. Needs root, to drop caches and to mount. `make bench` builds and installs what it needs.
"""
import argparse, os, random, shutil, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEPS = ["copy 1 GiB + sync", "read it cold", "read it warm", "cp -r small + sync", "find cold", "find warm",
         "rsync -a, no change", "read small warm", "rm -rf"]


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def synced(*command):
    """The command, and then all of it on stable storage: sync(1) with a name asks the filesystem itself, as fsync does."""
    target = os.path.dirname(command[-1])
    return lambda: (run(*command), run("sync", target), os.sync())


def make_sources(folder, big, small):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/small")
    with open(f"{folder}/big", "wb") as file:
        for _ in range(big):
            file.write(os.urandom(1 << 20))
    for number in range(small):
        sub = f"{folder}/small/{number // 100:03}"
        os.makedirs(sub, exist_ok=True)
        with open(f"{sub}/{number:05}.bin", "wb") as file:
            file.write(os.urandom(4096))


def visit(folder, source):
    find = ("find", f"{folder}/small", "-printf", "%s %T@ %m\n")
    read = ("dd", f"if={folder}/big", "of=/dev/null", "bs=1M", "status=none")
    result = {}
    result["copy 1 GiB + sync"] = timed(synced("cp", f"{source}/big", f"{folder}/big"))
    drop_caches()
    result["read it cold"] = timed(lambda: run(*read))
    result["read it warm"] = min(timed(lambda: run(*read)) for _ in range(3))
    os.sync()
    result["cp -r small + sync"] = timed(synced("cp", "-r", "--preserve=timestamps", f"{source}/small", f"{folder}/small"))
    drop_caches()
    result["find cold"] = timed(lambda: run(*find))
    result["find warm"] = min(timed(lambda: run(*find)) for _ in range(3))
    result["rsync -a, no change"] = min(
        timed(lambda: run("rsync", "-a", f"{source}/small/", f"{folder}/small/")) for _ in range(2))
    result["read small warm"] = min(
        timed(lambda: run("sh", "-c", f"cat {folder}/small/*/* > /dev/null")) for _ in range(2))
    result["rm -rf"] = timed(lambda: run("rm", "-rf", f"{folder}/small"))
    run("rm", "-f", f"{folder}/big")
    os.sync()
    return result


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return f"{int(fields['VmRSS'].split()[0]) // 1024} MiB now, {int(fields['VmHWM'].split()[0]) // 1024} MiB at most"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=10_000, help="how many files of 4 KiB")
    parser.add_argument("--big", type=int, default=1024, help="size of the large file in MiB")
    parser.add_argument("--disk", default="/var/tmp", help="a folder on the disk to measure")
    parser.add_argument("--only", help="a comma-separated part of ext4,bindfs,assetfs")
    parser.add_argument("--mount-option", action="append", default=[], help="passed to assetfs mount -o")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="assetfs-bench-", dir=options.disk)
    source = tempfile.mkdtemp(prefix="assetfs-bench-", dir="/dev/shm")
    for name in ("ext4", "below", "bindfs", "assetfs"):
        os.mkdir(f"{work}/{name}")
    binary = f"{ROOT}/.build/release/assetfs"
    daemon = None
    try:
        run("bindfs", "-o", "big_writes", f"{work}/below", f"{work}/bindfs")
        mount = [binary, "mount", "-f", f"{work}/library", f"{work}/assetfs"]
        for option in options.mount_option:
            mount += ["-o", option]
        daemon = subprocess.Popen(mount, stderr=subprocess.PIPE, text=True)
        daemon.stderr.readline()
        folders = {"ext4": f"{work}/ext4", "bindfs": f"{work}/bindfs", "assetfs": f"{work}/assetfs/folders"}
        if options.only:
            folders = {name: folders[name] for name in options.only.split(",")}
        results = {name: [] for name in folders}
        for number in range(options.rounds):
            make_sources(source, options.big, options.small)
            for name in random.sample(list(folders), len(folders)):
                results[name].append(visit(folders[name], source))
                print(f"round {number + 1}: {name} done", file=sys.stderr)
        print(f"{options.small:,} files of 4 KiB, one of {options.big} MiB; seconds, medians of {options.rounds}")
        print(f"{'':22}" + "".join(f"{name:>10}" for name in folders) + "   assetfs/ext4  assetfs/bindfs")
        for step in STEPS:
            medians = {name: statistics.median(result[step] for result in results[name]) for name in folders}
            ratios = "".join(
                f"{medians['assetfs'] / medians[other]:>14.2f}" for other in ("ext4", "bindfs")
                if other in medians and "assetfs" in medians)
            print(f"{step:22}" + "".join(f"{medians[name]:>10.3f}" for name in folders) + ratios)
        print(f"memory of the daemon: {memory(daemon.pid)}")
    finally:
        subprocess.run(["umount", f"{work}/bindfs"], stderr=subprocess.DEVNULL)
        if daemon:
            subprocess.run([binary, "umount", f"{work}/assetfs"])
            daemon.wait(30)
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(source, ignore_errors=True)


main()
