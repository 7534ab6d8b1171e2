#!/usr/bin/env python3
"""The effect of one user's heaviest load on another: the times of open, read, write and stat of user 5001.

Meanwhile user 5002 reads hashes of a large hole with nine readers, opens as many files as possible, fills a
drop box, or requests a thousand attributes at once; and in a library of many assets searches, lists views,
requests duplicates, moves a folder with a quota, and looks up and creates names with many processes. Needs
root.
"""
import argparse, os, resource, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
parser.add_argument("--gib", type=int, default=16)
parser.add_argument("--files", type=int, default=60_000)
parser.add_argument("--attributes", type=int, default=1000)
parser.add_argument("--assets", type=int, default=20_000, help="half as many again go to the trash")
parser.add_argument("--processes", type=int, default=16)
parser.add_argument("--crowd", type=int, default=1000)
parser.add_argument("--seconds", type=float, default=8)
parser.add_argument("--binary", default=os.path.join(os.path.dirname(__file__), "../.build/release/assetfs"))
options = parser.parse_args()
binary = os.path.abspath(options.binary)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start(uid, action, *arguments):
    """Runs an action as a user, in a process group of its own; returns the group and a pipe that it writes
    a report to."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading); os.setpgid(0, 0); os.setgroups([]); os.setgid(uid); os.setuid(uid)
        try: action(lambda line: os.write(writing, (str(line) + "\n").encode()), *arguments)
        finally: os._exit(0)
    os.close(writing)
    return pid, os.fdopen(reading)


def end(pid):
    try: os.killpg(pid, 9)
    except ProcessLookupError: pass
    os.waitpid(pid, 0)


def measure(say, folder):
    times, failures = {name: [] for name in ("open", "read", "write", "stat", "mkdir", "ls")}, []
    def timed(name, call, *arguments):
        began = time.perf_counter(); result = call(*arguments); times[name].append(time.perf_counter() - began); return result
    until, n = time.monotonic() + options.seconds, 0
    while time.monotonic() < until:
        name = f"{folder}/{n % 50}"
        try:
            fd = timed("open", os.open, name, os.O_RDWR | os.O_CREAT, 0o644)
            timed("write", os.pwrite, fd, b"w" * 4096, 0); timed("read", os.pread, fd, 4096, 0); timed("stat", os.fstat, fd)
            os.close(fd)
            timed("mkdir", os.mkdir, name + ".d"); timed("ls", os.listdir, name + ".d"); os.rmdir(name + ".d")
        except OSError as error: failures.append(error.strerror)
        n += 1
    if failures: say(f"{len(failures)} FAILED: {failures[0]}")
    say("  ".join(f"{name} {sorted(t)[len(t) // 2] * 1e3:.2f}/{sorted(t)[int(len(t) * .99)] * 1e3:.2f} ms" for name, t in times.items() if t) + f"  ({n} rounds)")


def read_hashes(say, path):
    for number in range(9):
        if os.fork() == 0:
            key = ("sha256", "md5_now")[number % 2]
            while True:
                try: os.getxattr(path, "user.asset." + key)
                except OSError: pass
    say("nine readers"); time.sleep(1000)


def hold_files(say, folder):
    held = []
    try:
        for n in range(options.files):
            held.append(os.open(f"{folder}/{n}", os.O_CREAT | os.O_RDWR, 0o644)); os.write(held[-1], b"x")
    except OSError as error: say(f"{len(held)} open, then {error.strerror}")
    else: say(f"{len(held)} open")
    time.sleep(1000)


def fill_box(say, box):
    said = False
    while True:
        for n in range(2000):
            try: os.close(os.open(f"{box}/{n}.part", os.O_CREAT | os.O_WRONLY, 0o644))
            except OSError as error:
                if not said: say(f"{n} names, then {error.strerror}")
                said = True


def ask(say, paths):
    for number in range(options.attributes):
        if os.fork() == 0:
            while True:
                for path in paths[number % 7::7]:
                    for key in ("mime_type", "md5_now", "info"):
                        try: os.getxattr(path, "user.asset." + key)
                        except OSError: pass
    say(f"{options.attributes} askers"); time.sleep(1000)


def repeat(say, actions, processes=None):
    """Repeats actions, with some processes."""
    for number in range(processes or options.processes):
        if os.fork() == 0:
            n = 0
            while True:
                try: actions(number, n)
                except OSError: pass
                n += 1
    say(f"{processes or options.processes} processes"); time.sleep(1000)


def fill(say, folder, count):
    for n in range(count):
        fd = os.open(f"{folder}/photo word{n % 1000} {n}.txt", os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(fd, b"%d" % (n % 500) * 20); os.close(fd)
    say("filled")


def attacks_on_many(mount):
    """Returns actions that read much of a catalog with many assets: name, action."""
    folders = mount + "/folders"
    def move(number, n):
        if number: return time.sleep(1)
        here, there = folders + "/b/all", folders + "/b/in/all"
        os.rename(*((here, there) if os.path.exists(here) else (there, here)))
    def keep(number, n):
        if number: return time.sleep(1)
        os.setxattr(folders + "/b", "user.policy.versions", b"%d" % (n % 5 + 1))
    def name(number, n):
        path = f"{folders}/b/crowd{number}-{n}"
        try: os.stat(path)
        except OSError: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)); os.unlink(path)
    return [
        ("list a folder of all", lambda number, n: os.listdir(folders + "/b/all"), None),
        ("search a word of all", lambda number, n: os.listdir(mount + "/search/photo"), None),
        ("search in a folder", lambda number, n: os.listdir(f"{mount}/search/in:b word{n % 1000}"), None),
        ("search without words", lambda number, n: os.stat(f"{mount}/search/NOT word{n % 1000} NOT p{number}x"), None),
        ("list the trash", lambda number, n: os.listdir(mount + "/trash"), None),
        ("list resources", lambda number, n: os.listdir(mount + "/resources"), None),
        ("duplicates", lambda number, n: os.getxattr(f"{folders}/b/all/photo word{n % 1000} {n}.txt", "user.asset.duplicates"), None),
        ("information", lambda number, n: os.getxattr(folders + "/b", "user.asset.info"), None),
        ("statvfs", lambda number, n: os.statvfs(mount), None),
        ("move a folder within a quota", move, None), ("set user.policy.versions within a quota", keep, None),
        ("stat and creat", name, options.crowd),
    ]


def run(name, attack, arguments, folders):
    pid = None
    if attack:
        pid, report = start(5002, attack, *arguments)
        name += ": " + report.readline().strip()
        time.sleep(0.5)
    meter, lines = start(5001, measure, folders + "/a")
    print(f"{name:60} {lines.read().strip().replace(chr(10), '; ')}", flush=True)
    os.waitpid(meter, 0)
    if not pid: return
    end(pid); began = time.monotonic()
    with open(folders + "/a/0", "rb") as file: file.read()
    print(f"{'':60} read again {time.monotonic() - began:.3f} s after the end", flush=True)


with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
    os.chmod(place, 0o755); mount = place + "/mount"; os.mkdir(mount)
    subprocess.run([binary, "mount", place + "/library", mount, "-o", "allow_other"], check=True)
    try:
        folders = mount + "/folders"
        for name, uid in (("a", 5001), ("b", 5002), ("box", 5003)):
            os.mkdir(f"{folders}/{name}", 0o755); os.chown(f"{folders}/{name}", uid, uid)
        with open(folders + "/b/hole", "wb") as file: file.truncate(options.gib << 30)
        paths = []
        for n in range(300):
            paths.append(f"{folders}/b/n{n}.txt")
            with open(paths[-1], "wb") as file: file.write(b"%d" % n * 1000)
        box = subprocess.run([binary, "sign", "--upload", folders + "/box"], check=True, capture_output=True, text=True).stdout.strip()
        attacks = [
            ("alone", None, None), (f"nine readers of hashes, {options.gib} GiB", read_hashes, folders + "/b/hole"),
            (f"{options.files} open files", hold_files, folders + "/b"), ("drop box", fill_box, box), ("attributes", ask, paths),
        ]
        print("p50/p99 of another user")
        for name, attack, argument in attacks: run(name, attack, (argument,), folders)
        if options.assets:
            os.mkdir(folders + "/b/all"); os.mkdir(folders + "/b/in"); os.mkdir(folders + "/c")
            for name, uid in (("b/all", 5002), ("b/in", 5002), ("c", 5003)): os.chown(f"{folders}/{name}", uid, uid)
            for uid, folder, count in ((5002, "b/all", options.assets), (5003, "c", options.assets // 2)):
                os.waitpid(start(uid, fill, f"{folders}/{folder}", count)[0], 0)
            subprocess.run(["rm", "-rf", folders + "/c"], check=True)
            os.setxattr(folders, "user.policy.quota", b"1T")
            run(f"alone, {options.assets} assets", None, (), folders)
            for name, action, processes in attacks_on_many(mount): run(name, repeat, (action, processes), folders)
    finally:
        subprocess.run([binary, "umount", "--timeout", "120", mount]).returncode and subprocess.run(["umount", "-l", mount])
