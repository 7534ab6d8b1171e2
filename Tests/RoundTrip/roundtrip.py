#!/usr/bin/env python3
"""Copies a difficult tree into a mount and out again with common backup tools. `make roundtrip` runs it, as
root.

Each tool makes the same copies on the filesystem of the disk, so that the limits of a tool do not count
against the mount; the copies must be equal in content and in all metadata. A second run must transfer, or
read, nothing by the report of the tool, also after a remount.
"""
import argparse
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# The common names of freedesktop.org, and those of KDE, which the library treats as fields.
DESKTOP_NAMES = {
    "xdg.comment": b"a comment", "xdg.tags": b"red,blue, green", "xdg.origin.url": b"https://example.com/x?y=1", "xdg.language": b"en",
    "baloo.rating": b"7", "mime_type": b"application/x-test", "charset": b"utf-8", "dublincore.title": b"A title",
    "dublincore.creator": b"Somebody", "dublincore.rights": b"(c) Somebody", "dublincore.description": b"Longer",
    "dublincore.date": b"2024-05-17T14:03:09", "xdg.referrer.url": b"https://example.com/", "xdg.publisher.email": b"a@example.com",
}
# Values that other programs write under these names, and that no field can have.
NO_VALUES = {
    "xdg.tags": b"red , ,red,\xff", "dublincore.subject": b"green, blue", "baloo.rating": b"11", "dublincore.date": b"circa 1920",
    "xdg.comment": b"a\0b", "xdg.language": b"", "dublincore.title": b"K\xe4se",
}


def sh(command, folder=None, check=True, environment=None):
    result = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, env=os.environ | (environment or {}))
    output = (result.stdout + result.stderr).decode(errors="replace")
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: exit status {result.returncode}\n{output}")
    return output


