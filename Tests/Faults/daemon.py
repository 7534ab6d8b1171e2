"""A mount under test: a daemon whose system calls may fail, and a watchdog that ends hanging requests."""
import mmap, os, signal, struct, subprocess, time

CONNECTIONS = "/sys/fs/fuse/connections"


class Watch:
    """A process that aborts a mount's connection after some time without a step: no signal reaches a
    caller in the kernel."""

    def __init__(self, seconds):
        # The time of the last step, the number of the mount, whether it was aborted, and whether the watchdog
        # is to end.
        self.pages = mmap.mmap(-1, 4096)
        self.beat()
        self.child = os.fork()
        if self.child: return
        parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while os.getppid() == parent:
            time.sleep(0.5)
            beat, number, _ = struct.unpack_from("dii", self.pages)
            if not number or time.monotonic() - beat < seconds: continue
            struct.pack_into("ii", self.pages, 8, 0, 1)
            try:
                with open(f"{CONNECTIONS}/{number}/abort", "w") as file: file.write("1")
            except OSError: pass
        os._exit(0)

    def beat(self): struct.pack_into("d", self.pages, 0, time.monotonic())

    def watch(self, number): struct.pack_into("ii", self.pages, 8, number, 0)

    @property
    def has_aborted(self): return struct.unpack_from("i", self.pages, 12)[0] == 1

    def end(self):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)


class Daemon:
    """A mount in the foreground."""

    def __init__(self, assetfs, library, mount, log, environment=None, options=(), watch=None):
        self.assetfs, self.mount, self.log, self.watch = assetfs, mount, log, watch
        command = [assetfs, "mount", "--foreground", library, mount, "-o", "policy.versions=all"]
        for option in options: command += ["-o", option]
        self.start = os.path.getsize(log) if os.path.exists(log) else 0
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=file, stdout=file, env={**os.environ, **(environment or {})})
        end = time.monotonic() + 60
        while self.process.poll() is None and "Mounted" not in self.said() and time.monotonic() < end: time.sleep(0.003)
        self.is_mounted = self.process.poll() is None and "Mounted" in self.said()
        if self.process.poll() is None and not self.is_mounted: self.kill()
        if self.is_mounted and watch: watch.watch(os.minor(os.lstat(mount).st_dev))

    def said(self):
        with open(self.log, errors="replace") as file:
            file.seek(self.start)
            return file.read()

    @property
    def is_alive(self): return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        subprocess.run(["umount", "-l", self.mount], stderr=subprocess.DEVNULL)

    def unmount(self, seconds=60):
        """Ends the mount, and returns the statuses of `assetfs umount` and of the daemon; None for a
        process that did not exit."""
        try: status = subprocess.run([self.assetfs, "umount", self.mount], capture_output=True, timeout=seconds).returncode
        except subprocess.TimeoutExpired: status = None
        try: own = self.process.wait(10 if status == 0 else 3)
        except subprocess.TimeoutExpired:
            own = None
            self.kill()
        if self.watch: self.watch.watch(0)
        return status, own
