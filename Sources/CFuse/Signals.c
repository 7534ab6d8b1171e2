#define _GNU_SOURCE
#include "CFuse.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define SET(number) (UINT64_C(1) << ((number) - 1))

/* Signals that without a handler do nothing, or stop a process: signal(7). */
static const uint64_t harmless = SET(SIGCHLD) | SET(SIGURG) | SET(SIGWINCH) | SET(SIGCONT) | SET(SIGSTOP) | SET(SIGTSTP) | SET(SIGTTIN)
                               | SET(SIGTTOU);
/* Signals by which users, terminals and time limits ask a program to end its work. */
static const uint64_t asking = SET(SIGHUP) | SET(SIGINT) | SET(SIGQUIT) | SET(SIGALRM) | SET(SIGTERM);

struct signals { uint64_t pending, shared, blocked, ignored, caught; };

/* Reads the sets of signals in a thread's status; returns 0 if it has none. */
static int read_signals(int32_t thread, struct signals *found) {
    char path[48], *line = NULL;
    size_t room = 0;
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    const struct { const char *name; uint64_t *set; } lines[] = {
        { "SigPnd:", &found->pending }, { "ShdPnd:", &found->shared }, { "SigBlk:", &found->blocked },
        { "SigIgn:", &found->ignored }, { "SigCgt:", &found->caught },
    };
    while (count < 5 && getline(&line, &room, file) > 0) {
        for (int index = 0; index < 5; index++) {
            if (strncmp(line, lines[index].name, 7) != 0) continue;
            *lines[index].set = strtoull(line + 7, NULL, 16);
            count += 1;
        }
    }
    free(line);
    fclose(file);
    return count == 5;
}

int cfuse_is_ending(int32_t thread, int or_asked) {
    struct signals found = { 0 };
    if (thread <= 0) return or_asked;
    if (!read_signals(thread, &found)) return or_asked || (kill(thread, 0) != 0 && errno == ESRCH);
    uint64_t pending = found.pending | found.shared;
    /* The kernel turns a signal that ends a process into SIGKILL for each of its threads, except one that
     * dumps core. */
    if (pending & SET(SIGKILL)) return 1;
    pending &= ~found.blocked;
    if (pending & ~found.caught & ~found.ignored & ~harmless) return 1;
    return or_asked && (pending & found.caught & asking);
}
