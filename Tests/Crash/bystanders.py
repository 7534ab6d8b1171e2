"""Clients that put load on a mount, with all operations that hold a folder's lock in the kernel while they
wait for the daemon.

They cause all changes that the daemon itself notifies the kernel of: rejected duplicates, expiring files,
replacements through resources/ID/, numbered names and drop boxes. Beside these they make requests that hold a
folder's lock while they wait: fsync, mkdir, rmdir and listings of the same folders. A client that does not
exit when the mount is gone is stuck.
"""
import os, signal, subprocess, time


# The folder of the mount's files.
ROOT = [""]


def forever(action):
    """Repeats an action until the mount is gone; errors of policies, or of races between clients, are
    ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number = 0
    while True:
        number += 1
        try:
            action(number)
        except (FileExistsError, FileNotFoundError, PermissionError, InterruptedError):
            if not os.path.isdir(ROOT[0]): return
        except OSError:
            return


def live(load, *arguments):
    """Runs a client, which may find the mount gone before it has begun."""
    try: load(*arguments)
    except OSError: pass


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


def prepare(program, mount):
    """Creates the folders of the load, and returns its clients."""
    ROOT[0] = root = f"{mount}/folders"
    for name, policy in [("refusing", ("duplicates", "REJECT")), ("numbered", ("overwrite", "false")), ("plain", None), ("box", None)]:
        os.makedirs(f"{root}/{name}", exist_ok=True)
        if policy: os.setxattr(f"{root}/{name}", f"user.policy.{policy[0]}", policy[1].encode())
    for name, text in [("refusing/first", "the same"), ("plain/first", "an original"), ("numbered/report.txt", "one")]:
        if not os.path.exists(f"{root}/{name}"):
            try:
                with open(f"{root}/{name}", "w") as file: file.write(text)
            except FileExistsError: pass
    box = subprocess.check_output([program, "sign", "--upload", f"{root}/box"], text=True, stderr=subprocess.DEVNULL).strip()
    return [
        (duplicates, f"{root}/refusing", 1), (duplicates, f"{root}/refusing", 2), (syncs, f"{root}/refusing"),
        (folders, f"{root}/refusing", 1), (readers, f"{root}/refusing"), (replacements, mount, f"{root}/plain"),
        (syncs, f"{root}/plain"), (expiries, f"{root}/plain"), (readers, f"{root}/plain"), (numbers, f"{root}/numbered"),
        (folders, f"{root}/numbered", 2), (drops, box), (syncs, f"{root}/box"),
    ]


def describe(process):
    """Prints the state and the kernel stack of each thread of a process."""
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            state = open(f"/proc/{process}/task/{thread}/status").read().split("State:")[1].split("\n")[0].strip()
            stack = open(f"/proc/{process}/task/{thread}/stack").read().split("\n")[:6]
        except OSError: continue
        print(f"  thread {thread}: {state}", *[line.split()[-1] for line in stack if line], flush=True)
