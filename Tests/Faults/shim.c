// Lets system calls of a daemon on its library fail: a library for LD_PRELOAD, compiled and controlled by
// `shim.py`.
//
// The control file, which FAULTS_CONTROL names, is mapped by both processes. It counts each pair of a call
// and a kind of file below FAULTS_ROOT, and defines the pair that fails, from which call on, and with which
// errno.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CALLS = 96, KINDS = 64, TEXT = 32, LIST_TEXT = 128 };

struct control {
    _Atomic int32_t armed, seen, hits, calls, kinds;
    // The number of calls that succeed first, the number that fail, and whether the first failing one does
    // half instead.
    int32_t error, after, length, halves;
    char call[LIST_TEXT], kind[TEXT];
    char call_names[CALLS][TEXT], kind_names[KINDS][TEXT];
    _Atomic uint32_t counts[CALLS][KINDS];
};

static struct control *control;
static const char *root;
static size_t root_length;
/// The kind of file of each descriptor, plus one.
static _Atomic unsigned char kinds_of[1 << 16];
static _Atomic int turn;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    root = getenv("FAULTS_ROOT");
    if (!path || !root) return;
    root_length = strlen(root);
    // Affects only the daemon, and not the programs that it runs.
    unsetenv("LD_PRELOAD");
    int file = (int)(((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(path, O_RDWR | O_CLOEXEC));
    if (file < 0) abort();
    void *pages = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (pages == MAP_FAILED) abort();
    control = pages;
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static int index_of(_Atomic int32_t *count, char (*names)[TEXT], int limit, const char *name) {
    int known = atomic_load(count);
    for (int i = 0; i < known; i++) if (!strncmp(names[i], name, TEXT - 1)) return i;
    while (atomic_exchange(&turn, 1)) usleep(10);
    int i = 0;
    for (known = atomic_load(count); i < known; i++) if (!strncmp(names[i], name, TEXT - 1)) break;
    if (i == known && i < limit) {
        strncpy(names[i], name, TEXT - 1);
        atomic_store(count, i + 1);
    }
    atomic_store(&turn, 0);
    return i < limit ? i : limit - 1;
}

static int kind_named(const char *name, size_t length, const char *end) {
    char text[TEXT];
    snprintf(text, sizeof text, "%.*s%s", (int)(length > TEXT - 4 ? TEXT - 4 : length), name, end);
    return index_of(&control->kinds, control->kind_names, KINDS, text) + 1;
}

/// Returns the kind of a path below the library's folder: its first component, with a slash after a folder.
static int kind_below(const char *path) {
    while (*path == '/') path++;
    if (!*path || !strcmp(path, ".")) return kind_named("./", 2, "");
    size_t length = strcspn(path, "/");
    const char *rest = path + length;
    while (*rest == '/') rest++;
    if (!*rest) {
        int is_folder = !strncmp(path, "blobs", 6) || !strncmp(path, "staging", 8) || !strncmp(path, "snapshots", 10);
        return kind_named(path, length, is_folder ? "/" : "");
    }
    return kind_named(path, length, strlen(rest) == 2 && !strncmp(path, "blobs", length) ? "/" : "");
}

static int kind_of(int folder, const char *path) {
    if (!control || !path) return 0;
    int number;
    if (sscanf(path, "/proc/self/fd/%d", &number) == 1)
        return number >= 0 && number < 1 << 16 ? atomic_load(&kinds_of[number]) : 0;
    if (*path == '/') {
        if (strncmp(path, root, root_length) || (path[root_length] && path[root_length] != '/')) return 0;
        return kind_below(path + root_length);
    }
    if (folder < 0 || folder >= 1 << 16) return 0;
    int kind = atomic_load(&kinds_of[folder]);
    if (!kind) return 0;
    const char *name = control->kind_names[kind - 1];
    if (!strcmp(name, "./")) return kind_below(path);
    size_t length = strlen(name);
    if (name[length - 1] != '/' || !strcmp(path, ".") || !*path) return kind;
    if (!strncmp(name, "blobs", 5) && strlen(path) == 2) return kind;
    return kind_named(name, length - 1, "");
}

static int kind_open(int file) {
    return control && file >= 0 && file < 1 << 16 ? atomic_load(&kinds_of[file]) : 0;
}

static int note_open(int file, int kind, int flags) {
    if (control && file >= 0 && file < 1 << 16) {
        if (kind && flags & O_DIRECTORY) {
            const char *name = control->kind_names[kind - 1];
            size_t length = strlen(name);
            if (name[length - 1] != '/') kind = kind_named(name, length, "/");
        }
        atomic_store(&kinds_of[file], (unsigned char)kind);
    }
    return file;
}

/// Counts a call, and returns whether it fails: 1 with errno set, or 2 if it does half.
static int fails(const char *call, int kind) {
    if (!kind) return 0;
    int number = index_of(&control->calls, control->call_names, CALLS, call);
    atomic_fetch_add(&control->counts[number][kind - 1], 1);
    if (!atomic_load(&control->armed)) return 0;
    const char *name = control->kind_names[kind - 1];
    char wanted[TEXT + 3], listed[LIST_TEXT + 2];
    snprintf(wanted, sizeof wanted, ",%s,", call);
    snprintf(listed, sizeof listed, ",%s", control->call);
    if (*control->call != '*' && !strstr(listed, wanted)) return 0;
    if (*control->kind != '*' && strncmp(control->kind, name, TEXT - 1)) return 0;
    int seen = atomic_fetch_add(&control->seen, 1) - control->after;
    if (seen < 0 || seen >= control->length) return 0;
    atomic_fetch_add(&control->hits, 1);
    if (control->halves && !seen) return 2;
    errno = control->error;
    return 1;
}

#define NEXT(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))next(#name)
#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

#define OPEN(name) int name(const char *path, int flags, ...) { \
    NEXT(name); \
    MODE(flags, mode) \
    int kind = kind_of(AT_FDCWD, path); \
    if (fails(flags & O_CREAT ? "create" : "open", kind)) return -1; \
    return note_open(real(path, flags, mode), kind, flags); }
#define OPENAT(name) int name(int folder, const char *path, int flags, ...) { \
    NEXT(name); \
    MODE(flags, mode) \
    int kind = kind_of(folder, path); \
    if (fails(flags & O_CREAT ? "create" : "open", kind)) return -1; \
    return note_open(real(folder, path, flags, mode), kind, flags); }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

