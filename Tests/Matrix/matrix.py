"""The information that each user gets, and the changes that each can make, in a mount that several users
share.

    matrix.py MOUNT ASSETFS SCRATCH [EXPECTED]

Creates a tree of alice's objects, makes each request as each user, prints two tables in Markdown, and
compares them with those in the file EXPECTED. The mount needs `allow_other` and `fetch`; the program needs
root.

root makes all requests first, so that the kernel has cached the answers when others make them. bob makes them
once more at the end: an answer that differs from the first is shown as `first → last`.
"""

import ctypes, errno, json, os, re, stat, subprocess, sys, time

MOUNT, ASSETFS, SCRATCH = sys.argv[1:4]
FOLDERS, RESOURCES, TRASH = MOUNT + "/folders", MOUNT + "/resources", MOUNT + "/trash"
TEAM = 5100
USERS = {"root": (0, 0, []), "alice": (5001, 5001, []), "bob": (5002, 5002, []), "carol": (5003, 5003, [TEAM])}
COLUMNS = ["alice", "carol", "bob", "root"]
FIELD = "user.asset."


def act(user, action):
    """Runs `action` as a user in a process of its own, and returns its text or the name of the errno."""
    uid, gid, groups = USERS[user]
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid); os.umask(0o022); os.chdir("/")
            text = action()
            text = "yes" if text is None or text is True else "no" if text is False else str(text)
        except OSError as error:
            text = errno.errorcode.get(error.errno, str(error.errno))
        except BaseException as error:
            text = "%s: %s" % (type(error).__name__, error)
        os.write(write, text.encode(errors="replace")[:60000]); os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer: text = answer.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return text


def need(user, action):
    """Prepares an object as a user; an error ends the program."""
    answer = act(user, action)
    assert answer == "yes", "%s: %s" % (user, answer)


