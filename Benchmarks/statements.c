// Counts the SQL statements of each thread of a program: preloaded before libsqlite3, it counts each
// sqlite3_step() that begins one. Statements that SQLite itself executes within another one are not counted.
// The counts are stored in the file that COUNT_STATEMENTS names, which must be large enough: thread and
// count, 64 bits each.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct sqlite3_stmt sqlite3_stmt;

struct counted {
    _Atomic uint64_t thread, statements;
};

static struct counted nowhere, *table;
static size_t room;
static _Atomic size_t used;
static int (*step)(sqlite3_stmt *);
static int (*busy)(sqlite3_stmt *);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct counted *mine;
static _Thread_local int depth;

static void prepare(void) {
    step = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
    busy = (int (*)(sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_stmt_busy");
    const char *path = getenv("COUNT_STATEMENTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    struct stat status;
    if (file < 0) return;
    if (fstat(file, &status) == 0) {
        void *pages = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (pages != MAP_FAILED) {
            table = pages;
            room = status.st_size / sizeof *table;
        }
    }
    close(file);
}

static struct counted *place(void) {
    size_t index = atomic_fetch_add(&used, 1);
    if (index >= room) return &nowhere;
    atomic_store(&table[index].thread, gettid());
    return &table[index];
}

int sqlite3_step(sqlite3_stmt *statement) {
    pthread_once(&once, prepare);
    if (!mine) mine = place();
    if (depth == 0 && !busy(statement)) atomic_fetch_add_explicit(&mine->statements, 1, memory_order_relaxed);
    depth++;
    int result = step(statement);
    depth--;
    return result;
}