int close(int file) {
    NEXT(close);
    int kind = kind_open(file);
    if (kind) atomic_store(&kinds_of[file], 0);
    int result = real(file);
    return fails("close", kind) ? -1 : result;
}

#define DUPLICATE(name, parameters, arguments) int name parameters { \
    NEXT(name); \
    int result = real arguments; \
    if (result >= 0) note_open(result, kind_open(file), 0); \
    return result; }
DUPLICATE(dup, (int file), (file))
DUPLICATE(dup2, (int file, int to), (file, to))
DUPLICATE(dup3, (int file, int to, int flags), (file, to, flags))

#define CONTROL(name) int name(int file, int command, ...) { \
    NEXT(name); \
    va_list list; \
    va_start(list, command); \
    void *argument = va_arg(list, void *); \
    va_end(list); \
    int kind = kind_open(file); \
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) { \
        if (fails("dup", kind)) return -1; \
        return note_open(real(file, command, argument), kind, 0); \
    } \
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK) \
        if (fails("lock", kind)) return -1; \
    return real(file, command, argument); }
CONTROL(fcntl) CONTROL(fcntl64)

int ioctl(int file, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    if (!real) real = (int (*)(int, unsigned long, ...))next("ioctl");
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (fails("ioctl", kind_open(file))) return -1;
    return real(file, request, argument);
}

// Calls on a descriptor, and those that transfer bytes, which may do half.
#define FILE_CALL(type, name, call, parameters, arguments) type name parameters { \
    NEXT(name); \
    return fails(call, kind_open(file)) ? (type)-1 : real arguments; }
#define BYTES_CALL(name, call, parameters, arguments, count) ssize_t name parameters { \
    NEXT(name); \
    int kind = kind_open(file), how = fails(call, kind); \
    if (how == 2 && count > 1) { count /= 2; how = 0; } \
    if (how == 2) errno = control->error; \
    return how ? -1 : real arguments; }

