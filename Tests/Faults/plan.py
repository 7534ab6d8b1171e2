"""The faults, and the errors that an operation may return for each."""
import collections, errno

from shim import forever

BYTES = {"write", "pwrite", "copy_file_range", "splice"}
GROWING = BYTES | {"create", "writev", "fsync", "fdatasync", "syncfs", "ftruncate", "fallocate", "rename", "rename-new",
                   "exchange", "link", "mkdir", "symlink", "truncate"}
CHANGING = GROWING | {"unlink", "rmdir", "chmod", "fchmod", "fchown", "futimens"}
OPENING = {"open", "create", "opendir", "dup", "fopen"}
# The errors that an operation may return after a call has failed with an errno; all others are unexpected.
FITTING = {
    errno.ENOSPC: {errno.ENOSPC}, errno.EDQUOT: {errno.EDQUOT, errno.ENOSPC}, errno.EIO: {errno.EIO},
    errno.EROFS: {errno.EROFS, errno.EIO}, errno.EMFILE: {errno.EMFILE, errno.ENFILE},
}
WRITES = "create,write,pwrite,writev,fsync,fdatasync,syncfs,ftruncate,fallocate,mkdir,copy_file_range"
# Faults of a whole disk: the calls, the kinds of files, and the error.
DISKS = [
    (WRITES, "*", errno.ENOSPC), (WRITES, "*", errno.EDQUOT), (WRITES, "*", errno.EIO), ("*", "*", errno.EIO),
    (WRITES + ",rename,rename-new,exchange,link,unlink", "*", errno.EROFS), ("open,create,opendir,dup", "*", errno.EMFILE),
    ("fsync,fdatasync,syncfs", "*", errno.EIO), ("fsync,fdatasync,syncfs", "*", errno.ENOSPC),
    ("pread,read", "*", errno.EIO), ("fdatasync,pwrite", "catalog.sqlite-wal", errno.EIO),
]
Fault = collections.namedtuple("Fault", "call kind error mode after length halves")


def lasting(call, kind, error, after=0): return Fault(call, kind, error, "lasting", after, forever(), False)


# Faults that once did harm, and are part of each selection.
FOUND = [
    # A file whose truncation failed at its open had as many zeros as it had bytes before.
    lasting("ftruncate", "staging", errno.ENOSPC),
    # The mount had to be restarted.
    lasting("fsync", "blobs", errno.EIO), lasting("pwrite,fdatasync", "catalog.sqlite-wal", errno.EIO),
    Fault("open", "blobs/", errno.EMFILE, "first", 0, 1, False),
    # A search was EIO on a full disk.
    lasting("fdatasync", "search.sqlite-wal", errno.ENOSPC),
]
# … while a library is mounted: a call on the library's folder that failed once ended the command by SIGILL.
FOUND_AT_START = [Fault("stat", "./", errno.EIO, "first", after, 1, False) for after in range(6)]


def faults_of(call, kind, count):
    """Returns the faults of a call on a kind of file that was counted so often in a round."""
    errors = [errno.EIO]
    if call in GROWING: errors.append(errno.ENOSPC)
    if call in {"create", "pwrite", "fsync", "fdatasync", "mkdir"}: errors.append(errno.EDQUOT)
    if call in CHANGING - {"fsync", "fdatasync", "syncfs"}: errors.append(errno.EROFS)
    if call in OPENING: errors = [errno.EIO, errno.EMFILE] + errors[1:]
    for error in errors:
        yield Fault(call, kind, error, "first", 0, 1, False)
        if count > 2: yield Fault(call, kind, error, "middle", count // 2, 1, False)
        yield Fault(call, kind, error, "lasting", 0, forever(), False)
        if error in (errno.ENOSPC, errno.EIO) and call in CHANGING: yield Fault(call, kind, error, "killed", 0, forever(), False)
        if call in BYTES and error in (errno.ENOSPC, errno.EIO): yield Fault(call, kind, error, "half, lasting", 0, forever(), True)
