#define _GNU_SOURCE
#include "CWriteAheadLog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// Bytes that were written since the last successful sync.
struct piece {
    struct piece *next;
    sqlite3_int64 offset;
    size_t count, room;
    unsigned char *bytes;
};

/// A write-ahead log; SQLite's file of the underlying VFS lies after it in memory.
struct log {
    sqlite3_file file;
    /// Another descriptor of the file, for fallocate(2). SQLite locks the database and its index, never the
    /// log, so closing this one releases no lock.
    int descriptor;
    /// Whether `wal_keep` was called.
    int keeps;
    /// Whether the file lacks some of the pieces.
    int late;
    /// Whether any bytes were written since the last sync.
    int fresh;
    /// Whether a read of the log, or of its database, has failed since `wal_unread`.
    int unread;
    struct piece *first, *last;
    /// The header of the last frame that ends a transaction, and its offset; -1 if none was written.
    unsigned char commit[WAL_FRAME_HEADER];
    sqlite3_int64 commit_offset;
    /// The connection of a log for which `wal_keep` was called.
    sqlite3 *connection;
};

static sqlite3_vfs *below;

#ifdef DEBUG
/// Returns whether ASSETFS_WITHOUT_SYNC names a sync, as in `Sync.swift`: `log` of COMMIT, `log-checkpoint`
/// of the log before a checkpoint, `catalog` of the database after one, `search` of the search index.
static int is_left_out(const char *name) {
    const char *names = getenv("ASSETFS_WITHOUT_SYNC");
    size_t length = strlen(name);
    for (; names && *names; names = strchr(names, ',') ? strchr(names, ',') + 1 : NULL)
        if (!strncmp(names, name, length) && (!names[length] || names[length] == ',')) return 1;
    return 0;
}
#else
#define is_left_out(name) 0
#endif

static size_t header(void) { return (sizeof(struct log) + 15) & ~(size_t)15; }

static sqlite3_file *real(sqlite3_file *file) { return (sqlite3_file *)((char *)file + header()); }

/// Converts the errors of a full disk to SQLITE_FULL: SQLite itself does so only for ENOSPC of write(2).
static int normalize(sqlite3_file *file, int code) {
    int number = 0;
    if ((code & 0xFF) != SQLITE_IOERR) return code;
    if (real(file)->pMethods->xFileControl(real(file), SQLITE_FCNTL_LAST_ERRNO, &number) != SQLITE_OK) return code;
    return number == ENOSPC || number == EDQUOT ? SQLITE_FULL : code;
}

/// Returns whether the disk failed in a way that may be temporary.
static int is_disk(int code) { return code == SQLITE_FULL || (code & 0xFF) == SQLITE_IOERR; }

static void drop(struct log *log) {
    while (log->first) {
        struct piece *next = log->first->next;
        free(log->first->bytes);
        free(log->first);
        log->first = next;
    }
    log->last = NULL;
    log->late = 0;
}

static int append(struct log *log, const void *bytes, int count, sqlite3_int64 offset) {
    struct piece *last = log->last;
    if (!last || last->offset + (sqlite3_int64)last->count != offset) {
        struct piece *new = calloc(1, sizeof *new);
        if (!new) return SQLITE_NOMEM;
        new->offset = offset;
        if (last) last->next = new; else log->first = new;
        log->last = last = new;
    }
    if (last->room < last->count + (size_t)count) {
        size_t room = (last->count + (size_t)count) * 2;
        unsigned char *more = realloc(last->bytes, room);
        if (!more) return SQLITE_NOMEM;
        last->bytes = more;
        last->room = room;
    }
    memcpy(last->bytes + last->count, bytes, (size_t)count);
    last->count += (size_t)count;
    return SQLITE_OK;
}

/// Writes all pieces again: after a failed sync the kernel may have dropped the pages.
static int flush(struct log *log) {
    sqlite3_file *file = &log->file;
    if (!log->late) return SQLITE_OK;
    for (struct piece *piece = log->first; piece; piece = piece->next) {
        for (size_t done = 0; done < piece->count;) {
            size_t rest = piece->count - done;
            // SQLite's own file accepts less than 128 KiB at once.
            int count = rest < (1 << 16) ? (int)rest : 1 << 16;
            int code = real(file)->pMethods->xWrite(
                real(file), piece->bytes + done, count, piece->offset + (sqlite3_int64)done);
            if (code != SQLITE_OK) return normalize(file, code);
            done += (size_t)count;
        }
    }
    int code = real(file)->pMethods->xSync(real(file), SQLITE_SYNC_NORMAL);
    if (code != SQLITE_OK) return normalize(file, code);
    drop(log);
    return SQLITE_OK;
}

static int close_log(sqlite3_file *file) {
    struct log *log = (struct log *)file;
    drop(log);
    if (log->descriptor >= 0) close(log->descriptor);
    return real(file)->pMethods->xClose(real(file));
}

