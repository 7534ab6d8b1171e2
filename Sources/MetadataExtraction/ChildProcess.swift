internal import CLinux
internal import Glibc
public import SystemPackage

/// Makes two connected sockets that keep message boundaries (SOCK_SEQPACKET, unix(7)); started programs
/// inherit neither.
/// - Throws: the error of socketpair(2).
public func socketPair() throws(Errno) -> (Int32, Int32) {
    var ends: (Int32, Int32) = (-1, -1)
    let made = unsafe withUnsafeMutableBytes(of: &ends) {
        unsafe socketpair(
            AF_UNIX,
            Int32(SOCK_SEQPACKET.rawValue) | O_CLOEXEC,
            0,
            $0.baseAddress?.assumingMemoryBound(to: Int32.self)
        )
    }
    guard made == 0 else { throw Errno(rawValue: errno) }
    return ends
}

/// Starts a program with no signal blocked, so that it receives the signals that this thread blocks.
///
/// `descriptors` become the program's 0, 1, 2 and so on, with /dev/null for writing in place of nil; it
/// inherits no others. `environment` is its environment, this process's own if it is nil. In a process group
/// of its own it can be killed together with all its children, and one that `standsBack` runs only while no
/// other process needs a processor or the disk.
/// - Returns: the number of its process.
/// - Throws: the error of posix_spawn(3).
public func spawn(
    _ program: String,
    _ arguments: [String],
    environment: [String]? = nil,
    inOwnGroup: Bool = false,
    standsBack: Bool = false,
    descriptors: [Int32?]
) throws(Errno) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
    for (number, descriptor) in zip(Int32(0)..., descriptors) {
        if let descriptor {
            unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, number)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_WRONLY, 0)
        }
    }
    unsafe posix_spawn_file_actions_addclosefrom_np(&actions, Int32(descriptors.count))
    var attributes = posix_spawnattr_t()
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    let flags =
        POSIX_SPAWN_SETSIGMASK | (inOwnGroup ? POSIX_SPAWN_SETPGROUP : 0)
        | (standsBack ? 0x80 /* POSIX_SPAWN_SETSID */ : 0)
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
    var process = pid_t()
    let result = unsafe withPointers(to: arguments) { arguments in
        unsafe withPointers(to: environment ?? []) { variables in
            unsafe posix_spawn(
                &process,
                program,
                &actions,
                &attributes,
                arguments,
                environment == nil ? environ : variables
            )
        }
    }
    guard result == 0 else { throw Errno(rawValue: result) }
    if standsBack { haveRunWhenIdle(process) }
    return process
}

/// Makes a process that leads a session run only while no other needs a processor or the disk.
private func haveRunWhenIdle(_ process: pid_t) {
    linux_run_when_idle(process)
    // Scheduling policies apply within a session alone, where the kernel shares time between sessions:
    // sched(7), “The autogroup feature”.
    let group = unsafe open("/proc/\(process)/autogroup", O_WRONLY | O_CLOEXEC)
    guard group >= 0 else { return }
    unsafe _ = write(group, "19", 2)
    _ = close(group)
}

/// Runs `body` with an array of C strings.
private func withPointers<Result>(
    to strings: [String],
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var copies = unsafe strings.map { unsafe strdup($0) } + [nil]
    let all = unsafe copies
    defer { unsafe all.forEach { unsafe free($0) } }
    return unsafe copies.withUnsafeMutableBufferPointer { buffer in
        // The array contains at least the terminating nil, so it has an address.
        unsafe body(buffer.baseAddress.unsafelyUnwrapped)
    }
}
