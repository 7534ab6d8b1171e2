/* The parts of a worker: what it may do at all, and the kinds of work. */
#ifndef WORKER_H
#define WORKER_H

/* Ends the worker; the reason goes to the socket, which is where the daemon waits for “ready”. */
_Noreturn void worker_fail(const char *what);

/* Gives up the network, other users' rights, and all memory and output above the limits. */
void sandbox_enter(long outputBytes);

/* From here on no file can be opened but those below `paths`, for reading; and only `program` can be executed, if it is not NULL. */
void sandbox_confine(const char *const *paths, const char *program);

/* From here on only the system calls that reading, computing and answering need; executing too, if `mayExecute`. */
void sandbox_filter(int mayExecute);

/* Tells the types of files and looks into audio and video, until the socket is closed. */
void probe_serve(void);

#endif
