#!/usr/bin/env python3
"""Lets single calls of a mount on its library fail, and checks which errors users get, and that the work in
the background goes on.

    transient.py [--assetfs .build/release/assetfs] [--work /var/tmp/assetfs-transient] CHECK…

Needs root and cc.
"""
import argparse, errno, os, shutil, subprocess, sys, time

from daemon import Daemon, Watch
from load import JPEG, fallocate, unique
from shim import Shim, build, forever

PATIENCE = 60


def refusal(work):
    """Returns the errno of a failing operation; 0 for one that succeeds."""
    try: work()
    except OSError as error: return error.errno
    return 0


def awaited(question, wanted, watch):
    """Asks until an answer is the wanted one, and returns the last answer."""
    end = time.monotonic() + PATIENCE
    while (answer := question()) != wanted and time.monotonic() < end:
        watch.beat()
        time.sleep(0.02)
    return answer


def expect(what, found, wanted):
    if found != wanted: sys.exit(f"{what}: {found!r} and not {wanted!r}")


class Mount:
    """A library with a picture and a file, mounted with calls that may fail."""

    def __init__(self, options, watch):
        self.options, self.watch = options, watch
        self.place = f"{options.work}/{len(os.listdir(options.work))}"
        os.makedirs(f"{self.place}/mount")
        self.library = f"{self.place}/library"
        self.shim = Shim(build(self.place), f"{self.place}/control", self.library)
        self.start()
        with open(self.path("file"), "wb") as file: file.write(unique("file", 1 << 20))
        expect("unmounted", self.daemon.unmount(), (0, 0))
        self.start()

    def start(self):
        self.daemon = Daemon(self.options.assetfs, self.library, f"{self.place}/mount", f"{self.place}/log",
                             self.shim.environment, ["nopassthrough"], self.watch)
        if not self.daemon.is_mounted: sys.exit(f"not mounted: {self.daemon.said()}")

    def path(self, name): return f"{self.place}/mount/folders/{name}"

    def width(self): return os.getxattr(self.path("picture.jpg"), "user.asset.width")

    def end(self):
        self.shim.lift()
        expect("unmounted", self.daemon.unmount(), (0, 0))
        self.shim.close()


def statistics(mount):
    """Checks that a disk that cannot tell its free space is EIO, and not a full disk."""
    def first_change(change):
        file = os.open(mount.path("file"), os.O_RDWR)
        try: return refusal(lambda: change(file))
        finally: os.close(file)
    mount.shim.arm("fstatvfs", "*", errno.EIO, 0, forever())
    expect("punch", first_change(lambda file: fallocate(file, 3, 4096, 4096)), errno.EIO if mount.shim.hits else 0)
    expect("write", first_change(lambda file: os.pwrite(file, b"x", 10)), errno.EIO)
    expect("statvfs", refusal(lambda: os.statvfs(mount.path("file"))), errno.EIO)
    mount.shim.lift()
    expect("write", first_change(lambda file: os.pwrite(file, b"x", 10)), 0)


def extraction(mount):
    """Checks that a picture whose file cannot be read for a while is looked into afterwards, and that a
    request for its width is EIO until then."""
    mount.shim.arm("fstat", "blobs", errno.EIO, 0, forever())
    with open(mount.path("picture.jpg"), "wb") as file: file.write(JPEG + unique("picture", 100))
    expect("width", refusal(mount.width), errno.EIO)
    if not mount.shim.hits: sys.exit("no call has failed")
    expect("status", os.getxattr(mount.path("picture.jpg"), "user.asset.status"), b"processing")
    # Without a request.
    mount.shim.lift()
    status = lambda: os.getxattr(mount.path("picture.jpg"), "user.asset.status")
    expect("status", awaited(status, b"ready", mount.watch), b"ready")
    expect("width", mount.width(), b"7")


def next_mount(mount):
    """Checks that the next mount looks into a picture whose file could not be read."""
    mount.shim.arm("fstat", "blobs", errno.EIO, 0, forever())
    with open(mount.path("picture.jpg"), "wb") as file: file.write(JPEG + unique("picture", 100))
    # Each request tries it again, and lets the next attempt wait for longer.
    for _ in range(12): expect("width", refusal(mount.width), errno.EIO)
    mount.shim.lift()
    expect("unmounted", mount.daemon.unmount(), (0, 0))
    mount.start()
    status = lambda: os.getxattr(mount.path("picture.jpg"), "user.asset.status")
    expect("status", awaited(status, b"ready", mount.watch), b"ready")


def descriptors(mount):
    """Checks that a value that is not known because no file could be opened is EMFILE."""
    with open(mount.path("picture.jpg"), "wb") as file: file.write(JPEG + unique("picture", 100))
    mount.shim.arm("open", "blobs", errno.EMFILE, 0, forever())
    expect("width", refusal(mount.width), errno.EMFILE if mount.shim.hits else 0)
    if not mount.shim.hits: sys.exit("no call has failed")
    mount.shim.lift()
    expect("width", mount.width(), b"7")


def scrubbing(mount):
    """Checks that one failed read of a disk marks no content as damaged, and two do."""
    def scrub(): return subprocess.run([mount.options.assetfs, "scrub", f"{mount.place}/mount"], capture_output=True).returncode
    # The file is looked into first: only this command reads contents then.
    subprocess.run([mount.options.assetfs, "jobs", "--wait", f"{mount.place}/mount"], check=True, capture_output=True)
    mount.shim.arm("pread", "blobs", errno.EIO, 0, 2)
    expect("scrub", scrub(), 0)
    if not mount.shim.hits: sys.exit("no call has failed")
    mount.shim.arm("pread", "blobs", errno.EIO, 0, forever())
    expect("scrub", scrub(), 11)
    mount.shim.lift()
    expect("scrub", scrub(), 0)


CHECKS = {check.__name__: check for check in (statistics, extraction, next_mount, descriptors, scrubbing)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in [("assetfs", ".build/release/assetfs"), ("work", "/var/tmp/assetfs-transient")]:
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("checks", nargs="+", choices=CHECKS)
    options = parser.parse_args()
    options.assetfs, options.work = os.path.abspath(options.assetfs), os.path.abspath(options.work)
    os.makedirs(options.work, exist_ok=True)
    watch = Watch(2 * PATIENCE)
    try:
        for name in options.checks:
            mount = Mount(options, watch)
            try:
                CHECKS[name](mount)
                mount.end()
            finally:
                if mount.daemon.is_alive: mount.daemon.kill()
    finally:
        watch.end()
        shutil.rmtree(options.work, ignore_errors=True)


if __name__ == "__main__": main()
