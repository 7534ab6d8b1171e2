internal import CLinux
internal import Glibc
internal import SystemPackage

/// A process that parses untrusted files: `assetfs-worker`, which confines itself.
///
/// It gets one file after another over a socket, and is killed with this object.
final class WorkerProcess: Sendable {
    /// The kind of a worker.
    enum Kind {
        /// Determines type and streams.
        case probe
        /// Extracts embedded metadata, and writes it into copies of at most this size.
        case exiftool(outputBytes: Int64)
        /// Downloads a URL.
        case fetch
    }

    /// The reason of a missing answer.
    enum Failure: Error {
        /// The worker cannot be started here.
        case unavailable(String)
        /// The worker did not survive the file, or took too long for it; the process has ended.
        case lost(String)
        /// The file could not be opened for the worker, which says nothing about its bytes.
        case unopened(String, Errno)
        /// The worker had ended before it got the request, for which no file is the reason.
        case unasked
    }

    private let process: pid_t
    private let socket: Int32
    private let limits: Limits
    private let isCancelled: @Sendable () -> Bool

    /// The limits for one file.
    struct Limits {
        /// The processor time, in seconds.
        var processorTime = 10
        /// The elapsed time, in milliseconds: a slow disk must not count against the file.
        var patience: Int32 = 30_000
    }

    /// The greatest size of an answer in bytes.
    private static let answerLimit = 1 << 20
    /// The memory in bytes beyond which a worker is replaced.
    private static let memoryLimit = 400 << 20

    /// Starts a worker and waits until it is ready.
    ///
    /// With `standsBack` it runs only while no other process needs a processor or the disk. `script` is the
    /// program of ExifTool's worker.
    init(
        _ kind: Kind,
        standsBack: Bool = false,
        limits: Limits = Limits(),
        isCancelled: @escaping @Sendable () -> Bool = { false },
        script: [UInt8] = PackageResources.exiftool_worker_pl
    ) throws(Failure) {
        var limits = limits
        // The scheduler may leave such a worker without a processor for long.
        if standsBack { limits.patience *= 20 }
        self.limits = limits
        self.isCancelled = isCancelled
        guard let program = Self.program else {
            throw .unavailable("assetfs-worker is missing; it belongs beside assetfs or into ../lib/assetfs.")
        }
        let ends: (Int32, Int32)
        do { ends = try socketPair() } catch { throw .unavailable("no socket could be made (\(error))") }
        defer { _ = close(ends.1) }
        do throws(Failure) {
            process = try Self.start(kind, program, script, socket: ends.1, standsBack: standsBack)
        } catch {
            _ = close(ends.0)
            throw error
        }
        socket = ends.0
        // The worker loads only its own trusted files before it is ready, which takes long only on a busy
        // machine.
        let patience = 4 * limits.patience
        let end = ContinuousClock.now + .milliseconds(Int64(patience))
        let greeting = (try? message(until: end)) ?? []
        guard greeting == Array("ready".utf8) else {
            let isLate = ContinuousClock.now >= end
            let reason =
                greeting.first == 0x21
                ? String(decoding: greeting.dropFirst(), as: UTF8.self)
                : isLate ? "it was not ready within \(patience / 1000) s" : "it ended at once"
            throw .unavailable("\(program) cannot work: \(reason)")
        }
    }

    deinit {
        _ = close(socket)
        _ = kill(process, SIGKILL)
        _ = waitpid(process, nil, 0)
    }

