internal import Glibc
internal import Synchronization
public import SystemPackage

/// Extracts metadata from files: their type with libmagic and libavformat, and embedded metadata with
/// ExifTool, each in a process of its own that is started when it is needed.
///
/// ## Concurrency
/// Each worker is locked while it works on a file: one at a time. To work on several files at once, use
/// several examiners.
public final class Examiner: Sendable {
    /// The reason why no metadata could be extracted.
    public enum Failure: Error {
        /// No file can be processed: a message for the administrator.
        case unavailable(String)
        /// This file cannot be processed: the reason.
        case file(String)
        /// The disk failed, or descriptors ran out, with this errno; the file may be processed later.
        case disk(String, Errno)

        init(_ failure: WorkerProcess.Failure) {
            switch failure {
            case .unavailable(let reason): self = .unavailable(reason)
            case .lost(let reason): self = .file(reason)
            case .unopened(let reason, let errno): self = .disk(reason, errno)
            case .unasked: self = .disk("The worker had ended before it was asked.", .ioError)
            }
        }
    }

    private let standsBack: Bool
    private let isCancelled: @Sendable () -> Bool
    private let probe = Mutex<WorkerProcess?>(nil)
    private let exiftool = Mutex<WorkerProcess?>(nil)

    /// Makes an examiner; its workers start with the first file.
    ///
    /// With `standsBack` the workers run only while no other process needs a processor or the disk. When
    /// `isCancelled`, which is called twice a second, work on the current file is abandoned.
    public init(standsBack: Bool = false, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.standsBack = standsBack
        self.isCancelled = isCancelled
    }

    /// Stops the workers until the next file comes.
    public func rest() {
        probe.withLock { $0 = nil }
        exiftool.withLock { $0 = nil }
    }

    /// Starts the workers that are not running, and waits until they are ready, which takes up to a second.
    public func prepare() throws(Failure) {
        try begin(probe, .probe)
        try begin(exiftool, .exiftool(outputBytes: 0))
    }

    /// Returns the MIME type of a file's bytes.
    public func type(of file: FileDescriptor) throws(Failure) -> String {
        let answer = try ask(probe, .probe, Array("t".utf8), file)
        guard let type = ProbedFacts(answer)?.type else { throw .file("libmagic gave no type.") }
        return type
    }

    /// Extracts the metadata of a file, whose name had an extension.
    ///
    /// The findings of one worker are kept where the other did not survive the file.
    public func examine(_ file: FileDescriptor, extension: String) throws(Failure) -> Findings {
        var problem: String?
        var probed = ProbedFacts()
        do throws(Failure) {
            let answer = try ask(probe, .probe, Array("a".utf8), file)
            if let facts = ProbedFacts(answer) { probed = facts } else { problem = "The probe's answer is malformed." }
        } catch .file(let reason) {
            problem = reason
        }
        var embedded = EmbeddedFacts()
        if !hasNothingEmbedded(probed.type) {
            do throws(Failure) {
                let request = Array("extract\0\(`extension`)\0".utf8)
                embedded = try EmbeddedFacts(ask(exiftool, .exiftool(outputBytes: 0), request, file))
            } catch .file(let reason) {
                problem = reason
            }
        }
        return Findings(probed, embedded, problem: problem)
    }

    /// Returns whether files of a type have no embedded metadata: notes, tables and source code, which are
    /// most files in many libraries.
    private func hasNothingEmbedded(_ type: String?) -> Bool {
        type == "text/plain" || type == "text/csv" || type == "application/json" || type?.hasPrefix("text/x-") ?? false
    }

    private func begin(_ worker: borrowing Mutex<WorkerProcess?>, _ kind: WorkerProcess.Kind) throws(Failure) {
        do throws(WorkerProcess.Failure) {
            try worker.withLock { worker throws(WorkerProcess.Failure) in
                _ = try Self.running(&worker, kind, standsBack, isCancelled)
            }
        } catch {
            throw Failure(error)
        }
    }

    private func ask(
        _ worker: borrowing Mutex<WorkerProcess?>,
        _ kind: WorkerProcess.Kind,
        _ request: [UInt8],
        _ file: FileDescriptor
    ) throws(Failure) -> [UInt8] {
        try worker.withLock { worker throws(Failure) -> [UInt8] in
            try Self.ask(&worker, kind, request, file, standsBack: standsBack, isCancelled: isCancelled)
        }
    }

    /// Returns the worker, which is started if it is not running.
    private static func running(
        _ worker: inout WorkerProcess?,
        _ kind: WorkerProcess.Kind,
        _ standsBack: Bool,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws(WorkerProcess.Failure) -> WorkerProcess {
        if let present = worker { return present }
        let new = try WorkerProcess(kind, standsBack: standsBack, isCancelled: isCancelled)
        worker = new
        return new
    }

    /// Sends a request to a worker; retries once with a new worker where the first has ended, which may have
    /// had another reason.
    static func ask(
        _ worker: inout WorkerProcess?,
        _ kind: WorkerProcess.Kind,
        _ request: [UInt8],
        _ file: FileDescriptor?,
        writing copy: FileDescriptor? = nil,
        mayRetry: Bool = true,
        standsBack: Bool = false,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(Failure) -> [UInt8] {
        let wasThere = worker != nil
        do throws(WorkerProcess.Failure) {
            let current = try running(&worker, kind, standsBack, isCancelled)
            try current.ask(request, file, writing: copy)
            let answer = try current.answer()
            if current.isLarge { worker = nil }
            return answer
        } catch {
            worker = nil
            let isAsked = if case .unasked = error { false } else { true }
            guard wasThere, mayRetry || !isAsked, !isCancelled() else { throw Failure(error) }
        }
        return try ask(
            &worker,
            kind,
            request,
            file,
            writing: copy,
            standsBack: standsBack,
            isCancelled: isCancelled
        )
    }
}
