#!/usr/bin/env python3
"""Random sequences of system calls on assetfs and on the disk's own filesystem side by side: equal results, errnos, attributes,
extended attributes and contents, with handles kept open over renames, removals and truncations.

`make differential` runs it, with and without passthrough; a difference prints the seed and the call.
"""
import argparse
import errno
import mmap
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ["a", "b", "c", "d1", "d2", "d1/x", "d1/y", "d2/x", "d2/sub", "d2/sub/z"]
SIZES = [0, 1, 10, 5000, 70000]


def shown(status):
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return status.st_mode, status.st_nlink, size, status.st_uid, status.st_gid


class Difference(Exception):
    pass


class Sequence:
    """One random sequence on two folders, the first of which is right by definition."""

    def __init__(self, seed, folders):
        self.random = random.Random(seed)
        self.folders = folders
        self.handles = []

    def both(self, call):
        """What `call` returns, or the name of its errno, in each folder."""
        results = []
        for side, folder in enumerate(self.folders):
            try:
                results.append(call(side, folder))
            except OSError as error:
                results.append(errno.errorcode[error.errno])
        return results

    def step(self, number):
        choose = self.random.choice
        one, two = choose(NAMES), choose(NAMES)
        data = self.random.randbytes(choose(SIZES))
        offset = choose([0, 1, 100, 4096, 150000, self.random.randrange(300000)])
        key = f"user.k{offset % 3}"
        handle = choose(self.handles) if self.handles else None

        def at(folder, name):
            return os.path.join(folder, name)

        def rewrite(_, folder):
            with open(at(folder, one), "wb") as file:
                file.write(data * 5)

        def map_and_write(_, folder):
            file = os.open(at(folder, one), os.O_RDWR)
            try:
                if os.fstat(file).st_size < 8192:
                    return
                mapping = mmap.mmap(file, 8192)
                mapping[offset % 8000:offset % 8000 + 4] = b"mmap"
                mapping.close()
            finally:
                os.close(file)

        def set_times(_, folder):
            os.utime(at(folder, one), ns=(offset * 10**9 + 1, len(data) * 10**9 + 7))
            return os.stat(at(folder, one)).st_mtime_ns

        by_name = {
            "unlink": lambda _, f: os.unlink(at(f, one)),
            "mkdir": lambda _, f: os.mkdir(at(f, one)),
            "rmdir": lambda _, f: os.rmdir(at(f, one)),
            "rename": lambda _, f: os.rename(at(f, one), at(f, two)),
            "rename again": lambda _, f: os.rename(at(f, two), at(f, one)),
            "link": lambda _, f: os.link(at(f, one), at(f, two)),
            "symlink": lambda _, f: os.symlink(two, at(f, one)),
            "truncate": lambda _, f: os.truncate(at(f, one), offset),
            "chmod": lambda _, f: os.chmod(at(f, one), 0o600 + len(data) % 64),
            "utimens": set_times,
            "setxattr": lambda _, f: os.setxattr(at(f, one), key, data[:1000]),
            "getxattr": lambda _, f: os.getxattr(at(f, one), key),
            "removexattr": lambda _, f: os.removexattr(at(f, one), key),
            "listxattr": lambda _, f: sorted(os.listxattr(at(f, one))),
            "listdir": lambda _, f: sorted(os.listdir(at(f, one))),
            "lstat": lambda _, f: shown(os.lstat(at(f, one))),
            "readlink": lambda _, f: os.readlink(at(f, one)),
            "read all": lambda _, f: open(at(f, one), "rb").read(),
            "read it all": lambda _, f: open(at(f, two), "rb").read(),
            "rewrite": rewrite,
            "map": map_and_write,
        }
        by_handle = {
            "pwrite": lambda s, _: os.pwrite(handle[s], data, offset),
            "pwrite again": lambda s, _: os.pwrite(handle[s], data, offset // 2),
            "write": lambda s, _: os.write(handle[s], data),
            "pread": lambda s, _: os.pread(handle[s], 50000, offset),
            "ftruncate": lambda s, _: os.ftruncate(handle[s], offset),
            "fstat": lambda s, _: shown(os.fstat(handle[s])),
            "fsync": lambda s, _: os.fsync(handle[s]),
            "allocate": lambda s, _: os.posix_fallocate(handle[s], offset, 1 + len(data)),
            "lseek": lambda s, _: os.lseek(handle[s], offset, os.SEEK_SET),
        }
        kinds = ["open"] * 3 + ["close"] * 2 + list(by_name) + (list(by_handle) if handle else [])
        kind = choose(kinds)
        if kind == "open":
            flags = choose([os.O_RDWR, os.O_RDONLY, os.O_WRONLY])
            extra = [0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_APPEND]
            flags |= choose(extra + ([os.O_TRUNC, os.O_CREAT | os.O_TRUNC] if flags != os.O_RDONLY else []))
            results = self.both(lambda _, f: os.open(at(f, one), flags, 0o644))
            if all(isinstance(result, int) for result in results):
                self.handles.append(results)
                results = [0, 0]
            else:
                results = ["opened" if isinstance(result, int) else result for result in results]
            if len(self.handles) > 12:
                self.close(self.handles[0])
        elif kind == "close":
            results = [0, 0]
            if handle:
                self.close(handle)
        else:
            results = self.both(by_name.get(kind) or by_handle[kind])
        if results[0] != results[1]:
            raise Difference(f"step {number}, {kind} {one} {two} {len(data)} {offset}: "
                             f"{str(results[0])[:120]} here, {str(results[1])[:120]} on assetfs")

    def close(self, handle):
        self.handles.remove(handle)
        for descriptor in handle:
            os.close(descriptor)

    def finish(self):
        while self.handles:
            self.close(self.handles[0])
        trees = [tree(folder) for folder in self.folders]
        for path in sorted(set(trees[0]) | set(trees[1])):
            if trees[0].get(path) != trees[1].get(path):
                raise Difference(f"{path} differs in the end")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, help="run this one sequence alone")
    parser.add_argument("--disk", default="/var/tmp")
    options = parser.parse_args()
    binary = f"{ROOT}/.build/release/assetfs"
    work = tempfile.mkdtemp(prefix="assetfs-differential-", dir=options.disk)
    os.mkdir(f"{work}/mount")
    first = random.randrange(1 << 30) if options.seed is None else options.seed
    try:
        for mode in ("passthrough", "nopassthrough"):
            for seed in range(first, first + (options.sequences if options.seed is None else 1)):
                # A new mount for each, so that what the one before left is also seen by a daemon that did not write it.
                subprocess.run([binary, "mount", f"{work}/library", f"{work}/mount", "-o", mode], check=True)
                folders = [f"{work}/{mode}-{seed}", f"{work}/mount/folders/{mode}-{seed}"]
                for folder in folders:
                    os.mkdir(folder)
                sequence = Sequence(seed, folders)
                try:
                    for number in range(options.steps):
                        sequence.step(number)
                    sequence.finish()
                    before = tree(folders[1])
                finally:
                    while sequence.handles:
                        sequence.close(sequence.handles[0])
                    subprocess.run([binary, "umount", f"{work}/mount"], check=True)
                subprocess.run([binary, "mount", f"{work}/library", f"{work}/mount"], check=True)
                same = tree(folders[1]) == before
                subprocess.run([binary, "umount", f"{work}/mount"], check=True)
                if not same:
                    raise Difference("the tree differs after a remount")
                print(f"seed {seed}, {mode}: {options.steps} steps, equal")
    except Difference as difference:
        print(f"seed {seed}, {mode}: {difference}", file=sys.stderr)
        sys.exit(1)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
