"""Opens a golden library with an assetfs, and tells what it has lost: compare.py ASSETFS NAME.tar.xz FOLDER."""
import fnmatch, hashlib, json, os, subprocess, sys, tarfile

import manifest

# What a later assetfs shows in another way, on purpose: the last version that showed it as before, where,
# which value, and why.
NO_VIEW = "these versions had no trash/ and no resources/; what they kept is shown now"
REPLACED = "a name that is not UTF-8 had U+FFFD in place of bytes"
MEANT = [
    (4, "entries", "trash/*", NO_VIEW),
    (4, "former", "*", NO_VIEW),
    (4, "", "resources", NO_VIEW),
    (11, "entries/*/computed", "user.asset.*filename", REPLACED),
    (11, "entries/*/computed", "user.asset.path", REPLACED),
    (8, "entries/*", "data", "version 8 said that a sparse file has data from end to end; the holes are in the blob"),
    (19, "signed", "signed/read.*", "a token of these versions does not name its signer, and is to be made anew (SEMANTICS, Signed paths)"),
]


# Contents that were replaced, which each version has kept, whether it had a view of them or not.
FORMER = [hashlib.sha256(text).hexdigest() for text in (b"content 1\n", b"content 2\n", b"closed at first\n", b"in a closed folder\n")]


def is_meant(version, where, key):
    return any(version <= last and fnmatch.fnmatchcase(where, place) and fnmatch.fnmatchcase(key, value)
               for last, place, value, _ in MEANT)


def differences(version, said, found, where=""):
    """Answers a line for each value that is not what the manifest says."""
    lines = []
    for key in sorted(set(said) | set(found)):
        before, now = said.get(key), found.get(key)
        if before == now or is_meant(version, where, key): continue
        if isinstance(before, dict) and isinstance(now, dict):
            lines += differences(version, before, now, f"{where}/{key}" if where else key)
        else: lines.append(f"{where}: {key} was {before!r:.300}, and is {now!r:.300}")
    return lines


def unasked(entries):
    """Answers entries without what has to be asked for."""
    plain = {path: {key: value for key, value in entry.items() if key not in ("data", "flags")} for path, entry in entries.items()}
    return {path: entry | {"computed": {}} if "computed" in entry else entry for path, entry in plain.items()}


class Golden:
    """A golden library, unpacked into a folder."""

    def __init__(self, program, archive, work):
        self.program, self.work, self.mountpoint = program, work, f"{work}/mount"
        with tarfile.open(archive) as packed:
            # As they are, also by a Python whose default leaves out owners and modes.
            packed.extraction_filter = lambda member, path: member
            packed.extractall(work)
        with open(f"{work}/manifest.json") as file: self.said = json.load(file)
        self.version = len(self.said.pop("migrations"))
        self.changes = self.said.pop("killed")
        for key in ["commit", "lacking"]: self.said.pop(key)
        self.sizes = {name: record["size"] for name, record in self.said["uploads"].items()}

    def mounted(self, library, action):
        path = f"{self.work}/{library}"
        stores = [f"store=archive:{path}.store"] if os.path.exists(f"{path}.store/STORE") else []
        mount = manifest.Mount(self.program, path, self.mountpoint, *stores)
        try: found = action()
        except BaseException:
            mount.kill()
            raise
        return found + mount.unmount()

    def shown(self):
        """Compares all that the mount shows."""
        asked = lambda path: self.said["entries"].get(path, {}).get("computed", {}).keys()
        found = manifest.read(self.mountpoint, asked, self.sizes, self.said["signed"])
        for key in ["search", "uploads"]: found[key] = {name: value for name, value in found[key].items() if name in self.said[key]}
        # What has come to be shown was not asked for.
        known = self.said["entries"].keys() | {"resources/" + path for path in self.said["former"]}
        found["stranger"] = [path for path in found["stranger"] if path in known]
        kept = {entry["sha256"] for entry in found["former"].values()}
        lost = [f"a former content is lost: {digest}" for digest in FORMER if digest not in kept]
        return differences(self.version, self.said, found) + lost

    def named(self, before, now):
        """Compares what has a name, without what has to be asked for; and the records."""
        said = {"entries": unasked(before), "uploads": self.said["uploads"]}
        found = {"entries": now, "uploads": manifest.records(self.mountpoint, self.sizes)}
        return differences(self.version, said, found)

    def removed(self):
        """Answers what is taken back from the trash."""
        return [name for name in self.said["entries"] if name.startswith("trash/") and name.endswith("-removed.txt")]

    def verified(self, library):
        result = subprocess.run([self.program, "verify", "--deep", f"{self.work}/{library}"], capture_output=True, text=True)
        return [f"verify ended with {result.returncode}: {result.stdout}{result.stderr}"] if result.returncode else []

    def fresh(self):
        """Answers the tables of a new library."""
        self.mounted("new", lambda: [])
        return manifest.schema(f"{self.work}/new")

    def clean(self):
        """Compares the library that was unmounted, before and after a change."""
        new = self.mountpoint + "/folders/new"
        described = self.mountpoint + "/folders/album/large.csv"

        def change():
            lines = self.shown()
            os.mkdir(new)
            with open(f"{new}/file.txt", "w") as file: file.write("of a later assetfs\n")
            os.setxattr(f"{new}/file.txt", "user.asset.caption", b"also new")
            os.setxattr(described, "user.asset.project", b"told later")
            for name in self.removed(): os.rename(f"{self.mountpoint}/{name}", f"{new}/{os.path.basename(name)}")
            return lines

        def changed():
            now, before = manifest.entries(self.mountpoint, lambda _: []), self.said["entries"]
            lines = []
            if not now.pop("folders/new", None) or now.pop("folders/new/file.txt")["listed"] != {"user.asset.caption": "also new"}:
                lines.append("what was made after the migration is not there")
            # The changes are to be seen there, and nowhere else.
            for name in self.removed():
                now[name] = now.pop("folders/new/" + os.path.basename(name)) | {"links": 0}
            for name in [name for name, entry in now.items() if entry.get("inode") == os.stat(described).st_ino]:
                if now[name]["listed"].pop("user.asset.project", None) != "told later": lines.append(f"{name} has lost its project")
            if self.said["search"] and manifest.search(self.mountpoint, "caption:also name:file") != ["../../folders/new/file.txt"]:
                lines.append("what was made after the migration is not found")
            now["folders"] |= {"links": now["folders"]["links"] - 1, "modified": before["folders"]["modified"]}
            return lines + self.named(before, now)

        lines = self.mounted("clean", change) + self.verified("clean") + self.mounted("clean", changed)
        # A migration that was edited makes other tables in new libraries than old ones have.
        return lines + differences(self.version, self.fresh(), manifest.schema(f"{self.work}/clean"), "the tables")

    def killed(self):
        """Compares the library whose daemon was killed."""
        # A group's info.json has types of files, which are told anew where the kill has lost them.
        told = lambda entries: {path: entry for path, entry in entries.items() if entry and not path.endswith("/info.json")}
        before = told(self.said["entries"] | self.changes)
        recovered = lambda: self.named(before, told(manifest.entries(self.mountpoint, lambda _: [])))
        return self.mounted("killed", recovered) + self.verified("killed")


def main():
    program, archive, work = map(os.path.abspath, sys.argv[1:])
    os.umask(0o022)
    os.chmod(work, 0o755)
    golden = Golden(program, archive, work)
    lines = ["unmounted: " + line for line in golden.clean()] + ["killed: " + line for line in golden.killed()]
    for line in lines: print(line)
    sys.exit(1 if lines else 0)


if __name__ == "__main__": main()
