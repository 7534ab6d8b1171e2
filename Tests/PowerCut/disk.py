"""A disk that can lose its power: an image, the program that serves it, a loop device, and a filesystem on
that."""
import os, subprocess, time

from library import mounted, run

HERE = os.path.dirname(os.path.abspath(__file__))
BYTES = 320 << 20
# Uses delayed allocation and long commit intervals, without the heuristics that sync renamed files: only
# synced data is durable.
OPTIONS = {"ext4": ["noauto_da_alloc,commit=300", "noauto_da_alloc,commit=1"], "xfs": ["defaults"], "ext2": ["defaults"]}
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", "size=16"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    # Without a journal fsync(2) of a file does not make its name durable, as POSIX permits.
    "ext2": ["mkfs.ext2", "-q", "-F"],
}
CHECK = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"], "ext2": ["e2fsck", "-fn"]}


def attach(*arguments):
    """Attaches a file to a free loop device; another program may have taken the device a moment before."""
    for attempt in range(50):
        try: return run("losetup", "--find", "--show", *arguments).strip()
        except RuntimeError as error: problem = error
        time.sleep(0.1)
    raise problem


def compile_disk(folder):
    program = f"{folder}/cutdisk"
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
    run("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", program, f"{HERE}/cutdisk.c", *flags)
    return program


class Disk:
    def __init__(self, folder, filesystem):
        self.folder, self.filesystem = folder, filesystem
        self.image, self.layer, self.root = f"{folder}/image", f"{folder}/layer", f"{folder}/disk"
        for path in (self.layer, self.root): os.makedirs(path, exist_ok=True)
        self.program = compile_disk(folder)
        self.process = self.device = None
        self.is_slow = False
        self.writes = self.flushes = 0

    def make(self):
        """Creates a new filesystem."""
        if os.path.exists(self.image): os.unlink(self.image)
        with open(self.image, "wb") as file: file.truncate(BYTES)
        run(*MAKE[self.filesystem], self.image)

    def start(self, chosen):
        """Mounts the filesystem on a loop device on the layer. Some disks are slow, so that other
        operations run during a sync."""
        self.process = subprocess.Popen([self.program, self.image, self.layer])
        while not os.path.exists(f"{self.layer}/control"):
            if self.process.poll() is not None: raise RuntimeError("the layer has ended")
            time.sleep(0.005)
        self.device = attach("--direct-io=on", f"{self.layer}/disk")
        with open(f"/sys/block/{os.path.basename(self.device)}/queue/write_cache") as file:
            # Without this the kernel sends no flushes, and all data would count as lost.
            if file.read().strip() != "write back": raise RuntimeError(f"{self.device} passes on no flushes")
        self.mount(self.device, chosen.choice(OPTIONS[self.filesystem]))

        self.is_slow = chosen.random() < 0.25
        if self.is_slow: self.control("delay 40000")

    def control(self, line):
        with open(f"{self.layer}/control", "w") as file: file.write(line + "\n")

    def mount(self, device, options): run("mount", "-t", self.filesystem, "-o", options, device, self.root)

    def numbers(self):
        # One read: a second would begin at the end of the first text, and return more when a number has got
        # another digit.
        with open(f"{self.layer}/control", "rb", buffering=0) as file: words = file.read(4096).decode().split()
        return {words[index]: int(words[index + 1]) for index in range(0, len(words), 2)}

    def cut(self, mode, seed):
        """Cuts the power: all data that was not synced by then is dropped, as the mode defines."""
        self.control(f"cut {mode} {seed}")

    def stop(self):
        """Unmounts and detaches everything; with the power cut nothing is written any more."""
        if self.process and self.process.poll() is None:
            numbers = self.numbers()
            self.writes += numbers["writes"]
            self.flushes += numbers["flushes"]
        self.take_down()
        unmount(self.layer)
        if self.process: self.process.wait(20)
        self.process = None

    def replay(self):
        """Mounts and unmounts the filesystem as the next start of the machine does, and checks it."""
        if self.filesystem == "ext2": subprocess.run(["e2fsck", "-fy", self.image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.open_again()
        self.close_again()
        run(*CHECK[self.filesystem], self.image)

    def open_again(self):
        self.device = attach(self.image)
        self.mount(self.device, "defaults")

    def close_again(self): self.take_down()

    def take_down(self):
        unmount(self.root)
        if self.device: run("losetup", "--detach", self.device)
        self.device = None


def unmount(path):
    """Unmounts a path. A process that was killed may take a moment to release it."""
    for attempt in range(200):
        if not mounted(path): return
        result = subprocess.run(["umount", path], capture_output=True, text=True)
        if result.returncode: time.sleep(0.05)
    raise RuntimeError(f"{path} cannot be unmounted: {result.stderr}")
