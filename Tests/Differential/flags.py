"""Compares the effect of the flags of chattr(1) in two folders: one of ext4 and one of a mount.

usage: flags.py FOLDER FOLDER [all]

Every operation runs as root, as root without CAP_LINUX_IMMUTABLE, and as the file's owner, on a file and on a
folder with each combination of i, a, A and d, or with some of them. The results, names of errnos, must be
equal.
"""
import ctypes, errno, fcntl, mmap, os, struct, sys

I, A, D, N = 0x10, 0x20, 0x40, 0x80
GET, SET, FSGET, FSSET = 0x80086601, 0x40086602, 0x801C581F, 0x401C5820
COMBINATIONS = [sum(bit for n, bit in enumerate((I, A, D, N)) if mask >> n & 1) for mask in range(16)]
TRIED = COMBINATIONS if "all" in sys.argv[3:] else [0, I, A, I | D, I | A, A | N]
# mmap(2) refuses these on an inode with S_APPEND, which no FUSE server can set, and sends no request to the
# server.
UNASKED = {"held map", "held map read", "map rwa shared write", "map rwa shared read"}
libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def get(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return struct.unpack("I", fcntl.ioctl(fd, GET, b"\0" * 4))[0] & (I | A | D | N)
    finally:
        os.close(fd)


def put(path, flags):
    """Sets the flags as chattr(1) does: flags other than i, a, A and d stay."""
    fd = os.open(path, os.O_RDONLY)
    try:
        now = struct.unpack("I", fcntl.ioctl(fd, GET, b"\0" * 4))[0]
        fcntl.ioctl(fd, SET, struct.pack("I", now & ~(I | A | D | N) | flags))
    finally:
        os.close(fd)


def put_extended(path, flags):
    fd = os.open(path, os.O_RDONLY)
    try:
        words = list(struct.unpack("7I", fcntl.ioctl(fd, FSGET, b"\0" * 28)))
        words[0] = words[0] & ~0xD8 | (flags & I and 0x8) | (flags & A and 0x10) | (flags & N and 0x40) | (flags & D and 0x80)
        fcntl.ioctl(fd, FSSET, struct.pack("7I", *words))
    finally:
        os.close(fd)


def with_open(flags, act=lambda fd: None):
    def run(path, _):
        fd = os.open(path, flags, 0o644)
        try:
            act(fd)
        finally:
            os.close(fd)
    return run


def mapped(flags, protection, kind):
    def act(fd):
        mmap.mmap(fd, 4096, kind, protection)
    return with_open(flags, act)


def fallocate(mode, offset, length):
    return lambda fd: check(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def held(act):
    """Runs the operation on a descriptor that was open for writing before the flags were set."""
    return lambda path, before: act(before)


def exchange(path, _):
    check(libc.renameat2(-100, path.encode(), -100, (path + "-other").encode(), 2))


def tmpfile(path, _):
    fd = os.open(path, os.O_TMPFILE | os.O_RDWR, 0o644)
    try:
        check(libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, (path + "/tmp").encode(), 0x400))
    finally:
        os.close(fd)


READ, WRITE, BOTH = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_WRITE
SHARED, PRIVATE = mmap.MAP_SHARED, mmap.MAP_PRIVATE
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, mode, 0xFFFFFFFF) for tag, mode in ((1, 6), (4, 4), (32, 4)))
RW, AP = os.O_RDWR, os.O_APPEND
COMMON = {
    "chmod": lambda p, _: os.chmod(p, 0o700), "chown": lambda p, _: os.chown(p, -1, os.stat(p).st_gid),
    "utimes now": lambda p, _: os.utime(p), "utimes at": lambda p, _: os.utime(p, ns=(5, 5)),
    "setxattr": lambda p, _: os.setxattr(p, "user.x", b"2"), "removexattr": lambda p, _: os.removexattr(p, "user.x"),
    "getxattr": lambda p, _: os.getxattr(p, "user.x"),
    "setfacl": lambda p, _: os.setxattr(p, "system.posix_acl_access", ACL),
    "rename": lambda p, _: os.rename(p, p + "-new"), "exchange": exchange,
    **{f"chattr ={flags:02x}": (lambda flags: lambda p, _: put(p, flags))(flags) for flags in TRIED},
    "chattr again": lambda p, _: put(p, get(p)),
    **{f"fssetxattr ^{bit:02x}": (lambda bit: lambda p, _: put_extended(p, get(p) ^ bit))(bit) for bit in (I, A, D, N)},
}
FILE = {
    "read": with_open(os.O_RDONLY, lambda fd: os.read(fd, 1)), "open w": with_open(os.O_WRONLY), "open rw": with_open(RW),
    "open a": with_open(os.O_WRONLY | AP), "open rwa": with_open(RW | AP), "open wt": with_open(os.O_WRONLY | os.O_TRUNC),
    "open at": with_open(os.O_WRONLY | AP | os.O_TRUNC), "open rt": with_open(os.O_RDONLY | os.O_TRUNC),
    "open creat": with_open(os.O_WRONLY | os.O_CREAT), "open creat a": with_open(os.O_WRONLY | AP | os.O_CREAT),
    "open noatime": with_open(os.O_RDONLY | os.O_NOATIME),
    "append": with_open(os.O_WRONLY | AP, lambda fd: os.write(fd, b"x")),
    "truncate 0": lambda p, _: os.truncate(p, 0), "truncate same": lambda p, _: os.truncate(p, 8192),
    "truncate more": lambda p, _: os.truncate(p, 9000),
    "ftruncate a": with_open(os.O_WRONLY | AP, lambda fd: os.ftruncate(fd, 1)),
    "fallocate a": with_open(os.O_WRONLY | AP, fallocate(0, 8192, 4096)),
    "fallocate a keep": with_open(os.O_WRONLY | AP, fallocate(1, 8192, 4096)),
    "punch a": with_open(os.O_WRONLY | AP, fallocate(3, 0, 4096)),
    "link": lambda p, _: os.link(p, p + "-link"), "unlink": lambda p, _: os.unlink(p),
    "rename over": lambda p, _: os.rename(p + "-other", p),
    "map r shared": mapped(os.O_RDONLY, READ, SHARED), "map r private write": mapped(os.O_RDONLY, BOTH, PRIVATE),
    "map rwa shared write": mapped(RW | AP, BOTH, SHARED), "map rwa shared read": mapped(RW | AP, READ, SHARED),
    "map rwa private": mapped(RW | AP, BOTH, PRIVATE),
    "held write": held(lambda fd: os.pwrite(fd, b"x", 0)), "held append": held(lambda fd: os.pwrite(fd, b"x", 8192)),
    "held ftruncate": held(lambda fd: os.ftruncate(fd, 0)), "held chmod": held(lambda fd: os.fchmod(fd, 0o600)),
    "held utimes": held(lambda fd: os.utime(fd)), "held fallocate": held(fallocate(0, 8192, 4096)),
    "held punch": held(fallocate(3, 0, 4096)), "held map": held(lambda fd: mmap.mmap(fd, 4096, SHARED, BOTH)),
    "held map read": held(lambda fd: mmap.mmap(fd, 4096, SHARED, READ)), "held fsync": held(os.fsync),
    "held setxattr": held(lambda fd: os.setxattr(fd, "user.x", b"3")),
}
FOLDER = {
    "list": lambda p, _: os.listdir(p), "create": lambda p, _: os.close(os.open(p + "/new", os.O_WRONLY | os.O_CREAT, 0o644)),
    "mkdir": lambda p, _: os.mkdir(p + "/newdir"), "symlink": lambda p, _: os.symlink("x", p + "/newlink"),
    "mkfifo": lambda p, _: os.mkfifo(p + "/newfifo"), "tmpfile": tmpfile,
    "link in": lambda p, _: os.link(p + "-other/in", p + "/linked"), "unlink in": lambda p, _: os.unlink(p + "/in"),
    "rmdir in": lambda p, _: os.rmdir(p + "/empty"), "rename in": lambda p, _: os.rename(p + "/in", p + "/renamed"),
    "rename to": lambda p, _: os.rename(p + "-other/in", p + "/moved"),
    "rename from": lambda p, _: os.rename(p + "/in", p + "-other/moved"),
    "replace": lambda p, _: os.rename(p + "-other/in", p + "/in"),
    "write in": lambda p, b: with_open(RW, lambda fd: os.write(fd, b"x"))(p + "/in", b),
}


