#!/usr/bin/env python3
"""Random operations on one file in a mount, compared with a copy of its bytes in memory.

The operations are reads, writes, truncations, holes, mappings, copies and syncs, through handles that were
opened before and after; with the file kept open, and opened again all the time. `make onefile` runs it; a
difference prints the seed and the last operations.
"""
import argparse
import collections
import ctypes
import hashlib
import mmap
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PUNCH, ZERO, KEEP = 3, 0x10, 1
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def fallocate(file, mode, offset, length):
    if libc.fallocate(file, mode, offset, length) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


class OneFile:
    def __init__(self, path, seed, limit, reopens):
        self.path = path
        self.random = random.Random(seed)
        self.limit = limit
        self.reopens = reopens
        self.bytes = bytearray()
        self.history = collections.deque(maxlen=20)
        self.counts = collections.Counter()
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        self.readers = [os.open(path, os.O_RDONLY)]
        self.writers = [os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)]
        self.mapping = None

    def resize(self, size):
        if size < len(self.bytes):
            del self.bytes[size:]
        else:
            self.bytes.extend(bytes(size - len(self.bytes)))

    def put(self, offset, data):
        if data and offset + len(data) > len(self.bytes):
            self.resize(offset + len(data))
        self.bytes[offset:offset + len(data)] = data

    def check(self, offset, got, length):
        expected = bytes(self.bytes[offset:offset + length])
        if got != expected:
            at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
            raise AssertionError(f"at {offset + at}: {got[at:at + 8].hex()} of {len(got)}, not {expected[at:at + 8].hex()} of {len(expected)}")

    def drop_mapping(self):
        if self.mapping:
            self.mapping.close()
            self.mapping = None

    def map(self):
        """Creates a shared mapping, kept until the file shrinks: pages behind its end must not be
        accessed."""
        if not self.mapping and self.bytes:
            self.mapping = mmap.mmap(self.random.choice(self.writers), len(self.bytes))
        return self.mapping

    def step(self):
        choose = self.random.choice
        writer, reader = choose(self.writers), choose(self.readers + self.writers)
        # Often the same places, so that operations overlap.
        offset = choose([self.random.randrange(self.limit), self.random.randrange(16) * 4096, len(self.bytes)]) % self.limit
        length = min(choose([1, 100, 4096, self.random.randrange(1, 70000)]), self.limit - offset)
        kinds = ["read"] * 6 + ["write"] * 6 + ["map read", "map write"] * 2
        kinds += ["truncate", "punch", "zero", "allocate", "allocate, keeping the size", "append", "sync", "copy within", "whole", "stat"]
        kind = choose(kinds + (["reopen"] * 4 if self.reopens else []))
        self.history.append((kind, offset, length, len(self.bytes)))
        self.counts[kind] += 1
        if kind == "read":
            self.check(offset, os.pread(reader, length, offset), length)
        elif kind == "write":
            data = self.random.randbytes(length)
            os.pwrite(writer, data, offset)
            self.put(offset, data)
        elif kind == "append":
            data = self.random.randbytes(min(length, self.limit - len(self.bytes)))
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            os.write(file, data)
            os.close(file)
            self.put(len(self.bytes), data)
        elif kind == "truncate":
            # Shrinks the file a little more often than it extends it.
            size = choose([offset, offset // 2, 0 if self.random.random() < 0.1 else offset])
            if size < len(self.bytes):
                self.drop_mapping()
            os.ftruncate(writer, size)
            self.resize(size)
        elif kind in ("punch", "zero"):
            fallocate(writer, PUNCH if kind == "punch" else ZERO | KEEP, offset, length)
            end = min(offset + length, len(self.bytes))
            if offset < end:
                self.bytes[offset:end] = bytes(end - offset)
        elif kind == "allocate":
            fallocate(writer, 0, offset, length)
            self.resize(max(len(self.bytes), offset + length))
        elif kind == "allocate, keeping the size":
            fallocate(writer, KEEP, offset, length)
        elif kind == "copy within":
            source = self.random.randrange(self.limit)
            length = min(length, abs(source - offset), max(0, len(self.bytes) - source))
            if length:
                done = os.copy_file_range(reader, writer, length, source, offset)
                if done != length:
                    raise AssertionError(f"copied {done} of {length}")
                self.put(offset, bytes(self.bytes[source:source + length]))
        elif kind == "map read" and self.map():
            end = min(offset + length, len(self.mapping))
            self.check(offset, self.mapping[offset:end], max(0, end - offset))
        elif kind == "map write" and self.map():
            data = self.random.randbytes(max(0, min(length, len(self.mapping) - offset)))
            self.mapping[offset:offset + len(data)] = data
            self.bytes[offset:offset + len(data)] = data
            # Other handles see the change at the latest after msync or munmap, as mmap(2) promises.
            self.mapping.flush()
        elif kind == "sync":
            os.fsync(writer)
        elif kind == "whole":
            with open(self.path, "rb") as file:
                self.check(0, file.read(), self.limit)
        elif kind == "stat":
            for size in (os.fstat(reader).st_size, os.stat(self.path).st_size):
                if size != len(self.bytes):
                    raise AssertionError(f"the size is {size}, not {len(self.bytes)}")
        elif kind == "reopen":
            self.drop_mapping()
            # Now and then no process has the file open for a moment.
            for files, flags in (self.readers, os.O_RDONLY), (self.writers, os.O_RDWR):
                index = self.random.randrange(len(files))
                os.close(files[index])
                files[index] = os.open(self.path, flags)
            if self.random.random() < 0.3:
                self.close()
                self.readers, self.writers = [os.open(self.path, os.O_RDONLY)], [os.open(self.path, os.O_RDWR)]

    def close(self):
        self.drop_mapping()
        for file in self.readers + self.writers:
            os.close(file)
        self.readers, self.writers = [], []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=250000, help="for each of the four runs")
    parser.add_argument("--limit", type=int, default=300000, help="the most bytes that the file has")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--disk", default="/var/tmp")
    options = parser.parse_args()
    binary = os.environ.get("ASSETFS", f"{ROOT}/.build/release/assetfs")
    work = tempfile.mkdtemp(prefix="assetfs-onefile-", dir=options.disk)
    os.mkdir(f"{work}/mount")
    try:
        for mode in ("passthrough", "nopassthrough"):
            for reopens in (False, True):
                subprocess.run([binary, "mount", f"{work}/library", f"{work}/mount", "-o", mode], check=True)
                path = f"{work}/mount/folders/{mode}-{reopens}"
                how = f"seed {options.seed}, {mode}, {'opened anew' if reopens else 'kept open'}"
                began = time.monotonic()
                try:
                    file = OneFile(path, options.seed, options.limit, reopens)
                    try:
                        for number in range(options.operations):
                            file.step()
                    except (AssertionError, OSError) as error:
                        print(f"{how}, operation {number}: {error}", *file.history, sep="\n  ", file=sys.stderr)
                        sys.exit(1)
                    finally:
                        file.close()
                    digest = os.getxattr(path, "user.asset.sha256").decode()
                    assert digest == hashlib.sha256(file.bytes).hexdigest(), f"{how}: the digest is not the content's"
                finally:
                    subprocess.run([binary, "umount", f"{work}/mount"], check=True)
                subprocess.run([binary, "mount", f"{work}/library", f"{work}/mount", "-o", mode], check=True)
                with open(path, "rb") as opened:
                    same = opened.read() == file.bytes
                subprocess.run([binary, "umount", f"{work}/mount"], check=True)
                assert same, f"{how}: other bytes after a remount"
                print(f"{how}: {options.operations} operations of {len(file.counts)} kinds in {time.monotonic() - began:.0f} s, equal", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
