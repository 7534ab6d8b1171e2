/*
 * assetfs-worker names DEVICE: makes ordinary system calls in the mount on behalf of the daemon.
 *
 * The kernel drops a cached name, and notifies inotify(7)'s watchers, only under the folder's lock. The
 * daemon must not wait for that lock: a client may hold it while it waits for the daemon, and a thread in
 * that wait keeps a killed daemon, and its /dev/fuse, alive. This process has no descriptor of /dev/fuse, so
 * that the end of the daemon ends its waits, too.
 *
 * The first message on the SOCK_SEQPACKET socket 0 is the path of the mountpoint. Each later one is a
 * request: a letter, the names that lead to a folder, and one or two names in it, each with its NUL. The
 * reply is an errno as a 32-bit integer. The daemon recognises the requests of this process by its number and
 * answers them with the recorded state; no request changes the library.
 *
 * Between two requests no file of the mount is open, which would make umount(2) fail.
 */
#define _GNU_SOURCE
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MESSAGE_LIMIT = 1 << 16 };

static int open_below(int folder, const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

/* Opens the mount's root; -1 and ESTALE where another mount lies over it, or it is detached. Sends no
 * request to any server. */
static int open_root(const char *mountpoint, dev_t device) {
    int root = open(mountpoint, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) return -1;
    struct statx status;
    if (statx(root, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0
        && makedev(status.stx_dev_major, status.stx_dev_minor) == device)
        return root;
    close(root);
    errno = ESTALE;
    return -1;
}

/* Opens the file, so that the kernel drops its cached pages, and reads nothing. */
static int reload(int folder, const char *name) {
    int flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    int file = openat(folder, name, flags | O_NOATIME);
    if (file < 0 && errno == EPERM) file = openat(folder, name, flags);
    if (file < 0) return -1;
    close(file);
    return 0;
}

/* Sets the size that the file has, so that inotify(7) reports a modification. The server changes nothing. */
static int touch(int folder, const char *name) {
    int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0) return -1;
    struct stat status;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int result = fstat(file, &status);
    if (result == 0 && !S_ISREG(status.st_mode)) {
        errno = EINVAL;
        result = -1;
    }
    if (result == 0) result = truncate(path, status.st_size);
    int problem = errno;
    close(file);
    errno = problem;
    return result;
}

/* Removes a name. The kernel may have cached its absence: mknod(2) makes it look the name up again, and
 * fails because the name still exists for this process. */
static int take_away(int folder, const char *name) {
    if (unlinkat(folder, name, 0) == 0) return 0;
    if (errno != ENOENT) return -1;
    mknodat(folder, name, S_IFREG | 0600, 0);
    return unlinkat(folder, name, 0);
}

static int act(char kind, int folder, const char *name, const char *other) {
    struct stat status;
    switch (kind) {
    case 'u': return take_away(folder, name);
    /* With an existing name this makes the kernel look it up again, even if it is cached, and fails with
     * EEXIST. */
    case 'c':
    case 'r': return mknodat(folder, name, S_IFREG | 0600, 0);
    case 'm': return renameat(folder, name, folder, other);
    case 's': return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW);
    case 't': return touch(folder, name);
    case 'o': return reload(folder, name);
    default: errno = EINVAL; return -1;
    }
}

static int serve(char *message, size_t length, const char *mountpoint, dev_t device) {
    if (length < 3 || message[length - 1] != 0) return EINVAL;
    char kind = message[0];
    char *end = message + length, *names[2] = {NULL, NULL};
    size_t count = 0, inFolder = kind == 'm' ? 2 : 1;
    for (char *part = message + 1; part < end; part += strlen(part) + 1) count++;
    if (count < inFolder) return EINVAL;
    int folder = open_root(mountpoint, device), result = folder < 0 ? errno : 0;
    for (char *part = message + 1; part < end && result == 0; part += strlen(part) + 1) {
        /* Each name is one step, because a whole path may be longer than PATH_MAX. */
        if (*part == 0 || strchr(part, '/')) {
            result = EINVAL;
        } else if (count > inFolder) {
            int next = open_below(folder, part);
            result = next < 0 ? errno : 0;
            close(folder);
            folder = next;
        } else {
            names[inFolder - count] = part;
        }
        count--;
    }
    if (result == 0 && act(kind, folder, names[0], names[1]) != 0) result = errno;
    if (folder >= 0) close(folder);
    return result;
}

void names_serve(const char *device) {
    static char message[MESSAGE_LIMIT], mountpoint[MESSAGE_LIMIT];
    unsigned major, minor;
    if (sscanf(device, "%u:%u", &major, &minor) != 2) worker_fail("the device is no MAJOR:MINOR");
    /* The process ends when its socket is closed, and ignores these signals until then. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (chdir("/") != 0) worker_fail("/");
    umask(077);
    ssize_t length = recv(0, mountpoint, sizeof mountpoint, 0);
    if (length < 2 || mountpoint[length - 1] != 0) return;
    while (1) {
        length = recv(0, message, sizeof message, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) return;
        int32_t result = serve(message, (size_t)length, mountpoint, makedev(major, minor));
        if (send(0, &result, sizeof result, MSG_NOSIGNAL) < 0) return;
    }
}
