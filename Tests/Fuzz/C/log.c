/* A write-ahead log on a disk that fails now and then: reads return the last write, and acknowledged data is
 * durable. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include "../../../Sources/CWriteAheadLog/CWriteAheadLog.c"

enum { SIZE = 1 << 14 };

/* A file of the disk: the bytes that programs see, and those of the last sync. */
struct disk_file {
    sqlite3_file file;
    unsigned char seen[SIZE], durable[SIZE];
    sqlite3_int64 size, durable_size;
};

/* Bytes of the input decide for each call whether it succeeds. */
static const uint8_t *choices;
static size_t choices_left;

static void complain(const char *what) { fprintf(stderr, "%s\n", what); abort(); }

static uint8_t choice(void) {
    if (choices_left == 0) return 0;
    choices_left--;
    return *choices++;
}

static int disk_close(sqlite3_file *file) { (void)file; return SQLITE_OK; }

static int disk_read(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset) {
    struct disk_file *disk = (struct disk_file *)file;
    if ((choice() & 0x0F) == 0x0F) return SQLITE_IOERR_READ;
    sqlite3_int64 there = disk->size - offset;
    if (there < 0) there = 0;
    if (there > count) there = count;
    memcpy(buffer, disk->seen + (there > 0 ? offset : 0), (size_t)there);
    memset((char *)buffer + there, 0, (size_t)(count - there));
    return there < count ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int disk_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    struct disk_file *disk = (struct disk_file *)file;
    uint8_t fate = choice();
    int done = (fate & 3) == 3 ? fate >> 2 : count;
    if (done > count) done = count;
    memcpy(disk->seen + offset, bytes, (size_t)done);
    if (done > 0 && offset + done > disk->size) disk->size = offset + done;
    return done < count ? fate & 4 ? SQLITE_FULL : SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int disk_sync(sqlite3_file *file, int flags) {
    (void)flags;
    struct disk_file *disk = (struct disk_file *)file;
    uint8_t fate = choice();
    if ((fate & 3) != 3) {
        memcpy(disk->durable, disk->seen, SIZE);
        disk->durable_size = disk->size;
        return SQLITE_OK;
    }
    /* The kernel may drop pages that it could not write. */
    if (fate & 4) {
        memcpy(disk->seen, disk->durable, SIZE);
        disk->size = disk->durable_size;
    }
    return SQLITE_IOERR_FSYNC;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size) { *size = ((struct disk_file *)file)->size; return SQLITE_OK; }

static int disk_control(sqlite3_file *file, int operation, void *argument) {
    (void)file;
    if (operation != SQLITE_FCNTL_LAST_ERRNO) return SQLITE_NOTFOUND;
    *(int *)argument = choice() & 1 ? ENOSPC : EIO;
    return SQLITE_OK;
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 1, .xClose = disk_close, .xRead = disk_read, .xWrite = disk_write, .xSync = disk_sync,
    .xFileSize = disk_size, .xFileControl = disk_control };

static unsigned char wanted[SIZE];
static sqlite3_int64 wanted_size;

static void check_durable(const struct disk_file *disk) {
    if (disk->durable_size < wanted_size || memcmp(disk->durable, wanted, (size_t)wanted_size)) complain("what is said to be durable is not");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    choices = bytes;
    choices_left = count;
    memset(wanted, 0, sizeof wanted);
    wanted_size = 0;
    struct log *log = calloc(1, header() + sizeof(struct disk_file));
    struct disk_file *disk = (struct disk_file *)real(&log->file);
    disk->file.pMethods = &disk_methods;
    log->file.pMethods = &methods;
    log->descriptor = -1;
    log->keeps = 1;
    while (choices_left > 0) {
        uint8_t step = choice();
        sqlite3_int64 offset = choice() * 32, length = 1 + choice() * 8;
        /* SQLite repeatedly writes its log from the beginning, without holes. */
        if (offset > wanted_size) offset = wanted_size;
        if (offset + length > SIZE) length = SIZE - offset;
        unsigned char *buffer = malloc((size_t)length + 1);
        switch (step & 3) {
        case 0:
            memset(buffer, choice(), (size_t)length);
            if (log->file.pMethods->xWrite(&log->file, buffer, (int)length, offset) != SQLITE_OK) complain("a write fails");
            memcpy(wanted + offset, buffer, (size_t)length);
            if (offset + length > wanted_size) wanted_size = offset + length;
            break;
        case 1: {
            memset(buffer, 0xAA, (size_t)length);
            int code = log->file.pMethods->xRead(&log->file, buffer, (int)length, offset);
            if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) break;
            sqlite3_int64 there = wanted_size - offset < length ? wanted_size - offset : length;
            if (code == SQLITE_OK && there < length) complain("more is read than was written");
            if (memcmp(buffer, wanted + offset, (size_t)there)) complain("other bytes are read than were written");
            for (sqlite3_int64 index = there; index < length; index++) if (buffer[index]) complain("what is not there is no zero");
            break;
        }
        case 2: {
            int code = log->file.pMethods->xSync(&log->file, SQLITE_SYNC_NORMAL);
            if (code == SQLITE_OK && !log->late) check_durable(disk);
            break;
        }
        case 3:
            if (flush(log) != SQLITE_OK) break;
            if (log->late) complain("all is written, and some is late");
            if (!log->fresh) check_durable(disk);
        }
        free(buffer);
        sqlite3_int64 size = -1;
        if (log->file.pMethods->xFileSize(&log->file, &size) != SQLITE_OK || size < wanted_size) complain("the log is too short");
    }
    log->file.pMethods->xClose(&log->file);
    free(log);
    return 0;
}
