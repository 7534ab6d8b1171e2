internal import Glibc
internal import Synchronization
public import SystemPackage

/// Looks into files: what they are by libmagic and libavformat, and what is embedded in them by ExifTool, each in a process of its
/// own that is begun when it is needed.
///
/// ## Concurrency
/// Each worker is held while it looks into a file: one at a time. Have several examiners to look into several at once.
public final class Examiner: Sendable {
    /// Why a file could not be looked into.
    public enum Failure: Error {
        /// No file can be looked into: what a person has to know.
        case unavailable(String)
        /// This file cannot be looked into: what is wrong with it.
        case file(String)

        init(_ failure: WorkerProcess.Failure) {
            switch failure {
            case .unavailable(let reason): self = .unavailable(reason)
            case .lost(let reason): self = .file(reason)
            }
        }
    }

    private let standsBack: Bool
    private let isCancelled: @Sendable () -> Bool
    private let probe = Mutex<WorkerProcess?>(nil)
    private let exiftool = Mutex<WorkerProcess?>(nil)

    /// Makes an examiner; its workers begin with the first file.
    ///
    /// Workers of one that `standsBack` run only where no other process wants a processor or the disk.
    /// When `isCancelled`, which is asked twice a second, the file at hand is given up.
    public init(standsBack: Bool = false, isCancelled: @escaping @Sendable () -> Bool = { false }) {
        self.standsBack = standsBack
        self.isCancelled = isCancelled
    }

    /// Ends the workers until the next file comes.
    public func rest() {
        probe.withLock { $0 = nil }
        exiftool.withLock { $0 = nil }
    }

    /// Begins the workers that are not there, and waits until they can be asked, which takes up to a second.
    public func prepare() throws(Failure) {
        try begin(probe, .probe)
        try begin(exiftool, .exiftool(outputBytes: 0))
    }

    /// The MIME type of a file's content.
    public func type(of file: FileDescriptor) throws(Failure) -> String {
        let answer = try ask(probe, .probe, Array("t".utf8), file)
        guard let type = ProbedFacts(answer)?.type else { throw .file("libmagic gave no type.") }
        return type
    }

    /// Looks into a file, whose name had an extension.
    ///
    /// What one worker found stays where the other did not survive the file.
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

    /// Notes, tables and programs' sources: of many files the most.
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

    /// The worker, begun if there is none.
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

    /// Asks a worker; a second one, new, where the first has ended: that may have been for another reason.
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
            guard wasThere, mayRetry, !isCancelled() else { throw Failure(error) }
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
