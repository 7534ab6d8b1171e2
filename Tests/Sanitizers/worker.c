/*
 * Linked with the metadata worker by `make asan`, which builds it with AddressSanitizer and
 * UndefinedBehaviorSanitizer. The sandbox would deny the sanitizers their terabytes of addresses, and the
 * file to which they write reports.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

int __real_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit);
int __real_close_range(unsigned first, unsigned last, int flags);

static char **given;

/* Keeps the arguments: constructors get them from the start-up code of the C library. */
__attribute__((constructor)) static void keep(int count, char **arguments) {
    (void)count;
    given = arguments;
}

/* Leaves the address space unlimited, and file sizes where the limit would be 0: reports are written to a
 * file. */
int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    if (resource == RLIMIT_AS || (resource == RLIMIT_FSIZE && limit->rlim_max == 0)) return 0;
    return __real_setrlimit(resource, limit);
}

/* Opens the file of the reports after all inherited descriptors were closed.
 *
 * With Perl's program on descriptor 3 it executes the worker without a sanitizer, so that perl(1) has its
 * limits. */
int __wrap_close_range(unsigned first, unsigned last, int flags) {
    int result = __real_close_range(first, last, flags);
    if (first == 4) execv(PLAIN, given);
    char path[512];
    snprintf(path, sizeof path, "%s/report.assetfs-worker.%d", REPORTS, (int)getpid());
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return result;
    __sanitizer_set_report_fd((void *)(intptr_t)file);
    dprintf(file, "A worker runs under AddressSanitizer.\n");
    return result;
}

/* The worker's environment is empty. It cannot start a symbolizer; addr2line(1) finds the names of functions
 * later, because the program is loaded at a fixed address. It restarts when it has grown to 400 MB, so the
 * sanitizer keeps little freed memory. */
const char *__asan_default_options(void) {
    return "detect_leaks=0:symbolize=0:quarantine_size_mb=16:exitcode=77:log_exe_name=1:handle_abort=1:handle_sigill=1";
}

const char *__ubsan_default_options(void) { return "print_stacktrace=1:symbolize=0"; }