/// Reads, and reads again if the disk failed.
///
/// SQLite rolls the transaction back when a read returns SQLITE_IOERR, even one for a SELECT, which would
/// undo changes that callers were told are done. So a read for statements that only return rows returns
/// SQLITE_CANTOPEN, which fails them alone. COMMIT and ROLLBACK return no rows: SQLITE_CANTOPEN there would
/// leave pages of the transaction in memory, which later transactions would take for the catalog's.
static int read_again(
    sqlite3_file *file, const sqlite3_io_methods *methods, sqlite3 *connection, void *buffer, int count,
    sqlite3_int64 offset) {
    int code = methods->xRead(file, buffer, count, offset);
    if (!connection) return code;
    for (int turn = 0; turn < 2 && (code & 0xFF) == SQLITE_IOERR && code != SQLITE_IOERR_SHORT_READ; turn++)
        code = methods->xRead(file, buffer, count, offset);
    if ((code & 0xFF) != SQLITE_IOERR || code == SQLITE_IOERR_SHORT_READ) return code;
    for (sqlite3_stmt *statement = NULL; (statement = sqlite3_next_stmt(connection, statement));)
        if (sqlite3_stmt_busy(statement) && (!sqlite3_stmt_readonly(statement) || !sqlite3_column_count(statement))) return code;
    return SQLITE_CANTOPEN;
}

static int read_log(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset) {
    struct log *log = (struct log *)file;
    int code = read_again(real(file), real(file)->pMethods, log->connection, buffer, count, offset);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) log->unread = 1;
    if (!log->late || (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)) return code;
    // The end of the part of the buffer that is valid if the file itself was too short: pieces follow each
    // other.
    sqlite3_int64 end = offset + count, covered = offset;
    for (struct piece *piece = log->first; piece; piece = piece->next) {
        sqlite3_int64 from = piece->offset > offset ? piece->offset : offset;
        sqlite3_int64 stop = piece->offset + (sqlite3_int64)piece->count;
        if (stop > end) stop = end;
        if (from >= stop) continue;
        memcpy((char *)buffer + (from - offset), piece->bytes + (from - piece->offset), (size_t)(stop - from));
        if (from <= covered && stop > covered) covered = stop;
    }
    return code == SQLITE_OK || covered == end ? SQLITE_OK : code;
}

static int write_log(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    struct log *log = (struct log *)file;
    // The second number of a frame's header is 0 unless the frame ends a transaction: "WAL Frame Header",
    // sqlite.org/fileformat2.html.
    static const unsigned char none[4];
    if (count == WAL_FRAME_HEADER && memcmp((const char *)bytes + 4, none, sizeof none)) {
        memcpy(log->commit, bytes, WAL_FRAME_HEADER);
        log->commit_offset = offset;
    }
    if (!log->keeps) return normalize(file, real(file)->pMethods->xWrite(real(file), bytes, count, offset));
    int code = append(log, bytes, count, offset);
    if (code != SQLITE_OK) return code;
    log->fresh = 1;
    if (log->late) return SQLITE_OK;
    code = normalize(file, real(file)->pMethods->xWrite(real(file), bytes, count, offset));
    if (!is_disk(code)) return code;
    log->late = 1;
    return SQLITE_OK;
}

static int truncate_log(sqlite3_file *file, sqlite3_int64 size) {
    return real(file)->pMethods->xTruncate(real(file), size);
}

static int sync_log(sqlite3_file *file, int flags) {
    struct log *log = (struct log *)file;
    if (!log->keeps)
        return is_left_out("search") ? SQLITE_OK : normalize(file, real(file)->pMethods->xSync(real(file), flags));
    int was_fresh = log->fresh;
    log->fresh = 0;
    // This is the sync of a COMMIT, whose durability `wal_flush` reports; or one before a checkpoint, which
    // must not begin before all bytes are on the disk.
    if (log->late) return was_fresh ? SQLITE_OK : flush(log);
    int code = is_left_out(was_fresh ? "log" : "log-checkpoint")
        ? SQLITE_OK : normalize(file, real(file)->pMethods->xSync(real(file), flags));
    if (code == SQLITE_OK) {
        drop(log);
    } else if (is_disk(code) && log->first) {
        log->late = 1;
        code = SQLITE_OK;
    }
    return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    struct log *log = (struct log *)file;
    int code = real(file)->pMethods->xFileSize(real(file), size);
    if (code != SQLITE_OK || !log->late) return code;
    for (struct piece *piece = log->first; piece; piece = piece->next) {
        sqlite3_int64 end = piece->offset + (sqlite3_int64)piece->count;
        if (end > *size) *size = end;
    }
    return SQLITE_OK;
}