def fill(path, is_folder):
    for one in (path, path + "-other"):
        if is_folder:
            os.mkdir(one); os.mkdir(one + "/empty"); os.chown(one + "/empty", 1000, 1000)
            inner = one + "/in"
        else:
            inner = one
        with open(inner, "wb") as file: file.write(os.urandom(16) * 512)
        for each in {inner, one}:
            os.chown(each, 1000, 1000)
            os.setxattr(each, "user.x", b"1")


def drop(caller):
    if caller == "owner":
        os.setgroups([]); os.setgid(1000); os.setuid(1000)
    elif caller == "root without":
        CAP_LINUX_IMMUTABLE = 9
        check(libc.prctl(24, CAP_LINUX_IMMUTABLE, 0, 0, 0))
        header = struct.pack("II", 0x20080522, 0)
        data = ctypes.create_string_buffer(24)
        check(libc.capget(header, data))
        words = list(struct.unpack("6I", data.raw))
        for index in range(3): words[index] &= ~(1 << CAP_LINUX_IMMUTABLE)
        check(libc.capset(header, struct.pack("6I", *words)))


# Operations that leave a file or folder unchanged.
HARMLESS = {"getxattr", "read", "list", "open w", "open rw", "open a", "open rwa", "open creat", "open creat a", "open noatime", "chattr again",
            "held fsync", "truncate same", "map r shared", "map r private write", "map rwa private", "held map read", "map rwa shared read"}
