"""The changes that each user can make: each way is tried by each user on an object that alice has created
for it."""

import ctypes, os, shutil
from matrix import ASSETFS, COLUMNS, FIELD, FOLDERS, MOUNT, RESOURCES, TEAM, TRASH, USERS, act, field, make_empty, need, normalised, number, put, store, text

libc = ctypes.CDLL(None, use_errno=True)


def exchange(one, other):
    if libc.renameat2(-100, one.encode(), -100, other.encode(), 2) != 0: raise OSError(ctypes.get_errno(), "")


class Place:
    """A folder of alice with one file, for the attempt of one user."""
    count = 0

    def __init__(self, folder_mode, file_mode, group=None):
        Place.count += 1
        self.folder = "%s/c%d" % (FOLDERS, Place.count)
        self.file = self.folder + "/file.txt"
        os.mkdir(self.folder); os.chown(self.folder, 5001, 5001); os.chmod(self.folder, folder_mode)
        need("alice", lambda: (store(self.file, "of alice", file_mode), put(self.file, "caption", "hers"), None)[-1])
        if group is not None: os.chown(self.file, -1, group); os.chmod(self.file, file_mode)
        self.id = number(self.file)
        self.view = "%s/%s" % (RESOURCES, self.id)

    def alice(self, action):
        need("alice", lambda: action(self) and None)
        return self


KINDS = {
    "0600 in 0755": lambda: Place(0o755, 0o600),
    "0640, group's, in 0755": lambda: Place(0o755, 0o640, TEAM),
    "0660, group's, in 0755": lambda: Place(0o755, 0o660, TEAM),
    "0644 in 0755": lambda: Place(0o755, 0o644),
    "0644 in 0777": lambda: Place(0o777, 0o644),
    "0644 in 1777": lambda: Place(0o1777, 0o644),
    "0666 in 0755": lambda: Place(0o755, 0o666),
    "0666 in 0700": lambda: Place(0o700, 0o666),
    "0666 PRIVATE in 0777": lambda: Place(0o777, 0o666).alice(lambda place: put(place.file, "access", "PRIVATE")),
    "0644 in 0777, list says bob and group r-x": lambda: listed(Place(0o777, 0o644)),
}


def listed(place):
    """Sets an access list on the folder that denies bob and the group the write access of all other users,
    and returns the place."""
    import subprocess
    subprocess.run(["setfacl", "-m", "u:5002:r-x,g:%d:r-x,o::rwx" % TEAM, place.folder], check=True)
    return place


def append(path, words):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try: os.write(fd, words)
    finally: os.close(fd)

