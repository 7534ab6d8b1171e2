/*
 * What `make asan` links with the worker that looks into files, which has AddressSanitizer and UndefinedBehaviorSanitizer then. Confined
 * as it is, it could neither have their terabytes of addresses nor open a file to report to.
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

/* Keeps the arguments: what is linked with the C library's own beginning has them. */
__attribute__((constructor)) static void keep(int count, char **arguments) {
    (void)count;
    given = arguments;
}

/* Leaves addresses without a limit, and files where there were to be none: reports are written to one. */
int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    if (resource == RLIMIT_AS || (resource == RLIMIT_FSIZE && limit->rlim_max == 0)) return 0;
    return __real_setrlimit(resource, limit);
}

/* Opens the file of the reports when all that was inherited is closed.
 *
 * Perl's program is on descriptor 3: for that the worker without a sanitizer is begun, so that perl(1) has its limits. */
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

/* The worker's environment is empty. It cannot start a program that knows the names of functions: addr2line(1) does, the program is at
 * a fixed place. It begins anew when it has grown to 400 MB, so the sanitizer keeps little freed memory. */
const char *__asan_default_options(void) {
    return "detect_leaks=0:symbolize=0:quarantine_size_mb=16:exitcode=77:log_exe_name=1:handle_abort=1:handle_sigill=1";
}

const char *__ubsan_default_options(void) { return "print_stacktrace=1:symbolize=0"; }
