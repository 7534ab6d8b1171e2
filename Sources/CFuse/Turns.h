/* Which request a thread of the session serves next, so that one user's requests never take all threads.
 *
 * Requests that may take long have lanes, each with a number of threads at most. In a lane a user may have as many requests served at once as
 * threads are left: the first one half of them, the second a third. What comes beyond that waits here as it was read, and is served by
 * the threads that are done, one user after the other. Requests of root and of the user who has mounted never wait, nor do those without a
 * lane.
 *
 * While LOOKUP, CREATE and their like wait, the kernel holds the lock of a folder that others use, too, and that the daemon needs to tell the
 * kernel of a changed name. So no request of LANE_LOOKS or LANE_MAKES waits for such news while it is served, and what may take long is
 * answered later, without a thread of the lane. */
#ifndef CFUSE_TURNS_H
#define CFUSE_TURNS_H

#include <stddef.h>
#include <stdint.h>

/* Requests on files; those that take or give names of files with a content; those that find, list or describe names; those that make names
 * or change what a name's attributes say; and the ends of opens, which the kernel sends for no user. */
enum lane_name { LANE_FILES, LANE_NAMES, LANE_LOOKS, LANE_MAKES, LANE_ENDS, LANES };
enum turn { TURN_NOW, TURN_LATER, TURN_NEVER };

/* Says how many threads each lane has, and who has mounted. */
void turns_begin(const int threads[LANES], uint32_t owner);

/* Ends the turn of the calling thread's last request, and copies a waiting one to the buffer, whose length it returns; 0 for none. */
size_t turns_next(void *buffer, size_t length);

/* Decides on a request that was just read. It is kept for LATER; NEVER says that its user has too many bytes waiting. */
enum turn turns_take(enum lane_name lane, uint32_t uid, const void *bytes, size_t length);

/* Copies the beginning of the waiting request of that number; 0 where none waits. */
int turns_peek(uint64_t unique, uint64_t (*number)(const void *), void *beginning, size_t length);

/* Forgets the waiting request of that number; 0 where none waits. */
int turns_interrupt(uint64_t unique, uint64_t (*number)(const void *));

#endif
