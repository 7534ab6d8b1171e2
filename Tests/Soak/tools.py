"""The programs of a soak: common tools for copies, backups and version control."""
import os, shutil

from load import Client, content, expect


class Tools(Client):
    """Copies trees in and out with common tools."""

    def prepare(self):
        super().prepare()
        os.setxattr(self.folder, "user.policy.trash", b"none")

    def loads(self): return [(self.tar, 3), (self.rsync, 3), (self.git, 2), (self.cp, 3)]

    def source(self):
        """Creates a tree, half of which is different each time."""
        folder = f"{self.own}/source"
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(40):
            place = f"{folder}/{number % 5}/{number % 3}"
            os.makedirs(place, exist_ok=True)
            with open(f"{place}/{number}", "wb") as file: file.write(content(number, 3000) if number % 2 else self.data())
            os.chmod(f"{place}/{number}", self.chosen.choice([0o600, 0o644, 0o755]))
        os.symlink("nowhere", f"{folder}/link")
        return folder

    def place(self, name):
        folder = f"{self.folder}/{name}"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        return folder

    def compare(self, one, two):
        self.run("diff", "-r", "--no-dereference", one, two)

    def cp(self):
        source, target = self.source(), self.place("cp")
        self.run("cp", "-a", f"{source}/.", target)
        self.compare(source, target)

    def tar(self):
        source, target = self.source(), self.place("tar")
        self.run("bash", "-c", 'tar -C "$0" -cf - . | tar -C "$1" -pxf -', source, target)
        self.compare(source, target)
        self.run("tar", "-C", target, "-df", self.archive(source))

    def archive(self, source):
        self.run("tar", "-C", source, "-cf", f"{self.own}/archive.tar", ".")
        return f"{self.own}/archive.tar"

    def rsync(self):
        if not shutil.which("rsync"): return
        source, target = self.source(), self.place("rsync")
        self.run("rsync", "-aX", f"{source}/", f"{target}/")
        again = self.run("rsync", "-aXi", f"{source}/", f"{target}/")
        expect(again.strip() == "", f"a second rsync had to do: {again[:300]}")
        self.compare(source, target)

    def git(self):
        source, target = self.source(), self.place("git")
        shutil.copytree(source, f"{target}/tree", symlinks=True)
        named = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "gc.auto=0"]
        for command in ("init -q", "add -A", "commit -q -m one", "gc -q", "fsck --strict", "diff --exit-code HEAD"):
            self.run("git", *named, *command.split(), cwd=target)


class Backups(Tools):
    """Keeps backup repositories in the mount, and restores all their files."""

    def loads(self): return [(self.restic, 1), (self.borg, 1)]

    def restic(self):
        if not shutil.which("restic"): return
        source, repository, back = self.source(), self.place("restic"), f"{self.own}/back"
        shutil.rmtree(back, ignore_errors=True)
        secret = {"RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": repository}
        for command in ("init -q", "backup -q .", "check -q", f"restore -q latest --target {back}"):
            self.run("restic", "--no-cache", *command.split(), cwd=source, environment=secret)
        self.compare(source, back)

    def borg(self):
        if not shutil.which("borg"): return
        source, repository, back = self.source(), self.place("borg"), f"{self.own}/back"
        shutil.rmtree(back, ignore_errors=True)
        os.makedirs(back)
        secret = {"BORG_REPO": repository, "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        for command, folder in (("init -e none", source), ("create ::one .", source), ("check", source), ("extract ::one", back)):
            self.run("borg", *command.split(), cwd=folder, environment=secret)
        self.compare(source, back)
