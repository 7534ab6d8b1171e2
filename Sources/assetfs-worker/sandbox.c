/* Confines a worker. Each layer holds where another does not: kernels and users differ. */
#define _GNU_SOURCE
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534 };
static const rlim_t memory = 1UL << 30;

static void limit(__rlimit_resource_t resource, rlim_t value) {
    struct rlimit both = {value, value};
    if (setrlimit(resource, &both)) worker_fail("setrlimit");
}

static void enter(long outputBytes, int namespaces) {
    umask(077);
    if (geteuid() == 0) {
        /* No mount namespace: a copy of the mounts would keep an unmounted filesystem alive. */
        if (unshare(namespaces | CLONE_NEWIPC | CLONE_NEWUTS)) worker_fail("unshare");
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)) worker_fail("setuid");
    }
    /* This comes after the change of user, which resets it: workers end with a killed daemon. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) worker_fail("no_new_privs");
    limit(RLIMIT_AS, memory);
    limit(RLIMIT_FSIZE, (rlim_t)outputBytes);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 64);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_MSGQUEUE, 0);
}

void sandbox_enter(long outputBytes) { enter(outputBytes, CLONE_NEWNET); }

void sandbox_enter_network(void) { enter(0, 0); }

/* Landlock is newer than the C library's headers, and each of its versions can refuse more operations:
 * landlock(7). */
void sandbox_confine(const char *const *paths, const char *program, int mayConnect) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) worker_fail("the kernel has no Landlock, without which no file is looked into");
    struct { __u64 files, network, scope; } refused = {(1ULL << 13) - 1, 0, 0};
    size_t size = sizeof refused.files;
    if (version >= 2) refused.files |= 1ULL << 13; /* moving between folders */
    if (version >= 3) refused.files |= 1ULL << 14; /* truncating */
    if (version >= 5) refused.files |= 1ULL << 15; /* ioctl on devices */
    if (version >= 4) { refused.network = mayConnect ? 1 : 3; size = 2 * sizeof(__u64); }
    if (version >= 6) { refused.scope = 3; size = sizeof refused; } /* abstract sockets, signals */
    int rules = (int)syscall(SYS_landlock_create_ruleset, &refused, size, 0);
    if (rules < 0) worker_fail("landlock_create_ruleset");
    for (int i = 0; paths && paths[i]; i++) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
            .parent_fd = open(paths[i], O_PATH | O_CLOEXEC),
        };
        if (rule.parent_fd < 0) continue; /* not every machine has each of them */
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) {
            rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE; /* a file, not a folder */
            if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) worker_fail(paths[i]);
        }
        close(rule.parent_fd);
    }
    /* The program, and the dynamic loader that the kernel starts for it. */
    const char *executables[] = {program, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
    for (int i = 0; program && i < 3; i++) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE,
            .parent_fd = open(executables[i], O_PATH | O_CLOEXEC),
        };
        if (rule.parent_fd < 0) continue;
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) worker_fail(executables[i]);
        close(rule.parent_fd);
    }
    if (syscall(SYS_landlock_restrict_self, rules, 0)) worker_fail("landlock_restrict_self");
    close(rules);
}

static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(pwrite64), SCMP_SYS(writev), SCMP_SYS(lseek),
    SCMP_SYS(ftruncate), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
    SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(access), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times),
    SCMP_SYS(getrusage), SCMP_SYS(futex), SCMP_SYS(set_tid_address), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(arch_prctl), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall), SCMP_SYS(dup),
};

/* The calls that a connection and the resolver's thread need besides. */
static const int network[] = {
    SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(bind), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(socketpair), SCMP_SYS(shutdown), SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(clone), SCMP_SYS(clone3),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(mlock),
};

static void filter(int mayExecute, int mayConnect) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) worker_fail("seccomp_init");
    for (unsigned i = 0; i < sizeof allowed / sizeof *allowed; i++) seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (unsigned i = 0; mayConnect && i < sizeof network / sizeof *network; i++) seccomp_rule_add(filter, SCMP_ACT_ALLOW, network[i], 0);
    /* Reading its own limits only: those of other processes of the same user must not be changed. */
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
    /* Up to F_SETFL: flags, and copies of descriptors; no locks, leases or signals. */
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_LE, F_SETFL));
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC));
    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
    if (mayExecute) {
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(execve), 0);
        /* With these the program confines itself further once it has loaded its modules. */
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(landlock_create_ruleset), 0);
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(landlock_restrict_self), 0);
    }
    if (seccomp_load(filter)) worker_fail("seccomp_load");
    seccomp_release(filter);
}

void sandbox_filter(int mayExecute) { filter(mayExecute, 0); }

void sandbox_filter_network(void) { filter(0, 1); }
