#!/usr/bin/env python3
"""Random sequences of system calls, by two processes, on assetfs and on the filesystem of the disk in
parallel.

Results, errnos, attributes, changes of times, extended attributes and contents must be equal, with handles
kept open over renames, removals, truncations and changes by the other process; and the tree must be equal
after each remount. `make differential` runs it, with and without passthrough; a difference prints the seed
and the call.
"""
import argparse
import collections
import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import pickle
import random
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Final, temporary and junk names: all must behave alike for a program.
NAMES = ["a", "b", "c", "a~", ".a.x1Y2z3", "b.part", "._c", "d1", "d2", "d1/x", "d1/y", "d1/x.tmp", "d2/x", "d2/sub", "d2/sub/z"]
SIZES = [0, 1, 10, 5000, 70000, 140000, 200000]
PUNCH, ZERO, KEEP = 3, 0x10, 1
# A store through a mapping changes the time when the kernel writes the page back.
UNTIMED = {"map", "map and read", "rewrite", "open", "close"}
# When the value is unchanged ext4 keeps the time, and XFS does not.
UNTIMED |= {"setxattr", "setxattr, new", "setxattr, replacing", "fsetxattr"}

# Mappings that outlive their descriptor, as mmap(2) allows; the mappings of Python keep a duplicate of it.
UNTIMED |= {"raw map", "raw map of a handle", "raw load", "raw store", "raw msync", "raw munmap"}

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
MAP_FAILED = ctypes.c_void_p(-1).value


class Mapping:
    """A shared mapping of one file in each of the two folders."""

    def __init__(self, length, writable):
        self.length, self.writable, self.addresses = length, writable, []

    def add(self, descriptor):
        address = libc.mmap(None, self.length, 3 if self.writable else 1, 1, descriptor, 0)
        if address == MAP_FAILED:
            raise OSError(ctypes.get_errno(), "mmap")
        self.addresses.append(address)

    def size(self):
        """Returns the present size of the mapped file in the first folder."""
        address = self.addresses[0]
        return os.stat(f"/proc/self/map_files/{address:x}-{address + -(-self.length // 4096) * 4096:x}").st_size

    def unmap(self):
        for address in self.addresses:
            libc.munmap(address, self.length)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def renameat2(one, two, flags):
    return checked(libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(two), flags))


def shown(status):
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return status.st_mode, status.st_nlink, size, status.st_uid, status.st_gid, status.st_rdev


class Difference(Exception):
    pass


