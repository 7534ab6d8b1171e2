#define _GNU_SOURCE
#include "CFuse.h"
#include "Turns.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* From the kernel's include/uapi/linux/fuse.h; Debian 12's copy is older than passthrough. */
enum {
    OPCODE_LOOKUP = 1, OPCODE_FORGET = 2, OPCODE_GETATTR = 3, OPCODE_SETATTR = 4, OPCODE_READLINK = 5, OPCODE_SYMLINK = 6,
    OPCODE_MKNOD = 8, OPCODE_MKDIR = 9, OPCODE_UNLINK = 10, OPCODE_RMDIR = 11, OPCODE_RENAME = 12, OPCODE_LINK = 13,
    OPCODE_OPEN = 14, OPCODE_READ = 15, OPCODE_WRITE = 16, OPCODE_STATFS = 17, OPCODE_RELEASE = 18, OPCODE_FSYNC = 20,
    OPCODE_SETXATTR = 21, OPCODE_GETXATTR = 22, OPCODE_LISTXATTR = 23, OPCODE_REMOVEXATTR = 24, OPCODE_FLUSH = 25,
    OPCODE_INIT = 26, OPCODE_OPENDIR = 27, OPCODE_READDIR = 28, OPCODE_RELEASEDIR = 29, OPCODE_FSYNCDIR = 30,
    OPCODE_ACCESS = 34, OPCODE_CREATE = 35, OPCODE_INTERRUPT = 36, OPCODE_IOCTL = 39, OPCODE_BATCH_FORGET = 42, OPCODE_FALLOCATE = 43,
    OPCODE_READDIRPLUS = 44, OPCODE_RENAME2 = 45, OPCODE_LSEEK = 46, OPCODE_COPY_FILE_RANGE = 47, OPCODE_TMPFILE = 51,
    OPCODE_STATX = 52
};
enum { SETATTR_SIZE = 1 << 3 };
#define BIT(n) (UINT32_C(1) << (n))
#define INIT_EXPORT_SUPPORT BIT(4)
#define INIT_PARALLEL_DIROPS BIT(18)
#define INIT_HANDLE_KILLPRIV BIT(19)
#define INIT_HANDLE_KILLPRIV_V2 BIT(28)
#define INIT_EXT BIT(30)
#define INIT2_DIRECT_IO_ALLOW_MMAP BIT(36 - 32)
#define INIT2_PASSTHROUGH BIT(37 - 32)
#define INIT2_NO_EXPORT_SUPPORT BIT(38 - 32)
#define OPEN_DIRECT_IO BIT(0)
#define OPEN_NOFLUSH BIT(5)
#define OPEN_PASSTHROUGH BIT(7)

struct in_header { uint32_t len, opcode; uint64_t unique, nodeid; uint32_t uid, gid, pid; uint16_t extlen, padding; };
struct init_in { uint32_t major, minor, max_readahead, flags, flags2, unused[11]; };
struct out_header { uint32_t len; int32_t error; uint64_t unique; };
struct init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth, unused[6];
};
struct open_out { uint64_t fh; uint32_t open_flags; int32_t backing_id; };
struct create_in { uint32_t flags, mode, umask, open_flags; };
struct statx_in { uint32_t getattr_flags, reserved; uint64_t fh; uint32_t sx_flags, sx_mask; };
struct sx_time { int64_t seconds; uint32_t nanoseconds; int32_t reserved; };
struct statx_out {
    uint64_t valid;
    uint32_t valid_nanoseconds, flags;
    uint64_t spare[2];
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct sx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t spare2[14];
};
struct backing_map { int32_t fd; uint32_t flags; uint64_t padding; };
_Static_assert(sizeof(struct init_out) == 64, "init_out");
_Static_assert(sizeof(struct open_out) == 16, "open_out");
_Static_assert(sizeof(struct statx_out) == 288, "statx_out");
#define IOC_BACKING_OPEN _IOW(229, 1, struct backing_map)
#define IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

static struct {
    struct cfuse_wire agreed;
    uint64_t init_unique;
    uint32_t offered, offered2;
    int want_passthrough, want_export;
} wire;

/* Whether the request that this thread serves is a STATX, or INIT: libfuse serves a request on the thread
 * that has read it. */
static _Thread_local int serves_statx, serves_init;

