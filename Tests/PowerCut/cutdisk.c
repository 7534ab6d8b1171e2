// A disk whose power can be cut: shows an image as `MOUNTPOINT/disk`, for a loop device.
//
//     cutdisk IMAGE MOUNTPOINT
//
// Writes stay in memory until fsync(2) or fdatasync(2) of `disk` puts them into the image, as in a disk's
// cache until a flush. The file `MOUNTPOINT/control` takes one line: “cut MODE SEED” drops unsynced data by
// the mode:
//
//     drop    all of it
//     prefix  all but the writes before a random moment
//     some    each block of 4 KiB has its synced content, or one of those written since: any order of writes
//
// and from then on every request for `disk` is EIO. “delay MICROSECONDS” sets the time that each later sync
// takes. Reading `control` returns “writes N flushes N unsynced N cut 0|1”.
// One thread serves all requests, so that a cut is between two of them.
#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 4096 };

/// A content of a block that is not synced yet.
struct version {
    struct version *former;
    uint64_t number;
    unsigned char bytes[BLOCK];
};

static int image;
static off_t size;
/// The newest content of each block; NULL where the image has it.
static struct version **versions;
/// The blocks with unsynced contents, so that a sync visits only these.
static size_t *changed;
static size_t changed_count;
static uint64_t writes, flushes, synced_writes;
static int is_cut;
/// The duration of a sync in microseconds, to simulate a slow disk.
static unsigned delay;

static uint64_t state;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void forget(size_t block) {
    while (versions[block]) {
        struct version *former = versions[block]->former;
        free(versions[block]);
        versions[block] = former;
    }
}

static void keep(size_t block, const struct version *version) {
    if (version && pwrite(image, version->bytes, BLOCK, (off_t)block * BLOCK) != BLOCK) {
        perror("cutdisk: the image cannot be written");
        abort();
    }
}

/// Writes the newest content of each block to the image.
static void flush(void) {
    for (size_t index = 0; index < changed_count; index++) {
        keep(changed[index], versions[changed[index]]);
        forget(changed[index]);
    }
    changed_count = 0;
    synced_writes = writes;
}

static void cut(const char *mode, uint64_t seed) {
    state = seed * 2654435761u + 88172645463325252u;
    uint64_t last = synced_writes + next_random() % (writes - synced_writes + 1);
    for (size_t index = 0; index < changed_count; index++) {
        size_t block = changed[index];
        struct version *chosen = NULL;
        if (!strcmp(mode, "prefix")) {
            for (chosen = versions[block]; chosen && chosen->number > last;) chosen = chosen->former;
        } else if (!strcmp(mode, "some")) {
            uint64_t count = 1;
            for (struct version *version = versions[block]; version; version = version->former) count++;
            uint64_t number = next_random() % count;
            chosen = versions[block];
            while (chosen && number--) chosen = chosen->former;
        }
        keep(block, chosen);
        forget(block);
    }
    changed_count = 0;
    is_cut = 1;
}

static void read_block(size_t block, unsigned char *bytes) {
    if (versions[block]) {
        memcpy(bytes, versions[block]->bytes, BLOCK);
    } else if (pread(image, bytes, BLOCK, (off_t)block * BLOCK) != BLOCK) {
        memset(bytes, 0, BLOCK);
    }
}

static int is_disk(const char *path) { return !strcmp(path, "/disk"); }
static int is_control(const char *path) { return !strcmp(path, "/control"); }

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *info) {
    (void)info;
    memset(status, 0, sizeof *status);
    status->st_nlink = 1;
    if (!strcmp(path, "/")) {
        status->st_mode = S_IFDIR | 0700;
    } else if (is_disk(path) || is_control(path)) {
        status->st_mode = S_IFREG | 0600;
        status->st_size = is_disk(path) ? size : 0;
        status->st_blksize = BLOCK;
    } else {
        return -ENOENT;
    }
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *info) {
    // Data of the disk must not stay in the page cache of this file after a cut.
    info->direct_io = 1;
    return is_disk(path) || is_control(path) ? 0 : -ENOENT;
}

