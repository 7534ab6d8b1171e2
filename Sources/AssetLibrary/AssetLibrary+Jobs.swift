public import AssetModel
internal import Catalog
internal import Synchronization

// Background work as people see it: each piece has a token, under which `uploads/jobs/` shows its state.
extension AssetLibrary {
    /// Work that is on no single asset; its word is its token.
    public enum Work: String, CaseIterable, Sendable {
        /// All contents are compared with their SHA-256.
        case scrub
        /// Contents are moved to other stores.
        case stores
        /// The library is checked.
        case verify
    }

    /// The state of such work, a JSON object on one line.
    public func job(of work: Work) throws(LibraryError) -> [UInt8] {
        switch work {
        case .scrub: try scrubJob()
        case .stores: try storesJob()
        case .verify: verificationJob()
        }
    }

    /// What of it somebody may wait for.
    public func unfinishedWork() throws(LibraryError) -> [Work] {
        let hasMoves = try read { try $0.moves().count } > 0
        return (isScrubRequested ? [.scrub] : []) + (hasMoves ? [.stores] : [])
            + (verification.isUnderWay ? [.verify] : [])
    }

    private static let tokenPrefix = "extraction-"

    static func jobToken(of asset: AssetID) -> String { tokenPrefix + "\(asset)" }

    /// The asset of a job's token; nil for what is none.
    public static func asset(ofJob token: String) -> AssetID? {
        guard token.hasPrefix(tokenPrefix) else { return nil }
        let digits = token.dropFirst(tokenPrefix.count)
        guard let number = Int64(digits), number > 0, String(number) == digits else { return nil }
        return AssetID(rawValue: number)
    }

    /// Tokens of the work that waits, goes on or has failed, behind a content; what several assets show is one piece of work.
    public func jobs(
        after blob: BlobID,
        limit: Int
    ) throws(LibraryError) -> [(blob: BlobID, asset: AssetID, token: String)] {
        try read { records in
            try records.unfinishedExtractions(after: blob, limit: limit).map {
                ($0.blob, $0.asset, Self.jobToken(of: $0.asset))
            }
        }
    }

    /// The state of the work on an asset, a JSON object on one line, with the words of Uploadcare's: `waiting`, `progress`,
    /// `success`, `error`; nil where there never was any.
    public func job(of asset: AssetID) throws(LibraryError) -> [UInt8]? {
        try read { records in
            guard let record = try records.extraction(of: asset), let known = try records.asset(asset) else {
                return nil
            }
            let isRunning = extraction.isRunning(record.blob)
            let unavailable = extraction.state.withLock { $0.unavailable?.reason }
            // While no worker can be started, programs must not wait for the job.
            let isHeldUp = record.state == .waiting && !isRunning && unavailable != nil
            var job = JSONObject()
            job.add("token", Self.jobToken(of: asset))
            job.add("kind", "extraction")
            switch record.state {
            case .waiting: job.add("status", isHeldUp ? "error" : isRunning ? "progress" : "waiting")
            case .ready: job.add("status", "success")
            case .failed: job.add("status", "error")
            }
            job.add("error", isHeldUp ? unavailable : record.error)
            job.add("asset", asset.rawValue)
            let name = try records.nodes(showing: asset).first.flatMap { try records.anyEntry(of: $0)?.name }
            job.add("filename", try name ?? EntryName(known.originalName))
            job.add("attempts", record.attempts)
            if record.updated.rawValue > 0 { job.add("updated", record.updated.description) }
            if record.state == .failed { job.add("retry", record.due?.description) }
            return job.bytes + [0x0A]
        }
    }
}
