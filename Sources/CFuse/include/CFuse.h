/* libfuse 3.14's low-level API, and the few functions around it that Swift cannot call or libfuse does not
 * know. _FILE_OFFSET_BITS is left alone: setting it changes struct statvfs against Swift's Glibc module. On
 * LP64 off_t has 64 bits. */
#ifndef CFUSE_H
#define CFUSE_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <stdint.h>

_Static_assert(sizeof(long) == 8, "LP64 only");

/* The features that the kernel offered and that were agreed in INIT, as far as libfuse 3.14 does not know
 * them. A process has one session. */
struct cfuse_wire {
    uint32_t kernel_minor;
    int handle_killpriv_v2;
    int direct_io_allow_mmap; /* Linux 6.6 */
    int passthrough;          /* Linux 6.9 */
};

/* Installs our read and write between libfuse and the device. INIT's reply can then carry flags that 3.14
 * drops or does not know, or that only some mounts request: EXPORT_SUPPORT, PARALLEL_DIROPS,
 * HANDLE_KILLPRIV_V2, DIRECT_IO_ALLOW_MMAP, PASSTHROUGH, NO_EXPORT_SUPPORT; and requests that it does not
 * know, TMPFILE and STATX, arrive as a CREATE of "/" and as GETATTR. The numbers of threads are the maximum
 * for each lane of Turns.h: files, names, finding names and as many for creating them, and RELEASE. Returns 0
 * or -errno, as fuse_session_custom_io. */
int cfuse_install_wire(struct fuse_session *session, int device, int want_passthrough, int want_export,
                       int file_threads, int name_threads, int look_threads, int end_threads);
const struct cfuse_wire *cfuse_wire(void);

/* Count the requests that the kernel has sent on nodes with numbers from `first` to `last`: those that change
 * or read files, and those that look up names and attributes. GETXATTR and STATFS, which waiting programs
 * repeat, count as neither. */
void cfuse_count_requests(uint64_t first, uint64_t last);
struct cfuse_requests { unsigned long uses, looks; };
struct cfuse_requests cfuse_requests(void);

/* Return the kernel's name of an operation, by its number below CFUSE_OPERATIONS; NULL for one that is not
 * served; and how many requests of it were read to be served. */
enum { CFUSE_OPERATIONS = 53 };
const char *cfuse_operation(uint32_t number);
unsigned long cfuse_served(uint32_t number);

/* Returns the node of the request that this thread has read last: the file, or the folder of a name. */
uint64_t cfuse_served_node(void);

/* Call ioctls on the device, whose numbers are _IOW macros. Return an id above 0, or -1 and errno. */
int cfuse_backing_open(int device, int fd);
int cfuse_backing_close(int device, int id);

/* Calls fuse_reply_open with the backing id, for which fuse_file_info of 3.14 has no field. */
int cfuse_reply_open_backed(fuse_req_t request, uint64_t handle, int direct_io, int noflush, int backing_id);

/* Answers getattr, also if the kernel has sent the STATX of Linux 6.6, which asks for the time of birth; NULL
 * if there is none. */
int cfuse_reply_attr(fuse_req_t request, const struct stat *attributes, double lifetime, const struct timespec *born);

/* Replies with `size` bytes of `fd` from `offset`. FUSE_BUFVEC_INIT is a compound literal, which Swift cannot
 * use. */
int cfuse_reply_file(fuse_req_t request, int fd, off_t offset, size_t size);

/* Puts bytes into the kernel's page cache, from the file's beginning. Returns 0 or -errno. */
int cfuse_store(struct fuse_session *session, uint64_t inode, const void *bytes, size_t size);

/* Returns whether a thread whose request was interrupted is being killed, or gone; with `or_asked`, also
 * whether it is asked to end, by SIGINT and similar signals, or cannot be checked, as in another pid
 * namespace. Other signals end no request: programs expect EINTR of few calls on files, and Go's runtime
 * sends its threads SIGURG all the time. */
int cfuse_is_ending(int32_t thread, int or_asked);

/* libfuse reports mount failures only in its log, whose callback takes a va_list. The second function copies
 * the log's last line, as far as it fits. */
void cfuse_capture_log(void);
void cfuse_last_log_line(char *line, size_t size);

#endif