def make_nasty_tree(folder, gib=3.0):
    """Creates a tree of difficult files: see docs/SEMANTICS.md. The sparse file has a size of `gib` GiB."""
    os.makedirs(folder)
    os.chdir(folder)
    names = [b"plain", b" leading and trailing ", b"-rf", b"new\nline", b"tab\tquote'\"`$(x)", b"\\back\\slash", "é NFC".encode(),
             "e\u0301 NFD".encode(), "日本語 🎞".encode(), b"n" * 255, b"*?[glob]", b"%20", b".hidden", b"CON", b"trailing.", b"-"]
    for name in names:
        with open(name, "wb") as file:
            file.write(name * 3)
    with open(b"latin-\xe9\xff", "wb") as file:
        file.write(b"not UTF-8")
    os.mkdir("deep")
    path = "deep/" + "/".join(["d" * 60] * 20)
    os.makedirs(path)
    open(path + "/bottom", "w").close()
    os.makedirs("empty/folder")
    open("empty file", "w").close()
    os.mkdir("modes")
    for mode in (0o000, 0o400, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o1644, 0o6711):
        with open(f"modes/{mode:04o}", "w") as file:
            file.write("mode")
        os.chmod(f"modes/{mode:04o}", mode)
    for mode in (0o700, 0o1777, 0o2775, 0o555):
        os.mkdir(f"modes/d{mode:04o}")
        os.chmod(f"modes/d{mode:04o}", mode)
    for uid, gid in (1, 2), (65534, 65533), (1234567, 7654321):
        with open(f"owner-{uid}", "w") as file:
            file.write("owner")
        os.chown(f"owner-{uid}", uid, gid)
    with open("large", "wb") as file:
        for number in range(300):
            file.write(hashlib.sha256(str(number).encode()).digest() * 1000)
    with open("sparse-3GiB", "wb") as file:
        file.write(b"first")
        file.seek(int(gib * (1 << 30)) // 3)
        file.write(b"middle" * 1000)
        file.truncate(int(gib * (1 << 30)))
    with open("only-a-hole", "wb") as file:
        file.truncate(10 << 20)
    with open("hard-1", "w") as file:
        file.write("one file, three names")
    os.link("hard-1", "hard-2")
    os.link("hard-1", "empty/hard-3")
    with open("twin-1", "w") as one, open("twin-2", "w") as two:
        one.write("same content"), two.write("same content")
    os.symlink("plain", "link")
    os.symlink("nowhere/at all", "broken link")
    os.symlink("/etc/hostname", "absolute link")
    os.symlink("x" * 4000, "long link")
    os.symlink("deep", "link to a folder")
    os.mkfifo("fifo", 0o640)
    os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod("loop", stat.S_IFBLK | 0o660, os.makedev(7, 300))
    socket.socket(socket.AF_UNIX).bind("socket")
    os.setxattr("plain", "user.text", b"value")
    os.setxattr("plain", "user.binary", bytes(range(256)))
    os.setxattr("plain", "user.empty", b"")
    os.setxattr("plain", "user.large", b"v" * 3000)
    os.setxattr("deep", "user.of.a.folder", b"value")
    os.setxattr("plain", "trusted.root", b"value")
    for name, value in DESKTOP_NAMES.items():
        os.setxattr("large", f"user.{name}", value)
        os.setxattr("deep", f"user.{name}", value)
    # One name alone, the same value under other names of the field, and a description of an object that is
    # not an asset.
    os.setxattr("twin-1", "user.xdg.tags", b"one, two")
    os.setxattr("twin-2", "user.dublincore.subject", b"one, two")
    os.setxattr("hard-1", "user.asset.keywords", b"one, two")
    os.setxattr(".hidden", "user.xdg.comment", "Käse\n".encode())
    # Invalid values of a field, and two names of one field.
    for name, value in NO_VALUES.items():
        os.setxattr("CON", f"user.{name}", value)
        os.setxattr("empty", f"user.{name}", value)
    sh("setcap cap_net_raw+ep modes/0755 && setfacl -m u:7:rw,g:8:r plain && setfacl -d -m u:7:rwx deep && setfacl -m u:9:x deep")
    moment = 1_000_000_000_123_456_789
    for parent, folders, files in os.walk(b".", topdown=False):
        for name in files + folders:
            moment += 1_000_000_007
            os.utime(os.path.join(parent, name), ns=(moment, moment), follow_symlinks=False)
    os.utime("plain", ns=(1, 1))
    os.utime("empty file", ns=(0, 4_102_444_800_999_999_999))
    os.utime("twin-1", ns=(0, -86_400_000_000_001))
    os.chdir("/")


def content(path, size):
    """Returns a digest without reading holes."""
    result = hashlib.sha256(str(size).encode())
    with open(path, "rb", buffering=0) as file:
        position = 0
        while position < size:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
                end = os.lseek(file.fileno(), position, os.SEEK_HOLE)
            except OSError:
                break
            position -= position % 65536
            while position < end:
                block = os.pread(file.fileno(), 65536, position)
                if block.count(0) != len(block):
                    result.update(str(position).encode() + block)
                position += 65536
    return result.hexdigest()


def manifest(folder):
    """Returns all properties of a tree, except access times and places on the disk."""
    result, links = {}, {}
    folder = os.fsencode(folder)
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders + files) + ([b"."] if parent == folder else []):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, folder)
            known = {
                "mode": oct(status.st_mode), "owner": (status.st_uid, status.st_gid), "mtime": status.st_mtime_ns,
                "device": status.st_rdev if stat.S_IFMT(status.st_mode) in (stat.S_IFBLK, stat.S_IFCHR) else 0,
                "xattrs": sorted((n, os.getxattr(path, n, follow_symlinks=False)) for n in os.listxattr(path, follow_symlinks=False)),
            }
            if not stat.S_ISDIR(status.st_mode):
                known["size"], known["links"] = status.st_size, status.st_nlink
                known["same file as"] = links.setdefault(status.st_ino, relative)
            if stat.S_ISREG(status.st_mode):
                known["content"] = content(path, status.st_size)
            if stat.S_ISLNK(status.st_mode):
                known["target"] = os.readlink(path)
            result[relative] = known
    return result


