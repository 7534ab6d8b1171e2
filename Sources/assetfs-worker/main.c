/*
 * assetfs-worker: parses untrusted files, in a process that can do nothing else.
 *
 *  assetfs-worker probe                       type by libmagic, streams by libavformat
 *  assetfs-worker exiftool OUTPUT-BYTES       embedded metadata, by the Perl program on descriptor 3
 *  assetfs-worker fetch                       downloads by libcurl
 *  assetfs-worker names DEVICE                no untrusted files: system calls in the mount, see names.c
 *
 * All have a SOCK_SEQPACKET socket as their standard input and output: a request is one message with the
 * descriptors of the files; a reply is one or more messages, each of which begins with “+” where more follow
 * and “.” where none do.
 */
#define _GNU_SOURCE
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void worker_fail(const char *what) { worker_fail_because(what, strerror(errno)); }

void worker_fail_because(const char *what, const char *reason) {
    char line[200];
    int length = snprintf(line, sizeof line, "!%s: %s", what, reason);
    if (length >= (int)sizeof line) length = sizeof line - 1;
    send(0, line, (size_t)length, 0);
    _exit(126);
}

static const char *const libraries[] = {
    "/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/perl5", "/usr/share/perl", "/etc/perl", "/dev/null", NULL
};

/* The environment is fixed and not the user's: it has no variable that changes a library's behaviour. */
static char *const environment[] = {"PATH=/nonexistent", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC", NULL};

int main(int count, char **arguments) {
    const char *kind = count > 1 ? arguments[1] : "";
    if (strcmp(kind, "probe") == 0) {
        close_range(3, ~0U, 0);
        probe_serve();
        return 0;
    }
    if (strcmp(kind, "fetch") == 0) {
        close_range(3, ~0U, 0);
        fetch_serve();
        return 0;
    }
    if (strcmp(kind, "exiftool") == 0 && count == 3) {
        close_range(4, ~0U, 0);
        /* perl(1) has no name for the number of recvmsg(2), which receives the descriptors. */
        char receive[16];
        snprintf(receive, sizeof receive, "%d", (int)SYS_recvmsg);
        char *perl[] = {"/usr/bin/perl", "-e", "open my $f, '<&=', 3; local $/; eval <$f>; die $@ if $@", receive, NULL};
        sandbox_enter(atol(arguments[2]));
        sandbox_confine(libraries, perl[0], 0);
        sandbox_filter(1);
        execve(perl[0], perl, environment);
        worker_fail(perl[0]);
    }
    if (strcmp(kind, "names") == 0 && count == 3) {
        close_range(3, ~0U, 0);
        names_serve(arguments[2]);
        return 0;
    }
    fprintf(stderr, "assetfs-worker is started by assetfs.\n");
    return 64;
}