/* Translates requests that libfuse 3.14 does not know to ones that it does. TMPFILE becomes a CREATE of the
 * name "/", which the kernel sends with it, and which no other CREATE has; STATX begins like GETATTR, and
 * cfuse_reply_attr answers it. */
static void translate(struct in_header *header, size_t count) {
    serves_statx = 0;
    if (header->opcode == OPCODE_TMPFILE && count >= sizeof *header + sizeof(struct create_in) + 2) {
        memcpy((char *)(header + 1) + sizeof(struct create_in), "/", 2);
        header->opcode = OPCODE_CREATE;
    } else if (header->opcode == OPCODE_STATX && count >= sizeof *header + sizeof(struct statx_in)) {
        serves_statx = 1;
        header->opcode = OPCODE_GETATTR;
    }
}

static uint64_t number(const void *request) { return ((const struct in_header *)request)->unique; }

static void refuse(int fd, uint64_t unique, int error) {
    struct out_header out = { .len = sizeof out, .error = -error, .unique = unique };
    /* ENOENT: the caller is gone. */
    if (write(fd, &out, sizeof out) < 0) return;
}

/* Views have numbers beyond all files: see View.swift. A name created in one waits for a notification to the
 * kernel. */
static int is_of_a_view(uint64_t number) { return number >> 56 != 0; }

/* Returns the lane of a request; LANES for one without a lane. */
static enum lane_name lane_of(const struct in_header *header, size_t count) {
    switch (header->opcode) {
    case OPCODE_OPEN: case OPCODE_READ: case OPCODE_WRITE: case OPCODE_FLUSH: case OPCODE_FSYNC: case OPCODE_FALLOCATE:
    case OPCODE_COPY_FILE_RANGE: case OPCODE_LSEEK: case OPCODE_GETXATTR: case OPCODE_LISTXATTR: case OPCODE_OPENDIR:
    case OPCODE_FSYNCDIR:
        return LANE_FILES;
    case OPCODE_SETATTR: {
        /* Without a new size it is quick, and may be on a folder. */
        uint32_t valid = 0;
        if (count >= sizeof *header + sizeof valid) memcpy(&valid, header + 1, sizeof valid);
        return valid & SETATTR_SIZE ? LANE_FILES : LANE_MAKES;
    }
    case OPCODE_LOOKUP: case OPCODE_GETATTR: case OPCODE_STATX: case OPCODE_READLINK: case OPCODE_READDIR: case OPCODE_READDIRPLUS:
    case OPCODE_STATFS:
        return LANE_LOOKS;
    case OPCODE_CREATE: case OPCODE_TMPFILE: case OPCODE_MKNOD: case OPCODE_MKDIR: case OPCODE_SYMLINK: case OPCODE_RMDIR:
        return is_of_a_view(header->nodeid) ? LANES : LANE_MAKES;
    case OPCODE_SETXATTR: case OPCODE_REMOVEXATTR: return LANE_MAKES;
    case OPCODE_RENAME: case OPCODE_RENAME2: {
        /* The kernel runs one rename between folders at a time in the whole mount: all others wait for it. */
        uint64_t folder = header->nodeid;
        if (count >= sizeof *header + sizeof folder) memcpy(&folder, header + 1, sizeof folder);
        return folder == header->nodeid ? LANE_NAMES : LANES;
    }
    case OPCODE_UNLINK: case OPCODE_LINK: return LANE_NAMES;
    case OPCODE_RELEASE: return LANE_ENDS;
    default: return LANES;
    }
}

/* The numbers of requests that change or read files, and that look up names and attributes; and the counted
 * nodes. */
static atomic_ulong uses, looks;
static uint64_t first_counted, last_counted;

void cfuse_count_requests(uint64_t first, uint64_t last) {
    first_counted = first;
    last_counted = last;
}

struct cfuse_requests cfuse_requests(void) {
    return (struct cfuse_requests){ atomic_load_explicit(&uses, memory_order_relaxed),
                                    atomic_load_explicit(&looks, memory_order_relaxed) };
}