static int read_file(const char *path, char *buffer, size_t count, off_t offset, struct fuse_file_info *info) {
    (void)info;
    if (is_control(path)) {
        char text[160];
        int length = snprintf(
            text, sizeof text, "writes %llu flushes %llu unsynced %zu cut %d\n", (unsigned long long)writes,
            (unsigned long long)flushes, changed_count, is_cut);
        if (offset >= length) return 0;
        if ((off_t)count > length - offset) count = (size_t)(length - offset);
        memcpy(buffer, text + offset, count);
        return (int)count;
    }
    if (is_cut) return -EIO;
    if (offset >= size) return 0;
    if ((off_t)count > size - offset) count = (size_t)(size - offset);
    unsigned char bytes[BLOCK];
    for (size_t done = 0; done < count;) {
        size_t from = (size_t)(offset + (off_t)done) % BLOCK, part = BLOCK - from;
        if (part > count - done) part = count - done;
        read_block((size_t)((offset + (off_t)done) / BLOCK), bytes);
        memcpy(buffer + done, bytes + from, part);
        done += part;
    }
    return (int)count;
}

static int write_file(const char *path, const char *buffer, size_t count, off_t offset, struct fuse_file_info *info) {
    (void)info;
    if (is_control(path)) {
        char line[64] = "", mode[8];
        unsigned long long seed;
        memcpy(line, buffer, count < sizeof line ? count : sizeof line - 1);
        if (sscanf(line, "delay %u", &delay) == 1) return (int)count;
        if (sscanf(line, "cut %7s %llu", mode, &seed) != 2) return -EINVAL;
        if (strcmp(mode, "drop") && strcmp(mode, "prefix") && strcmp(mode, "some")) return -EINVAL;
        if (!is_cut) cut(mode, seed);
        return (int)count;
    }
    if (is_cut) return -EIO;
    if (offset + (off_t)count > size) return -ENOSPC;
    writes++;
    for (size_t done = 0; done < count;) {
        size_t block = (size_t)((offset + (off_t)done) / BLOCK), from = (size_t)(offset + (off_t)done) % BLOCK;
        size_t part = BLOCK - from;
        if (part > count - done) part = count - done;
        struct version *version = malloc(sizeof *version);
        if (!version) return -ENOMEM;
        if (part < BLOCK) read_block(block, version->bytes);
        memcpy(version->bytes + from, buffer + done, part);
        version->number = writes;
        version->former = versions[block];
        if (!versions[block]) changed[changed_count++] = block;
        versions[block] = version;
        done += part;
    }
    return (int)count;
}

static int sync_file(const char *path, int is_data, struct fuse_file_info *info) {
    (void)is_data;
    (void)info;
    if (!is_disk(path)) return 0;
    if (is_cut) return -EIO;
    flushes++;
    flush();
    usleep(delay);
    return 0;
}

// Shells open `control` with O_TRUNC, which has no effect on it, and the size of the disk is fixed.
static int truncate_file(const char *path, off_t length, struct fuse_file_info *info) {
    (void)length;
    (void)info;
    return is_control(path) ? 0 : -EPERM;
}

static const struct fuse_operations operations = {
    .getattr = get_attributes,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .fsync = sync_file,
    .truncate = truncate_file,
};

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: cutdisk IMAGE MOUNTPOINT\n");
        return 64;
    }
    struct stat status;
    image = open(arguments[1], O_RDWR | O_CLOEXEC);
    if (image < 0 || fstat(image, &status) != 0) {
        perror(arguments[1]);
        return 1;
    }
    size = status.st_size / BLOCK * BLOCK;
    versions = calloc((size_t)(size / BLOCK), sizeof *versions);
    changed = calloc((size_t)(size / BLOCK), sizeof *changed);
    if (!versions || !changed) return 1;
    // The kernel must not write back pages of this disk to free memory for this process, which would wait for
    // itself.
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
    char *options[] = {arguments[0], "-f", "-s", "-o", "fsname=cutdisk", arguments[2], NULL};
    return fuse_main(6, options, &operations, NULL);
}