def store(path, text, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try: os.fchmod(fd, mode); os.write(fd, text.encode())
    finally: os.close(fd)

def text(path):
    with open(path, "rb", buffering=0) as file:
        parts = []
        while part := file.read(1 << 16): parts.append(part)
    return b"".join(parts).decode(errors="replace")

def field(path, name): return os.getxattr(path, FIELD + name).decode(errors="replace")
def put(path, name, value): os.setxattr(path, FIELD + name, value.encode())
def number(path): return field(path, "id")
def names(path): return os.listdir(path)
def shell(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


class Tree:
    """The objects of alice. Words that begin with `zeta` are her secrets: an answer that contains one has
    revealed it."""

    def __init__(self):
        self.files, self.ids, self.secrets = {}, {}, {}
        self.home = FOLDERS + "/home"
        os.mkdir(self.home); os.chown(self.home, 5001, 5001); os.chmod(self.home, 0o755)
        self.shared = FOLDERS + "/shared"
        os.mkdir(self.shared); os.chown(self.shared, 5001, 5001); os.chmod(self.shared, 0o777)
        for user in ("bob", "carol"):
            path = "%s/%s" % (FOLDERS, user); os.mkdir(path); os.chown(path, USERS[user][0], USERS[user][1])
        need("alice", self.alices)
        for name in ("closed", "upload", "errors"): assert os.path.isdir(self.home + "/" + name)

    def alices(self):
        home = self.home
        for name, mode in (("closed", 0o700), ("upload", 0o700), ("errors", 0o755), ("open", 0o755), ("strict", 0o755)):
            os.mkdir("%s/%s" % (home, name)); os.chmod("%s/%s" % (home, name), mode)
        for name in ("0600", "0640", "0644", "private", "hidden", "trashed", "former", "withalternative", "grouped", "signed", "collected"):
            path = "%s/%s.txt" % (home, name)
            store(path, "zeta-content-" + name, 0o600 if name == "0600" else 0o644)
            put(path, "caption", "zetacaption%s" % name)
        store(home + "/closed/zeta-inside.txt", "zeta-content-closed"); put(home + "/closed/zeta-inside.txt", "caption", "zetacaptionclosed")


def make_empty(path, mode):
    """Lets alice create an asset without a file; this requires write access to folders/, which is open
    during the call."""
    former = os.stat(FOLDERS).st_mode & 0o7777
    os.chmod(FOLDERS, 0o1777)
    need("alice", lambda: (os.umask(0), os.mkdir(path, mode), None)[-1])
    os.chmod(FOLDERS, former)

def build():
    tree = Tree()
    home, files = tree.home, tree.files
    for name in ("0600", "0640", "0644", "private", "hidden", "trashed", "former", "withalternative", "grouped", "signed", "collected"):
        files[name] = "%s/%s.txt" % (home, name)
    files["closed"] = home + "/closed/zeta-inside.txt"
    os.chown(files["0640"], -1, TEAM); os.chmod(files["0640"], 0o640)
    # One file with two names: an open one, and an older one in a closed folder.
    def linked():
        store(home + "/closed/zeta-two.txt", "two names"); os.link(home + "/closed/zeta-two.txt", home + "/open/two.txt")
        put(files["private"], "access", "PRIVATE"); put(files["hidden"], "access", "HIDDEN_INDEXABLE")
        os.setxattr(home + "/closed", "user.policy.ttl", b"P9D")
        os.mkdir(MOUNT + "/collections/plain"); os.link(files["collected"], MOUNT + "/collections/plain/collected.txt")
        os.mkdir(MOUNT + "/collections/sealing")
        for name in ("grouped", "hidden"): os.link(files[name], MOUNT + "/collections/sealing/%s.txt" % name)
        os.link(home + "/closed/zeta-two.txt", MOUNT + "/collections/sealing/two.txt")
        os.chmod(MOUNT + "/collections/sealing", 0o555)
    need("alice", linked)
    files["two"] = home + "/open/two.txt"
    tree.group = MOUNT + "/collections/" + next(name for name in os.listdir(MOUNT + "/collections") if "~" in name)
    # The first version was private; the present one is public.
    need("alice", lambda: (os.chmod(files["former"], 0o600), store(files["former"], "public now", 0o600), os.chmod(files["former"], 0o644), None)[-1])
    for name, path in files.items(): tree.ids[name] = number(path)
    # Temporary names are not committed by themselves: the alternative has a final one.
    need("alice", lambda: store("%s/%s/alternatives/other.txt" % (RESOURCES, tree.ids["withalternative"]), "zeta-content-alternative"))
    tree.ids["alternative"] = number("%s/%s/alternatives/other.txt" % (RESOURCES, tree.ids["withalternative"]))
    need("alice", lambda: os.chmod(files["withalternative"], 0o600))
    # Content of another owner that alice may read, and a copy of a private file of hers that bob has.
    need("bob", lambda: store(FOLDERS + "/bob/mine.txt", "of bob"))
    # An asset that has no file yet.
    tree.ids["empty"] = str(1000 + int(max(tree.ids.values(), key=int)))
    make_empty("%s/%s" % (RESOURCES, tree.ids["empty"]), 0o700)
    # Rejected uploads: by a duplicate, and by name.
    def refused():
        os.setxattr(home + "/errors", "user.policy.duplicates", b"REJECT"); os.setxattr(home + "/errors", "user.policy.scope", b"ENTIRE_PORTAL")
        try: store(home + "/errors/zeta-refused.txt", "zeta-content-0600"); raise AssertionError("not refused")
        except OSError as error: assert error.errno == errno.EEXIST, error
        try: put(files["0644"], "rank", "zeta-typed"); raise AssertionError("not refused")
        except OSError as error: assert error.errno == errno.EINVAL, error
        try: os.listdir(MOUNT + "/search/in:zeta-nowhere"); raise AssertionError("found")
        except OSError as error: assert error.errno == errno.EINVAL, error
        put(home + "/open", "fetch", "http://127.0.0.1:1/zeta-fetch.txt")
        # The job exists after the metadata of the file was requested.
        field(files["trashed"], "mime_type"); os.unlink(files["trashed"])
    need("alice", refused)
    tree.job = act("alice", lambda: field(home + "/open", "job"))
    for _ in range(600):
        state = json.loads(text("%s/uploads/jobs/%s.json" % (MOUNT, tree.job)))["status"]
        if state == "error": break
        time.sleep(0.05)
    assert state == "error", state
    # The server has answered a URL fetch of bob with a file of alice, which is in a closed folder now.
    tree.moved = FOLDERS + "/bob/moved.txt"
    tree.bobs_job = fetched(tree)
    tree.signed = act("alice", lambda: MOUNT + "/" + field(files["signed"], "signed.1h"))
    need("alice", lambda: os.chmod(files["signed"], 0o600))
    tree.box = act("alice", lambda: MOUNT + "/" + field(home + "/upload", "signed_upload.1h"))
    tree.token = lambda other: other.replace(other.rstrip("/").split("/")[-1], "")
    # A purged number, and one that never existed.
    need("alice", lambda: store(home + "/purged.txt", "purged"))
    tree.ids["purged"] = number(home + "/purged.txt")
    need("alice", lambda: os.unlink(home + "/purged.txt"))
    need("alice", lambda: os.unlink("%s/%s-purged.txt" % (TRASH, tree.ids["purged"])))
    tree.ids["never"] = str(int(tree.ids["empty"]) - 7)
    return tree


def fetched(tree):
    """Lets bob fetch a URL into a folder of his, returns his job, and moves file and folder to a folder
    that he may not enter."""
    import http.server, threading
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200); self.send_header("Content-Length", "7"); self.end_headers(); self.wfile.write(b"fetched")
        def log_message(self, *_): pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = FOLDERS + "/bob/fetched"
    need("bob", lambda: (os.mkdir(folder), put(folder, "fetch", "http://127.0.0.1:%d/page.txt" % server.server_port), None)[-1])
    token = act("bob", lambda: field(folder, "job"))
    for _ in range(600):
        job = json.loads(text("%s/uploads/jobs/%s.json" % (MOUNT, token)))
        if job["status"] == "success": break
        time.sleep(0.05)
    assert job["status"] == "success", job
    server.shutdown()
    os.rename(folder, tree.home + "/closed/zeta-folder")
    os.rename(tree.home + "/closed/zeta-folder/page.txt", tree.home + "/closed/zeta-folder/zeta-page.txt")
    return token


def learning(tree):
    """Returns each way to get information: the object, the request, and a function without arguments."""
    home, files, ids = tree.home, tree.files, tree.ids
    resource = lambda name: "%s/%s" % (RESOURCES, ids[name])
    has = lambda answer, *words: any(word in answer for word in words)
    every = ["0600", "0640", "0644", "private", "hidden", "closed", "trashed", "former", "withalternative", "alternative", "two", "grouped",
             "collected", "signed", "empty"]
    rows = []
    def row(object, way, ask): rows.append((object, way, ask))
    file_name = lambda name: os.path.basename(files[name])
    trash_name = "%s/%s-trashed.txt" % (TRASH, ids["trashed"])

    for name in ("0600", "0640", "0644", "private", "hidden", "closed", "former", "two"):
        path = files[name]
        row(name, "stat by path", lambda path=path: os.stat(path) and None)
        row(name, "mode that is shown", lambda path=path: oct(stat.S_IMODE(os.stat(path).st_mode))[2:])
        row(name, "listed in its folder", lambda path=path: os.path.basename(path) in names(os.path.dirname(path)))
        row(name, "open and read", lambda path=path: text(path) and None)
        row(name, "user.asset.caption", lambda path=path: (os.path.exists(path), field(path, "id"))[-1] and None)
        row(name, "user.asset.info", lambda path=path: json.loads(field(path, "info")) and None)
        row(name, "listxattr", lambda path=path: " ".join(sorted(os.listxattr(path))) or "none")
    for name in every:
        row(name, "listed in resources/", lambda name=name: ids[name] in names(RESOURCES))
        row(name, "stat resources/ID", lambda name=name: os.stat(resource(name)) and None)
    for name in ("0600", "0640", "0644", "private", "hidden", "closed", "trashed", "former", "two", "empty"):
        row(name, "resources/ID/info.json", lambda name=name: int(json.loads(text(resource(name) + "/info.json"))["id"]) == int(ids[name]))
        if name in files:
            row(name, "resources/ID/NAME", lambda name=name: text("%s/%s" % (resource(name), file_name(name))) and None)
        row(name, "uploads/jobs/extraction-ID.json", lambda name=name: os.stat("%s/uploads/jobs/extraction-%s.json" % (MOUNT, ids[name])) and None)
    row("no such asset", "stat resources/ID", lambda: os.stat("%s/%s" % (RESOURCES, ids["never"])))
    row("purged asset", "stat resources/ID", lambda: os.stat("%s/%s" % (RESOURCES, ids["purged"])))
    for name in ("0600", "closed", "trashed", "empty", "purged"):
        row(name, "mkdir resources/ID", lambda name=name: os.mkdir(resource(name)))
    row("former", "listed versions/", lambda: " ".join(names(resource("former") + "/versions")) or "none")
    row("former", "read versions/1-former.txt", lambda: text(resource("former") + "/versions/1-former.txt"))
    row("former", "MD5 of the private content", lambda: re.fullmatch("[0-9a-f]{32}", field(files["former"], "md5_at_upload")) and None)
    row("0644", "user.asset.md5_at_upload", lambda: re.fullmatch("[0-9a-f]{32}", field(files["0644"], "md5_at_upload")) and None)
    # An open descriptor of a directory must give no further information.
    def by_descriptor(name):
        path = "%s/descriptor%d.txt" % (home, os.getuid())
        fd = os.open("%s/%s" % (RESOURCES, number(path)), os.O_RDONLY | os.O_DIRECTORY)
        with open(SCRATCH + "/close", "w") as pipe: pipe.write(path + "\n")
        open(SCRATCH + "/closed").close()
        try:
            with open(os.open(name, os.O_RDONLY, dir_fd=fd), "rb", buffering=0) as file: file.read()
        finally: os.close(fd)
    row("closed meanwhile", "info.json by a descriptor of resources/ID", lambda: by_descriptor("info.json"))
    row("closed meanwhile", "versions/ by a descriptor of resources/ID", lambda: by_descriptor("versions/1-descriptor%d.txt" % os.getuid()))
    row("alternative", "by its own number", lambda: names("%s/%s" % (RESOURCES, ids["alternative"])) and None)
    row("alternative", "resources/ID/alternatives/NAME", lambda: text(resource("withalternative") + "/alternatives/other.txt"))

    row("query that failed", "user.asset.error of the mount", lambda: "zeta-nowhere" in field(MOUNT, "error"))
    row("queries of others", "list search/, as inotify(7) needs", lambda: " ".join(names(MOUNT + "/search")) or "none")
    # Searches.
    found = lambda query: " ".join(sorted(name.split("-", 1)[1] for name in names("%s/search/%s" % (MOUNT, query)))) or "none"
    mine = lambda name, query: any(entry.startswith(ids[name] + "-") for entry in names("%s/search/%s" % (MOUNT, query)))
    for name in ("0600", "0640", "0644", "private", "hidden", "closed", "trashed"):
        row(name, "search by caption", lambda name=name: mine(name, "zetacaption" + name))
        row(name, "search by number", lambda name=name: mine(name, "id:" + ids[name]))
        row(name, "search by content", lambda name=name: mine(name, "sha256:" + tree.digest(name)))
    row("hidden", "search access:hidden", lambda: mine("hidden", "access:hidden"))
    row("0600", "lookup of search/QUERY/ID-NAME", lambda: os.lstat("%s/search/id:%s/%s-0600.txt" % (MOUNT, ids["0600"], ids["0600"])) and None)
    row("0600", "assetfs search", lambda: ids["0600"] + "-" in shell(ASSETFS, "search", "zetacaption0600", "--mount", MOUNT) or "0600.txt" in shell(ASSETFS, "search", "zetacaption0600", "--mount", MOUNT))
    row("closed folder", "search in:home/closed", lambda: found("in:home%2Fclosed"))
    row("closed folder", "search in:home/closed/sub", lambda: found("in:home%2Fclosed%2Fsub"))
    # A file that also has a name in a closed folder.
    secret = lambda answer: "tells" if has(answer, "zeta", "closed") else "silent"
    row("two", "search, names of what is found", lambda: secret(found("id:" + ids["two"])))
    row("two", "search, where the link leads", lambda: secret(" ".join(os.readlink("%s/search/id:%s/%s" % (MOUNT, ids["two"], name)) for name in names("%s/search/id:%s" % (MOUNT, ids["two"])))))
    row("two", "search -in:home/closed", lambda: mine("two", "id:%s -in:home%%2Fclosed" % ids["two"]))
    # The name of the first upload is information about the asset, available to all its readers.
    def without_origin(text):
        info = json.loads(text)
        for file in info["files"] if "files" in info else [info]: (file or {}).pop("original_filename", None)
        return json.dumps(info)
    for key in ("path", "filename"): row("two", "user.asset." + key, lambda key=key: secret(field(files["two"], key)))
    row("two", "user.asset.info", lambda: secret(without_origin(field(files["two"], "info"))))
    row("two", "user.asset.original_filename", lambda: secret(field(files["two"], "original_filename")))
    row("two", "search by a word of its closed name", lambda: mine("two", "name:zeta"))
    row("two", "user.policy.effective", lambda: secret(os.getxattr(files["two"], "user.policy.effective").decode()))
    row("two", "names in resources/ID", lambda: secret(" ".join(names(resource("two")))))
    row("two", "info.json", lambda: secret(without_origin(text(resource("two") + "/info.json"))))
    row("two", "mode and owner of resources/ID", lambda: oct(stat.S_IMODE(os.stat(resource("two")).st_mode))[2:])
    row("two", "info.json of the group", lambda: secret(without_origin(text(tree.group + "/info.json"))))
    # Trash, collections, signed paths.
    row("trashed", "listed in trash/", lambda: os.path.basename(trash_name) in names(TRASH))
    row("trashed", "stat by its name in trash/", lambda: os.stat(trash_name) and None)
    row("trashed", "read", lambda: text(trash_name) and None)
    row("no such file", "stat in trash/", lambda: os.stat(TRASH + "/7-nothing.txt"))
    row("collected", "listed in its collection", lambda: "collected.txt" in names(MOUNT + "/collections/plain"))
    row("hidden", "listed in its group", lambda: "hidden.txt" in names(tree.group))
    row("hidden", "named in the group's info.json", lambda: "hidden.txt" in text(tree.group + "/info.json"))
    row("signed", "read by its path", lambda: text(files["signed"]) and None)
    row("signed", "read by the signed path", lambda: text(tree.signed) and None)
    row("signed", "list signed/", lambda: names(MOUNT + "/signed"))
    row("signed", "a token without a signature", lambda: os.stat("%s/signed/read.%s.%d.%d." % (MOUNT, ids["signed"], 4000000000, os.getuid())))
    row("no such asset", "a token without a signature", lambda: os.stat("%s/signed/read.%s.%d.%d." % (MOUNT, ids["never"], 4000000000, os.getuid())))
    row("signed", "a token with a wrong signature", lambda: os.stat("%s/signed/read.%s.%d.%d.%s" % (MOUNT, ids["signed"], 4000000000, os.getuid(), "0" * 64)))
    row("no such asset", "a token with a wrong signature", lambda: os.stat("%s/signed/read.%s.%d.%d.%s" % (MOUNT, ids["never"], 4000000000, os.getuid(), "0" * 64)))
    row("signed", "who signs it", lambda: field(files["signed"], "signed.1h") and None)
    row("drop box", "list", lambda: " ".join(names(tree.box)) or "none")
    row("drop box", "times of its folder", lambda: os.stat(tree.box).st_mtime_ns == tree.upload_time)
    row("drop box", "user.asset.path of what was put there", lambda: tree.dropped())
    # Errors, receipts, jobs.
    row("receipts", "stat uploads/receipts.jsonl", lambda: os.stat(MOUNT + "/uploads/receipts.jsonl").st_size > 0)
    row("receipts", "read", lambda: text(MOUNT + "/uploads/receipts.jsonl") and None)
    row("events", "size of uploads/events.jsonl", lambda: os.stat(MOUNT + "/uploads/events.jsonl").st_size > 0)
    row("events", "read", lambda: text(MOUNT + "/uploads/events.jsonl") and None)
    row("counts", "size of uploads/.stats", lambda: os.stat(MOUNT + "/uploads/.stats").st_size > 0)
    row("counts", "read", lambda: text(MOUNT + "/uploads/.stats") and None)
    row("jobs", "list uploads/jobs/", lambda: names(MOUNT + "/uploads/jobs") is not None)
    row("fetch job", "read with its token", lambda: "zeta-fetch" in text("%s/uploads/jobs/%s.json" % (MOUNT, tree.job)))
    row("fetch job of bob", "where its file is now", lambda: secret(text("%s/uploads/jobs/%s.json" % (MOUNT, tree.bobs_job))))
    row("fetch job", "the token of its folder", lambda: field(home + "/open", "job") == tree.job)
    row("fetch job", "user.asset.error of its folder", lambda: field(home + "/open", "error") and None)
    row("no such job", "stat uploads/jobs/TOKEN.json", lambda: os.stat(MOUNT + "/uploads/jobs/00000000-0000-4000-8000-000000000000.json"))
    row("work of the library", "uploads/jobs/scrub.json", lambda: text(MOUNT + "/uploads/jobs/scrub.json") and None)
    row("work of the library", "uploads/jobs/verify.json", lambda: text(MOUNT + "/uploads/jobs/verify.json") and None)
    row("refused upload", "user.asset.error of the folder", lambda: "Duplicate" in field(home + "/errors", "error"))
    row("refused value", "user.asset.error of the file", lambda: "zeta-typed" in field(files["0644"], "error"))
    def own_error():
        try: names("%s/search/in:nowhere%d" % (MOUNT, os.getuid()))
        except OSError: pass
        return "nowhere%d" % os.getuid() in field(MOUNT, "error")
    row("query of one's own that failed", "user.asset.error of the mount", own_error)
    def own_refusal():
        path = "%s/of%d.txt" % (tree.shared, os.getuid()); store(path, "x")
        try: put(path, "rank", "typed%d" % os.getuid())
        except OSError: pass
        return "typed%d" % os.getuid() in field(path, "error")
    row("refused value of one's own", "user.asset.error of the file", own_refusal)
    row("library", "user.asset.info of folders/", lambda: "all" if "bytes" in json.loads(field(FOLDERS, "info")) else " ".join(json.loads(field(FOLDERS, "info"))))
    row("library", "assetfs status", lambda: "Assets" in shell(ASSETFS, "status", MOUNT))
    row("closed folder", "list", lambda: names(home + "/closed") and None)
    row("closed folder", "user.policy.effective", lambda: os.getxattr(home + "/closed", "user.policy.effective") and None)
    row("closed folder", "listxattr", lambda: " ".join(os.listxattr(home + "/closed")) or "none")
    # The content of a file that only alice may read, and of a hidden one: bob has the bytes, and searches for
    # other files with them.
    def copy(name, folder):
        path = "%s/%s/copy.txt" % (FOLDERS, folder); os.path.exists(path) and os.unlink(path)
        store(path, "zeta-content-" + name)
        try: return ids[name] in field(path, "duplicates").split(",")
        finally: os.unlink(path)
    own = lambda: {0: "bob", 5001: "home", 5002: "bob", 5003: "carol"}[os.getuid()]
    for name in ("0600", "0640", "0644", "private", "hidden", "closed", "trashed"):
        row(name, "user.asset.duplicates of a copy", lambda name=name: copy(name, own()))
    row("resources/", "st_nlink", lambda: os.stat(RESOURCES).st_nlink)
    row("trash/", "st_nlink", lambda: os.stat(TRASH).st_nlink)
    return rows


def normalised(answer, tree):
    """Replaces numbers and identifiers that differ between runs by words."""
    answer = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "UUID", answer)
    answer = re.sub(r"(?<![^ ])[0-9]+-", "ID-", answer)
    return answer.replace("\n", " ").strip()


