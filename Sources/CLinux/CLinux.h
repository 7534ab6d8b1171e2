/* Linux calls that Swift's Glibc module hides because it is built without _GNU_SOURCE. */
#ifndef CLINUX_H
#define CLINUX_H

#include <linux/fs.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/xattr.h>

extern int syncfs(int fd);
extern int renameat2(int oldFolder, const char *oldName, int newFolder, const char *newName, unsigned int flags);
extern int fallocate(int fd, int mode, off_t offset, off_t length);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int sync_file_range(int fd, off_t offset, off_t length, unsigned int flags);
extern ssize_t copy_file_range(int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned int flags);

/* FICLONE is a macro over _IOW and ioctl is variadic: Swift can use neither. */
static inline int linux_clone(int to, int from) { return ioctl(to, FICLONE, from); }

#endif
