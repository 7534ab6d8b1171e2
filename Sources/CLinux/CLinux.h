/* Linux calls that Swift's Glibc module hides because it is built without _GNU_SOURCE. */
#ifndef CLINUX_H
#define CLINUX_H

#include <malloc.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern int syncfs(int fd);
extern int renameat2(int oldFolder, const char *oldName, int newFolder, const char *newName, unsigned int flags);
extern int fallocate(int fd, int mode, off_t offset, off_t length);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int sync_file_range(int fd, off_t offset, off_t length, unsigned int flags);
extern ssize_t copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned int flags);

extern pid_t gettid(void);
extern int memfd_create(const char *name, unsigned int flags);

/* Sends bytes with up to two descriptors (SCM_RIGHTS, unix(7)), whose macros Swift cannot use; returns
 * whether all were sent. */
static inline int linux_send(int to, const void *bytes, size_t count, const int *files, int fileCount) {
    struct iovec part = {(void *)bytes, count};
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr header;
    } control;
    struct msghdr message;
    memset(&control, 0, sizeof control);
    memset(&message, 0, sizeof message);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(fileCount * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fileCount * sizeof(int));
    memcpy(CMSG_DATA(header), files, fileCount * sizeof(int));
    return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)count;
}

/* Returns the signal or status that a child has ended with; -1 while it runs. The child can still be waited
 * for. */
static inline int linux_end_of(pid_t child) {
    siginfo_t information;
    information.si_pid = 0;
    if (waitid(P_PID, (id_t)child, &information, WEXITED | WNOHANG | WNOWAIT) != 0 || information.si_pid == 0) return -1;
    return information.si_status;
}

/* Lets a process, or the calling thread for 0, run only when no other wants a processor or the disk;
 * sched(7), ioprio_set(2). Undoing it takes a privilege. */
static inline void linux_run_when_idle(pid_t process) {
    const struct sched_param parameter = {0};
    if (sched_setscheduler(process, 5 /* SCHED_IDLE */, &parameter) != 0) return;
    syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, process, 3 << 13 /* IOPRIO_CLASS_IDLE */);
}

/* F_SETLEASE is hidden without _GNU_SOURCE, and fcntl is variadic. Returns 0, or -1 and errno. */
extern int fcntl(int fd, int command, ...);
static inline int linux_lease(int fd, int type) { return fcntl(fd, 1024 /* F_SETLEASE */, type); }
/* Returns the environment as bytes: a value need not be text. */
static inline char **linux_environment(void) {
    extern char **environ;
    return environ;
}

extern int pthread_setname_np(pthread_t thread, const char *name);
extern int pthread_setattr_default_np(const pthread_attr_t *attributes);
/* Sets the attributes of threads that are started from now on, such as the size of their stack. */
static inline int linux_set_default_thread_attributes(const pthread_attr_t *attributes) {
    return pthread_setattr_default_np(attributes);
}

/* <sys/mount.h> cannot be included beside <linux/mount.h>. */
extern int umount2(const char *path, int flags);
enum { LINUX_DETACH = 2, LINUX_NOFOLLOW = 8 };

/* Changes the attributes of a mount, MOUNT_ATTR_*; mount_setattr(2). */
static inline int linux_set_mount_attributes(const char *path, unsigned long long set, unsigned long long clear) {
    struct mount_attr attributes = {.attr_set = set, .attr_clr = clear};
    return (int)syscall(SYS_mount_setattr, -100 /* AT_FDCWD */, path, 0, &attributes, sizeof attributes);
}

/* Sets a flag of the filesystem that is mounted on a path; fspick(2), fsconfig(2). */
static inline int linux_set_filesystem_flag(const char *path, const char *flag) {
    int context = (int)syscall(SYS_fspick, -100 /* AT_FDCWD */, path, 1 /* FSPICK_CLOEXEC */);
    if (context < 0) return -1;
    int result = (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, flag, NULL, 0);
    if (result == 0) result = (int)syscall(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
    close(context);
    return result;
}

/* Opens a path that stays below a folder and in its mount, and follows no link; openat2(2). Returns a
 * descriptor, or -1 and errno. */
static inline int linux_open_beneath(int folder, const char *path, unsigned long long flags) {
    struct open_how how;
    memset(&how, 0, sizeof how);
    how.flags = flags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

/* Set this thread's rights to files to those of another user; setfsuid(2). */
extern int setfsuid(uid_t user);
extern int setfsgid(gid_t group);
extern int setgroups(size_t count, const gid_t *groups);
extern int getgrouplist(const char *user, gid_t group, gid_t *groups, int *count);

/* Returns a file's inode, and its birth time in nanoseconds since 1970, by statx(2): an inode number is
 * reused, but not together with its time. The result is 0, or -1 if the filesystem has no birth times. */
static inline int linux_birth(const char *path, unsigned long long *inode, long long *made) {
    // <linux/stat.h> cannot be included beside <sys/stat.h>: stx_mask, stx_ino, stx_btime.
    union { unsigned int mask; unsigned long long words[32]; } status;
    enum { BIRTH = 0x800 };
    memset(&status, 0, sizeof status);
    if (syscall(SYS_statx, -100 /* AT_FDCWD */, path, 0x100 /* AT_SYMLINK_NOFOLLOW */, BIRTH | 0x100 /* STATX_INO */, &status) != 0
        || !(status.mask & BIRTH))
        return -1;
    *inode = status.words[4];
    // A moment beyond 64 bits, as of a wrong clock, counts as unknown.
    return __builtin_mul_overflow((long long)status.words[10], 1000000000LL, made)
           || __builtin_add_overflow(*made, (long long)(unsigned int)status.words[11], made) ? -1 : 0;
}

/* Returns whether statfs(2) succeeds on a path, called by a child without descriptors: 0 or an errno. A
 * thread that waits for an answer of its own process would keep a killed process from ending, and so the
 * mount's connection from being closed. */
static inline int linux_statfs_in_child(const char *path) {
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
        long long room[64];
        syscall(SYS_close_range, 0, ~0U, 0);
        _exit(syscall(SYS_statfs, path, room) == 0 ? 0 : errno & 0xFF);
    }
    int status;
    while (waitpid(child, &status, 0) < 0) if (errno != EINTR) return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* glibc gives each thread that finds a heap taken another one, up to eight for each processor, and each heap
   keeps its own gaps. */
static inline int linux_limit_heaps(int count) { return mallopt(M_ARENA_MAX, count); }

/* FICLONE is a macro over _IOW and ioctl is variadic: Swift can use neither. */
static inline int linux_clone(int to, int from) { return ioctl(to, FICLONE, from); }

#endif