BYTES_CALL(read, "read", (int file, void *bytes, size_t count), (file, bytes, count), count)
BYTES_CALL(pread, "pread", (int file, void *bytes, size_t count, off_t at), (file, bytes, count, at), count)
BYTES_CALL(pread64, "pread", (int file, void *bytes, size_t count, off64_t at), (file, bytes, count, at), count)
BYTES_CALL(write, "write", (int file, const void *bytes, size_t count), (file, bytes, count), count)
BYTES_CALL(pwrite, "pwrite", (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at), count)
BYTES_CALL(pwrite64, "pwrite", (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at), count)
FILE_CALL(ssize_t, writev, "writev", (int file, const struct iovec *parts, int count), (file, parts, count))
FILE_CALL(ssize_t, readv, "readv", (int file, const struct iovec *parts, int count), (file, parts, count))

/// Counts a call on two descriptors as one on the second, and fails if the fault names either.
#define TWO_CALL(name, call, parameters, arguments, from, to) ssize_t name parameters { \
    NEXT(name); \
    if (fails(call "-from", kind_open(from))) return -1; \
    int how = fails(call, kind_open(to)); \
    if (how == 2 && count > 1) { count /= 2; how = 0; } \
    if (how == 2) errno = control->error; \
    return how ? -1 : real arguments; }
TWO_CALL(copy_file_range, "copy_file_range",
    (int from, off64_t *start, int to, off64_t *offset, size_t count, unsigned flags),
    (from, start, to, offset, count, flags), from, to)
TWO_CALL(splice, "splice", (int from, off64_t *start, int to, off64_t *offset, size_t count, unsigned flags),
    (from, start, to, offset, count, flags), from, to)

FILE_CALL(int, fsync, "fsync", (int file), (file))
FILE_CALL(int, fdatasync, "fdatasync", (int file), (file))
FILE_CALL(int, syncfs, "syncfs", (int file), (file))
FILE_CALL(int, sync_file_range, "sync_file_range", (int file, off64_t at, off64_t count, unsigned flags),
    (file, at, count, flags))
FILE_CALL(int, ftruncate, "ftruncate", (int file, off_t size), (file, size))
FILE_CALL(int, ftruncate64, "ftruncate", (int file, off64_t size), (file, size))
FILE_CALL(int, fallocate, "fallocate", (int file, int mode, off_t at, off_t count), (file, mode, at, count))
FILE_CALL(int, fallocate64, "fallocate", (int file, int mode, off64_t at, off64_t count), (file, mode, at, count))
FILE_CALL(off_t, lseek, "lseek", (int file, off_t at, int whence), (file, at, whence))
FILE_CALL(off64_t, lseek64, "lseek", (int file, off64_t at, int whence), (file, at, whence))
FILE_CALL(int, futimens, "futimens", (int file, const struct timespec times[2]), (file, times))
FILE_CALL(int, fchmod, "fchmod", (int file, mode_t mode), (file, mode))
FILE_CALL(int, fchown, "fchown", (int file, uid_t uid, gid_t gid), (file, uid, gid))
FILE_CALL(int, fstat, "fstat", (int file, struct stat *status), (file, status))
FILE_CALL(int, fstat64, "fstat", (int file, struct stat64 *status), (file, status))
FILE_CALL(int, fstatvfs, "fstatvfs", (int file, struct statvfs *status), (file, status))
FILE_CALL(int, fstatvfs64, "fstatvfs", (int file, struct statvfs64 *status), (file, status))
FILE_CALL(int, flock, "flock", (int file, int operation), (file, operation))

int posix_fadvise(int file, off_t at, off_t count, int advice) {
    NEXT(posix_fadvise);
    return fails("fadvise", kind_open(file)) ? errno : real(file, at, count, advice);
}

#define MAP(name, offset) void *name(void *address, size_t count, int protection, int flags, int file, offset at) { \
    NEXT(name); \
    if (control && file >= 0 && fails("mmap", kind_open(file))) return MAP_FAILED; \
    return real(address, count, protection, flags, file, at); }
MAP(mmap64, off64_t)

// Calls on a path.
#define PATH_CALL(type, name, call, folder, parameters, arguments) type name parameters { \
    NEXT(name); \
    return fails(call, kind_of(folder, path)) ? (type)-1 : real arguments; }