static void count_request(const struct in_header *header) {
    if (header->nodeid < first_counted || header->nodeid > last_counted) return;
    switch (header->opcode) {
    case OPCODE_LOOKUP: case OPCODE_GETATTR: case OPCODE_STATX: case OPCODE_READLINK: case OPCODE_ACCESS:
    case OPCODE_OPENDIR: case OPCODE_READDIR: case OPCODE_READDIRPLUS: case OPCODE_LISTXATTR:
        atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
        break;
    /* Programs that wait for a value send these again and again. */
    case OPCODE_GETXATTR: case OPCODE_STATFS: case OPCODE_FORGET: case OPCODE_BATCH_FORGET: case OPCODE_INTERRUPT:
    case OPCODE_RELEASEDIR:
        break;
    default: atomic_fetch_add_explicit(&uses, 1, memory_order_relaxed);
    }
}

/* The kernel's names of the operations, and how many requests of each were read to be served. */
static const char *const names[CFUSE_OPERATIONS] = {
    [OPCODE_LOOKUP] = "lookup", [OPCODE_FORGET] = "forget", [OPCODE_GETATTR] = "getattr", [OPCODE_SETATTR] = "setattr",
    [OPCODE_READLINK] = "readlink", [OPCODE_SYMLINK] = "symlink", [OPCODE_MKNOD] = "mknod", [OPCODE_MKDIR] = "mkdir",
    [OPCODE_UNLINK] = "unlink", [OPCODE_RMDIR] = "rmdir", [OPCODE_RENAME] = "rename", [OPCODE_LINK] = "link",
    [OPCODE_OPEN] = "open", [OPCODE_READ] = "read", [OPCODE_WRITE] = "write", [OPCODE_STATFS] = "statfs",
    [OPCODE_RELEASE] = "release", [OPCODE_FSYNC] = "fsync", [OPCODE_SETXATTR] = "setxattr",
    [OPCODE_GETXATTR] = "getxattr", [OPCODE_LISTXATTR] = "listxattr", [OPCODE_REMOVEXATTR] = "removexattr",
    [OPCODE_FLUSH] = "flush", [OPCODE_OPENDIR] = "opendir", [OPCODE_READDIR] = "readdir",
    [OPCODE_RELEASEDIR] = "releasedir", [OPCODE_FSYNCDIR] = "fsyncdir", [OPCODE_CREATE] = "create",
    [OPCODE_INTERRUPT] = "interrupt", [OPCODE_IOCTL] = "ioctl", [OPCODE_BATCH_FORGET] = "batch_forget",
    [OPCODE_FALLOCATE] = "fallocate", [OPCODE_READDIRPLUS] = "readdirplus", [OPCODE_RENAME2] = "rename2",
    [OPCODE_LSEEK] = "lseek", [OPCODE_COPY_FILE_RANGE] = "copy_file_range", [OPCODE_TMPFILE] = "tmpfile",
    [OPCODE_STATX] = "statx",
};
static atomic_ulong served[CFUSE_OPERATIONS];
/* The node of the request that this thread serves. */
static _Thread_local uint64_t served_node;

const char *cfuse_operation(uint32_t number) { return number < CFUSE_OPERATIONS ? names[number] : NULL; }

unsigned long cfuse_served(uint32_t number) {
    return number < CFUSE_OPERATIONS ? atomic_load_explicit(&served[number], memory_order_relaxed) : 0;
}

uint64_t cfuse_served_node(void) { return served_node; }

static void note_served(const struct in_header *header) {
    served_node = header->nodeid;
    if (header->opcode < CFUSE_OPERATIONS) atomic_fetch_add_explicit(&served[header->opcode], 1, memory_order_relaxed);
}

/* Returns whether programs expect EINTR from a request: open(2) is retried, and a request that reads or turns
 * a file may take long. */
static int may_be_asked_to_end(uint32_t opcode) {
    return opcode == OPCODE_OPEN || opcode == OPCODE_OPENDIR || opcode == OPCODE_GETXATTR || opcode == OPCODE_SETXATTR;
}

/* Ends a request that waits for its turn, if its caller is being killed. All other interrupts must reach
 * libfuse: it makes the kernel send an interrupt again with one of the next requests. */
static int end_waiting(int fd, uint64_t unique) {
    struct in_header waiting;
    if (!turns_peek(unique, number, &waiting, sizeof waiting)) return 0;
    if (!cfuse_is_ending((int32_t)waiting.pid, may_be_asked_to_end(waiting.opcode))) return 0;
    if (!turns_interrupt(unique, number)) return 0;
    refuse(fd, unique, EINTR);
    return 1;
}

