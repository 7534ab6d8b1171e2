#!/usr/bin/env python3
"""The same steps on native ext4, on bindfs and on assetfs, on the same disk, in one run: seconds, medians of several rounds.

Each round makes new random sources in tmpfs, so that assetfs never deduplicates against an earlier round, and visits the
three filesystems in a new order. Each visit has an ext4 of its own, newly made in an image on the disk: ext4 is slow for
minutes after many files were removed, and would charge one filesystem for what the one before it did.
Needs root, to drop caches and to mount. `make bench` builds and installs what it needs.
"""
import argparse, contextlib, os, random, shutil, statistics, subprocess, sys, tempfile, time

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


@contextlib.contextmanager
def disk(work):
    """A new ext4 in an image file, past the page cache of the disk below."""
    image, folder = f"{work}/image", f"{work}/disk"
    run("truncate", "-s", "12G", image)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image)
    os.makedirs(folder, exist_ok=True)
    loop = subprocess.run(
        ["losetup", "--find", "--show", "--direct-io=on", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        run("mount", "-o", "noinit_itable", loop, folder)
        try:
            yield folder
        finally:
            run("umount", folder)
    finally:
        run("losetup", "--detach", loop)
        os.remove(image)


@contextlib.contextmanager
def ext4(below, options):
    os.mkdir(f"{below}/files")
    yield f"{below}/files", None


@contextlib.contextmanager
def bindfs(below, options):
    for name in ("files", "mount"):
        os.mkdir(f"{below}/{name}")
    run("bindfs", "-o", "big_writes", f"{below}/files", f"{below}/mount")
    try:
        yield f"{below}/mount", None
    finally:
        run("umount", f"{below}/mount")


@contextlib.contextmanager
def assetfs(below, options):
    os.mkdir(f"{below}/mount")
    binary = f"{ROOT}/.build/release/assetfs"
    mount = [binary, "mount", "-f", f"{below}/library", f"{below}/mount"]
    for option in options.mount_option:
        mount += ["-o", option]
    daemon = subprocess.Popen(mount, stderr=subprocess.PIPE, text=True)
    daemon.stderr.readline()
    try:
        yield f"{below}/mount/folders", daemon.pid
    finally:
        run(binary, "umount", f"{below}/mount")
        daemon.wait(30)


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
    filesystems = {"ext4": ext4, "bindfs": bindfs, "assetfs": assetfs}
    folders = options.only.split(",") if options.only else list(filesystems)
    results = {name: [] for name in folders}
    memories = []
    try:
        for number in range(options.rounds):
            make_sources(source, options.big, options.small)
            for name in random.sample(folders, len(folders)):
                with disk(work) as below, filesystems[name](below, options) as (folder, daemon):
                    results[name].append(visit(folder, source))
                    if daemon:
                        memories.append(memory(daemon))
                print(f"round {number + 1}: {name} done", file=sys.stderr)
        print(f"{options.small:,} files of 4 KiB, one of {options.big} MiB; seconds, medians of {options.rounds}")
        print(f"{'':22}" + "".join(f"{name:>10}" for name in folders) + "   assetfs/ext4  assetfs/bindfs")
        for step in STEPS:
            medians = {name: statistics.median(result[step] for result in results[name]) for name in folders}
            ratios = "".join(
                f"{medians['assetfs'] / medians[other]:>14.2f}" for other in ("ext4", "bindfs")
                if other in medians and "assetfs" in medians)
            print(f"{step:22}" + "".join(f"{medians[name]:>10.3f}" for name in folders) + ratios)
        if memories:
            print(f"memory of the daemon: {memories[-1]}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(source, ignore_errors=True)


main()
