"""The history of a writer, and the states of its files that a crash may leave.

A *step* is one system call that changes names or contents; it is recorded before the call, because a crash
may come within it. Steps of one open file are a *session*. After a crash there must be one moment, not before
the last acknowledged step, at which all names of the writer had the states that are found. Of a session that
had begun by then, each block may have any content that it had since the last acknowledgement.
"""
import os, stat, time
from contextlib import contextmanager
from typing import NamedTuple, Optional

BLOCK = 4096
ATTRIBUTES = ("user.note", "user.asset.caption")


class File(NamedTuple):
    data: bytes
    attributes: tuple = ()
    mode: int = 0o644
    # The expiry in seconds since 1970; 0 for never.
    expires: float = 0

    def __str__(self): return f"{len(self.data)} bytes {self.data[:24]!r}… mode {self.mode:o} {dict(self.attributes)}"


class Link(NamedTuple):
    target: str


class Folder(NamedTuple):
    mode: int = 0o755


def observe(path):
    """Returns the state of a path; a file that expires meanwhile is absent."""
    try: return observe_present(path)
    except FileNotFoundError: return None


def observe_present(path):
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode): return Link(os.readlink(path))
    if stat.S_ISDIR(status.st_mode): return Folder()
    with open(path, "rb") as file: data = file.read()
    found = os.listxattr(path)
    attributes = tuple((name, os.getxattr(path, name)) for name in ATTRIBUTES if name in found)
    return File(data, attributes, stat.S_IMODE(status.st_mode))


def equals(state, found):
    """Returns whether a state is the one that was found; an expired file may be absent."""
    if isinstance(state, File) and state.expires:
        if found is None: return time.time() >= state.expires
        return isinstance(found, File) and found.data == state.data
    return state == found


def mixes(states, found):
    """Returns whether each block of a found file has the content of that block in one of the states; all
    states must be files."""
    files = [state for state in states if isinstance(state, File)]
    if not isinstance(found, File) or not files: return False
    if (found.attributes, found.mode) not in {(file.attributes, file.mode) for file in files}: return False
    size, sizes = len(found.data), {len(file.data) for file in files}
    if size not in sizes and (size % BLOCK or size > max(sizes)): return False
    for start in range(0, size, BLOCK):
        block = found.data[start:start + BLOCK]
        parts = [file.data[start:start + len(block)] for file in files]
        # A continued upload is cut to its synced size: the zeros that ext4 has behind that are not content.
        if block not in parts and not is_cut_off(files, size, start, block): return False
    return True


def is_cut_off(files, size, start, block):
    """Returns whether a block contains the end of a state that was cut off, and the zeros that a
    truncation writes after it, although the size is a former one."""
    for number, file in enumerate(files):
        part = file.data[start:start + len(block)]
        if part and part + bytes(len(block) - len(part)) == block and any(len(former.data) >= size for former in files[:number]): return True
    return False


class Step(NamedTuple):
    changes: dict
    session: Optional[int]


class History:
    def __init__(self, base=None):
        self.base = base or {}
        self.steps = []
        # The number of returned steps, and the number of those that are acknowledged to be on stable storage.
        self.returned = self.acknowledged = self.acknowledgements = 0
        self.sessions = 0

    def __getitem__(self, name):
        for step in reversed(self.steps):
            if name in step.changes: return step.changes[name]
        return self.base.get(name)

    def session(self):
        self.sessions += 1
        return self.sessions

    @contextmanager
    def step(self, changes, session=None):
        self.steps.append(Step(changes, session))
        yield
        self.returned = len(self.steps)

    def acknowledge(self):
        self.acknowledged = self.returned
        self.acknowledgements += 1

    def names(self): return sorted(set(self.base).union(*(step.changes for step in self.steps)))

    def permitted(self, name, moment):
        """Returns the state of a name after a number of steps, and the states of a session that was open
        at that moment."""
        state, first, last, session = self.base.get(name), None, None, None
        for number, step in enumerate(self.steps[:moment], 1):
            if name in step.changes: state, session = step.changes[name], step.session
        following = self.steps[moment:moment + 1]
        if following and name in following[0].changes and following[0].session: session = following[0].session
        if session is None: return state, []
        members = [number for number, step in enumerate(self.steps, 1) if step.session == session]
        first, last = members[0] - 1, members[-1]
        if not first <= moment <= last: return state, []
        begin = max(first, self.acknowledged)
        states = [state]
        for number in range(begin, last + 1):
            one = self.base.get(name)
            for step in self.steps[:number]: one = step.changes.get(name, one)
            states.append(one)
        return state, states

    def problems(self, root):
        """Compares the files below a folder with the history. Returns sentences, and the states that were
        found."""
        names = self.names()
        found = {name: observe(f"{root}/{name}") for name in names}
        best, least = None, None
        for moment in range(len(self.steps), self.acknowledged - 1, -1):
            wrong = []
            for name in names:
                state, states = self.permitted(name, moment)
                if equals(state, found[name]) or any(equals(one, found[name]) for one in states): continue
                if mixes(states, found[name]): continue
                wrong.append((name, state))
            if not wrong: return self.strangers(root, found), found
            if least is None or len(wrong) < len(least): best, least = moment, wrong
        text = [f"no moment since the acknowledged step {self.acknowledged} (of {len(self.steps)}) had what is found; nearest is {best}:"]
        for name, state in least[:6]:
            text += [f"  {root}/{name}: {describe(found[name])}; had {describe(state)}"] + self.blocks(name, found[name])
        for name, _ in least[:2]:
            text += [f"    step {number}: {describe(step.changes[name])}, session {step.session}"
                     for number, step in enumerate(self.steps, 1) if name in step.changes][-12:]
        extra = self.strangers(root, found)
        return text + extra, found

    def blocks(self, name, found):
        """Returns, for each block of a file, the contents that have that block."""
        if not isinstance(found, File): return []
        states = [("before", self.base.get(name))] + [
            (f"step {number}", step.changes[name]) for number, step in enumerate(self.steps, 1) if name in step.changes]
        lines = []
        for start in range(0, len(found.data), BLOCK):
            block = found.data[start:start + BLOCK]
            owners = [label for label, state in states if isinstance(state, File) and state.data[start:start + len(block)] == block]
            line = ", ".join(owners[-3:]) or f"nothing ({block.count(0)} zeros)"
            if not lines or lines[-1][1] != line: lines.append((start, line))
        return [f"    from {start}: {line}" for start, line in lines[:12]]

    def following(self, found):
        """Returns a history that begins with the found states and keeps their expiry."""
        base = {}
        for name, state in found.items():
            if state is None: continue
            ends = [one.expires for one in [self.base.get(name), *(step.changes.get(name) for step in self.steps)]
                    if isinstance(one, File)]
            base[name] = state._replace(expires=max(ends)) if isinstance(state, File) and any(ends) else state
        return History(base)

    def strangers(self, root, found):
        present = {os.path.relpath(os.path.join(folder, name), root)
                   for folder, folders, files in os.walk(root) for name in folders + files}
        return [f"  {root}/{name} was never made" for name in sorted(present - set(found))]


def describe(state):
    if state is None: return "absent"
    if isinstance(state, File): zeros = state.data.count(0) == len(state.data) and len(state.data) > 0
    else: zeros = False
    return str(state) + (" ALL ZEROS" if zeros else "")