/* Returns the next request whose turn it is. */
static ssize_t next_request(int fd, void *buffer, size_t length) {
    size_t waited = turns_next(buffer, length);
    if (waited > 0) return (ssize_t)waited;
    while (1) {
        ssize_t count = read(fd, buffer, length);
        if (count < (ssize_t)sizeof(struct in_header)) return count;
        struct in_header *header = buffer;
        count_request(header);
        if (header->opcode == OPCODE_INTERRUPT && count >= (ssize_t)(sizeof *header + sizeof(uint64_t))) {
            uint64_t unique;
            memcpy(&unique, header + 1, sizeof unique);
            if (!end_waiting(fd, unique)) return count;
            continue;
        }
        enum lane_name lane = lane_of(header, (size_t)count);
        if (lane == LANES) return count;
        switch (turns_take(lane, header->uid, buffer, (size_t)count)) {
        case TURN_NOW: return count;
        case TURN_LATER: break;
        case TURN_NEVER: refuse(fd, header->unique, EAGAIN); break;
        }
    }
}

/* INIT is the first request of a session and is answered before the second is read, so only one thread writes
 * `wire`. Another thread may already wait in read(2) then. */
static ssize_t wire_read(int fd, void *buffer, size_t length, void *userdata) {
    (void)userdata;
    ssize_t count = next_request(fd, buffer, length);
    serves_init = 0;
    if (count < (ssize_t)sizeof(struct in_header)) return count;
    note_served(buffer);
    translate(buffer, (size_t)count);
    struct in_header *header = buffer;
    if (header->opcode != OPCODE_INIT || count < (ssize_t)(sizeof *header + offsetof(struct init_in, flags2))) return count;
    struct init_in *in = (struct init_in *)(header + 1);
    serves_init = 1;
    wire.init_unique = header->unique;
    wire.agreed.kernel_minor = in->minor;
    wire.offered = in->flags;
    wire.offered2 = count >= (ssize_t)(sizeof *header + sizeof *in) && (in->flags & INIT_EXT) ? in->flags2 : 0;
    return count;
}

static ssize_t wire_writev(int fd, struct iovec *iov, int count, void *userdata) {
    (void)userdata;
    if (serves_init && count == 2 && iov[1].iov_len == sizeof(struct init_out)
        && ((struct out_header *)iov[0].iov_base)->unique == wire.init_unique) {
        struct init_out *out = iov[1].iov_base;
        out->flags |= wire.offered & INIT_PARALLEL_DIROPS;
        if (wire.want_export) {
            out->flags |= wire.offered & INIT_EXPORT_SUPPORT;
        } else if (wire.offered2 & INIT2_NO_EXPORT_SUPPORT) {
            /* Without this flag a file handle is valid only as long as the kernel happens to remember its
             * file. */
            out->flags |= INIT_EXT;
            out->flags2 |= INIT2_NO_EXPORT_SUPPORT;
        }
        if (wire.offered & INIT_HANDLE_KILLPRIV_V2) {
            out->flags = (out->flags & ~INIT_HANDLE_KILLPRIV) | INIT_HANDLE_KILLPRIV_V2;
            wire.agreed.handle_killpriv_v2 = 1;
        }
        if (wire.offered2 & INIT2_DIRECT_IO_ALLOW_MMAP) {
            out->flags |= INIT_EXT;
            out->flags2 |= INIT2_DIRECT_IO_ALLOW_MMAP;
            wire.agreed.direct_io_allow_mmap = 1;
        }
        if (wire.want_passthrough && (wire.offered2 & INIT2_PASSTHROUGH)) {
            out->flags |= INIT_EXT;
            out->flags2 |= INIT2_PASSTHROUGH;
            out->max_stack_depth = 1;
            wire.agreed.passthrough = 1;
        }
        serves_init = 0;
    }
    return writev(fd, iov, count);
}

static ssize_t wire_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags, void *userdata) {
    (void)userdata;
    return splice(in, in_offset, out, out_offset, length, flags);
}

