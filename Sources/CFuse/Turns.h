/* The order in which threads of the session serve requests, so that one user's requests never take all
 * threads.
 *
 * Requests that may take long have lanes, each with a maximum number of threads. In a lane a user may have as
 * many requests served at once as threads are left: the first user half of them, the second a third. Further
 * requests wait here as they were read, and are served by threads that have finished others, one user after
 * the other. Requests without a lane never wait, nor do those of root and of the mounting user, except in
 * LANE_ENDS.
 *
 * While LOOKUP, CREATE and similar requests wait, the kernel holds the lock of a folder that other users
 * need, too, and that the daemon needs to notify the kernel of a changed name. So no request of LANE_LOOKS or
 * LANE_MAKES waits for such notifications while it is served, and slow requests are answered later, without a
 * thread of the lane. */
#ifndef CFUSE_TURNS_H
#define CFUSE_TURNS_H

#include <stddef.h>
#include <stdint.h>

/* The lanes: requests on files; requests that add or remove names of files with a content; those that find,
 * list or describe names; those that create names or change attributes; and RELEASE, which the kernel sends
 * for no user. */
enum lane_name { LANE_FILES, LANE_NAMES, LANE_LOOKS, LANE_MAKES, LANE_ENDS, LANES };
enum turn { TURN_NOW, TURN_LATER, TURN_NEVER };

/* Sets the number of threads of each lane, and the mounting user. */
void turns_begin(const int threads[LANES], uint32_t owner);

/* Ends the turn of the calling thread's last request, and copies a waiting one to the buffer. Returns its
 * length; 0 for none. */
size_t turns_next(void *buffer, size_t length);

/* Decides about a request that was just read. For LATER it is kept; NEVER means that its user has too many
 * bytes waiting. */
enum turn turns_take(enum lane_name lane, uint32_t uid, const void *bytes, size_t length);

/* Copies the beginning of the waiting request with that number; returns 0 if there is none. */
int turns_peek(uint64_t unique, uint64_t (*number)(const void *), void *beginning, size_t length);

/* Removes the waiting request with that number; returns 0 if there is none. */
int turns_interrupt(uint64_t unique, uint64_t (*number)(const void *));

#endif