filled = {}


def answer(path, is_folder, flags, caller, name, act):
    # A refused operation has changed nothing, either: its files are used again.
    if filled.get(path) != is_folder:
        clean(os.path.dirname(path))
        fill(path, is_folder)
        filled[path] = is_folder
    before = None if is_folder else os.open(path, RW)
    put(path, flags)
    child = os.fork()
    if child == 0:
        code = 255
        try:
            drop(caller); act(path, before); code = 0
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if before is not None: os.close(before)
    if code == 0 and name not in HARMLESS: del filled[path]
    else: put(path, 0)
    return {0: "ok", 255: "?"}.get(code) or errno.errorcode.get(code, str(code))


def clean(folder):
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.path.islink(path) or not (os.path.isdir(path) or os.path.isfile(path)): os.unlink(path); continue
        if get(path): put(path, 0)
        if os.path.isdir(path): clean(path); os.rmdir(path)
        else: os.unlink(path)


def main():
    folders = sys.argv[1:3]
    differences = 0
    for is_folder, operations in ((False, {**COMMON, **FILE}), (True, {**COMMON, **FOLDER})):
        for name, act in operations.items():
            for flags in TRIED:
                for caller in ("root", "root without", "owner"):
                    one, two = (answer(f"{folder}/f", is_folder, flags, caller, name, act) for folder in folders)
                    if one == two or name in UNASKED and (one, two) == ("EACCES", "ok") and flags & A: continue
                    differences += 1
                    letters = "".join(letter for letter, bit in zip("iadA", (I, A, D, N)) if flags & bit) or "-"
                    print(f"{'folder' if is_folder else 'file'} {letters} {name} by {caller}: {one}, and in the mount {two}")
    for folder in folders: clean(folder)
    print(f"{differences} differences")
    sys.exit(differences != 0)


main()