def table(title, rows):
    lines = ["## " + title, "", "| object | way | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
    for object, way, answers in rows:
        lines.append("| %s | %s | %s |" % (object, way, " | ".join(answers[user] for user in COLUMNS)))
    return lines


def ask_all(tree):
    result = []
    for object, way, ask in learning(tree):
        first = None
        answers = {}
        for user in ("root", "bob", "carol", "alice", "bob"):
            for uid in (0, 5001, 5002, 5003): os.chmod("%s/descriptor%d.txt" % (tree.home, uid), 0o644)
            answer = normalised(act(user, ask), tree)
            if user == "bob" and first is not None and answer != first: answer = "%s → %s" % (first, answer)
            if user == "bob" and first is None: first = answer
            answers[user] = answer
        result.append((object, way, answers))
    return result


def main():
    import changes
    tree = build()
    import hashlib
    contents = {name: "zeta-content-" + name for name in tree.ids}
    tree.digest = lambda name: hashlib.sha256(contents[name].encode()).hexdigest()
    tree.upload_time = os.stat(tree.home + "/upload").st_mtime_ns
    def dropped():
        fd = os.open("%s/by%d.txt" % (tree.box, os.getuid()), os.O_RDWR | os.O_CREAT, 0o644)
        os.write(fd, b"dropped %d" % os.getuid())
        copy = os.dup(fd); os.close(copy)
        try: return os.getxattr(fd, FIELD + "path").decode()
        finally: os.close(fd)
    tree.dropped = dropped
    # A thread of root closes a file when a user requests it.
    for name in ("close", "closed"): os.mkfifo("%s/%s" % (SCRATCH, name)); os.chmod("%s/%s" % (SCRATCH, name), 0o666)
    def close():
        while True:
            with open(SCRATCH + "/close") as pipe: path = pipe.readline().strip()
            os.chmod(path, 0o600)
            open(SCRATCH + "/closed", "w").close()
    import threading
    threading.Thread(target=close, daemon=True).start()
    for uid in (0, 5001, 5002, 5003):
        path = "%s/descriptor%d.txt" % (tree.home, uid)
        need("alice", lambda: (store(path, "first"), store(path, "second"), None)[-1])
    # Answers must not depend on the progress of the metadata extraction.
    for path in tree.files.values():
        if os.path.exists(path): field(path, "mime_type")
    lines = table("Who learns what", ask_all(tree)) + [""] + table("Who can change what", changes.all(tree))
    print("\n".join(lines))
    if len(sys.argv) > 4:
        expected = [line for line in open(sys.argv[4], encoding="utf8").read().splitlines() if line.startswith("|")]
        shown = [line for line in lines if line.startswith("|")]
        wrong = [line for line in expected if line not in shown]
        new = [line for line in shown if line not in expected]
        for line in wrong: print("expected: " + line, file=sys.stderr)
        for line in new: print("found:    " + line, file=sys.stderr)
        if wrong or new: sys.exit(1)


if __name__ == "__main__":
    # Avoids a second copy of the module: `changes` uses its definitions.
    sys.modules["matrix"] = sys.modules["__main__"]
    main()
