#!/usr/bin/env python3
"""Kills the daemon of a mount again and again while clients work in it, and fails when one does not end.

    killloop.py [--kills 1000] [--assetfs .build/release/assetfs] [--work /var/tmp/assetfs-killloop] [--seed 1]

The load has all that the kernel is told of by the daemon's own doing: duplicates that are refused, files that expire, replacements
through resources/ID/, numbered names and drop boxes; and beside it the requests that hold a folder's lock while they wait: fsync,
mkdir, rmdir and listings of the same folders. After each kill -9 the process must be gone within five seconds, no client may
stay in the kernel, and the next mount must need nothing by hand. A daemon that is stuck is ended by aborting its connection.
Needs root.
"""
import argparse, multiprocessing, os, random, shutil, signal, subprocess, sys, time

CONNECTIONS = "/sys/fs/fuse/connections"


def forever(action):
    """Runs an action until the mount is gone; what a policy or a race of the clients refuses is no end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number = 0
    while True:
        number += 1
        try:
            action(number)
        except (FileExistsError, FileNotFoundError, PermissionError, InterruptedError):
            if not os.path.isdir(os.getcwd()): return
        except OSError:
            return


def duplicates(folder, key):
    def one(number):
        with open(f"{folder}/dup-{key}-{number}", "w") as file: file.write("the same")
    forever(one)


def syncs(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    forever(lambda number: os.fsync(descriptor))


def folders(folder, key):
    def one(number):
        os.mkdir(f"{folder}/m{key}")
        os.rmdir(f"{folder}/m{key}")
    forever(one)


def readers(folder):
    def one(number):
        for name in os.listdir(folder):
            with open(f"{folder}/{name}", "rb") as file: file.read()
    forever(one)


def replacements(mount, folder):
    identifier = os.getxattr(f"{folder}/first", "user.asset.id").decode()
    def one(number):
        with open(f"{mount}/resources/{identifier}/new-{number}", "w") as file: file.write(f"replaced {number}")
        with open(f"{mount}/resources/{identifier}/first", "w") as file: file.write(f"rewritten {number}")
    forever(one)


def expiries(folder):
    def one(number):
        name = f"{folder}/expiring-{number % 50}"
        with open(name, "w") as file: file.write(f"expires {number}")
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        os.setxattr(name, "user.asset.expires", end.encode())
    forever(one)


def numbers(folder):
    def one(number):
        with open(f"{folder}/report.txt", "w") as file: file.write(f"numbered {number}")
    forever(one)


def drops(box):
    def one(number):
        with open(f"{box}dropped.txt", "w") as file: file.write(f"dropped {number}")
    forever(one)


def is_mounted(path):
    with open("/proc/self/mountinfo", errors="surrogateescape") as table: return [line for line in table if line.split()[4] == path]


def prepare(program, mount):
    """Makes the folders of the load, and answers its clients."""
    root = f"{mount}/folders"
    for name, policy in [("refusing", ("duplicates", "REJECT")), ("numbered", ("overwrite", "false")), ("plain", None), ("box", None)]:
        os.makedirs(f"{root}/{name}", exist_ok=True)
        if policy: os.setxattr(f"{root}/{name}", f"user.policy.{policy[0]}", policy[1].encode())
    for name, text in [("refusing/first", "the same"), ("plain/first", "an original"), ("numbered/report.txt", "one")]:
        if not os.path.exists(f"{root}/{name}"):
            try:
                with open(f"{root}/{name}", "w") as file: file.write(text)
            except FileExistsError: pass
    box = subprocess.check_output([program, "sign", "--upload", f"{root}/box"], text=True).strip()
    return [
        (duplicates, f"{root}/refusing", 1), (duplicates, f"{root}/refusing", 2), (syncs, f"{root}/refusing"),
        (folders, f"{root}/refusing", 1), (readers, f"{root}/refusing"), (replacements, mount, f"{root}/plain"),
        (syncs, f"{root}/plain"), (expiries, f"{root}/plain"), (readers, f"{root}/plain"), (numbers, f"{root}/numbered"),
        (folders, f"{root}/numbered", 2), (drops, box), (syncs, f"{root}/box"),
    ]


def describe(process):
    """Prints what the threads of a process wait for."""
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            state = open(f"/proc/{process}/task/{thread}/status").read().split("State:")[1].split("\n")[0].strip()
            stack = open(f"/proc/{process}/task/{thread}/stack").read().split("\n")[:6]
        except OSError: continue
        print(f"  thread {thread}: {state}", *[line.split()[-1] for line in stack if line], flush=True)


def ended(process, seconds):
    try: process.wait(seconds)
    except subprocess.TimeoutExpired: return False
    return True


def kill_once(program, library, mount, chosen):
    """Mounts, loads, kills. Answers whether all has ended."""
    # Its mount may look like that of the dead daemon before it in all that mountinfo says.
    log = f"{library}.log"
    with open(log, "w") as errors:
        daemon = subprocess.Popen([program, "mount", "-f", library, mount], stderr=errors, start_new_session=True)
    while daemon.poll() is None and "Mounted" not in open(log).read(): time.sleep(0.01)
    if daemon.poll() is not None:
        print(f"the library could not be mounted again: status {daemon.returncode}")
        return False
    minor = is_mounted(mount)[-1].split()[2].split(":")[1]
    clients = [multiprocessing.Process(target=load[0], args=load[1:]) for load in prepare(program, mount)]
    for client in clients: client.start()
    time.sleep(chosen.uniform(0.3, 1.5))
    daemon.send_signal(signal.SIGKILL)
    isGood = ended(daemon, 5)
    if not isGood:
        print(f"the daemon {daemon.pid} was killed 5 s ago:")
        describe(daemon.pid)
    for client in clients: client.join(0.1 if not isGood else 10)
    stuck = [client for client in clients if client.is_alive()]
    for client in stuck:
        print(f"client {client.name} {client.pid}:")
        describe(client.pid)
    if stuck or not isGood:
        isGood = False
        with open(f"{CONNECTIONS}/{minor}/abort", "w") as file: file.write("1")
        for client in stuck: client.kill()
        ended(daemon, 20)
    # The mount of the dead daemon stays where it is: the next “assetfs mount” clears it.
    return isGood


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--assetfs", default=os.environ.get("ASSETFS", ".build/release/assetfs"))
    parser.add_argument("--work", default="/var/tmp/assetfs-killloop")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    program, chosen = os.path.abspath(options.assetfs), random.Random(options.seed)
    library, mount = f"{options.work}/library", f"{options.work}/mount"
    for folder in (library, mount): os.makedirs(folder, exist_ok=True)
    if not os.path.ismount(CONNECTIONS): subprocess.run(["mount", "-t", "fusectl", "none", CONNECTIONS], check=True)
    count, start = 0, time.monotonic()
    try:
        for count in range(1, options.kills + 1):
            if not kill_once(program, library, mount, chosen):
                print(f"kill {count} of {options.kills} left something that does not end")
                return 1
            if count % 50 == 0: print(f"{count} kills, {time.monotonic() - start:.0f} s", flush=True)
        subprocess.run([program, "mount", library, mount], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([program, "umount", mount], check=True)
    finally:
        while is_mounted(mount): subprocess.run(["umount", "-l", mount])
    check = subprocess.run(["sqlite3", f"{library}/catalog.sqlite", "PRAGMA integrity_check"], capture_output=True, text=True)
    print(f"{count} kills, none left anything that does not end; integrity_check: {check.stdout.strip()}")
    shutil.rmtree(options.work)
    return 0 if check.stdout.strip() == "ok" else 1


if __name__ == "__main__": sys.exit(main())
