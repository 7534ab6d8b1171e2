public import AssetModel
internal import Catalog
public import LibraryStorage
internal import Synchronization

// Background work as `uploads/jobs/` shows it: each job has a token, under which its state is shown.
extension AssetLibrary {
    /// A job for the library as a whole; its raw value is its token.
    public enum Work: String, CaseIterable, Sendable {
        /// Compares all blobs with their SHA-256.
        case scrub
        /// Moves blobs to other stores.
        case stores
        /// Checks the library.
        case verify
    }

    /// Returns the state of such a job as a JSON object on one line.
    public func job(of work: Work) throws(LibraryError) -> [UInt8] {
        switch work {
        case .scrub: try scrubJob()
        case .stores: try storesJob()
        case .verify: verificationJob()
        }
    }

    /// Returns the jobs that are under way or have been requested.
    public func unfinishedWork() throws(LibraryError) -> [Work] {
        let hasMoves = try read { try $0.moves().count } > 0
        return (isScrubRequested ? [.scrub] : []) + (hasMoves ? [.stores] : [])
            + (verification.isUnderWay ? [.verify] : [])
    }

    private static let tokenPrefix = "extraction-"

    static func jobToken(of asset: AssetID) -> String { tokenPrefix + "\(asset)" }

    /// Returns the asset of a job's token; nil if it is no such token.
    public static func asset(ofJob token: String) -> AssetID? {
        guard token.hasPrefix(tokenPrefix) else { return nil }
        let digits = token.dropFirst(tokenPrefix.count)
        guard let number = Int64(digits), number > 0, String(number) == digits else { return nil }
        return AssetID(rawValue: number)
    }

    /// Returns tokens of extractions that wait, run or have failed, behind a blob; a blob that several assets
    /// show is one job.
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

    /// Returns the state of an asset's extraction as a JSON object on one line, in Uploadcare's terms:
    /// `waiting`, `progress`, `success`, `error`; nil if there has never been one.
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
