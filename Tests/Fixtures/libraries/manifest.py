"""Mounts a library, and reads what its mount shows: what a manifest says, and what a later assetfs has to show."""
import errno, fcntl, hashlib, os, sqlite3, stat, struct, subprocess, time

# Computed attributes, which are in no listing. What no value is known of is left out.
COMPUTED = ["id", "uuid", "filename", "original_filename", "created", "uploaded", "user_id", "sha256", "versions",
            "md5_at_upload", "md5_now", "duplicates", "path", "access", "access_level", "ttl", "expires",
            "stored", "no_exif", "store", "mime_type", "width", "height", "orientation", "captured_at", "camera_make",
            "camera_model", "caption", "title", "keywords", "rank", "gps", "removed_folders", "rotation_since_upload"]
DESKTOPS = ["user.xdg.comment", "user.xdg.tags", "user.dublincore.title", "user.baloo.rating", "user.mime_type"]
QUERIES = ["harbour", "type:image", "caption:lighthouse", "in:album", "duplicate:yes", "removed"]
# A user who owns nothing.
STRANGER = 1999


class Mount:
    """A library that a program has mounted in the foreground, until it is unmounted or killed."""

    def __init__(self, program, library, mountpoint, *options):
        self.program, self.root, self.log = program, mountpoint, mountpoint + ".log"
        os.makedirs(mountpoint, exist_ok=True)
        words = [word for option in ("allow_other",) + options for word in ("-o", option)]
        with open(self.log, "w") as errors:
            self.daemon = subprocess.Popen([program, "mount", "-f", library, mountpoint, *words], stderr=errors)
        while "Mounted" not in self.said():
            if self.daemon.poll() is not None: raise RuntimeError(f"the library does not mount: {self.said()}")
            time.sleep(0.002)

    def said(self):
        with open(self.log, errors="replace") as file: return file.read()

    def unmount(self):
        result = subprocess.run([self.program, "umount", self.root], capture_output=True, text=True)
        if result.returncode: self.kill()
        if result.returncode or self.daemon.wait(): raise RuntimeError(f"no clean end: {result.stderr}{self.said()}")
        return [line for line in self.said().splitlines() if "Z error: " in line]

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        subprocess.run(["umount", "-l", self.root], capture_output=True)


def shown(value):
    """Answers a value as getfattr prints it: as text where it is text, else in hexadecimal digits."""
    try: text = value.decode()
    except UnicodeDecodeError: return "0x" + value.hex()
    return text if all(character.isprintable() for character in text) else "0x" + value.hex()


def digest(path):
    with open(path, "rb") as file: return hashlib.sha256(file.read()).hexdigest()


def digest_or_error(path):
    try: return digest(path)
    except OSError as error: return errno.errorcode[error.errno]


def data(path, size):
    """Answers where the data of a file lies, as SEEK_DATA and SEEK_HOLE say."""
    extents, at = [], 0
    with open(path, "rb") as file:
        while at < size:
            try: start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError: break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            extents.append(f"{start}-{at}")
    return " ".join(extents)


def flags(path):
    """Answers what chattr(1) has set."""
    with open(path, "rb") as file:
        try: return struct.unpack("i4x", fcntl.ioctl(file, 0x80086601, bytes(8)))[0]
        except OSError: return 0


def value(path, name):
    try: return shown(os.getxattr(path, name, follow_symlinks=False))
    except OSError: return None


def described(path, asked):
    """Answers all that a path shows, with the computed attributes that are asked for."""
    status = os.lstat(path)
    found = {"mode": oct(status.st_mode), "uid": status.st_uid, "gid": status.st_gid, "links": status.st_nlink,
             "inode": status.st_ino, "modified": status.st_mtime_ns}
    if stat.S_ISLNK(status.st_mode): found["target"] = os.readlink(path)
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode): found["device"] = status.st_rdev
    names = os.listxattr(path, follow_symlinks=False)
    found["listed"] = {name: value(path, name) for name in sorted(names)}
    if stat.S_ISREG(status.st_mode):
        found |= {"size": status.st_size, "sha256": digest(path)}
        if asked: found |= {"data": data(path, status.st_size), "flags": flags(path)}
        found["computed"] = {name: text for name in asked if name not in names and (text := value(path, name)) is not None}
    return found


def tree(top, prefix, into, asked):
    """Describes everything in and below a folder, under its path from there; `asked` answers what is asked of a path."""
    if not os.path.isdir(top): return
    into[prefix] = described(top, asked(prefix))
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            under = prefix + path[len(top):]
            into[under] = described(path, asked(under))
            if prefix == "collections" and name == "info.json":
                # A view's, with times of the mount.
                into[under] = {key: into[under][key] for key in ("mode", "size", "sha256")}


def readable(root, paths):
    """Answers which regular files a user who owns nothing can open."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([]); os.setgid(STRANGER); os.setuid(STRANGER)
            for path in paths:
                try:
                    os.close(os.open(f"{root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
                    os.write(write, os.fsencode(path) + b"\0")
                except OSError: pass
        finally: os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe: said = pipe.read()
    os.waitpid(child, 0)
    return sorted(os.fsdecode(path) for path in said.split(b"\0") if path)


def lines(root, name, size=-1):
    """Answers length and SHA-256 of a record in `uploads/`, or of its beginning."""
    try:
        with open(f"{root}/uploads/{name}", "rb") as file: text = file.read(size)
    except OSError: return None
    return {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def former(root):
    """Describes the former contents and alternative files in `resources/`."""
    found = {}
    try: numbers = sorted(os.listdir(f"{root}/resources"), key=lambda name: (len(name), name))
    except OSError: return found
    for number in numbers:
        for kind in ["versions", "alternatives"]: tree(f"{root}/resources/{number}/{kind}", f"{number}/{kind}", found, lambda path: [])
    return {path: entry for path, entry in found.items() if "sha256" in entry}


def search(root, query):
    try: return sorted(os.readlink(f"{root}/search/{query}/{name}") for name in os.listdir(f"{root}/search/{query}"))
    except OSError: return None


def schema(library):
    """Answers the statements that have made an unmounted library's catalog, each on one line."""
    with sqlite3.connect(f"file:{library}/catalog.sqlite?immutable=1", uri=True) as catalog:
        rows = catalog.execute("SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def everything(_): return ["user.asset." + name for name in COMPUTED] + DESKTOPS


def entries(root, asked=everything):
    """Answers all that has a name, each with the computed attributes that are asked of its path."""
    found = {}
    for top in ["folders", "trash", "collections"]: tree(f"{root}/{top}", top, found, asked)
    # Views themselves have times of the mount.
    for top in ["trash", "collections"]: found.pop(top, None)
    return found


def records(root, sizes):
    """Answers the records in `uploads/`, or as much of their beginning as is named."""
    return {name: found for name, size in sizes.items() if (found := lines(root, name, size))}


def read(root, asked=everything, sizes=(), signed=()):
    """Answers what a mount shows, with files that are named by their signed paths."""
    found, versions = entries(root, asked), former(root)
    files = [path for path, entry in found.items() if "sha256" in entry] + ["resources/" + path for path in versions]
    return {"entries": found, "former": versions, "stranger": readable(root, files),
            "signed": {path: digest_or_error(f"{root}/{path}") for path in signed},
            "resources": sorted(os.listdir(f"{root}/resources")) if os.path.isdir(f"{root}/resources") else [],
            "search": {query: found for query in QUERIES if (found := search(root, query)) is not None},
            "uploads": records(root, {"receipts.jsonl": -1, "events.jsonl": -1} | dict(sizes))}
