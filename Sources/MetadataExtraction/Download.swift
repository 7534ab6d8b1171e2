internal import AssetModel

/// Downloads a URL in a process of its own, which has network access and none of this process's files: it
/// passes on bytes, and writes to nothing.
public struct Download: Sendable {
    /// The limits of a download.
    public struct Limits: Sendable {
        /// The greatest number of bytes.
        public var size: Int64
        /// The time for the whole download, in seconds.
        public var time: Int
        /// The time without a byte, in seconds.
        public var pause: Int
        /// The number of redirects.
        public var redirects = 5
        /// Networks that may be reached besides public addresses, separated by `+`; `*` for all.
        public var networks: String

        /// Sets limits; `networks` may be empty, for public addresses only.
        public init(size: Int64, time: Int, pause: Int, networks: String) {
            (self.size, self.time, self.pause, self.networks) = (size, time, pause, networks)
        }
    }

    /// The response's metadata, known when the first bytes come.
    public struct Head: Sendable {
        /// The number of bytes; nil where the server does not give it.
        public let size: Int64?
        /// The Content-Disposition header.
        public let disposition: String
        /// The final URL after redirects.
        public let url: String
    }

    private let url: String
    private let limits: Limits

    /// Describes a download.
    public init(_ url: String, _ limits: Limits) {
        self.url = url
        self.limits = limits
    }

    /// Downloads the URL; `begin` is called once, and then `take` with the bytes in their order.
    /// - Throws: `FetchProblem`, or an error of the two, which cancels the download; so does `isCancelled`,
    ///   which is called twice a second.
    public func run(
        isCancelled: @escaping @Sendable () -> Bool,
        begin: (Head) throws -> Void,
        take: (ArraySlice<UInt8>) throws -> Void
    ) throws {
        // libcurl enforces the time limit; this one is for a worker that does not. The worker is killed with
        // its object after any error.
        let worker = try start(isCancelled)
        let end = ContinuousClock.now + .seconds(limits.time + 60)
        while true {
            // This is checked while bytes keep coming, too.
            if isCancelled() { throw FetchProblem(.taskFailed, "download task failed: nobody waits for it any more.") }
            let message = try next(of: worker, until: end)
            switch message.first {
            case UInt8(ascii: "h"): try begin(Self.head(message.dropFirst()))
            case UInt8(ascii: "d"): try take(message.dropFirst())
            case UInt8(ascii: "."): return
            default: throw problem(Self.texts(message.dropFirst()))
            }
        }
    }

    private func start(_ isCancelled: @escaping @Sendable () -> Bool) throws(FetchProblem) -> WorkerProcess {
        let fields = [
            url, String(limits.size), String(limits.time), String(limits.pause), String(limits.redirects),
            limits.networks,
        ]
        do throws(WorkerProcess.Failure) {
            let worker = try WorkerProcess(.fetch, isCancelled: isCancelled)
            try worker.ask(fields.flatMap { Array($0.utf8) + [0] }, nil)
            return worker
        } catch {
            throw Self.problem(error)
        }
    }

    private func next(
        of worker: WorkerProcess,
        until end: ContinuousClock.Instant
    ) throws(FetchProblem) -> [UInt8] {
        do throws(WorkerProcess.Failure) { return try worker.message(until: end) } catch { throw Self.problem(error) }
    }

    private static func problem(_ failure: WorkerProcess.Failure) -> FetchProblem {
        switch failure {
        case .unavailable(let reason), .lost(let reason), .unopened(let reason, _):
            FetchProblem(.taskFailed, "download task failed: \(reason)")
        case .unasked: FetchProblem(.taskFailed, "download task failed: the worker had ended before it was asked")
        }
    }

    /// Translates the worker's error words into Uploadcare's errors.
    func problem(_ words: [String]) -> FetchProblem {
        let detail = words.count > 1 ? words[1] : ""
        switch words.first {
        case "url": return FetchProblem(.parsingFailed, "Failed to parse URL.")
        case "scheme": return FetchProblem(.schemeInvalid, "Invalid URL scheme: it leads to one that is not fetched.")
        case "host": return FetchProblem(.hostNotFound, "Host does not exist.")
        case "redirects": return FetchProblem(.tooManyRedirects, "Too many redirects: more than \(detail).")
        case "private": return FetchProblem(.privateAddress, "Only public IPs are allowed: the host is at \(detail).")
        case "refused": return FetchProblem(.network, "HTTP network error: \(detail).", errno: "ECONNREFUSED")
        case "network": return FetchProblem(.network, "HTTP network error: \(detail).")
        case "cut":
            return FetchProblem(
                .network,
                "HTTP network error: the connection ended before the file did.",
                errno: "ECONNRESET"
            )
        case "size": return FetchProblem(.tooLarge, "Downloaded file is too big: more than \(limits.size) bytes.")
        case "time":
            return FetchProblem(
                .timeLimit,
                "Failed to download the file within the allotted time limit of \(limits.time) seconds, or \(limits.pause) without a byte."
            )
        case "http":
            let status = Int(detail) ?? 0
            let errno = [404: "ENOENT", 410: "ENOENT", 401: "EACCES", 403: "EACCES"][status]
            return status >= 500
                ? FetchProblem(.server, "HTTP server error: \(detail).")
                : FetchProblem(.client, "HTTP client error: \(detail).", errno: errno)
        default: return FetchProblem(.failed, "Failed to download the file: \(detail).")
        }
    }

    static func texts(_ bytes: ArraySlice<UInt8>) -> [String] {
        bytes.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    static func head(_ bytes: ArraySlice<UInt8>) -> Head {
        let texts = texts(bytes)
        return Head(
            size: texts.first.flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 },
            disposition: texts.count > 1 ? texts[1].trimmingSpaces : "",
            url: texts.count > 2 ? texts[2] : ""
        )
    }
}