class Process:
    """One of the two processes: it keeps its own handles, and makes every call in both folders; the first
    is the reference."""

    def __init__(self, folders):
        self.folders = folders
        self.handles = []
        self.mappings = []
        # Through this file an access behind the end of a file is EIO, and does not kill this process.
        self.memory = os.open("/proc/self/mem", os.O_RDWR)
        # Times of mapped files change when the kernel writes their pages: both processes read this list.
        self.mapped = os.open(folders[0] + ".mapped", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def both(self, call):
        """Returns the result of `call`, or the name of its errno, in each folder."""
        results = []
        for side, folder in enumerate(self.folders):
            try:
                results.append(call(side, folder))
            except OSError as error:
                results.append(errno.errorcode[error.errno])
        return results

    def note_mapped(self, side, descriptor):
        os.write(self.mapped, struct.pack("QQ", side, os.fstat(descriptor).st_ino))

    def times(self, names, handle):
        """Returns the times of the last changes of content and attributes."""
        result = []
        mapped = set(struct.iter_unpack("QQ", os.pread(self.mapped, 1 << 24, 0)))
        for side, folder in enumerate(self.folders):
            found = {}
            for name in names:
                try:
                    status = os.lstat(os.path.join(folder, name))
                    found[name, status.st_ino] = status.st_mtime_ns, status.st_ctime_ns
                except OSError:
                    pass
            if handle:
                status = os.fstat(handle[side])
                found["handle", status.st_ino] = status.st_mtime_ns, status.st_ctime_ns
            # A file that is mapped in one folder is mapped in the other, too.
            result.append({key: time for key, time in found.items() if (side, key[1]) not in mapped})
        names = set.intersection(*({name for name, _ in found} for found in result))
        return [{key: time for key, time in found.items() if key[0] in names} for found in result]

    def raw_map(self, descriptors, length, writable):
        """Maps a file in both folders; the descriptors may be closed after it."""
        mapping = Mapping(length, writable)

        def add(side, _):
            mapping.add(descriptors[side])
            self.note_mapped(side, descriptors[side])
            return "mapped"

        results = self.both(add)
        if results == ["mapped", "mapped"]:
            self.mappings.append(mapping)
        else:
            mapping.unmap()
        return results

    def raw(self, kind, chosen, one, handle, data, offset):
        """Makes one call on a mapping, whose descriptors may be closed."""
        if kind in ("raw map", "raw map of a handle"):
            descriptors, writable = handle, chosen.random() < 0.6
            if kind == "raw map":
                flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_NONBLOCK
                descriptors = self.both(lambda _, f: os.open(os.path.join(f, one), flags))
            opened = [d for d in descriptors if isinstance(d, int)] if kind == "raw map" else []
            try:
                if not all(isinstance(d, int) for d in descriptors):
                    return ["opened" if isinstance(d, int) else d for d in descriptors]
                status = os.fstat(descriptors[0])
                if not stat.S_ISREG(status.st_mode) or status.st_size == 0 or len(self.mappings) > 6:
                    return [0, 0]
                return self.raw_map(descriptors, status.st_size, writable)
            finally:
                for descriptor in opened:
                    os.close(descriptor)
        if not self.mappings:
            return [0, 0]
        mapping = chosen.choice(self.mappings)
        start = offset % mapping.length
        if kind == "raw load":
            count = min(50000, mapping.length - start)
            return self.both(lambda s, _: os.pread(self.memory, count, mapping.addresses[s] + start))
        if kind == "raw store":
            # A store behind the end of the file in its last page belongs to no content.
            count = min(len(data), min(mapping.size(), mapping.length) - start)
            if not mapping.writable or count <= 0:
                return [0, 0]
            return self.both(lambda s, _: os.pwrite(self.memory, data[:count], mapping.addresses[s] + start))
        if kind == "raw msync":
            return self.both(lambda s, _: checked(libc.msync(mapping.addresses[s], mapping.length, 4)))
        self.mappings.remove(mapping)
        mapping.unmap()
        return [0, 0]

    def step(self, seed, number):
        """Makes one call, and returns its kind."""
        chosen = random.Random(f"{seed} {number}")
        choose = chosen.choice
        one, two = choose(NAMES), choose(NAMES)
        data = chosen.randbytes(choose(SIZES))
        offset = choose([0, 1, 100, 4096, 150000, chosen.randrange(300000)])
        key = choose(["user.k0", "user.k1", "trusted.k2"])
        handle = choose(self.handles) if self.handles else None
        other = choose(self.handles) if self.handles else None
        mode = 0o600 + len(data) % 64

        def at(folder, name):
            return os.path.join(folder, name)

        def read(path):
            # A fifo would wait for a writer.
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.pread(file, 1 << 20, 0)
            finally:
                os.close(file)

        def rewrite(_, folder):
            file = os.open(at(folder, one), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644)
            try:
                os.write(file, data)
                os.write(file, data)
            finally:
                os.close(file)

        def with_map(folder, do):
            file = os.open(at(folder, one), os.O_RDWR | os.O_NONBLOCK)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode) or os.fstat(file).st_size < 8192:
                    return "short"
                with mmap.mmap(file, 8192) as mapping:
                    return do(mapping)
            finally:
                os.close(file)

        def map_and_write(mapping):
            mapping[offset % 8000:offset % 8000 + 4] = b"mmap"

        def set_times(_, folder):
            os.utime(at(folder, one), ns=(offset * 10**9 + 1, len(data) * 10**9 + 7))
            return os.stat(at(folder, one)).st_mtime_ns

        def copy(side, _):
            return os.copy_file_range(other[side], handle[side], 1 << 20, offset % 3 * 1000, offset)

        def copy_whole(side, _):
            os.ftruncate(handle[side], 0)
            return os.copy_file_range(other[side], handle[side], 1 << 20, 0, 0)

        def seek_data(side, _):
            # The kernel does not write mapped pages back before it asks a FUSE filesystem for holes
            # (docs/SEMANTICS.md, Mappings).
            if self.mappings or fcntl.fcntl(handle[side], fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
                os.fsync(handle[side])
            size = os.fstat(handle[side]).st_size
            position = os.lseek(handle[side], 0, os.SEEK_CUR)
            try:
                found = os.lseek(handle[side], offset, os.SEEK_DATA)
            except OSError as error:
                if offset >= size:
                    raise
                found = size
            finally:
                os.lseek(handle[side], position, os.SEEK_SET)
            # A disk may report data early, but all bytes before the reported offset must be zeros.
            if any(readable(handle[side], offset, found - offset)):
                return "data in a hole"
            return "found"

        def readable(descriptor, start, count):
            try:
                return os.pread(descriptor, count, start)
            except OSError:
                return b""

        by_name = {
            "unlink": lambda _, f: os.unlink(at(f, one)),
            "mkdir": lambda _, f: os.mkdir(at(f, one), mode | 0o100),
            "rmdir": lambda _, f: os.rmdir(at(f, one)),
            "rename": lambda _, f: os.rename(at(f, one), at(f, two)),
            "rename again": lambda _, f: os.rename(at(f, two), at(f, one)),
            "rename, no replacing": lambda _, f: renameat2(at(f, one), at(f, two), 1),
            "rename, exchange": lambda _, f: renameat2(at(f, one), at(f, two), 2),
            "link": lambda _, f: os.link(at(f, one), at(f, two)),
            "symlink": lambda _, f: os.symlink(two, at(f, one)),
            "link a symlink": lambda _, f: os.link(at(f, one), at(f, two), follow_symlinks=False),
            "mkfifo": lambda _, f: os.mkfifo(at(f, one), mode),
            "mknod": lambda _, f: os.mknod(at(f, one), stat.S_IFCHR | mode, os.makedev(60, offset)),
            "truncate": lambda _, f: os.truncate(at(f, one), offset),
            "chmod": lambda _, f: os.chmod(at(f, one), mode | (0o6000 if offset == 1 else 0)),
            "chown": lambda _, f: os.chown(at(f, one), offset % 3, offset % 5, follow_symlinks=False),
            "utimens": set_times,
            "setxattr": lambda _, f: os.setxattr(at(f, one), key, data[:1000]),
            "setxattr, new": lambda _, f: os.setxattr(at(f, one), key, data[:10], os.XATTR_CREATE),
            "setxattr, replacing": lambda _, f: os.setxattr(at(f, one), key, data[:10], os.XATTR_REPLACE),
            "getxattr": lambda _, f: os.getxattr(at(f, one), key),
            "removexattr": lambda _, f: os.removexattr(at(f, one), key),
            "listxattr": lambda _, f: sorted(os.listxattr(at(f, one))),
            "listdir": lambda _, f: sorted(os.listdir(at(f, one))),
            "list all": lambda _, f: sorted((e.name, e.is_dir(follow_symlinks=False), e.is_symlink()) for e in os.scandir(f)),
            "lstat": lambda _, f: shown(os.lstat(at(f, one))),
            "stat": lambda _, f: shown(os.stat(at(f, one))),
            "readlink": lambda _, f: os.readlink(at(f, one)),
            "read all": lambda _, f: read(at(f, one)),
            "read it all": lambda _, f: read(at(f, two)),
            "rewrite": rewrite,
            "map": lambda _, f: with_map(f, map_and_write),
            "map and read": lambda _, f: with_map(f, lambda mapping: mapping[:]),
        }
        by_handle = {
            "pwrite": lambda s, _: os.pwrite(handle[s], data, offset),
            "pwrite again": lambda s, _: os.pwrite(handle[s], data, offset // 2),
            "write": lambda s, _: os.write(handle[s], data),
            "writev": lambda s, _: os.writev(handle[s], [b"head", data, b"tail"]),
            "pread": lambda s, _: os.pread(handle[s], 50000, offset),
            "read": lambda s, _: os.read(handle[s], 5000),
            "ftruncate": lambda s, _: os.ftruncate(handle[s], offset),
            "fstat": lambda s, _: shown(os.fstat(handle[s])),
            "fchmod": lambda s, _: os.fchmod(handle[s], mode),
            "fsync": lambda s, _: os.fsync(handle[s]),
            "allocate": lambda s, _: os.posix_fallocate(handle[s], offset, 1 + len(data)),
            "allocate, keeping the size": lambda s, _: checked(libc.fallocate(handle[s], KEEP, offset, 1 + len(data))),
            "punch": lambda s, _: checked(libc.fallocate(handle[s], PUNCH, offset, 1 + len(data))),
            "zero": lambda s, _: checked(libc.fallocate(handle[s], ZERO, offset, 1 + len(data))),
            "copy": copy,
            "copy whole": copy_whole,
            "lseek": lambda s, _: os.lseek(handle[s], offset, os.SEEK_SET),
            "seek data": seek_data,
            "fgetxattr": lambda s, _: os.getxattr(handle[s], key),
            "fsetxattr": lambda s, _: os.setxattr(handle[s], key, data[:100]),
        }
        raw = ["raw map", "raw load", "raw store", "raw store", "raw load", "raw msync", "raw munmap"]
        raw += ["raw map of a handle"] if handle else []
        kinds = ["open"] * 4 + ["close"] * 2 + list(by_name) + raw + (list(by_handle) if handle else [])
        kind = choose(kinds)
        isTimed = kind not in UNTIMED
        names = {one, two, os.path.dirname(one) or ".", os.path.dirname(two) or "."}
        before = self.times(names, handle) if isTimed else None
        if kind == "open":
            flags = choose([os.O_RDWR, os.O_RDONLY, os.O_WRONLY]) | os.O_NONBLOCK
            extra = [0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_APPEND, os.O_NOFOLLOW, os.O_DIRECTORY]
            flags |= choose(extra + ([os.O_TRUNC, os.O_CREAT | os.O_TRUNC] if flags & 3 != os.O_RDONLY else []))
            results = self.both(lambda _, f: os.open(at(f, one), flags, 0o644))
            if all(isinstance(result, int) for result in results):
                # A missing device and a fifo have no content to compare.
                if stat.S_ISREG(os.fstat(results[0]).st_mode):
                    self.handles.append(results)
                else:
                    for descriptor in results:
                        os.close(descriptor)
                results = [0, 0]
            else:
                results = ["opened" if isinstance(result, int) else result for result in results]
            if len(self.handles) > 8:
                self.close(self.handles[0])
        elif kind in raw:
            results = self.raw(kind, chosen, one, handle, data, offset)
        elif kind == "close":
            results = [0, 0]
            if handle:
                self.close(handle)
        else:
            results = self.both(by_name.get(kind) or by_handle[kind])
        call = f"step {number}, {kind} {one} {two} {len(data)} {offset}"
        if results[0] != results[1]:
            raise Difference(f"{call}: {str(results[0])[:120]} here, {str(results[1])[:120]} on assetfs")
        if isTimed:
            after = self.times(names, handle)
            moved = [
                {name: (time[0] != b[name, inode][0], time[1] != b[name, inode][1])
                 for (name, inode), time in a.items() if (name, inode) in b}
                for b, a in zip(before, after)
            ]
            if moved[0] != moved[1]:
                raise Difference(f"{call}: times moved {moved[0]} here, {moved[1]} on assetfs")
        return kind

    def close(self, handle):
        self.handles.remove(handle)
        for descriptor in handle:
            os.close(descriptor)

    def close_all(self):
        while self.mappings:
            self.mappings.pop().unmap()
        while self.handles:
            self.close(self.handles[0])


def tree(folder):
    result = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            attributes = {} if stat.S_ISLNK(status.st_mode) else {n: os.getxattr(path, n) for n in os.listxattr(path)}
            result[path[len(folder):]] = (shown(status), content, attributes)
    return result


def described(entry):
    if not entry:
        return "nothing"
    status, content, attributes = entry
    return f"{status} {sorted(attributes)} {content and hashlib.sha256(content).hexdigest()[:8]}"


def compare(folders):
    trees = [tree(folder) for folder in folders]
    for path in sorted(set(trees[0]) | set(trees[1])):
        if trees[0].get(path) != trees[1].get(path):
            raise Difference(f"{path} differs in the end: {described(trees[0].get(path))} here, {described(trees[1].get(path))} on assetfs")
    return trees[1], {path: os.lstat(folders[1] + path).st_mtime_ns for path in trees[1]}


class Worker:
    """A process of its own that executes one call at a time on request."""

    def __init__(self, folders):
        self.channel, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            process = Process(folders)
            try:
                while True:
                    count, = struct.unpack("I", receive(theirs, 4))
                    command = pickle.loads(receive(theirs, count))
                    if command == "end":
                        os._exit(0)
                    if command == "close":
                        process.close_all()
                        reply = None
                    else:
                        try:
                            reply = process.step(*command)
                        except Difference as difference:
                            reply = difference
                    send(theirs, reply)
            finally:
                os._exit(1)
        theirs.close()

    def ask(self, command):
        send(self.channel, command)
        count, = struct.unpack("I", receive(self.channel, 4))
        reply = pickle.loads(receive(self.channel, count))
        if isinstance(reply, Difference):
            raise reply
        return reply

    def end(self):
        send(self.channel, "end")
        os.waitpid(self.pid, 0)


def send(channel, value):
    data = pickle.dumps(value)
    channel.sendall(struct.pack("I", len(data)) + data)


def receive(channel, count):
    result = b""
    while len(result) < count:
        part = channel.recv(count - len(result))
        if not part:
            raise EOFError
        result += part
    return result


def run(seed, mode, options, work, kinds):
    binary = os.environ.get("ASSETFS", f"{ROOT}/.build/release/assetfs")

    def mount():
        subprocess.run([binary, "mount", f"{work}/library", f"{work}/mount", "-o", f"{mode},dev,suid"], check=True)

    def umount():
        subprocess.run([binary, "umount", f"{work}/mount"], check=True)

    folders = [f"{work}/{mode}-{seed}", f"{work}/mount/folders/{mode}-{seed}"]
    mount()
    workers = []
    try:
        for folder in folders:
            os.mkdir(folder)
        workers = [Worker(folders), Worker(folders)]
        order = random.Random(seed)
        for number in range(options.steps):
            kinds[order.choice(workers).ask((seed, number))] += 1
            if number % options.remount == options.remount - 1 or number == options.steps - 1:
                for worker in workers:
                    worker.ask("close")
                before = compare(folders)
                umount()
                mount()
                after = compare(folders)
                for path in sorted(set(before[0]) | set(after[0])):
                    one, two = ((found[0].get(path), found[1].get(path)) for found in (before, after))
                    if one != two:
                        raise Difference(
                            f"step {number}: after a remount {path} is {described(two[0])} of {two[1]}, "
                            f"before it was {described(one[0])} of {one[1]}"
                        )
    finally:
        for worker in workers:
            worker.end()
        umount()
    shutil.rmtree(folders[0])
    os.unlink(folders[0] + ".mapped")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20, help="half of them with passthrough")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--remount", type=int, default=1000, help="after so many steps")
    parser.add_argument("--seed", type=int, help="the first sequence's; the others follow")
    parser.add_argument("--disk", default="/var/tmp")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="assetfs-differential-", dir=options.disk)
    os.mkdir(f"{work}/mount")
    first = random.randrange(1 << 30) if options.seed is None else options.seed
    kinds = collections.Counter()
    began = time.monotonic()
    try:
        for seed in range(first, first + options.sequences):
            mode = "passthrough" if seed % 2 else "nopassthrough"
            try:
                run(seed, mode, options, work, kinds)
            except Difference as difference:
                print(f"seed {seed}, {mode}: {difference}", file=sys.stderr)
                sys.exit(1)
            print(f"seed {seed}, {mode}: {options.steps} steps by two processes, {options.steps // options.remount} remounts, equal",
                  flush=True)
        print(f"{sum(kinds.values())} steps of {len(kinds)} kinds in {time.monotonic() - began:.0f} s, all equal")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
