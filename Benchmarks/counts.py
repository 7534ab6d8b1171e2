"""The costs of a step besides time: CPU by threads, context switches, requests, system calls, wakes, SQL
statements."""
import collections
import glob
import mmap
import os
import re
import resource
import struct
import subprocess
import time

from mounts import ROOT, is_mounted, run
from processes import children, read, seconds, threads

TRACING = "/sys/kernel/tracing"


class Usage:
    """Reads the CPU time of the client and of a daemon's threads and processes, and these threads' voluntary
    context switches.

    A thread serves requests if it was ever seen waiting for one; all others of the daemon are in the
    background. The workers are its children. This distinction applies to assetfs only: any thread of a Go
    program may serve requests.
    """

    def __init__(self, daemon):
        self.daemon = daemon
        self.serving = set()

    @staticmethod
    def client():
        """Returns the CPU time of this program and of its children."""
        return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

    def note_serving(self):
        """Records the threads that wait for requests, and returns all threads whose kind is known: assetfs
        names all others."""
        for pid in self.daemon:
            names = {thread: read(f"/proc/{pid}/task/{thread}/comm").strip() for thread in threads(pid)}
            if "background" in names.values():
                self.serving |= {thread for thread, name in names.items() if name != "background" and thread != pid}
                continue
            for thread in names:
                if re.match(r"fuse_|io_cqring", read(f"/proc/{pid}/task/{thread}/wchan")):
                    self.serving.add(thread)
        return self.serving

    def read(self):
        """Returns the CPU seconds of each thread and of the workers, and the context switches, until now."""
        result = collections.Counter()
        self.note_serving()
        for pid in self.daemon:
            for thread in threads(pid):
                status = read(f"/proc/{pid}/task/{thread}/status")
                result["switches"] += sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)))
                result[thread] = seconds(pid, thread)
            # The CPU time of exited children is in fields 16 and 17 of their parent, in ticks.
            ended = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            result["workers"] += sum(map(int, ended[13:15])) / os.sysconf("SC_CLK_TCK")
        for child in {child for pid in self.daemon for child in children(pid)} - set(self.daemon):
            result["workers"] += sum(seconds(child, thread) for thread in threads(child))
        return result

    def between(self, before, after):
        """Returns the difference of two readings by kind of thread: a serving thread may have been
        recognised only later."""
        result = {kind: after[kind] - before[kind] for kind in ("workers", "switches")} | {"requests": 0, "background": 0}
        for thread in (key for key in after if isinstance(key, int)):
            result["requests" if thread in self.serving else "background"] += after[thread] - before[thread]
        return result


class Statements:
    """Counts the SQL statements of a daemon that is started with this `environment`."""

    # Room for 4,096 threads.
    ROOM = 16 * mmap.PAGESIZE

    def __init__(self, work):
        library, path = f"{work}/statements.so", f"{work}/statements"
        run("cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, f"{ROOT}/Benchmarks/statements.c", "-ldl", "-pthread")
        with open(path, "w+b") as file:
            file.truncate(self.ROOM)
            self.table = mmap.mmap(file.fileno(), self.ROOM)
        self.environment = {"LD_PRELOAD": library, "COUNT_STATEMENTS": path}

    def read(self):
        """Returns the counts of the threads."""
        return collections.Counter({thread: count for thread, count in struct.iter_unpack("QQ", self.table) if thread})


class Trace:
    """Counts the kernel's requests to a mount, and the system calls and own wakes of its daemon, in two
    instances of tracefs.

    A wake is own if a thread of the daemon wakes another thread of the daemon.
    """

    def __init__(self, path, daemon):
        self.processes = daemon
        # Requests are traced in the client, system calls in the daemon.
        self.requests, self.daemon = [f"{TRACING}/instances/assetfs-bench-{os.getpid()}-{part}" for part in ("requests", "daemon")]
        self.connection = os.minor(os.stat(path).st_dev)

    @staticmethod
    def why_not():
        """Returns the reason why tracing is impossible, or nothing if it is possible; mounts tracefs if it
        is not mounted."""
        if os.path.isdir(TRACING) and not is_mounted(TRACING):
            subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=False, capture_output=True)
        if not os.path.exists(f"{TRACING}/instances"):
            return f"no tracefs on {TRACING}"
        return None if os.path.exists(f"{TRACING}/events/raw_syscalls") else "a kernel without raw_syscalls"

    def __enter__(self):
        size = max(2048, (128 << 10) // os.cpu_count())
        for instance in (self.requests, self.daemon):
            os.mkdir(instance)
            self.write(f"{instance}/buffer_size_kb", size)
            self.write(f"{instance}/options/overwrite", 0)
            self.write(f"{instance}/tracing_on", 0)
        # Linux has this event since 6.11.
        event = f"{self.requests}/events/fuse/fuse_request_send"
        self.knows_requests = os.path.exists(event)
        if self.knows_requests:
            self.write(f"{event}/filter", f"connection == {self.connection}")
            self.write(f"{event}/enable", 1)
        self.write(f"{self.daemon}/options/event-fork", 1)
        for event in ("raw_syscalls/sys_enter", "sched/sched_waking"):
            self.write(f"{self.daemon}/events/{event}/enable", 1)
        return self

    def __exit__(self, *_):
        for instance in (self.requests, self.daemon):
            if os.path.exists(instance):
                self.write(f"{instance}/tracing_on", 0)
                self.write(f"{instance}/events/enable", 0)
                os.rmdir(instance)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(str(text))

    def threads(self):
        return set().union(*map(threads, self.processes))

    def start(self):
        self.before = self.threads()
        self.write(f"{self.daemon}/set_event_pid", " ".join(map(str, self.before)))
        for instance in (self.requests, self.daemon):
            self.write(f"{instance}/trace", "")
            self.write(f"{instance}/tracing_on", 1)

    def stop(self):
        """Returns the counts since the start: requests by operation, system calls by thread and name, and
        wakes."""
        for instance in (self.requests, self.daemon):
            self.write(f"{instance}/tracing_on", 0)
        own = self.before | self.threads()
        calls, wakes = collections.Counter(), 0
        for match in re.finditer(
                r"-(\d+) +\[\d+\].*: (?:sys_enter: NR (\d+)|sched_waking: comm=.* pid=(\d+) prio)", self.text(self.daemon)):
            thread, call, woken = (int(number) if number else None for number in match.groups())
            if thread in own and call is not None:
                calls[thread, system_calls().get(call, str(call))] += 1
            elif thread in own and woken in own:
                wakes += 1
        requests = collections.Counter(re.findall(r"opcode \d+ \(FUSE_(\w+)\)", self.text(self.requests)))
        return requests if self.knows_requests else None, calls, wakes

    @staticmethod
    def text(instance):
        for path in glob.glob(f"{instance}/per_cpu/cpu*/stats"):
            lost = re.findall(r"(?:overrun|dropped events): ([1-9]\d*)", read(path))
            if lost:
                raise RuntimeError(f"{lost} events did not fit into the trace: count fewer files")
        return read(f"{instance}/trace")


names = {}


def system_calls():
    """Returns the names of the system calls by number, from the C headers of this machine."""
    if not names:
        output = subprocess.run(
            ["cc", "-E", "-dM", "-"], input="#include <sys/syscall.h>", check=True, capture_output=True, text=True).stdout
        names.update((int(number), name) for name, number in re.findall(r"#define __NR_(\w+) (\d+)$", output, re.MULTILINE))
    return names