static int lock_log(sqlite3_file *file, int level) { return real(file)->pMethods->xLock(real(file), level); }
static int unlock_log(sqlite3_file *file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
static int check_lock(sqlite3_file *file, int *result) {
    return real(file)->pMethods->xCheckReservedLock(real(file), result);
}
static int file_control(sqlite3_file *file, int operation, void *argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
static int sector_size(sqlite3_file *file) { return real(file)->pMethods->xSectorSize(real(file)); }
static int characteristics(sqlite3_file *file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = close_log,
    .xRead = read_log,
    .xWrite = write_log,
    .xTruncate = truncate_log,
    .xSync = sync_log,
    .xFileSize = file_size,
    .xLock = lock_log,
    .xUnlock = unlock_log,
    .xCheckReservedLock = check_lock,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
};

#ifdef DEBUG
static int sync_nothing(sqlite3_file *file, int flags) {
    (void)file;
    (void)flags;
    return SQLITE_OK;
}

/// Replaces the sync of a database in SQLite's own VFS, if that sync is to be left out.
static void leave_out(const char *name, sqlite3_file *file) {
    static sqlite3_io_methods without;
    const char *last = strrchr(name, '/');
    if (!is_left_out(last && !strcmp(last, "/search.sqlite") ? "search" : "catalog")) return;
    without = *file->pMethods;
    without.xSync = sync_nothing;
    file->pMethods = &without;
}
#endif

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *result) {
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL)) {
        int code = below->xOpen(below, name, file, flags, result);
#ifdef DEBUG
        if (code == SQLITE_OK && flags & SQLITE_OPEN_MAIN_DB) leave_out(name, file);
#endif
        return code;
    }
    struct log *log = (struct log *)file;
    memset(log, 0, header());
    log->descriptor = -1;
    log->commit_offset = -1;
    int code = below->xOpen(below, name, real(file), flags, result);
    // SQLite does not close a file without methods.
    if (code != SQLITE_OK) return code;
    log->file.pMethods = &methods;
    log->descriptor = open(name, O_RDWR | O_CLOEXEC);
    return SQLITE_OK;
}

int wal_register(void) {
    static sqlite3_vfs vfs;
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    int code = SQLITE_OK;
    pthread_mutex_lock(&turn);
    if (!below) {
        code = sqlite3_initialize();
        sqlite3_vfs *found = code == SQLITE_OK ? sqlite3_vfs_find(NULL) : NULL;
        if (found) {
            // All other members are SQLite's own functions, which use only the remaining members of their
            // VFS.
            vfs = *found;
            vfs.zName = "assetfs";
            vfs.szOsFile = (int)header() + found->szOsFile;
            vfs.xOpen = open_file;
            below = found;
            code = sqlite3_vfs_register(&vfs, 1);
        } else if (code == SQLITE_OK) {
            code = SQLITE_ERROR;
        }
    }
    pthread_mutex_unlock(&turn);
    return code;
}

static struct log *log_of(void *connection) {
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK) return NULL;
    return file && file->pMethods == &methods ? (struct log *)file : NULL;
}

/// A database whose log keeps bytes: `methods` are those of its file, and `real` those of SQLite's own VFS.
struct database {
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real;
    sqlite3 *connection;
    struct log *log;
};

static int read_database(sqlite3_file *file, void *buffer, int count, sqlite3_int64 offset) {
    const struct database *database = (const struct database *)file->pMethods;
    int code = read_again(file, database->real, database->connection, buffer, count, offset);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) database->log->unread = 1;
    return code;
}

static int close_database(sqlite3_file *file) {
    struct database *database = (struct database *)file->pMethods;
    file->pMethods = database->real;
    free(database);
    return file->pMethods->xClose(file);
}

int wal_keep(void *connection) {
    struct log *log = log_of(connection);
    sqlite3_file *file = NULL;
    if (!log || sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK) return SQLITE_ERROR;
    if (log->keeps) return SQLITE_OK;
    struct database *database = calloc(1, sizeof *database);
    if (!database) return SQLITE_NOMEM;
    database->connection = connection;
    database->log = log;
    database->real = file->pMethods;
    database->methods = *file->pMethods;
    database->methods.xRead = read_database;
    database->methods.xClose = close_database;
    file->pMethods = &database->methods;
    log->connection = connection;
    log->keeps = 1;
    return SQLITE_OK;
}

int64_t wal_reserve(void *connection, int64_t count) {
    struct log *log = log_of(connection);
    if (!log || log->descriptor < 0) return 0;
    // Space that the disk or filesystem does not provide is not reserved: the result tells how much was.
    (void)fallocate(log->descriptor, FALLOC_FL_KEEP_SIZE, 0, count);
    struct stat status;
    return fstat(log->descriptor, &status) == 0 ? (int64_t)status.st_blocks * 512 : 0;
}

int wal_flush(void *connection) {
    struct log *log = log_of(connection);
    return log ? flush(log) : SQLITE_OK;
}

int wal_unread(void *connection) {
    struct log *log = log_of(connection);
    if (!log || !log->unread) return 0;
    log->unread = 0;
    return 1;
}

int64_t wal_commit(void *connection, unsigned char *header) {
    struct log *log = log_of(connection);
    if (!log || log->commit_offset < 0) return -1;
    memcpy(header, log->commit, WAL_FRAME_HEADER);
    return log->commit_offset;
}

int wal_leave(void *connection) {
    return sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
}
