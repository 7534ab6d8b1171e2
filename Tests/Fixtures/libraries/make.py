#!/usr/bin/python3
"""Makes a golden library with an assetfs: make.py ASSETFS COMMIT [VERSION]. README.md beside it says when.

Needs root, and ExifTool as assetfs does. What the assetfs does not have yet is left out, and listed in the manifest.
"""
import contextlib, errno, fcntl, json, os, shutil, sqlite3, stat, struct, subprocess, sys, tempfile, time

import manifest

FAR = "2199-01-01T00:00:00Z"
LACKING = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT, errno.ENODATA, errno.ENOTTY, errno.ENOSYS, errno.ENOTDIR, errno.ERANGE}


class Maker:
    """Fills a mount as users do."""

    def __init__(self, mount):
        self.root, self.folders = mount.root, mount.root + "/folders"
        self.lacking, self.signed = [], []

    def attempt(self, what, call, *arguments):
        """Does what the assetfs may not have."""
        try: return call(*arguments)
        except OSError as error:
            if error.errno not in LACKING: raise
            self.lacking.append(f"{what}: {errno.errorcode[error.errno]}")

    def path(self, name): return os.path.join(os.fsencode(self.folders), os.fsencode(name))

    def folder(self, name, mode=0o755, uid=0, gid=0, **policies):
        os.mkdir(self.path(name))
        os.chown(self.path(name), uid, gid)
        os.chmod(self.path(name), mode)
        for key, value in policies.items(): self.say(name, f"user.policy.{key}", value)

    def write(self, name, data, uid=0, mode=0o644):
        """Writes a file as a user, as most programs do."""
        if isinstance(data, str): data = data.encode()
        self.do(uid, lambda: self.store(self.path(name), data, mode))

    @staticmethod
    def store(path, data, mode=0o644):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            if data: os.write(descriptor, data)
        finally: os.close(descriptor)

    @staticmethod
    def do(uid, action):
        """Does something as a user."""
        if uid == 0: return action()
        if (child := os.fork()) == 0:
            try:
                os.setgroups([]); os.setgid(uid); os.setuid(uid); os.umask(0o022)
                action()
                os._exit(0)
            except OSError as error:
                print(error, flush=True)
                os._exit(1)
        if os.waitpid(child, 0)[1]: raise RuntimeError(f"user {uid} could not")

    def say(self, name, attribute, value):
        value = value.encode() if isinstance(value, str) else value
        self.attempt(f"{attribute} of {name}", os.setxattr, self.path(name), attribute, value)

    def described(self, name, **fields):
        for key, value in fields.items(): self.say(name, "user.asset." + key.replace("__", "."), value)


def access_list(*entries):
    """Answers an access control list in the kernel's form."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ANY = 0xFFFFFFFF
LIST = access_list((1, 6, ANY), (2, 4, 1001), (4, 4, ANY), (16, 4, ANY), (32, 0, ANY))
DEFAULT = access_list((1, 7, ANY), (2, 5, 1001), (4, 5, ANY), (16, 5, ANY), (32, 0, ANY))


def picture():
    """Answers a grey JPEG of 24 × 16 with a caption, keywords and a rating in XMP, and a camera in EXIF."""
    xmp = b"""http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"
xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">A lighthouse
</rdf:li></rdf:Alt></dc:description><dc:subject><rdf:Bag><rdf:li>coast</rdf:li><rdf:li>night</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
    camera = b"Lantern\0"
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 0x10F, 2, len(camera), 38)
    exif += struct.pack("<HHIHH", 0x112, 3, 1, 1, 0) + struct.pack("<I", 0) + camera
    parts = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in (exif, xmp))
    tables = b"\xff\xc4\0\x14\0\x01" + bytes(15) + b"\0" + b"\xff\xc4\0\x14\x10\x01" + bytes(15) + b"\0"
    return (b"\xff\xd8" + parts + b"\xff\xdb\0\x43\0" + b"\x01" * 64 + b"\xff\xc0\0\x0b\x08\0\x10\0\x18\x01\x01\x11\0"
            + tables + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x3f\xff\xd9")


def fill(maker):
    """Makes the library's files."""
    # Nothing may go with the years: whatever is removed or replaced stays.
    for key, value in {"versions": "all", "trash": "P150Y"}.items(): maker.say("", f"user.policy.{key}", value)
    maker.folder("album", 0o2775, 1000, 1001)
    maker.folder("album/2024", 0o751, 1000, 1000)
    maker.folder("album/2024/inner", 0o700, 1000, 1000)
    maker.folder("nothing in it", 0o1777, 65534, 65534)
    maker.write("album/plain.txt", "The harbour at night.\n", 1000)
    os.chown(maker.path("album/plain.txt"), 1000, 1001)
    os.chmod(maker.path("album/plain.txt"), 0o640)
    os.utime(maker.path("album/plain.txt"), ns=(1, 981173106123456789))
    os.link(maker.path("album/plain.txt"), maker.path("album/2024/second name.txt"))
    os.symlink("plain.txt", maker.path("album/to plain"))
    os.symlink(b"../nowhere/\xff\xfe", maker.path("album/2024/dangling"))
    for name in ["album/copy.txt", "album/2024/inner/copy.txt"]: maker.write(name, "The harbour at night.\n", 1000)
    maker.write("album/empty", b"", 1000)
    maker.write(b"album/\xe9t\xe9 \xff", "a name that is not UTF-8\n")
    maker.write("album/" + "ü" * 120 + ".longest.name..", "a name of 255 bytes\n")
    maker.write("album/large.csv", ("0123456789abcdef" * 62 + "row of 999 bytes\n") * 200)
    special(maker)
    maker.write("album/photo.jpg", picture(), 1000)
    maker.write("album/again.jpg", picture(), 1000)
    maker.described("album/again.jpg", caption="Set by a person", rank="10")
    # Waits until the file has been looked into.
    if manifest.value(maker.path("album/again.jpg"), "user.asset.mime_type"):
        maker.attempt("removed field", os.removexattr, maker.path("album/again.jpg"), "user.asset.keywords")
    maker.described("album/plain.txt", caption="Harbour, “night”", title="Harbour", keywords="sea,ships", rank="7",
                    category="press", meta__client="ACME", gps="48.1374,11.5755", captured_at="2024-05-17T14:03:09.25+02:00",
                    copyright_notice="© 2024", exif__Artist="Jane Doe")
    for name, value in {"comment": "by a desktop", "tags": "one,two"}.items(): maker.say("album/copy.txt", "user.xdg." + name, value)
    maker.say("album/copy.txt", "user.baloo.rating", "11")
    maker.say("album/copy.txt", "user.dublincore.date", "circa 1920")
    for name in ["album/copy.txt", "album/2024"]:
        maker.say(name, "user.free", bytes(range(256)))
        maker.say(name, "user.empty", b"")
        maker.say(name, "user.long", b"v" * 3000)
        maker.say(name, "trusted.note", "root's")
    maker.say("album/2024/inner/copy.txt", "system.posix_acl_access", LIST)
    maker.say("album/2024", "system.posix_acl_default", DEFAULT)
    maker.write("album/2024/inherits.txt", "with an access list from the folder\n", 1000)
    policies(maker)
    histories(maker)
    lives(maker)
    views(maker)


def special(maker):
    """Makes what is no regular file with content from end to end."""
    with open(maker.path("album/sparse"), "wb") as file:
        os.truncate(file.fileno(), 3 << 20)
        os.pwrite(file.fileno(), b"begin" * 800, 0)
        os.pwrite(file.fileno(), b"middle" * 700, 2 << 20)
    os.mkfifo(maker.path("album/pipe"), 0o620)
    os.mknod(maker.path("album/device"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(maker.path("album/socket"), 0o755 | stat.S_IFSOCK)


def policies(maker):
    """Makes folders that say something, with what they make of uploads."""
    maker.folder("kept", 0o777, overwrite="false")
    for text in ["first\n", "second\n", "third\n"]: maker.write("kept/name.txt", text, 1000)
    maker.folder("returning", 0o777, duplicates="RETURN_EXISTING", scope="ENTIRE_PORTAL")
    maker.write("returning/one.txt", "one of two that show an asset\n", 1000)
    maker.write("returning/two.txt", "one of two that show an asset\n", 1000)
    maker.folder("refusing", 0o755, duplicates="REJECT", max_size="1M", allowed_types="text/*,.txt", quota="5M")
    maker.write("refusing/a.txt", "which may be here once\n")
    try: maker.write("refusing/b.txt", "which may be here once\n")
    except FileExistsError: pass
    maker.folder("fields", 0o755, ttl="P30D", access="PRIVATE", **{"field.meta.shot": "integer:1..999"})
    maker.folder("preset", 0o750, 1000, 1000, preset="hubspot")
    maker.folder("fleeting", 0o777, store="0")
    maker.write("fleeting/stays.txt", "stays by its owner's word\n", 1000)
    maker.described("fleeting/stays.txt", stored="1")
    if maker.attempt("stored", os.getxattr, maker.path("fleeting/stays.txt"), "user.asset.stored") is None:
        os.unlink(maker.path("fleeting/stays.txt"))
    maker.folder("theirs", 0o777)
    maker.folder("others", 0o777)
    maker.write("theirs/placed.txt", "put there by another user\n", 1000)
    maker.do(1001, lambda: os.rename(maker.path("theirs/placed.txt"), maker.path("others/placed.txt")))


def histories(maker):
    """Makes files with former contents, in all ways in which programs save, and what was removed."""
    maker.folder("history", 0o755, 1000, 1000)
    for number in range(1, 4): maker.write("history/rewritten.txt", f"content {number}\n", 1000)
    maker.write("history/saved.txt", "before\n", 1000)
    maker.described("history/saved.txt", caption="stays with the name", meta__job="17")
    maker.write("history/.saved.txt.aB3dEf", "after\n", 1000)
    os.rename(maker.path("history/.saved.txt.aB3dEf"), maker.path("history/saved.txt"))
    maker.write("history/opened.txt", "closed at first\n", 1000, 0o600)
    os.chmod(maker.path("history/opened.txt"), 0o600)
    maker.write("history/opened.txt", "open now\n", 1000)
    os.chmod(maker.path("history/opened.txt"), 0o644)
    maker.folder("closed", 0o700, 1000, 1000)
    for text in ["in a closed folder\n", "then in an open one\n"]: maker.write("closed/moved.txt", text, 1000)
    os.rename(maker.path("closed/moved.txt"), maker.path("history/moved.txt"))
    maker.write("history/removed.txt", "removed alone\n", 1000)
    maker.described("history/removed.txt", caption="removed and described")
    maker.folder("gone", 0o750, 1000, 1001, versions="7")
    maker.say("gone", "system.posix_acl_access", DEFAULT)
    maker.folder("gone/below", 0o700, 1000, 1000)
    for text in ["first in the trash\n", "second in the trash\n"]: maker.write("gone/below/deep.txt", text, 1000)
    for name in ["history/removed.txt", "gone/below/deep.txt"]: os.unlink(maker.path(name))
    for name in ["gone/below", "gone"]: os.rmdir(maker.path(name))


def lives(maker):
    """Makes files with access levels and ends."""
    maker.folder("lives", 0o755, 1000, 1000)
    for level in ["PRIVATE", "PUBLIC_NOT_INDEXABLE", "HIDDEN_PRIVATE", "SENSITIVE"]:
        name = f"lives/{level.lower()}.txt"
        maker.write(name, f"{level}\n", 1000)
        maker.described(name, access=level)
    maker.write("lives/ends.txt", "ends in 2199\n", 1000)
    maker.described("lives/ends.txt", expires=FAR)
    maker.write("lives/flags.txt", "no dump\n", 1000)
    with open(maker.path("lives/flags.txt")) as file:
        maker.attempt("FS_IOC_SETFLAGS", fcntl.ioctl, file, 0x40086602, struct.pack("l", 0x40))


    maker.write("lives/elsewhere.txt", "on another disk\n", 1000)
    maker.described("lives/elsewhere.txt", alternate_store_id="archive")


def views(maker):
    """Makes collections, a group, alternative files, and an asset without a file."""
    best = os.fsencode(maker.root) + b"/collections/best"
    if not os.path.isdir(os.path.dirname(best)): maker.lacking.append("collections/")
    else:
        os.mkdir(best)
        for number, name in enumerate(["album/plain.txt", "album/photo.jpg", "history/saved.txt"]):
            os.link(maker.path(name), best + b"/%d-%s" % (9 - number, os.path.basename(maker.path(name))))
        group = os.path.dirname(best) + b"/group"
        os.mkdir(group)
        for name in [b"album/large.csv", b"history/rewritten.txt"]: os.link(maker.path(name), group + b"/" + os.path.basename(name))
        os.chmod(group, 0o555)
    signed = maker.attempt("signed paths", os.getxattr, maker.path("lives/private.txt"), "user.asset.signed." + FAR)
    if signed: maker.signed.append(os.fsdecode(signed).lstrip("/"))
    number = maker.attempt("id", os.getxattr, maker.path("album/photo.jpg"), "user.asset.id").decode()
    alternatives = f"{maker.root}/resources/{number}/alternatives"
    if os.path.isdir(alternatives):
        maker.store(alternatives + "/small.txt", b"an alternative file\n")
        os.setxattr(alternatives + "/small.txt", "user.asset.description", b"small")
        os.mkdir(f"{maker.root}/resources/5000")
    else: maker.lacking.append("resources/")


def add(maker):
    """Makes what a library has that was killed: its last changes are in the log alone, and an upload has not ended."""
    maker.folder("killed", 0o777)
    maker.write("killed/synced.txt", "on stable storage\n", 1000)
    maker.described("killed/synced.txt", caption="before the kill")
    maker.write("history/rewritten.txt", "content 4\n", 1000)
    os.rename(maker.path("album/empty"), maker.path("killed/empty"))
    os.unlink(maker.path("album/copy.txt"))
    maker.write("killed/last.txt", "and its log\n")
    for name in ["killed/last.txt", "killed"]:
        descriptor = os.open(maker.path(name), os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    uploads = []
    for name, flags in [("killed/interrupted.txt", os.O_CREAT), ("history/saved.txt", os.O_TRUNC)]:
        upload = os.open(maker.path(name), os.O_WRONLY | flags, 0o644)
        os.write(upload, b"acknowledged\n" * 300)
        os.fsync(upload)
        uploads.append(upload)
    return uploads


def mount(program, library, mountpoint):
    """Mounts a library with an alternate store beside it, or without one."""
    try: return manifest.Mount(program, library, mountpoint, f"store=archive:{library}.store")
    except RuntimeError:
        if os.path.exists(f"{library}.store/STORE"): raise
        return manifest.Mount(program, library, mountpoint)


def settled(mount, signed):
    """Answers what a library shows that was mounted once more, when nothing of it is left to do."""
    album = mount.root + "/folders/album"
    # Requests of these wait until they are known, or ten seconds.
    for name in ["photo.jpg", "again.jpg"]: manifest.value(f"{album}/{name}", "user.asset.mime_type")
    manifest.read(mount.root)
    moved, store = mount.root + "/folders/lives/elsewhere.txt", "user.asset.store"
    while manifest.value(moved, "user.asset.alternate_store_id") and manifest.value(moved, store) != "archive": time.sleep(0.1)
    time.sleep(3)
    return manifest.read(mount.root, signed=signed)


def migrations(library):
    """Answers how many migrations the catalog has, with GRDB's names."""
    with sqlite3.connect(f"file:{library}/catalog.sqlite?immutable=1", uri=True) as catalog:
        return [row[0] for row in catalog.execute("SELECT identifier FROM grdb_migrations")]


def make(program, work):
    """Makes a library that was unmounted, and a copy that was killed; answers what they show."""
    os.chmod(work, 0o755)
    mountpoint, clean, killed = (f"{work}/{name}" for name in ("mount", "clean", "killed"))
    os.mkdir(f"{clean}.store", 0o700)
    said = {}
    for turn in ("filled", "read"):
        session = mount(program, clean, mountpoint)
        try:
            if turn == "filled": fill(maker := Maker(session))
            else: said = {"lacking": maker.lacking} | settled(session, maker.signed)
        except BaseException:
            session.kill()
            raise
        session.unmount()
    for end in ("", ".store"): subprocess.run(["cp", "-a", clean + end, killed + end], check=True)
    session = mount(program, killed, mountpoint)
    try:
        uploads = add(Maker(session))
        after = manifest.read(mountpoint)
    finally: session.kill()
    # The mount is dead, and so are the descriptors.
    for upload in uploads:
        with contextlib.suppress(OSError): os.close(upload)
    # What the kill has left is told as a difference.
    entries = {path: entry for path, entry in after["entries"].items() if said["entries"].get(path) != entry}
    entries |= {path: None for path in said["entries"] if path not in after["entries"]}
    return said | {"killed": entries, "migrations": migrations(clean)}


def main():
    program, commit = os.path.abspath(sys.argv[1]), sys.argv[2]
    here = os.path.dirname(os.path.abspath(__file__))
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="golden-", dir="/var/tmp") as work:
        said = {"commit": commit} | make(program, work)
        name = sys.argv[3] if len(sys.argv) > 3 else f"v{len(said['migrations']):02}"
        for library in ("clean", "killed"):
            # Neither is needed to open a library.
            for other in ("assetfs.log", "snapshots"):
                path = f"{work}/{library}/{other}"
                if os.path.isdir(path): shutil.rmtree(path)
                elif os.path.exists(path): os.unlink(path)
        with open(f"{work}/manifest.json", "w") as file: json.dump(said, file, indent=1, sort_keys=True)
        subprocess.run(
            ["tar", "-c", "--sparse", "--format=posix", "--numeric-owner", "-I", "xz -9e", "-f", f"{here}/{name}.tar.xz",
             "-C", work, "manifest.json"]
            + [library + end for library in ("clean", "killed") for end in ("", ".store")], check=True)
    print(name, os.path.getsize(f"{here}/{name}.tar.xz"), "lacking:", said["lacking"])


if __name__ == "__main__": main()
