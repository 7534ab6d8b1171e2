/* How many threads of the session wait for a request at once.
 *
 * The kernel wakes the thread that has waited for the longest time. With many of them each request meets another thread, whose stack and
 * memory are in no processor's cache, and the threads' processors change with every request. So a few wait in read(2), and all others
 * here. A thread that takes the last place's request lets another one in before it serves it: as long as there are threads, one waits. */
#ifndef CFUSE_READERS_H
#define CFUSE_READERS_H

#include <sys/types.h>

/* Says how many threads may wait at once, 1 or more. */
void readers_begin(int most);

/* read(2), once there is a place; a cancellation point of the thread. */
ssize_t readers_read(int fd, void *buffer, size_t length);

#endif
