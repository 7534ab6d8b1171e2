/* The parts of a worker: what it may do at all, and the kinds of work. */
#ifndef WORKER_H
#define WORKER_H

/* Ends the worker; the reason goes to the socket, which is where the daemon waits for “ready”. */
_Noreturn void worker_fail(const char *what);

/* Gives up the network, other users' rights, and all memory and output above the limits. */
void sandbox_enter(long outputBytes);

/* From here on no file can be opened but those below `paths`, for reading; only `program` can be executed, if it is not NULL; and with
   `mayConnect` connections can be made, but not accepted. */
void sandbox_confine(const char *const *paths, const char *program, int mayConnect);

/* From here on only the system calls that reading, computing and answering need; executing too, if `mayExecute`. */
void sandbox_filter(int mayExecute);

/* The same for a worker that has the network, and writes to nothing but its socket. */
void sandbox_enter_network(void);
void sandbox_filter_network(void);

/* Fetches the URL that it is asked for. */
void fetch_serve(void);

/* Tells the types of files and looks into audio and video, until the socket is closed. */
void probe_serve(void);

/* Works in the mount whose device is `device`, as MAJOR:MINOR, until the socket is closed. */
void names_serve(const char *device);

#endif
