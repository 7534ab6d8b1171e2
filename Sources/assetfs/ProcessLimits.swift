import CLinux
import Foundation

/// Raises the resource limits from the shell, service manager or cron job to values for a daemon that serves
/// many users.
enum ProcessLimits {
    /// The least number of threads of a daemon, those of libfuse included.
    private static let threads = 40
    /// The number of files that an idle mount has open.
    private static let leastFiles: rlim_t = 256
    private static let stack = 8 << 20
    /// The number of heaps that all threads share.
    ///
    /// With glibc's own number the gaps of 16 heaps came to 90 MB in an hour.
    private static let heaps: Int32 = 4
    /// RLIMIT_SIGPENDING, which Glibc's module hides.
    private static let queuedSignals = __rlimit_resource(rawValue: 11)
    private static let leastSignals: rlim_t = 64
    /// The addresses for the stacks and arenas of all threads, the catalog's cache and mapped libraries, with
    /// a margin.
    private static let leastMemory: rlim_t = 1536 << 20
    /// The size of the catalog and its log, whose writes must not stop in the middle of a change.
    private static let leastFileSize: rlim_t = 64 << 20

    /// Raises the limits as far as allowed, and sets the other inherited properties.
    /// - Throws: a sentence on a limit with which no mount works.
    static func prepare() throws {
        _ = linux_limit_heaps(heaps)
        // A write beyond a limit, or into a pipe without a reader, must fail only for its caller. Handlers,
        // unlike SIG_IGN, are not inherited by the programs that the daemon starts.
        for number in [SIGXFSZ, SIGPIPE] { _ = signal(number) { _ in } }
        raise(RLIMIT_FSIZE, to: .max)
        raise(RLIMIT_AS, to: .max)
        raise(RLIMIT_DATA, to: .max)
        raise(RLIMIT_STACK, to: rlim_t(stack))
        // Each open file of the mount takes a descriptor of the daemon.
        raise(RLIMIT_NOFILE, to: 262_144)
        let files = limit(RLIMIT_NOFILE).rlim_cur
        guard files >= leastFiles else {
            throw ExitStatus.failed.because(
                "At most \(files) files may be open (ulimit -n), and a mount needs \(leastFiles); raise the limit, or mount as root."
            )
        }
        let size = limit(RLIMIT_FSIZE).rlim_cur
        guard size >= leastFileSize else {
            throw ExitStatus.failed.because(
                "Files may have at most \(size) bytes (ulimit -f), and a mount needs \(leastFileSize >> 20) MiB for its catalog; raise the limit, or mount as root."
            )
        }
        // Threads are ended by real-time signals, each of which is queued: pthread_cancel(3).
        raise(queuedSignals, to: 1024)
        let signals = limit(queuedSignals).rlim_cur
        guard signals >= leastSignals else {
            throw ExitStatus.failed.because(
                "At most \(signals) signals may be queued (ulimit -i), and a mount needs \(leastSignals); raise the limit, or mount as root."
            )
        }
        for resource in [RLIMIT_AS, RLIMIT_DATA] {
            let memory = limit(resource).rlim_cur
            guard memory >= leastMemory else {
                throw ExitStatus.failed.because(
                    "At most \(memory >> 20) MiB of memory may be used (ulimit -v, -d), and a mount needs \(leastMemory >> 20) MiB of addresses; raise the limit, or mount as root."
                )
            }
        }
        // A new thread gets the stack limit from the start of the process.
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setstacksize(&attributes, stack)
        unsafe _ = linux_set_default_thread_attributes(&attributes)
        try probeThreads()
    }

    private static func limit(_ resource: __rlimit_resource) -> rlimit {
        var limit = rlimit()
        unsafe _ = getrlimit(__rlimit_resource_t(resource.rawValue), &limit)
        return limit
    }

    /// Raises a limit to at least a value: root beyond the hard limit, other users up to it.
    private static func raise(_ resource: __rlimit_resource, to least: rlim_t) {
        var former = limit(resource)
        guard former.rlim_cur < least || former.rlim_cur < former.rlim_max else { return }
        var wanted = rlimit(rlim_cur: max(least, former.rlim_max), rlim_max: max(least, former.rlim_max))
        if resource == RLIMIT_STACK { wanted.rlim_cur = max(least, former.rlim_cur) }
        if unsafe setrlimit(__rlimit_resource_t(resource.rawValue), &wanted) == 0 { return }
        former.rlim_cur = resource == RLIMIT_STACK ? min(least, former.rlim_max) : former.rlim_max
        unsafe _ = setrlimit(__rlimit_resource_t(resource.rawValue), &former)
    }

    /// Starts as many threads as a daemon has: if they are not available, requests would wait for ever.
    private static func probeThreads() throws {
        var gate = unsafe pthread_mutex_t()
        unsafe pthread_mutex_init(&gate, nil)
        unsafe pthread_mutex_lock(&gate)
        var made: [pthread_t] = []
        var failure: Int32 = 0
        unsafe withUnsafeMutablePointer(to: &gate) { gate in
            while made.count < threads, failure == 0 {
                var thread = pthread_t()
                failure = unsafe pthread_create(
                    &thread,
                    nil,
                    { argument in
                        guard let gate = unsafe argument?.assumingMemoryBound(to: pthread_mutex_t.self) else {
                            return nil
                        }
                        unsafe pthread_mutex_lock(gate)
                        unsafe pthread_mutex_unlock(gate)
                        return nil
                    },
                    gate
                )
                if failure == 0 { made.append(thread) }
            }
            unsafe pthread_mutex_unlock(gate)
            for thread in made { _ = pthread_join(thread, nil) }
        }
        unsafe pthread_mutex_destroy(&gate)
        guard failure == 0 else {
            throw ExitStatus.failed.because(
                "Only \(made.count) of \(threads) threads could be begun; raise the limits of memory (ulimit -v, -d) and processes (ulimit -u)."
            )
        }
    }
}
