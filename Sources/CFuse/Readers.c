#include "Readers.h"

#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t place_is_free = PTHREAD_COND_INITIALIZER;
static int places = 1, reading;

void readers_begin(int most) {
    places = most;
    reading = 0;
}

static void unlock(void *unused) {
    (void)unused;
    pthread_mutex_unlock(&lock);
}

static void leave(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    reading -= 1;
    if (reading == 0) pthread_cond_signal(&place_is_free);
    pthread_mutex_unlock(&lock);
}

ssize_t readers_read(int fd, void *buffer, size_t length) {
    ssize_t count;
    pthread_mutex_lock(&lock);
    /* libfuse ends its threads by pthread_cancel(3), which gives the lock back to a thread that waits. */
    pthread_cleanup_push(unlock, NULL);
    while (reading >= places) pthread_cond_wait(&place_is_free, &lock);
    reading += 1;
    pthread_cleanup_pop(1);
    pthread_cleanup_push(leave, NULL);
    count = read(fd, buffer, length);
    pthread_cleanup_pop(1);
    return count;
}