int cfuse_install_wire(struct fuse_session *session, int device, int want_passthrough, int want_export,
                       int file_threads, int name_threads, int look_threads, int end_threads) {
    static const struct fuse_custom_io io = {
        .read = wire_read, .writev = wire_writev, .splice_receive = wire_splice, .splice_send = wire_splice };
    memset(&wire, 0, sizeof wire);
    const int threads[LANES] = { file_threads, name_threads, look_threads, look_threads, end_threads };
    turns_begin(threads, getuid());
    wire.want_passthrough = want_passthrough;
    wire.want_export = want_export;
    return fuse_session_custom_io(session, &io, device);
}

const struct cfuse_wire *cfuse_wire(void) { return &wire.agreed; }

int cfuse_backing_open(int device, int fd) {
    struct backing_map map = { .fd = fd };
    return ioctl(device, IOC_BACKING_OPEN, &map);
}

int cfuse_backing_close(int device, int id) {
    uint32_t number = (uint32_t)id;
    return ioctl(device, IOC_BACKING_CLOSE, &number);
}

int cfuse_reply_open_backed(fuse_req_t request, uint64_t handle, int direct_io, int noflush, int backing_id) {
    struct open_out out = { .fh = handle, .backing_id = backing_id,
        .open_flags = OPEN_PASSTHROUGH | (direct_io ? OPEN_DIRECT_IO : 0) | (noflush ? OPEN_NOFLUSH : 0) };
    return fuse_reply_buf(request, (const char *)&out, sizeof out);
}

int cfuse_reply_attr(fuse_req_t request, const struct stat *attributes, double lifetime, const struct timespec *born) {
    if (!serves_statx) return fuse_reply_attr(request, attributes, lifetime);
    struct statx_out out = {
        .valid = (uint64_t)lifetime, .valid_nanoseconds = (uint32_t)((lifetime - (double)(uint64_t)lifetime) * 1e9),
        .mask = STATX_BASIC_STATS | (born ? STATX_BTIME : 0),
        .blksize = (uint32_t)attributes->st_blksize, .nlink = (uint32_t)attributes->st_nlink,
        .uid = attributes->st_uid, .gid = attributes->st_gid, .mode = (uint16_t)attributes->st_mode,
        .ino = attributes->st_ino, .size = (uint64_t)attributes->st_size, .blocks = (uint64_t)attributes->st_blocks,
        .atime = { attributes->st_atim.tv_sec, (uint32_t)attributes->st_atim.tv_nsec, 0 },
        .ctime = { attributes->st_ctim.tv_sec, (uint32_t)attributes->st_ctim.tv_nsec, 0 },
        .mtime = { attributes->st_mtim.tv_sec, (uint32_t)attributes->st_mtim.tv_nsec, 0 },
        .rdev_major = major(attributes->st_rdev), .rdev_minor = minor(attributes->st_rdev),
    };
    if (born) out.btime = (struct sx_time){ born->tv_sec, (uint32_t)born->tv_nsec, 0 };
    return fuse_reply_buf(request, (const char *)&out, sizeof out);
}

int cfuse_reply_file(fuse_req_t request, int fd, off_t offset, size_t size) {
    struct fuse_bufvec vector = FUSE_BUFVEC_INIT(size);
    vector.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
    vector.buf[0].fd = fd;
    vector.buf[0].pos = offset;
    return fuse_reply_data(request, &vector, 0);
}

int cfuse_store(struct fuse_session *session, uint64_t inode, const void *bytes, size_t size) {
    struct fuse_bufvec vector = FUSE_BUFVEC_INIT(size);
    vector.buf[0].mem = (void *)bytes;
    return fuse_lowlevel_notify_store(session, inode, 0, &vector, 0);
}

/* Threads that serve requests log, too. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_line[512];

/* libfuse writes a line in several calls; the newline comes with the last one. */
static void capture(enum fuse_log_level level, const char *format, va_list arguments) {
    if (level > FUSE_LOG_WARNING) return;
    pthread_mutex_lock(&log_lock);
    size_t length = strlen(last_line);
    if (length > 0 && last_line[length - 1] == '\n') length = 0;
    vsnprintf(last_line + length, sizeof last_line - length, format, arguments);
    pthread_mutex_unlock(&log_lock);
}

void cfuse_capture_log(void) { fuse_set_log_func(capture); }

void cfuse_last_log_line(char *line, size_t size) {
    pthread_mutex_lock(&log_lock);
    snprintf(line, size, "%s", last_line);
    pthread_mutex_unlock(&log_lock);
}
