internal import AssetModel
internal import BlobStore
public import Catalog
public import LibraryRules
public import LibraryStorage
internal import Logging
internal import MetadataExtraction

/// The settings for fetching URLs, on a mount that permits it.
public struct FetchSettings: Sendable {
    /// The networks that may be reached besides public addresses, joined by `+`: `10.0.0.0/8+fd00::/8`; `*`
    /// for all.
    public var networks = ""
    /// The time limit of a fetch, in seconds.
    public var time = 3600
    /// The longest time without a byte received, in seconds.
    public var pause: Int { min(60, time) }

    /// Creates settings for public addresses alone and a time limit of one hour.
    public init() {}
}

// Imports from URLs: background work that ends in an upload like any other. Until then the file has no name,
// so that no program sees half of it. A fetch that was under way when the library was closed begins anew.
extension AssetLibrary {
    /// The time for which the result of a fetch is kept, in seconds.
    private static let memory: Int64 = 7 * 86_400
    /// The maximum number of fetches of one user that may wait.
    private static let waitingLimit: Int64 = 1000

    // MARK: Requests

    /// Queues a URL to be fetched into a folder.
    func fetch(_ name: String, into id: NodeID, _ value: [UInt8], by uploader: Uploader) throws(LibraryError) {
        guard fetchSettings != nil else {
            throw .notPermitted("This mount fetches no URLs; mount it with -o fetch to allow that.")
        }
        guard let text = String(validating: value, as: UTF8.self), !text.contains("\0") else {
            throw .invalid("\(name) cannot have this value: it is not text.")
        }
        let request: FetchRequest
        do throws(FetchProblem) { request = try FetchRequest(text) } catch { throw .fetch(error) }
        try space.take(4096)
        let token = Self.randomUUID()
        try write { records in
            guard let folder = try records.node(id) else { throw LibraryError.notFound }
            guard folder.isFolder, try rulebook.of(id, records).root == .folders else {
                throw LibraryError.invalid("\(name) is for folders below folders/, which the file goes to.")
            }
            let types = try rulebook.of(id, records).policy.fieldTypes
            for (key, value) in request.metadata {
                let type = Field(Field.metadataPrefix + key).flatMap { types[$0] }
                guard let objection = type?.objection(to: Array(value.utf8)) else { continue }
                let attribute = "metadata[\(key)]"
                guard try allows(4, to: uploader, on: id, records) else {
                    throw LibraryError.notPermittedHere(attribute)
                }
                throw LibraryError(objection, to: Array(value.utf8), of: attribute)
            }
            guard try records.waitingFetches(of: uploader.uid) < Self.waitingLimit else {
                throw LibraryError.busy("There are \(Self.waitingLimit) URLs of yours waiting already.")
            }
            let now = Timestamp.now
            let known = request.checksDuplicates ? try records.fetchedAsset(from: request.url) : nil
            let isKnown = try known.flatMap { try records.nodes(showing: $0).first }.map {
                try mayRead($0, uploader, records)
            }
            let fetch = try records.insertFetch(
                request.text,
                token: token,
                into: id,
                uid: uploader.uid,
                gid: uploader.gid,
                groups: groups(of: uploader, for: id, records),
                at: now
            )
            if isKnown == true, let known { try records.setFetch(fetch, to: .success, asset: known, at: now) }
        }
        for worker in fetches.workers { worker.wake() }
    }

    /// Returns the supplementary groups of a user that decide about access to a folder and the folders above
    /// it.
    private func groups(of uploader: Uploader, for folder: NodeID, _ records: Records) throws -> [UInt32] {
        if uploader.uid == 0 { return [] }
        let rights = try rulebook.of(folder, records).ancestors.compactMap { id in
            try records.node(id).map { try rulebook.rights(of: $0, records) }
        }
        let deciding = Set(rights.flatMap { [$0.gid] + ($0.list?.groups ?? []) }).subtracting([uploader.gid])
        return deciding.filter(uploader.isMember(of:)).sorted()
    }

    // MARK: State

    /// Returns the state of a fetch as a JSON object on one line, in Uploadcare's terms; nil if there is no
    /// such fetch.
    public func fetchJob(
        _ id: Int64,
        for reader: Uploader
    ) throws(LibraryError) -> (record: FetchRecord, text: [UInt8])? {
        let progress = fetches.progress(of: id)
        return try read { records in
            guard let record = try records.fetch(id) else { return nil }
            var job = JSONObject()
            job.add("token", record.token)
            job.add("kind", "fetch")
            let isUnfinished = record.state == .waiting || record.state == .progress
            let isRunning = progress != nil && isUnfinished
            // A mount that fetches no URLs leaves the job to another mount, so programs must not wait for it
            // here.
            let isLeft = fetchSettings == nil && isUnfinished
            let state: FetchRecord.State = isLeft ? .error : record.state == .progress ? .waiting : record.state
            job.add("status", isRunning ? "progress" : state.rawValue)
            let request = try? FetchRequest(record.request)
            job.add("url", request?.url)
            // The folder and the asset may have been moved to a place that the user must not reach.
            if let folder = try records.node(record.folder), try mayReach(folder.id, reader, records) {
                job.add("folder", try rulebook.of(folder.id, records).path)
            }
            job.add(
                "filename",
                try record.asset.flatMap { try shownPath(of: $0, for: reader, records) } ?? request?.name?.description
            )
            if isRunning {
                job.add("done", progress?.done)
                if let total = progress?.total { job.add("total", total) } else { job.addNull("total") }
            } else if let size = record.size {
                job.add("done", size)
                job.add("total", size)
            }
            job.add("asset", record.asset?.rawValue)
            job.add("error", isLeft ? "This mount fetches no URLs; one with -o fetch will." : record.problem?.sentence)
            job.add("error_code", record.problem?.code)
            job.add("errno", record.problem?.errno)
            job.add("created", record.created.description)
            job.add("updated", record.updated.description)
            return (record, job.bytes + [0x0A])
        }
    }