PATH_CALL(int, stat, "stat", AT_FDCWD, (const char *path, struct stat *status), (path, status))
PATH_CALL(int, stat64, "stat", AT_FDCWD, (const char *path, struct stat64 *status), (path, status))
PATH_CALL(int, lstat, "stat", AT_FDCWD, (const char *path, struct stat *status), (path, status))
PATH_CALL(int, lstat64, "stat", AT_FDCWD, (const char *path, struct stat64 *status), (path, status))
PATH_CALL(int, fstatat, "stat", folder, (int folder, const char *path, struct stat *status, int flags),
    (folder, path, status, flags))
PATH_CALL(int, fstatat64, "stat", folder, (int folder, const char *path, struct stat64 *status, int flags),
    (folder, path, status, flags))
PATH_CALL(int, access, "access", AT_FDCWD, (const char *path, int mode), (path, mode))
PATH_CALL(int, faccessat, "access", folder, (int folder, const char *path, int mode, int flags),
    (folder, path, mode, flags))
PATH_CALL(int, statvfs, "statvfs", AT_FDCWD, (const char *path, struct statvfs *status), (path, status))
PATH_CALL(int, unlink, "unlink", AT_FDCWD, (const char *path), (path))
PATH_CALL(int, unlinkat, "unlink", folder, (int folder, const char *path, int flags), (folder, path, flags))
PATH_CALL(int, rmdir, "rmdir", AT_FDCWD, (const char *path), (path))
PATH_CALL(int, mkdir, "mkdir", AT_FDCWD, (const char *path, mode_t mode), (path, mode))
PATH_CALL(int, mkdirat, "mkdir", folder, (int folder, const char *path, mode_t mode), (folder, path, mode))
PATH_CALL(int, chmod, "chmod", AT_FDCWD, (const char *path, mode_t mode), (path, mode))
PATH_CALL(int, truncate, "truncate", AT_FDCWD, (const char *path, off_t size), (path, size))
PATH_CALL(int, rename, "rename", AT_FDCWD, (const char *from, const char *path), (from, path))
PATH_CALL(int, renameat, "rename", folder, (int of, const char *from, int folder, const char *path),
    (of, from, folder, path))
PATH_CALL(int, link, "link", AT_FDCWD, (const char *from, const char *path), (from, path))
PATH_CALL(int, linkat, "link", folder, (int of, const char *from, int folder, const char *path, int flags),
    (of, from, folder, path, flags))
PATH_CALL(int, symlink, "symlink", AT_FDCWD, (const char *to, const char *path), (to, path))
PATH_CALL(ssize_t, readlink, "readlink", AT_FDCWD, (const char *path, char *bytes, size_t count), (path, bytes, count))

int renameat2(int of, const char *from, int folder, const char *path, unsigned flags) {
    NEXT(renameat2);
    // A rename that must not replace a file counts as a separate call: the daemon calls others after its
    // failure.
    const char *call = flags & RENAME_EXCHANGE ? "exchange" : flags ? "rename-new" : "rename";
    return fails(call, kind_of(folder, path)) ? -1 : real(of, from, folder, path, flags);
}

DIR *opendir(const char *path) {
    NEXT(opendir);
    int kind = kind_of(AT_FDCWD, path);
    if (fails("opendir", kind)) return NULL;
    DIR *result = real(path);
    if (result && kind) note_open(dirfd(result), kind, O_DIRECTORY);
    return result;
}

DIR *fdopendir(int file) {
    NEXT(fdopendir);
    return fails("opendir", kind_open(file)) ? NULL : real(file);
}

#define READDIR(name, type) struct type *name(DIR *folder) { \
    NEXT(name); \
    return fails("readdir", kind_open(dirfd(folder))) ? NULL : real(folder); }
READDIR(readdir, dirent) READDIR(readdir64, dirent64)

int closedir(DIR *folder) {
    NEXT(closedir);
    int file = dirfd(folder);
    if (control && file >= 0 && file < 1 << 16) atomic_store(&kinds_of[file], 0);
    return real(folder);
}

FILE *fopen(const char *path, const char *mode) {
    NEXT(fopen);
    int kind = kind_of(AT_FDCWD, path);
    if (fails("fopen", kind)) return NULL;
    FILE *result = real(path, mode);
    if (result && kind) note_open(fileno(result), kind, 0);
    return result;
}