    /// The path of `assetfs-worker`, beside this program or where `make install` puts it.
    static let program: String? = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let own = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return ["\(folder)/assetfs-worker", "\(folder)/../lib/assetfs/assetfs-worker"].first {
            unsafe access($0, X_OK) == 0
        }
    }()

    private static func start(
        _ kind: Kind,
        _ program: String,
        _ text: [UInt8],
        socket: Int32,
        standsBack: Bool
    ) throws(Failure) -> pid_t {
        let arguments: [String]
        var script: Int32 = -1
        defer { if script >= 0 { _ = close(script) } }
        switch kind {
        case .probe: arguments = [program, "probe"]
        case .fetch: arguments = [program, "fetch"]
        case .exiftool(let bytes):
            arguments = [program, "exiftool", String(bytes)]
            script = unsafe memfd_create("exiftool-worker.pl", 1 /* MFD_CLOEXEC */)
            guard script >= 0, unsafe write(script, text, text.count) == text.count, lseek(script, 0, SEEK_SET) == 0
            else {
                throw .unavailable("there is no memory for the worker's program (\(Errno(rawValue: errno)))")
            }
        }
        do throws(Errno) {
            let descriptors = [socket, socket, nil] + (script >= 0 ? [script] : [])
            return try spawn(
                program,
                arguments,
                environment: [],
                standsBack: standsBack,
                descriptors: descriptors
            )
        } catch {
            throw .unavailable("\(program) could not be started (\(error))")
        }
    }

    /// Sends a request, with the descriptor of a file, and that of a copy to be written; `answer` waits for
    /// the reply.
    ///
    /// The worker gets the file for reading alone, independent of how this process has opened it: a file that
    /// it could write to may be a user's only copy.
    func ask(_ request: [UInt8], _ file: FileDescriptor?, writing copy: FileDescriptor? = nil) throws(Failure) {
        var numbers: [Int32] = []
        defer { if file != nil, let first = numbers.first { _ = close(first) } }
        if let file {
            let readable = unsafe open("/proc/self/fd/\(file.rawValue)", O_RDONLY | O_CLOEXEC)
            guard readable >= 0 else {
                let errno = Errno(rawValue: errno)
                throw .unopened("The file could not be opened again (\(errno)).", errno)
            }
            numbers.append(readable)
        }
        if let copy {
            _ = ftruncate(copy.rawValue, 0)
            _ = lseek(copy.rawValue, 0, SEEK_SET)
            numbers.append(copy.rawValue)
        }
        guard unsafe linux_send(socket, request, request.count, numbers, Int32(numbers.count)) == 1 else {
            throw .unasked
        }
    }

    /// Returns the worker's reply to the last request.
    func answer() throws(Failure) -> [UInt8] {
        let end = ContinuousClock.now + .milliseconds(Int64(limits.patience))
        let most = used + limits.processorTime
        var answer: [UInt8] = []
        while true {
            let part = try next(until: end, processorTime: most)
            answer += part.dropFirst()
            if part.first == 0x2E { return answer }
            guard part.first == 0x2B, answer.count <= Self.answerLimit else {
                throw .lost("What the worker said of the file is no answer, or has no end.")
            }
        }
    }

    /// Returns one message of a worker that parses no file, without a limit of its processor time.
    func message(until end: ContinuousClock.Instant) throws(Failure) -> [UInt8] {
        try next(until: end, processorTime: .max)
    }

    /// Whether the worker's memory has grown so much that it should be replaced.
    var isLarge: Bool {
        let file = unsafe open("/proc/\(process)/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return true }
        defer { _ = close(file) }
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = unsafe read(file, &buffer, buffer.count)
        let fields = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? .max : .max) > Self.memoryLimit / Int(getpagesize())
    }

    /// The processor time that the worker has used, in seconds.
    private var used: Int {
        var clock = clockid_t()
        var time = timespec()
        guard unsafe clock_getcpuclockid(process, &clock) == 0, unsafe clock_gettime(clock, &time) == 0 else {
            return 0
        }
        return time.tv_sec
    }

    /// Returns one message; throws `.lost` when the worker has ended, or takes too long, after which it is
    /// killed.
    ///
    /// The kernel could limit the processor time, but not on behalf of this process: prlimit(2) of another
    /// user's process needs a capability that a container may not have.
    private func next(until end: ContinuousClock.Instant, processorTime: Int) throws(Failure) -> [UInt8] {
        while true {
            let left = end - .now
            guard left > .zero else {
                kill(process, SIGKILL)
                throw .lost("It took longer than \(limits.patience / 1000) seconds.")
            }
            let slice = Int32(min(left / .milliseconds(1), 500)) + 1
            switch Self.receive(socket, patience: slice) {
            case .message(let bytes): return bytes
            case .ended: throw .lost(whyEnded())
            case .nothing where isCancelled():
                kill(process, SIGKILL)
                throw .lost("Nobody waits for it any more.")
            case .nothing where used > processorTime:
                kill(process, SIGKILL)
                throw .lost("Reading the file took more than \(limits.processorTime) seconds of computing.")
            case .nothing: break
            }
        }
    }

    private func whyEnded() -> String {
        // The worker closes its socket before its end: on a busy machine some time before.
        for _ in 0..<1000 {
            switch linux_end_of(process) {
            case -1: usleep(5000)
            case SIGXFSZ: return "What would be written has more bytes than it may."
            case let status: return "Reading the file ended the worker (signal or status \(status))."
            }
        }
        return "The worker has closed its socket."
    }

    private enum Received {
        case message([UInt8])
        case nothing
        case ended
    }

    private static func receive(_ socket: Int32, patience: Int32) -> Received {
        var event = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&event, 1, patience) == 1 else { return .nothing }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe recv(socket, &buffer, buffer.count, 0)
        return count > 0 ? .message(Array(buffer.prefix(count))) : .ended
    }
}
