/* Linux calls that Swift's Glibc module hides because it is built without _GNU_SOURCE. */
#ifndef CLINUX_H
#define CLINUX_H

#include <linux/fs.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <sys/wait.h>
#include <time.h>

extern int syncfs(int fd);
extern int renameat2(int oldFolder, const char *oldName, int newFolder, const char *newName, unsigned int flags);
extern int fallocate(int fd, int mode, off_t offset, off_t length);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int sync_file_range(int fd, off_t offset, off_t length, unsigned int flags);
extern ssize_t copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned int flags);

extern pid_t gettid(void);
extern int memfd_create(const char *name, unsigned int flags);

/* Sends bytes with up to two descriptors beside them (SCM_RIGHTS, unix(7)), whose macros Swift cannot use; whether all went. */
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

/* The signal or status that a child has ended with; -1 while it runs. It stays to be waited for. */
static inline int linux_end_of(pid_t child) {
    siginfo_t information;
    information.si_pid = 0;
    if (waitid(P_PID, (id_t)child, &information, WEXITED | WNOHANG | WNOWAIT) != 0 || information.si_pid == 0) return -1;
    return information.si_status;
}

/* F_SETLEASE is hidden without _GNU_SOURCE, and fcntl is variadic. 0, or -1 and errno. */
extern int fcntl(int fd, int command, ...);
static inline int linux_lease(int fd, int type) { return fcntl(fd, 1024 /* F_SETLEASE */, type); }

/* FICLONE is a macro over _IOW and ioctl is variadic: Swift can use neither. */
static inline int linux_clone(int to, int from) { return ioctl(to, FICLONE, from); }

#endif
