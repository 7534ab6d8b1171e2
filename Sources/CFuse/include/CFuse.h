/* libfuse 3.14's low-level API, and the few things around it that Swift cannot call or libfuse does not know.
 * _FILE_OFFSET_BITS is left alone: setting it changes struct statvfs against Swift's Glibc module. On LP64 off_t has 64 bits. */
#ifndef CFUSE_H
#define CFUSE_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stdint.h>

_Static_assert(sizeof(long) == 8, "LP64 only");

/* What the kernel offered and what was agreed in INIT beyond libfuse 3.14's knowledge. One session a process. */
struct cfuse_wire {
    uint32_t kernel_minor;
    int handle_killpriv_v2;
    int direct_io_allow_mmap; /* Linux 6.6 */
    int passthrough;          /* Linux 6.9 */
};

/* Puts our read and write between libfuse and the device, so that INIT's reply can carry flags which 3.14 drops or does
 * not know, or that only some mounts ask for: EXPORT_SUPPORT, PARALLEL_DIROPS, HANDLE_KILLPRIV_V2, DIRECT_IO_ALLOW_MMAP, PASSTHROUGH,
 * NO_EXPORT_SUPPORT; and so that requests which it does not know, TMPFILE and STATX, come as a CREATE of "/" and as GETATTR.
 * Of the threads that serve requests, so many at most serve those on files, on names, that look at names, as many that make them, and the
 * ends of opens: Turns.h.
 * 0 or -errno, as fuse_session_custom_io. */
int cfuse_install_wire(struct fuse_session *session, int device, int want_passthrough, int want_export,
                       int file_threads, int name_threads, int look_threads, int end_threads);
const struct cfuse_wire *cfuse_wire(void);

/* How many requests the kernel has sent, on nodes with numbers from `first` to `last`, that change or read files, and how many that look at
 * names and attributes. What programs ask for again and again while they wait, GETXATTR and STATFS, counts as neither. */
void cfuse_count_requests(uint64_t first, uint64_t last);
struct cfuse_requests { unsigned long uses, looks; };
struct cfuse_requests cfuse_requests(void);

/* ioctls on the device, whose numbers are _IOW macros. An id above 0, or -1 and errno. */
int cfuse_backing_open(int device, int fd);
int cfuse_backing_close(int device, int id);

/* fuse_reply_open with the backing id that fuse_file_info of 3.14 has no field for. */
int cfuse_reply_open_backed(fuse_req_t request, uint64_t handle, int direct_io, int noflush, int backing_id);

/* Answers getattr, also where the kernel has sent the STATX of Linux 6.6, which asks for the time of birth; NULL where there is none. */
int cfuse_reply_attr(fuse_req_t request, const struct stat *attributes, double lifetime, const struct timespec *born);

/* FUSE_BUFVEC_INIT is a compound literal. Replies with `size` bytes of `fd` from `offset`. */
int cfuse_reply_file(fuse_req_t request, int fd, off_t offset, size_t size);

/* Puts bytes into the kernel's page cache, from the file's beginning. 0 or -errno. */
int cfuse_store(struct fuse_session *session, uint64_t inode, const void *bytes, size_t size);

/* Whether a thread whose request was interrupted is being killed, or gone; with `or_asked`, also whether it is asked to end, by SIGINT and
 * its like, and whether that cannot be told, as of a process in another pid namespace.
 * Other signals end no request: programs expect EINTR of few calls on files, and Go's runtime sends its threads SIGURG all the time. */
int cfuse_is_ending(int32_t thread, int or_asked);

/* libfuse reports failures of mounting only in its log, whose callback takes a va_list. The last line of it, as much as has room. */
void cfuse_capture_log(void);
void cfuse_last_log_line(char *line, size_t size);

#endif
