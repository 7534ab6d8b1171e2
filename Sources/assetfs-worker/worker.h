/* The parts of a worker: its confinement, and the kinds of work. */
#ifndef WORKER_H
#define WORKER_H

/* Ends the worker; the reason goes to the socket, where the daemon waits for “ready”. */
_Noreturn void worker_fail(const char *what);
/* Ends the worker with a reason that is not in errno. */
_Noreturn void worker_fail_because(const char *what, const char *reason);

/* Drops network access, other users' rights, and all memory and output above the limits. */
void sandbox_enter(long outputBytes);

/* Restricts the process to opening files below `paths`, for reading, and to executing `program`, if it is
   not NULL; with `mayConnect` connections can be made, but not accepted. */
void sandbox_confine(const char *const *paths, const char *program, int mayConnect);

/* Restricts the process to the system calls that reading, computing and answering need; and execution,
 * with `mayExecute`. */
void sandbox_filter(int mayExecute);

/* Confine a worker that has network access, and writes only to its socket. */
void sandbox_enter_network(void);
void sandbox_filter_network(void);

/* Serves one download request. */
void fetch_serve(void);

/* Determines file types and the streams of audio and video, until the socket is closed. */
void probe_serve(void);

/* Makes system calls in the mount whose device is `device`, as MAJOR:MINOR, until the socket is closed. */
void names_serve(const char *device);

#endif