def differences(one, two):
    found = []
    # The target folder existed before, and some tools leave its time unchanged.
    for path in sorted((set(one) | set(two)) - {b"."}):
        if path not in one or path not in two:
            found.append(f"{path}: only in the {'first' if path in one else 'second'}")
        else:
            found += [f"{path}: {key} {one[path][key]!r:.80} and {two[path][key]!r:.80}" for key in one[path] if one[path][key] != two[path].get(key)]
    return found


def comparable(copy, original):
    """Returns the properties that a tool has copied, without times that were set by the copying itself."""
    for path, known in copy.items():
        if path in original and abs(known["mtime"] - original[path]["mtime"]) > 10_000_000_000:
            del known["mtime"]
    return copy


class Tool:
    """A tool that copies the content of a folder `$S` into another, `$T`, with `$W` for its own files.

    `again` is the second run, and `idle` its output if there was nothing to do. A tool that `carries_all` is
    also compared with the original, except the properties that it `leaves`.
    """

    def __init__(self, name, version, copy, again, idle, carries_all=False, leaves=frozenset()):
        self.name, self.version, self.copy_command, self.again_command = name, version, copy, again
        self.idle, self.carries_all, self.leaves = idle, carries_all, leaves

    def run(self, command, source, target, work):
        os.makedirs(target, exist_ok=True)
        environment = {
            "S": source, "T": target, "W": work, "HOME": work, "LC_ALL": "C.UTF-8", "UNISON": f"{work}/unison",
            "RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": f"{work}/restic", "BORG_REPO": f"{work}/borg",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        return sh("set -e; " + command, environment=environment)

    def copy(self, source, target, work):
        return self.run(self.copy_command, source, target, work)

    def again(self, source, target, work):
        """Runs the tool a second time; returns an error, or None if it had nothing to do."""
        said = self.run(self.again_command, source, target, work)
        return None if re.search(self.idle, said) else said


RESTIC = "restic --no-cache"
# borg reads the newest file of an archive again, on any filesystem, because it may have changed within one
# tick of the clock.
BORG_CREATE = "cd $S; borg create --list --filter AMCE --numeric-ids ::$(date +%s%N) ."
RCLONE = "rclone --config $W/none sync --links --metadata $S $T"
UNISON_IGNORED = " ".join(f"-ignore 'Name {name}'" for name in ("socket", "fifo", "null", "loop"))
UNISON = f"unison -batch -ui text -owner -group -numericids -perms -1 -times {UNISON_IGNORED} $S/ $T/"
TAR = "tar --xattrs --xattrs-include='*' --acls --numeric-owner -S"

TOOLS = [
    Tool("rsync -aHAXS --numeric-ids", "rsync --version", "rsync -aHAXS --numeric-ids $S/ $T/",
         "rsync -aHAXSi --numeric-ids --stats $S/ $T/", r"\A\s*Number of files[^>]*Number of regular files transferred: 0\n", True),
    Tool("cp -a", "cp --version", "cp -a $S/. $T/", "cp -auv $S/. $T/ | grep -cE \"(plain|large|sparse-3GiB|hole|twin-2)'$\" || true",
         r"\A0\s*\Z", True),
    Tool("tar --xattrs --acls -S", "tar --version", f"{TAR} -C $S -cf - . | {TAR} -C $T -pxf -",
         # Compared with a snapshot by the first of the two runs, the second finds no file to store.
         f"rm -f $W/level; {TAR} -C $S --no-check-device -g $W/level -cf /dev/null . 2>/dev/null; sleep 0.1; "
         f"{TAR} -C $S --no-check-device -g $W/level -cf - . 2>/dev/null | tar -tf - | grep -vc '/$' || true", r"\A0\s*\Z", True, {b"socket"}),
    Tool("restic", "restic version",
         f"[ -d $W/restic ] || {RESTIC} -q init; cd $S; {RESTIC} -q backup .; {RESTIC} -q restore latest --target $T",
         f"cd $S; {RESTIC} -q backup . ; {RESTIC} backup .", r"Files: +0 new, +0 changed"),
    Tool("borg", "borg --version",
         "[ -d $W/borg ] || borg init -e none; cd $S; borg create --numeric-ids ::$(date +%s%N) .; cd $T; "
         "borg extract --sparse --numeric-ids ::$(borg list --last 1 --short)",
         f"cd $S; {BORG_CREATE} >/dev/null 2>&1; sleep 0.1; {BORG_CREATE}", r"\A([AM] newest\n)?\Z"),
    Tool("rclone sync --links --metadata", "rclone version", f"{RCLONE} 2>/dev/null || true",
         f"{RCLONE} --stats-one-line -v 2>&1 | grep -c Copied || true", r"\A0\s*\Z"),
    Tool("unison", "unison -version", f"{UNISON} -silent || true", f"{UNISON}", r"Nothing to do: replicas have not changed"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disk", default="/var/tmp", help="a folder on a disk with 30 GB left")
    parser.add_argument("--only", help="the tools whose names begin so, with commas between them")
    parser.add_argument("--gib", type=float, default=3, help="the size of the sparse file")
    options = parser.parse_args()
    binary = os.environ.get("ASSETFS", f"{ROOT}/.build/release/assetfs")
    work = tempfile.mkdtemp(prefix="assetfs-roundtrip-", dir=options.disk)
    mount = f"{work}/mount"
    os.mkdir(mount)

    def remount():
        if os.path.ismount(mount):
            subprocess.run([binary, "umount", mount], check=True)
        subprocess.run([binary, "mount", f"{work}/library", mount], check=True)

    failures = 0
    try:
        source = f"{work}/source"
        make_nasty_tree(source, options.gib)
        original = manifest(source)
        print(f"{len(original)} files and folders, {sum(k.get('size', 0) for k in original.values()) / 2**30:.1f} GiB with holes\n")
        print(f"{'tool':32} {'version':14} {'in':8} {'again':8} {'remount':8} {'out':8} {'again':8} seconds")
        remount()
        for tool in TOOLS:
            if options.only and not any(tool.name.startswith(name) for name in options.only.split(",")):
                continue
            began = time.monotonic()
            plain, inside, outside = f"{work}/plain", f"{mount}/folders/{tool.name.split()[0]}", f"{work}/out"
            own = [f"{work}/own-{number}" for number in range(4)]
            for folder in own:
                os.mkdir(folder)
            problems = []

            def verdict(found):
                problems.extend(found[:6])
                return "equal" if not found else f"{len(found)}!"

            def idle(said, on_disk):
                if said and said != on_disk:
                    problems.append(f"said {said[:300]}\n    on the disk {(on_disk or '')[:300]}")
                    return "work!"
                # A file from the year 2100, for example, which tar treats as new, or the newest file, which
                # borg reads again.
                return "as disk" if said else "nothing"

            tool.copy(source, plain, own[0])
            on_disk = [tool.again(source, plain, own[0])]
            expected = comparable(manifest(plain), original)
            tool.copy(source, inside, own[1])
            found = differences(expected, manifest(inside))
            if tool.carries_all:
                found += differences({k: v for k, v in original.items() if k not in tool.leaves}, manifest(inside))
            row = [verdict(found)]
            row.append(idle(tool.again(source, inside, own[1]), on_disk[0]))
            remount()
            row.append(verdict(differences(expected, manifest(inside))))
            tool.copy(plain, plain + "-2", own[2])
            on_disk.append(tool.again(plain, plain + "-2", own[2]))
            tool.copy(inside, outside, own[3])
            row.append(verdict(differences(comparable(manifest(plain + "-2"), original), manifest(outside))))
            remount()
            row.append(idle(tool.again(inside, outside, own[3]), on_disk[1]))
            version = re.search(r"\d+\.\d+(\.\d+)?", sh(tool.version)).group()
            print(f"{tool.name:32} {version:14} " + " ".join(f"{cell:8}" for cell in row) + f" {time.monotonic() - began:7.0f}", flush=True)
            for problem in problems:
                print("   ", problem)
            failures += bool(problems)
            for folder in own + [plain, plain + "-2", outside]:
                shutil.rmtree(folder)
            shutil.rmtree(inside)
    finally:
        os.chdir("/")
        subprocess.run([binary, "umount", mount])
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failures else 0)


main()