def make(path, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try: os.write(fd, b"new")
    finally: os.close(fd)


WAYS = [
    ("write", lambda place: append(place.file, b"more")),
    ("truncate", lambda place: os.truncate(place.file, 1)),
    ("write by resources/ID/NAME", lambda place: append(place.view + "/file.txt", b"more")),
    ("another name in resources/ID/", lambda place: make(place.view + "/other.txt")),
    ("unlink", lambda place: os.unlink(place.file)),
    ("unlink in resources/ID/", lambda place: os.unlink(place.view + "/file.txt")),
    ("rename", lambda place: os.rename(place.file, place.folder + "/moved.txt")),
    ("rename in resources/ID/", lambda place: os.rename(place.view + "/file.txt", place.view + "/moved.txt")),
    ("temporary name in resources/ID/", lambda place: make(place.view + "/file.tmp")),
    ("symlink in resources/ID/", lambda place: os.symlink("x", place.view + "/link.tmp")),
    ("add an alternative", lambda place: make(place.view + "/alternatives/a.txt")),
    ("chmod", lambda place: os.chmod(place.file, 0o606)),
    ("chown", lambda place: os.chown(place.file, -1, 5001)),
    ("utimes", lambda place: os.utime(place.file, (1, 1))),
    ("user.asset.caption", lambda place: put(place.file, "caption", "new")),
    ("remove user.asset.caption", lambda place: os.removexattr(place.file, FIELD + "caption")),
    ("user.free", lambda place: os.setxattr(place.file, "user.free", b"x")),
    ("user.asset.access", lambda place: put(place.file, "access", "PUBLIC_INDEXABLE")),
    ("user.asset.expires", lambda place: put(place.file, "expires", "2099-01-01T00:00:00Z")),
    ("user.asset.ttl", lambda place: put(place.file, "ttl", "P1D")),
    ("user.asset.stored", lambda place: put(place.file, "stored", "0")),
    ("user.asset.no_exif", lambda place: put(place.file, "no_exif", "1")),
    ("user.asset.alternate_store_id", lambda place: put(place.file, "alternate_store_id", "0")),
    ("user.asset.reprocess", lambda place: put(place.file, "reprocess", "1")),
    ("access list", lambda place: os.setxattr(place.file, "system.posix_acl_access", bytes.fromhex("02000000 01000600ffffffff 04000400ffffffff 20000400ffffffff"))),
    ("user.policy.trash of its folder", lambda place: os.setxattr(place.folder, "user.policy.trash", b"none")),
    ("sign it", lambda place: field(place.file, "signed.1h") and None),
    ("link into a collection", lambda place: link(place)),
]


def link(place):
    path = "%s/collections/of%d-%d" % (MOUNT, os.getuid(), Place.count)
    os.mkdir(path); os.link(place.file, path + "/file.txt")


def state(place):
    """Returns the state that a refused attempt must leave unchanged."""
    try:
        known = os.stat(place.file)
        return (text(place.file), known.st_mode, known.st_uid, known.st_gid, known.st_mtime_ns, sorted(os.listxattr(place.file)),
                sorted(os.listdir(place.folder)), sorted(os.listdir(place.view + "/alternatives")), sorted(os.listxattr(place.folder)))
    except OSError as error: return str(error)


def attempt(user, place, way):
    before = state(place)
    answer = act(user, lambda: way(place))
    if answer != "yes" and state(place) != before: answer += ", and yet it changed"
    return answer


def others(tree):
    """Returns changes of objects other than files: (object, way, function of a user's name that creates
    the object and returns the attempt)."""
    def trashed():
        place = Place(0o777, 0o644)
        need("alice", lambda: os.unlink(place.file))
        return place, "%s/%s-file.txt" % (TRASH, place.id)
    def restore(user):
        place, path = trashed(); return act(user, lambda: os.rename(path, place.folder + "/back.txt"))
    def purge(user):
        place, path = trashed(); return act(user, lambda: os.unlink(path))
    def truncate(user):
        place, path = trashed(); return act(user, lambda: os.truncate(path, 0))
    def describe(user):
        place, path = trashed(); return act(user, lambda: put(path, "caption", "new"))
    def by_number(user):
        place, _ = trashed(); return act(user, lambda: make(place.view + "/file.txt"))
    def alternative(action):
        def run(user):
            place = Place(0o755, 0o644)
            need("alice", lambda: make(place.view + "/alternatives/a.txt"))
            return act(user, lambda: action(place.view + "/alternatives/a.txt"))
        return run
    def former(action):
        def run(user):
            place = Place(0o777, 0o666)
            need("alice", lambda: store(place.file, "second", 0o666))
            return act(user, lambda: action(place.view + "/versions/1-file.txt"))
        return run
    def collection(action, seals=False, mode=0o755):
        def run(user):
            place = Place(0o777, 0o666); path = "%s/collections/hers%d" % (MOUNT, Place.count); os.makedirs(path); os.chown(path, 5001, 5001); os.chmod(path, mode)
            need("alice", lambda: os.link(place.file, path + "/file.txt"))
            if seals:
                fd = os.open(path, os.O_RDONLY); need("alice", lambda: os.fchmod(fd, 0o555)); name = os.getxattr(fd, FIELD + "id").decode(); os.close(fd); path = MOUNT + "/collections/" + name
            return act(user, lambda: action(path, place))
        return run
    def empty(action, mode=0o755):
        def run(user):
            Place.count += 1; path = "%s/%d" % (RESOURCES, int(tree.ids["empty"]) + 100000 + Place.count * 10)
            make_empty(path, mode)
            return act(user, lambda: action(path))
        return run
    def next_number(user):
        Place.count += 1
        return act(user, lambda: os.mkdir("%s/%d" % (RESOURCES, int(tree.ids["empty"]) + 100000 + Place.count * 10)))
    def job(user):
        place = Place(0o755, 0o644)
        need("alice", lambda: put(place.folder, "fetch", "http://127.0.0.1:1/x"))
        token = act("alice", lambda: field(place.folder, "job"))
        return act(user, lambda: os.unlink("%s/uploads/jobs/%s.json" % (MOUNT, token)))
    def fetch(mode):
        def run(user):
            place = Place(mode, 0o644)
            return act(user, lambda: put(place.folder, "fetch", "http://127.0.0.1:1/x"))
        return run
    def box(action):
        def run(user):
            place = Place(0o700, 0o600)
            path = act("alice", lambda: MOUNT + "/" + field(place.folder, "signed_upload.1h"))
            return act(user, lambda: action(path))
        return run
    def signed(action):
        def run(user):
            place = Place(0o700, 0o600)
            path = act("alice", lambda: MOUNT + "/" + field(place.file, "signed.1h"))
            return act(user, lambda: action(path))
        return run
    def refusal(user):
        place = Place(0o777, 0o644)
        def refused():
            os.setxattr(place.folder, "user.policy.forbidden_types", b".exe")
            try: make(place.folder + "/zeta.exe"); raise AssertionError("not refused")
            except PermissionError: pass
        need("alice", refused)
        return act(user, lambda: os.removexattr(place.folder, FIELD + "error"))
    yield "in the trash", "restore", restore
    yield "in the trash", "purge", purge
    yield "in the trash", "truncate", truncate
    yield "in the trash", "user.asset.caption", describe
    yield "in the trash", "new file in resources/ID/", by_number
    yield "alternative", "write", alternative(lambda path: append(path, b"more"))
    yield "alternative", "unlink", alternative(os.unlink)
    yield "alternative", "rename", alternative(lambda path: os.rename(path, path + ".b"))
    yield "former content", "write", former(lambda path: append(path, b"more"))
    yield "former content", "unlink", former(os.unlink)
    yield "collection, 0755", "link into", collection(lambda path, place: os.link(place.file, path + "/again.txt"))
    yield "collection, 0755", "unlink in", collection(lambda path, place: os.unlink(path + "/file.txt"))
    yield "collection, 0755", "seal", collection(lambda path, place: os.chmod(path, 0o555))
    yield "collection, 0777", "unlink in", collection(lambda path, place: os.unlink(path + "/file.txt"), mode=0o777)
    yield "group", "link into", collection(lambda path, place: os.link(place.file, path + "/again.txt"), seals=True)
    yield "group", "unseal", collection(lambda path, place: os.chmod(path, 0o755), seals=True)
    yield "group", "remove", collection(lambda path, place: os.rmdir(path), seals=True)
    yield "asset without a file, 0755", "first file", empty(lambda path: make(path + "/a.txt"))
    yield "asset without a file, 0755", "remove", empty(os.rmdir)
    yield "asset without a file, 0777", "first file", empty(lambda path: make(path + "/a.txt"), mode=0o777)
    yield "a number that is free", "mkdir resources/ID", next_number
    yield "fetch job of alice", "give up", job
    yield "folder 0755", "user.asset.fetch", fetch(0o755)
    yield "folder 0777", "user.asset.fetch", fetch(0o777)
    yield "drop box", "put a file", box(lambda path: make(path + "x.txt"))
    yield "drop box", "mkdir", box(lambda path: os.mkdir(path + "x"))
    yield "drop box", "unlink what is there", box(lambda path: os.unlink(path + "file.txt"))
    yield "signed path", "write", signed(lambda path: append(path, b"more"))
    yield "signed path", "unlink", signed(os.unlink)
    yield "user.asset.error of a folder 0777", "remove", refusal
    yield "folders/", "user.asset.revoke_signed", lambda user: act(user, lambda: put(FOLDERS, "revoke_signed", "1"))
    yield "folders/", "user.asset.scrub", lambda user: act(user, lambda: put(FOLDERS, "scrub", "1"))
    yield "folders/", "user.asset.verify", lambda user: act(user, lambda: put(FOLDERS, "verify", "1"))
    yield "folders/", "user.policy.ttl", lambda user: act(user, lambda: os.setxattr(FOLDERS, "user.policy.ttl", b"none"))
    for view in ("", "/resources", "/trash", "/search", "/uploads", "/uploads/jobs", "/signed", "/collections"):
        yield (view or "/").strip("/") + "/", "make a file", lambda user, view=view: act(user, lambda: make("%s%s/zeta" % (MOUNT, view)))
    for view in ("/uploads/receipts.jsonl", "/uploads/events.jsonl"):
        yield view[1:], "write", lambda user, view=view: act(user, lambda: append(MOUNT + view, b"x"))
        yield view[1:], "unlink", lambda user, view=view: act(user, lambda: os.unlink(MOUNT + view))


def all(tree):
    rows = []
    for kind, place in KINDS.items():
        for name, way in WAYS:
            rows.append((kind, name, {user: normalised(attempt(user, place(), way), tree) for user in COLUMNS}))
    for object, way, run in others(tree):
        rows.append((object, way, {user: normalised(run(user), tree) for user in COLUMNS}))
    return rows