    /// Returns the number of the fetch that has a token.
    public func fetch(token: String) throws(LibraryError) -> Int64? { try read { try $0.fetch(token: token)?.id } }

    /// Returns the fetches that have not succeeded, behind a given one.
    public func unfinishedFetches(after id: Int64, limit: Int) throws(LibraryError) -> [(id: Int64, token: String)] {
        try read { try $0.unfinishedFetches(after: id, limit: limit).map { ($0.id, $0.token) } }
    }

    /// Cancels a fetch, or deletes its result; only for root and the user that has requested it.
    public func cancelFetch(_ id: Int64, by uploader: Uploader) throws(LibraryError) {
        try write { records in
            guard let record = try records.fetch(id) else { throw LibraryError.notFound }
            guard uploader.uid == 0 || uploader.uid == record.uid else {
                throw LibraryError.notPermitted("Another has asked for it.")
            }
            try records.deleteFetch(id)
        }
        fetches.cancel(id)
    }

    // MARK: Work

    /// Fetches URLs until none is waiting.
    /// - Returns: the delay before the next attempt after a failure; nil to wait for a new request.
    func fetchAll() -> Duration? {
        while !isClosing.isSet {
            do throws(LibraryError) {
                let next = try fetches.begin { (running) throws(LibraryError) in
                    try read { try $0.firstWaitingFetches(except: running) }
                }
                guard let found = next else { return nil }
                defer { fetches.end(found) }
                // It may have ended, or have been cancelled, since it was read.
                guard let record = try read({ try $0.fetch(found) }),
                    record.state == .waiting || record.state == .progress
                else { continue }
                try fetch(record)
            } catch {
                if isClosing.isSet { return nil }
                log.error("What is to be fetched cannot be read or recorded; it is tried again in a minute: \(error)")
                return .seconds(60)
            }
        }
        return nil
    }

    private func fetch(_ record: FetchRecord) throws(LibraryError) {
        guard let settings = fetchSettings else { return }
        try write { try $0.setFetch(record.id, to: .progress, at: .now) }
        let problem: FetchProblem
        do {
            let request = try FetchRequest(record.request)
            let arrival = try FetchArrival(self, record, request)
            let limit = try read { try rulebook.of(record.folder, $0).policy.maxSize?.bytes }
            let limits = Download.Limits(
                size: limit ?? 1 << 60,
                time: settings.time,
                pause: settings.pause,
                networks: settings.networks
            )
            let (stopping, fetches, id) = (isClosing, fetches, record.id)
            defer { arrival.end() }
            try Download(request.url, limits).run(isCancelled: { stopping.isSet || fetches.isCancelled(id) }) { head in
                fetches.note(record.id, done: 0, total: head.size)
                try arrival.begin(head)
            } take: { bytes in
                try arrival.take(bytes)
                fetches.note(record.id, done: arrival.size, total: nil)
            }
            if fetches.isCancelled(id) { return }
            let asset = try arrival.finish()
            // A program that reads of the success goes on by the file's name, for which the kernel may have
            // another file cached.
            herald.awaitTold(isOwn: true)
            return try write { records in
                try records.setFetch(record.id, to: .success, asset: asset, size: arrival.size, at: .now)
                if request.savesDuplicates { try records.setFetchedAsset(from: request.url, to: asset) }
                try records.append(.fetched, of: asset, at: try rulebook.path(of: asset, records), by: record.uid) {
                    $0.add("token", record.token)
                    $0.add("url", request.url)
                }
            }
        } catch {
            // A fetch that ends because the library is closed begins anew at the next mount.
            if isClosing.isSet || fetches.isCancelled(record.id) { return }
            problem = FetchProblem(error)
        }
        log.notice(
            "Fetching for the folder \(record.folder) has failed: \(problem.sentence)",
            metadata: ["uid": "\(record.uid)"]
        )
        try write { records in
            try records.setFetch(record.id, to: .error, problem: problem, at: .now)
            if try records.node(record.folder) != nil {
                try records.setError(problem.sentence, of: record.folder, for: record.uid)
            }
            try records.append(.fetchFailed, of: nil, at: nil, by: record.uid) {
                $0.add("token", record.token)
                $0.add("url", (try? FetchRequest(record.request))?.url)
                $0.add("reason", problem.sentence)
                $0.add("error_code", problem.code.rawValue)
            }
        }
        refusedAttributes.forget(record.folder, of: record.uid)
    }

    /// Deletes the results of fetches that ended long ago.
    func forgetOldFetches() throws(LibraryError) {
        let time = Timestamp.now.advanced(bySeconds: -Self.memory)
        if try read({ try $0.hasFetches(endedBefore: time) }) { try write { try $0.deleteFetches(endedBefore: time) } }
    }
}

extension FetchProblem {
    init(_ error: any Error) {
        switch error {
        case let problem as FetchProblem: self = problem
        case LibraryError.refused(let refusal):
            let code: Code =
                switch refusal.kind {
                case .duplicate: .duplicate
                case .tooLarge: .tooLarge
                case .forbidden: .forbidden
                case .quota: .quota
                }
            self.init(code, refusal.sentence)
        case LibraryError.noSpace(let reason): self.init(.noSpace, reason)
        case LibraryError.notFound:
            self.init(.taskFailed, "The folder that the file was to go to is gone.", errno: "ENOENT")
        default: self.init(.taskFailed, "download task failed: \(LibraryError(error))", errno: "EIO")
        }
    }
}
